//! Checkpoints that are broken: every family refuses them in plain words, whatever is wrong, and never takes the memory that
//! an absurd configuration asks for.

use crate::common::process;
use crate::copies;
use crate::parity::case;

use candle_core::{DType, Tensor, safetensors::save};
use copies::{Copy, checkpoints};
use rayon::prelude::*;
use serde_json::{Map, Value, json};
use std::{collections::HashMap, fs, path::Path};
use stencil_lm::{
    CanvasView, Model,
    models::{
        Loading,
        checkpoint::{Checkpoint, Precision},
    },
};

/// The copy is refused, in words that have one of `expected` in them.
fn refused(copy: &Copy, what: &str, expected: &[&str]) {
    let report = copy.refused();
    assert!(expected.iter().any(|e| report.contains(e)), "{}: {what}: {report}", copy.0.display());
}

/// A matrix inside a layer: what the network cannot do without.
fn some_matrix(tensors: &HashMap<String, Tensor>) -> String {
    let inside = |name: &&String| name.contains(".0.") && !name.contains("vision") && tensors[*name].rank() == 2;
    tensors.keys().filter(inside).min().unwrap().clone()
}

#[test]
fn damaged_weights() {
    checkpoints("weights").par_iter().for_each(|copy| {
        let tensors = case::tensors(&copy.0);
        let file = copy.whole();
        let good = fs::read(&file).unwrap();
        for len in [0, 7, 9, 100, good.len() / 3, good.len() - 1] {
            fs::write(&file, &good[..len]).unwrap();
            refused(copy, "truncated", &["model.safetensors: truncated or damaged"]);
        }
        let mut claims = good.clone();
        claims[..8].copy_from_slice(&u64::MAX.to_le_bytes());
        fs::write(&file, &claims).unwrap();
        refused(copy, "a header of any length", &["truncated or damaged"]);

        let name = some_matrix(&tensors);
        let with = |change: &dyn Fn(&mut HashMap<String, Tensor>)| {
            let mut tensors = tensors.clone();
            change(&mut tensors);
            save(&tensors, &file).unwrap();
        };
        with(&|t| drop(t.remove(&name)));
        refused(copy, "a missing tensor", &["is missing, expected shape"]);
        with(&|t| drop(t.insert(name.clone(), t[&name].narrow(0, 0, 1).unwrap().contiguous().unwrap())));
        refused(copy, "another shape", &["has shape"]);
        with(&|t| drop(t.insert(name.clone(), t[&name].to_dtype(DType::I64).unwrap())));
        refused(copy, "another type", &["expected F32, F16 or BF16"]);
        with(&|t| drop(t.insert("model.layers.99.stray.weight".into(), t[&name].clone())));
        refused(copy, "a stray tensor", &["belongs to no layer"]);
        fs::remove_file(&file).unwrap();
        refused(copy, "no weights", &["neither model.safetensors nor"]);
        fs::write(copy.0.join("pytorch_model.bin"), b"").unwrap();
        refused(copy, "weights in another format", &["convert it to safetensors"]);
    });
}

#[test]
fn shards_and_their_index() {
    checkpoints("shards").par_iter().for_each(|copy| {
        let tensors = case::tensors(&copy.0);
        let file = copy.whole();
        let view = CanvasView { prompt: vec![3, 4, 5].into(), condition: None, tokens: vec![Some(6); 4] };
        let scores =
            |copy: &Copy| Model::load(&copy.0).unwrap().denoiser().predict(std::slice::from_ref(&view)).unwrap();
        let whole = scores(copy);
        fs::remove_file(&file).unwrap();
        let mut places = Map::new();
        for shard in 0..3 {
            let name = format!("model-0000{}-of-00003.safetensors", shard + 1);
            let part = tensors.iter().filter(|(k, _)| k.len() % 3 == shard);
            let part: HashMap<_, _> = part.map(|(k, v)| (k.clone(), v.clone())).collect();
            places.extend(part.keys().map(|k| (k.clone(), json!(name))));
            save(&part, copy.0.join(name)).unwrap();
        }
        let index = copy.0.join("model.safetensors.index.json");
        let write = |map: &Value| fs::write(&index, json!({"weight_map": map}).to_string()).unwrap();
        write(&json!(places));
        assert!(scores(copy) == whole, "{}", copy.0.display());

        let name = some_matrix(&tensors);
        let elsewhere = |name: &str, file: Value, expected: &str| {
            let mut places = places.clone();
            places.insert(name.into(), file.clone());
            write(&json!(places));
            refused(copy, &file.to_string(), &[expected]);
        };
        elsewhere(&name, json!("model.safetensors.index.json"), "no file of weights");
        elsewhere(&name, json!("../model.safetensors"), "no file of weights");
        elsewhere(&name, json!("/etc/passwd.safetensors"), "no file of weights");
        elsewhere(&name, json!(["model-00001-of-00003.safetensors"]), "no file of weights");
        elsewhere(&name, json!("model-00009-of-00003.safetensors"), "cannot read");
        elsewhere("model.nothing.weight", json!("model-00001-of-00003.safetensors"), "but it is not");
        let mut fewer = places.clone();
        fewer.remove(&name);
        write(&json!(fewer));
        refused(copy, "a tensor not listed", &["does not list", "is missing"]);
        for other in [json!(null), json!([1, 2]), json!("x")] {
            write(&other);
            refused(copy, "no table", &["has no \"weight_map\""]);
        }
        write(&json!(places));
        let shard = copy.0.join(places[&name].as_str().unwrap());
        let good = fs::read(&shard).unwrap();
        fs::write(&shard, &good[..good.len() - 1]).unwrap();
        refused(copy, "a truncated shard", &["truncated or damaged"]);
        // An index that leads to itself.
        fs::remove_file(&shard).unwrap();
        std::os::unix::fs::symlink(&shard, &shard).unwrap();
        refused(copy, "a cycle of links", &["cannot read model-"]);
    });
}

#[test]
fn absurd_configurations() {
    process::alone("damaged_checkpoints::absurd_configurations", || {
        let absurd = [
            json!(1u64 << 40),
            json!(u64::MAX),
            json!(1 << 22),
            json!(0),
            json!(-3),
            json!(0.5),
            json!("x"),
            json!([]),
        ];
        checkpoints("config").par_iter().for_each(|copy| {
            let path = copy.0.join("config.json");
            let good = fs::read(&path).unwrap();
            let config = case::config(&copy.0);
            let places = |table: &str| {
                let table = format!("/{table}").trim_end_matches('/').to_string();
                let entries = config.pointer(&table).and_then(Value::as_object).into_iter().flatten();
                entries.filter(|(_, v)| v.is_number()).map(|(k, _)| format!("{table}/{k}")).collect::<Vec<_>>()
            };
            let mut accepted = Vec::new();
            for place in [places(""), places("text_config")].concat() {
                for value in &absurd {
                    copy.json("config.json", |c| *c.pointer_mut(&place).unwrap() = value.clone());
                    match Model::load(&copy.0) {
                        Ok(_) => accepted.push(format!("{place}={value}")),
                        Err(error) => assert!(!error.message().is_empty()),
                    }
                }
            }
            println!("{}: no matter: {}", copy.0.display(), accepted.join(" "));
            // Whatever shapes a tensor.
            for key in
                ["d_model", "hidden_size", "hidden_dim", "n_layers", "num_hidden_layers", "n_blocks", "vocab_size"]
            {
                let key = format!("/{key}=");
                assert!(!accepted.iter().any(|a| a.contains(&key)), "{}: {key} {accepted:?}", copy.0.display());
            }
            if config.get("partial_rotary_factor").is_some() {
                fs::write(&path, &good).unwrap();
                copy.json("config.json", |c| c["partial_rotary_factor"] = json!(1e-9));
                refused(copy, "angles of nothing", &["turn no dimension"]);
            }
            for (text, expected) in [("", "not JSON"), ("[]", "not a JSON object"), ("{}", "neither \"model_type\"")] {
                fs::write(&path, text).unwrap();
                refused(copy, text, &[expected, "config.json"]);
            }
            fs::write(&path, &good).unwrap();
            copy.json("config.json", |c| (c["model_type"], c["architectures"]) = (json!("gpt2"), json!(["GPT2"])));
            refused(copy, "another family", &["known families: LLaDA-MoE (llada_moe, lladamoe)"]);
        });
        let peak = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let peak =
            peak.lines().find_map(|l| l.strip_prefix("VmHWM:")).map(|l| l.trim_end_matches("kB").trim().to_string());
        if let Some(kib) = peak {
            assert!(kib.parse::<u64>().unwrap() < 2 << 20, "took {kib} KiB");
        }
    });
}

#[test]
fn tokenizers_of_other_models() {
    checkpoints("tokenizer").par_iter().for_each(|copy| {
        let path = copy.0.join("tokenizer.json");
        let good = fs::read(&path).unwrap();
        copy.json("tokenizer.json", |t| t["model"]["vocab"]["zzzz"] = json!(100_000));
        refused(copy, "more tokens", &["does not fit the model"]);
        fs::write(&path, &good[..good.len() / 2]).unwrap();
        refused(copy, "truncated", &["tokenizer.json: cannot be read"]);
        fs::remove_file(&path).unwrap();
        refused(copy, "missing", &["tokenizer.json: it cannot be read"]);
        fs::write(&path, &good).unwrap();
        // A token that the configuration calls special, but that writes something.
        let letter = stencil_id(&path, "a");
        let config = case::config(&copy.0);
        let table = if config.get("text_config").is_some() { "/text_config" } else { "" };
        for key in ["mask_token_id", "eos_token_id"] {
            let place = format!("{table}/{key}");
            if config.pointer(&place).is_none() {
                continue;
            }
            for (id, expected) in [(json!(letter), "but writes \"a\""), (json!(9_999), "has no token 9999")] {
                copy.json("config.json", |c| *c.pointer_mut(&place).unwrap() = id);
                refused(copy, key, &[expected]);
            }
            fs::write(copy.0.join("config.json"), config.to_string()).unwrap();
        }
        if config.get("mask_token_id").is_none() {
            return;
        }
        // Nobody says which token is the mask.
        copy.json("config.json", |c| c["mask_token_id"] = Value::Null);
        let mask = config["mask_token_id"].clone();
        copy.json("tokenizer.json", |t| {
            let added = t["added_tokens"].as_array_mut().unwrap();
            added.iter_mut().filter(|a| a["id"] == mask).for_each(|a| a["content"] = json!("<|other|>"));
            let vocab = t["model"]["vocab"].as_object_mut().unwrap();
            let all = vocab.len();
            vocab.retain(|_, id| *id != mask);
            if vocab.len() < all {
                vocab.insert("<|other|>".into(), mask.clone());
            }
        });
        refused(copy, "no mask", &["which token is the mask"]);
    });
}

fn stencil_id(tokenizer: &Path, text: &str) -> u64 {
    let tokenizer: Value = serde_json::from_slice(&fs::read(tokenizer).unwrap()).unwrap();
    tokenizer["model"]["vocab"][text].as_u64().unwrap()
}

#[test]
fn what_does_not_fit_into_memory_is_refused_with_the_figure() {
    for copy in checkpoints("memory") {
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
}
