//! The same checkpoint written down in the ways that real ones are: what it predicts and writes must not change.

use crate::copies;
use crate::parity::case;

use candle_core::{DType, Tensor, safetensors::save};
use copies::{Copy, checkpoints};
use serde_json::{Value, json};
use std::{collections::HashMap, fs};
use stencil_lm::{CanvasView, Model, Scores};

fn scores(copy: &Copy) -> Vec<Scores> {
    let view = CanvasView { prompt: vec![3, 4, 5].into(), condition: None, tokens: vec![Some(6), None, None, Some(9)] };
    let model = Model::load(&copy.0).unwrap_or_else(|e| panic!("{}: {}", copy.0.display(), e.report()));
    model.denoiser().predict(std::slice::from_ref(&view)).unwrap()
}

fn tied(config: &Value) -> bool {
    ["weight_tying", "tie_word_embeddings"].iter().any(|key| config[*key] == true)
}

#[test]
fn names_of_tensors() {
    for copy in checkpoints("names") {
        let (before, config, file) = (scores(&copy), case::config(&copy.0), copy.whole());
        let tensors = case::tensors(&copy.0);
        let renamed = |name: &dyn Fn(&str) -> String| {
            let renamed: HashMap<String, Tensor> = tensors.iter().map(|(k, v)| (name(k), v.clone())).collect();
            save(&renamed, &file).unwrap();
            assert!(scores(&copy) == before, "{}", copy.0.display());
        };
        for wrapper in ["module.", "_orig_mod.", "model."] {
            renamed(&|name| format!("{wrapper}{name}"));
        }
        // Without the first part, as a network without its head is saved.
        let own_head = config.get("d_model").is_none() && config.get("hidden_dim").is_none() && !tied(&config);
        if !own_head {
            renamed(&|name| name.trim_start_matches("model.").trim_start_matches("backbone.").to_string());
        }
        // Tensors that are there twice, or that nobody reads.
        let mut more = tensors.clone();
        more.insert(
            "model.rotary_emb.inv_freq".into(),
            Tensor::zeros(4, DType::F32, &candle_core::Device::Cpu).unwrap(),
        );
        for (name, twin) in [
            ("model.transformer.wte.weight", "model.transformer.ff_out.weight"),
            ("model.embed_tokens.weight", "lm_head.weight"),
            ("model.word_embeddings.weight", "lm_head.weight"),
            ("model.decoder.embed_tokens.weight", "lm_head.weight"),
            ("model.decoder.embed_tokens.weight", "model.encoder.language_model.embed_tokens.weight"),
        ] {
            if tied(&config)
                && let Some(tensor) = tensors.get(name)
            {
                more.insert(twin.into(), tensor.clone());
            }
        }
        save(&more, &file).unwrap();
        assert!(scores(&copy) == before, "{}", copy.0.display());
    }
}

#[test]
fn keys_of_configurations() {
    for copy in checkpoints("keys") {
        let (before, config) = (scores(&copy), case::config(&copy.0));
        let with = |what: &str, change: &dyn Fn(&mut Value)| {
            copy.json("config.json", change);
            assert!(scores(&copy) == before, "{}: {what}", copy.0.display());
            fs::write(copy.0.join("config.json"), config.to_string()).unwrap();
        };
        with("more keys", &|c| {
            (c["auto_map"], c["torch_dtype"]) = (json!({"AutoModel": "modeling.Model"}), json!("bfloat16"));
            (c["transformers_version"], c["something_new"]) = (json!("9.0"), json!({"a": [1, null]}));
        });
        with("architectures only", &|c| drop(c.as_object_mut().unwrap().remove("model_type")));
        if config.get("num_experts").is_none() || config["model_type"] != "llada" {
            with("model_type only", &|c| drop(c.as_object_mut().unwrap().remove("architectures")));
        }
        for (key, same_as) in [("n_kv_heads", "n_heads"), ("embedding_size", "vocab_size")] {
            if config.get(key).is_some() && config[key] == config[same_as] {
                with("null", &|c| c[key] = Value::Null);
            }
        }
        let Some(theta) = config.get("rope_theta").and_then(Value::as_f64) else { continue };
        if config["rope_scaling"].is_null() && config.get("d_model").is_none() {
            with("a whole number", &|c| c["rope_theta"] = json!(theta as u64));
            with("both names of a kind", &|c| c["rope_scaling"] = json!({"type": "default", "rope_type": "default"}));
            with("the newer table", &|c| {
                let share = c["partial_rotary_factor"].take();
                c["rope_parameters"] =
                    json!({"rope_type": "default", "rope_theta": theta, "partial_rotary_factor": share});
                c["rope_theta"] = Value::Null;
            });
        }
    }
}

/// `vocab.json` and `merges.txt` instead of a `tokenizer.json`, as Dream has them.
#[test]
fn tokenizers_in_parts() {
    for copy in checkpoints("parts") {
        let text = "Hi there, 12 otters' dams\n\n  in the sea...";
        let encode = |copy: &Copy| Model::load(&copy.0).unwrap().denoiser().vocab().encode_prompt(text).unwrap();
        let path = copy.0.join("tokenizer.json");
        // Merges make a difference between what belongs together and what does not.
        copy.json("tokenizer.json", |t| {
            t["pre_tokenizer"]["add_prefix_space"] = json!(false);
            if t["model"]["merges"] != json!([]) {
                return;
            }
            let vocab = t["model"]["vocab"].as_object_mut().unwrap();
            let spare: Vec<String> =
                vocab.keys().filter(|k| ["Q", "W", "X", "Y", "Z"].contains(&k.as_str())).cloned().collect();
            for (letter, pair) in spare.iter().zip(["th", "er", "in", "\u{120}t", "12"]) {
                let id = vocab.remove(letter).unwrap();
                vocab.insert(pair.into(), id);
            }
            let pairs = [["t", "h"], ["e", "r"], ["i", "n"], ["\u{120}", "t"], ["1", "2"]];
            t["model"]["merges"] = json!(&pairs[..spare.len()]);
        });
        let whole: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let before = encode(&copy);
        let added = whole["added_tokens"].as_array().unwrap();
        let specials: serde_json::Map<String, Value> = added
            .iter()
            .map(|t| (t["id"].to_string(), json!({"content": t["content"], "special": t["special"]})))
            .collect();
        let mut vocab = whole["model"]["vocab"].clone();
        added.iter().for_each(|t| drop(vocab.as_object_mut().unwrap().remove(t["content"].as_str().unwrap())));
        let merges: Vec<String> = (whole["model"]["merges"].as_array().unwrap().iter())
            .map(|m| match m.as_str() {
                Some(pair) => pair.to_string(),
                None => format!("{} {}", m[0].as_str().unwrap(), m[1].as_str().unwrap()),
            })
            .collect();
        fs::write(copy.0.join("vocab.json"), vocab.to_string()).unwrap();
        fs::write(copy.0.join("merges.txt"), format!("#version: 0.2\n{}\n", merges.join("\n"))).unwrap();
        fs::remove_file(&path).unwrap();
        let config = copy.0.join("tokenizer_config.json");
        let mut settings: Value = fs::read(&config).map_or(json!({}), |bytes| serde_json::from_slice(&bytes).unwrap());
        settings["tokenizer_class"] = json!("GPT2Tokenizer");
        let with = |settings: &Value| fs::write(&config, settings.to_string()).unwrap();
        settings["added_tokens_decoder"] = json!(specials);
        with(&settings);
        assert_eq!(encode(&copy), before, "{}", copy.0.display());
        // Older files have the added ones beside the others.
        settings.as_object_mut().unwrap().remove("added_tokens_decoder");
        with(&settings);
        let by_text: serde_json::Map<String, Value> =
            added.iter().map(|t| (t["content"].as_str().unwrap().to_string(), t["id"].clone())).collect();
        fs::write(copy.0.join("added_tokens.json"), json!(by_text).to_string()).unwrap();
        assert_eq!(encode(&copy), before, "{}", copy.0.display());
        settings["tokenizer_class"] = json!("BertTokenizer");
        with(&settings);
        let report = copy.refused();
        assert!(report.contains("\"BertTokenizer\" are not known") && report.contains("help: known"), "{report}");
    }
}

/// GPT-2's tokenizer, which MDLM is used with, does not say which token ends a text.
#[test]
fn ends_that_only_the_vocabulary_names() {
    for copy in checkpoints("ends") {
        let tokenizer = fs::read_to_string(copy.0.join("tokenizer.json")).unwrap();
        if case::config(&copy.0).get("eos_token_id").is_none() && tokenizer.contains("<|endoftext|>") {
            let eos = |copy: &Copy| Model::load(&copy.0).unwrap().denoiser().vocab().eos();
            let named = eos(&copy);
            fs::write(copy.0.join("tokenizer_config.json"), "{}").unwrap();
            assert!(named.is_some() && eos(&copy) == named, "{}", copy.0.display());
        }
    }
}

#[test]
fn schedules_of_canvases() {
    for copy in checkpoints("schedules") {
        let manner = |copy: &Copy| Model::load(&copy.0).unwrap().denoiser().defaults();
        if Model::load(&copy.0).unwrap().denoiser().process().revises() {
            let file = copy.0.join("generation_config.json");
            let given = json!({"max_denoising_steps": 7, "t_max": 0.9, "t_min": 0.25, "sampler_config": null});
            fs::write(&file, given.to_string()).unwrap();
            assert_eq!((manner(&copy).steps, manner(&copy).temperature), (Some(7), (0.9, 0.25)));
            fs::write(&file, json!({"max_denoising_steps": -7}).to_string()).unwrap();
            let report = copy.refused();
            assert!(report.contains("generation_config.json") && report.contains("max_denoising_steps"), "{report}");
        }
    }
}
