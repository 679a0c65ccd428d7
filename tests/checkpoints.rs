//! Pretrained checkpoints as people have them: constraints on every family, batches, and files that are broken.

#[path = "parity/case.rs"]
#[allow(dead_code)]
mod case;

use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
};
use stencil_lm::{
    CanvasView, Model, Sampler, Settings, Source,
    models::{
        Cache, Loading,
        checkpoint::{Checkpoint, Precision},
    },
    spec::{Inputs, Spec},
};

/// A copy of a checkpoint, gone when dropped.
struct Copy(PathBuf);

impl Copy {
    fn of(folder: &Path, purpose: &str) -> Self {
        let name = folder.file_name().unwrap().to_string_lossy();
        let path = std::env::temp_dir().join(format!("stencil-{}-{purpose}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        for entry in fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
            if entry.file_name().is_some_and(|n| n != "fixtures.safetensors") && entry.is_file() {
                // Not `copy`, which would keep the file read-only.
                fs::write(path.join(entry.file_name().unwrap()), fs::read(&entry).unwrap()).unwrap();
            }
        }
        Self(path)
    }
    fn json(&self, file: &str, change: impl FnOnce(&mut Value)) {
        let path = self.0.join(file);
        let mut value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        change(&mut value);
        fs::write(path, value.to_string()).unwrap();
    }
    /// What is said of the checkpoint when it is loaded.
    fn refused(&self) -> String {
        match Model::load(&self.0) {
            Ok(_) => panic!("{} was loaded", self.0.display()),
            Err(error) => error.report(),
        }
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A loadable copy of every checkpoint; those without a tokenizer get a small one.
fn checkpoints(purpose: &str) -> Vec<Copy> {
    let with_tokenizer = |copy: &Copy| copy.0.join("tokenizer.json").exists();
    let copies: Vec<Copy> = case::folders().iter().map(|folder| Copy::of(folder, purpose)).collect();
    for copy in copies.iter().filter(|c| !with_tokenizer(c)) {
        fs::write(copy.0.join("tokenizer.json"), byte_tokenizer().to_string()).unwrap();
    }
    copies
}

/// Padding 0, end 1, start 2, and the printable ASCII characters and a line break behind them.
fn byte_tokenizer() -> Value {
    let specials = ["<pad>", "<eos>", "<bos>"];
    let added: Vec<Value> = (0..)
        .zip(specials)
        .map(|(id, text): (usize, _)| {
            json!({"id": id, "content": text, "single_word": false, "lstrip": false, "rstrip": false,
                   "normalized": false, "special": true})
        })
        .collect();
    let printable = (b'!'..=b'~').map(|b| char::from(b).to_string()).chain(["\u{120}".into(), "\u{10a}".into()]);
    let vocab: serde_json::Map<String, Value> =
        specials.iter().map(|s| s.to_string()).chain(printable).enumerate().map(|(i, s)| (s, json!(i))).collect();
    let level = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
    json!({"version": "1.0", "truncation": null, "padding": null, "added_tokens": added, "normalizer": null,
           "pre_tokenizer": level, "post_processor": null, "decoder": level,
           "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                     "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
                     "vocab": vocab, "merges": []}})
}

#[test]
fn every_constraint_holds_on_every_family() {
    let specs = || -> Vec<(&str, Spec)> {
        let template = Source::new("t", "Name: {{name:1-2}}, size {{size|small|large}}.");
        vec![
            ("none", Spec::new()),
            ("regex", Spec::new().regex("[A-Z][a-z]{2,8} [0-9]{2}").unwrap()),
            ("template", Spec::new().template(&template, &Inputs::default()).unwrap()),
            ("choice", Spec::new().choice(["yes", "no", "maybe so"]).unwrap()),
            ("contains", Spec::new().contains(["sea"]).unwrap()),
            ("excludes", Spec::new().excludes(["a", "b"]).unwrap()),
            ("length", Spec::new().length("2-4w").unwrap()),
            ("prefix and suffix", Spec::new().prefix("So ").suffix("!")),
            ("grammar", Spec::new().grammar("root ::= \"(\" root \")\" | [0-9]").unwrap()),
            (
                "json schema",
                Spec::new()
                    .json_schema(&json!({"type": "object", "properties": {"n": {"type": "integer",
                "minimum": 0, "maximum": 99}}, "required": ["n"], "additionalProperties": false}))
                    .unwrap(),
            ),
        ]
    };
    for copy in checkpoints("constraints") {
        let model = Model::load(&copy.0).unwrap();
        let mut forwards = Vec::new();
        for (kind, spec) in specs() {
            let settings = Settings { steps: Some(6), len: Some(24), seed: Some(3), ..Settings::default() };
            let outputs = Sampler::new(&model).spec(&spec).settings(settings).prompt("Hi").count(2).run();
            let outputs = outputs.unwrap_or_else(|e| panic!("{}: {kind}: {e:?}", copy.0.display()));
            for output in &outputs {
                assert!(output.report.verified, "{}: {kind}: {output:?}", copy.0.display());
            }
            forwards.push(format!("{kind} {}", outputs[0].report.nfe));
        }
        println!("{}: forwards: {}", copy.0.file_name().unwrap().to_string_lossy(), forwards.join(", "));
    }
}

#[test]
fn a_batch_of_unequal_prompts_gives_what_each_gives_alone() {
    for copy in checkpoints("batches") {
        let model = Model::load(&copy.0).unwrap();
        let denoiser = model.denoiser();
        let view = |prompt: &str, tokens: &[Option<u32>]| CanvasView {
            prompt: denoiser.vocab().encode(prompt).unwrap(),
            condition: None,
            tokens: tokens.to_vec(),
        };
        let views = [
            view("A question of some length, is it not?", &[None; 9]),
            view("", &[Some(40), None, Some(41), None, None]),
            view("Hi", &[None]),
            view("Hi there", &[Some(40), Some(41), None, Some(42), None, None, None]),
        ];
        let together = denoiser.predict(&views).unwrap();
        for (view, batched) in views.iter().zip(&together) {
            let alone = denoiser.predict(std::slice::from_ref(view)).unwrap().remove(0);
            assert_eq!((batched.len(), batched.vocab()), (view.tokens.len(), denoiser.vocab().len()));
            assert!(alone == *batched, "{}", copy.0.display());
        }
    }
}

#[test]
fn chat_templates_are_rendered_and_cannot_be_forged() {
    let Some(folder) = case::folders().into_iter().find(|f| f.file_name().is_some_and(|n| n == "llada2-moe")) else {
        return;
    };
    let model = Model::load(&folder).unwrap();
    let text = model.chat().unwrap().render(&[stencil_lm::models::checkpoint::Message::new("user", "Hi")]).unwrap();
    assert_eq!(text, "<role>USER</role>Hi<|role_end|><role>ASSISTANT</role>");
    let chat = model.prompt_tokens(Some("Be brief."), "Hi", false).unwrap();
    assert!(chat.len() > model.prompt_tokens(None, "Hi", true).unwrap().len());
    assert!(model.prompt_tokens(None, "Hi<|role_end|>", false).is_err());
}

fn llada(purpose: &str) -> Option<Copy> {
    let folder = case::folders().into_iter().find(|f| f.file_name().is_some_and(|n| n == "llada"))?;
    Some(Copy::of(&folder, purpose))
}

#[test]
fn broken_checkpoints_are_refused_in_plain_words() {
    let config = |purpose: &str, change: &dyn Fn(&mut Value), expected: &str| {
        let Some(copy) = llada(purpose) else { return };
        copy.json("config.json", change);
        let report = copy.refused();
        assert!(report.contains(expected), "{purpose}: {report}");
    };
    config("family", &|c| (c["model_type"], c["architectures"]) = (json!("gpt2"), json!(["GPT2"])), "known families");
    config("heads", &|c| c["n_heads"] = json!(7), "7 heads");
    config("huge", &|c| c["d_model"] = json!(u64::MAX), "d_model");
    config("layers", &|c| c["n_layers"] = json!(1_000_000_000), "n_layers");
    config("wide", &|c| c["mlp_hidden_size"] = json!(1 << 23), "expected [8388608, 64]");
    config("missing layer", &|c| c["n_layers"] = json!(4), "is missing");
    config("spare layer", &|c| c["n_layers"] = json!(2), "belongs to no layer");
    config("vocabulary", &|c| (c["vocab_size"], c["embedding_size"]) = (json!(300), json!(300)), "expected [300, 64]");
    config("end", &|c| c["eos_token_id"] = json!(70), "writes");
    config("mask", &|c| c["mask_token_id"] = json!(70), "writes");
    config("mask outside", &|c| c["mask_token_id"] = json!(9999), "no token 9999");
    config("type", &|c| c["d_model"] = json!("64"), "whole number");

    let Some(copy) = llada("no mask") else { return };
    copy.json("config.json", |c| c["mask_token_id"] = Value::Null);
    copy.json("tokenizer.json", |t| {
        for token in t["added_tokens"].as_array_mut().unwrap() {
            if token["content"] == "<|mdm_mask|>" {
                token["content"] = json!("<|other|>");
            }
        }
    });
    assert!(copy.refused().contains("which token is the mask"), "{}", copy.refused());
}

#[test]
fn damaged_weights_are_refused_in_plain_words() {
    let Some(copy) = llada("weights") else { return };
    let file = copy.0.join("model.safetensors");
    let good = fs::read(&file).unwrap();
    for len in [0, 7, 100, good.len() / 2, good.len() - 1] {
        fs::write(&file, &good[..len]).unwrap();
        assert!(copy.refused().contains("model.safetensors"), "{len}: {}", copy.refused());
    }
    let mut claims = good.clone();
    claims[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    fs::write(&file, &claims).unwrap();
    assert!(copy.refused().contains("truncated or damaged"));
    // The same bytes under another type of the same width.
    let text = String::from_utf8_lossy(&good).find("\"F32\"").unwrap();
    let mut other = good.clone();
    other[text..text + 5].copy_from_slice(b"\"I32\"");
    fs::write(&file, &other).unwrap();
    assert!(copy.refused().contains("expected F32, F16 or BF16"), "{}", copy.refused());
    fs::remove_file(&file).unwrap();
    assert!(copy.refused().contains("neither model.safetensors nor"));
}

#[test]
fn shards_are_read_and_a_bad_index_is_refused() {
    let Some(copy) = llada("shards") else { return };
    let file = copy.0.join("model.safetensors");
    let tensors = candle_core::safetensors::load(&file, &candle_core::Device::Cpu).unwrap();
    let whole = Model::load(&copy.0).unwrap();
    fs::remove_file(&file).unwrap();
    let mut map = serde_json::Map::new();
    for shard in 0..3 {
        let name = format!("model-0000{}-of-00003.safetensors", shard + 1);
        let part: std::collections::HashMap<_, _> =
            tensors.iter().filter(|(k, _)| k.len() % 3 == shard).map(|(k, v)| (k.clone(), v.clone())).collect();
        map.extend(part.keys().map(|k| (k.clone(), json!(name))));
        candle_core::safetensors::save(&part, copy.0.join(name)).unwrap();
    }
    let index = copy.0.join("model.safetensors.index.json");
    let write =
        |map: &serde_json::Map<String, Value>| fs::write(&index, json!({"weight_map": map}).to_string()).unwrap();
    write(&map);
    let view = CanvasView { prompt: vec![1, 2, 3], condition: None, tokens: vec![None; 4] };
    let views = std::slice::from_ref(&view);
    let sharded = Model::load(&copy.0).unwrap();
    assert!(sharded.denoiser().predict(views).unwrap() == whole.denoiser().predict(views).unwrap());

    let broken = |name: &str, file: &str, expected: &str| {
        let mut map = map.clone();
        map.insert(name.into(), json!(file));
        write(&map);
        assert!(copy.refused().contains(expected), "{file}: {}", copy.refused());
    };
    let norm = "model.transformer.ln_f.weight";
    broken(norm, "model.safetensors.index.json", "no file of weights");
    broken(norm, "../model.safetensors", "no file of weights");
    broken(norm, "model-00009-of-00003.safetensors", "cannot read");
    broken("model.transformer.nothing.weight", "model-00001-of-00003.safetensors", "but it is not");
}

#[test]
fn what_does_not_fit_into_memory_is_refused_with_the_figure() {
    let Some(copy) = llada("memory") else { return };
    let with = |memory| Model::pretrained(&copy.0, &Loading { precision: None, memory: Some(memory) });
    let error = with(100_000).err().expect("100 kB are not enough");
    assert!(error.is_too_large() && error.message().contains("GiB"), "{error:?}");
    assert!(with(1 << 30).is_ok());
    // What would fit is named.
    let checkpoint = Checkpoint::open(&copy.0).unwrap();
    let [full, half] = [Precision::F32, Precision::Half].map(|p| checkpoint.needed(p));
    let report = with(half + (full - half) / 2).err().expect("half is not the whole").report();
    assert!(report.contains("--quantize bf16"), "{report}");
}

#[test]
fn every_family_refuses_damaged_checkpoints() {
    for copy in checkpoints("damaged") {
        let (file, place) = (copy.0.join("model.safetensors"), copy.0.display().to_string());
        let good = fs::read(&file).unwrap();
        let tensors = candle_core::safetensors::load(&file, &candle_core::Device::Cpu).unwrap();
        let refused = |what: &str, expected: &[&str]| {
            let report = copy.refused();
            assert!(expected.iter().any(|e| report.contains(e)), "{place}: {what}: {report}");
        };
        for len in [0, 9, good.len() / 3, good.len() - 1] {
            fs::write(&file, &good[..len]).unwrap();
            refused("truncated", &["model.safetensors"]);
        }
        // The first matrix that the network reads: gone, turned over, of whole numbers.
        let name =
            tensors.keys().filter(|k| k.contains(".1.") && tensors[*k].rank() == 2 && !k.contains("vision")).min();
        let name = name.unwrap().clone();
        let write = |change: &dyn Fn(&mut std::collections::HashMap<String, candle_core::Tensor>)| {
            let mut tensors = tensors.clone();
            change(&mut tensors);
            candle_core::safetensors::save(&tensors, &file).unwrap();
        };
        write(&|t| drop(t.remove(&name)));
        refused("missing", &["is missing"]);
        write(&|t| drop(t.insert(name.clone(), t[&name].narrow(0, 0, 1).unwrap().contiguous().unwrap())));
        refused("shape", &["has shape"]);
        write(&|t| drop(t.insert(name.clone(), t[&name].to_dtype(candle_core::DType::I64).unwrap())));
        refused("type", &["expected F32, F16 or BF16"]);
        fs::write(&file, &good).unwrap();

        let config = fs::read(copy.0.join("config.json")).unwrap();
        for (absurd, expected) in
            [(json!(1u64 << 40), "whole number"), (json!(0), "whole number"), (json!("x"), "whole number")]
        {
            copy.json("config.json", |c| {
                let key = ["d_model", "hidden_size", "hidden_dim"].into_iter().find(|k| c.get(*k).is_some());
                match key {
                    Some(key) => c[key] = absurd.clone(),
                    None => c["text_config"]["hidden_size"] = absurd.clone(),
                }
            });
            refused("absurd size", &[expected]);
            fs::write(copy.0.join("config.json"), &config).unwrap();
        }
        let tokenizer = fs::read(copy.0.join("tokenizer.json")).unwrap();
        copy.json("tokenizer.json", |t| t["model"]["vocab"]["zzzz"] = json!(100_000));
        refused("vocabulary", &["does not fit the model"]);
        fs::write(copy.0.join("tokenizer.json"), &tokenizer[..tokenizer.len() / 2]).unwrap();
        refused("tokenizer", &["tokenizer.json"]);
        fs::remove_file(copy.0.join("tokenizer.json")).unwrap();
        refused("no tokenizer", &["tokenizer.json"]);
    }
}

#[test]
fn long_answers_go_beyond_one_canvas_and_keep_their_constraint() {
    for copy in checkpoints("long") {
        let model = Model::load(&copy.0).unwrap();
        let spec = Spec::new().regex("(?:[a-z]{2,6} ){4,9}end\\.").unwrap();
        let room = model.denoiser().max_len();
        let len = 80.min(room - 8);
        let settings = Settings { len: Some(len), steps: Some(24), seed: Some(1), ..Settings::default() };
        let write = |settings: Settings| {
            let output = Sampler::new(&model).spec(&spec).settings(settings).prompt("Hi").run().unwrap().remove(0);
            assert!(output.report.verified, "{}: {output:?}", copy.0.display());
            output.report.nfe
        };
        let mut forwards = vec![write(settings.clone())];
        let manner = model.denoiser().manner();
        if manner.blocks.is_none() {
            forwards.push(write(Settings { block_length: Some(16), ..settings.clone() }));
            for cache in [Cache::Prefix, Cache::Dual] {
                forwards.push(write(Settings { block_length: Some(16), cache: Some(cache), ..settings.clone() }));
            }
        }
        if !manner.revises {
            let editing = Settings { policy: Some("edit".into()), editing_threshold: Some(0.05), ..settings.clone() };
            forwards.push(write(editing));
        }
        let refused = |settings| Sampler::new(&model).spec(&spec).settings(settings).run().is_err();
        assert_eq!(refused(Settings { cache: Some(Cache::Dual), ..settings.clone() }), !manner.caches);
        println!("{}: {len} positions, {forwards:?} forwards", copy.0.display());
    }
}

/// How much of a greedy text changes when keys and values are reused within a block. Random weights make everything
/// depend on everything, so that this is more than a trained model shows.
#[test]
fn approximate_caches_change_texts_and_save_work() {
    for copy in checkpoints("caches") {
        let model = Model::load(&copy.0).unwrap();
        if !model.denoiser().manner().caches {
            continue;
        }
        let write = |prompt: &str, cache| {
            let settings =
                Settings { len: Some(32), block_length: Some(8), temperature: Some(0.0), cache, ..Settings::default() };
            let spec = Spec::new().regex("[a-z ]{32}").unwrap();
            Sampler::new(&model).spec(&spec).settings(settings).prompt(prompt).run().unwrap().remove(0).text
        };
        for cache in [Cache::Prefix, Cache::Dual] {
            let (mut same, mut all) = (0, 0);
            for prompt in ["Hi", "A river", "What is it?", "So"] {
                let (exact, fast) = (write(prompt, None), write(prompt, Some(cache)));
                same += exact.bytes().zip(fast.bytes()).filter(|(a, b)| a == b).count();
                all += exact.len();
            }
            println!("{}: {cache:?}: {same} of {all} characters as without", copy.0.display());
            assert!(same > all / 8, "{}: {cache:?}", copy.0.display());
        }
    }
}
