//! Copies of reference checkpoints that tests may change.

use crate::parity::case;
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
};
use stencil_lm::Model;

/// A copy of a checkpoint, gone when dropped.
pub struct Copy(pub PathBuf, PathBuf);

impl Copy {
    pub fn of(folder: &Path, purpose: &str) -> Self {
        let name = folder.file_name().unwrap().to_string_lossy();
        let path = std::env::temp_dir().join(format!("stencil-{}-{purpose}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        for entry in fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
            if entry.file_name().is_some_and(|n| n != "fixtures.safetensors") && entry.is_file() {
                // Not `copy`, which would keep the file read-only.
                fs::write(path.join(entry.file_name().unwrap()), fs::read(&entry).unwrap()).unwrap();
            }
        }
        Self(path, folder.to_path_buf())
    }
    /// Whether it is a copy of a checkpoint of this repository.
    #[allow(dead_code)]
    pub fn is_own(&self) -> bool {
        self.1.starts_with(env!("CARGO_MANIFEST_DIR").to_string() + "/tests")
    }
    pub fn json(&self, file: &str, change: impl FnOnce(&mut Value)) {
        let path = self.0.join(file);
        let mut value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        change(&mut value);
        fs::write(path, value.to_string()).unwrap();
    }
    /// The weights in one file, whatever there was.
    pub fn whole(&self) -> PathBuf {
        let file = self.0.join("model.safetensors");
        let index = self.0.join("model.safetensors.index.json");
        if index.exists() {
            let tensors = case::tensors(&self.0);
            candle_core::safetensors::save(&tensors, &file).unwrap();
            fs::remove_file(index).unwrap();
        }
        file
    }
    /// What is said of the checkpoint when it is loaded.
    pub fn refused(&self) -> String {
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
pub fn checkpoints(purpose: &str) -> Vec<Copy> {
    let with_tokenizer = |copy: &Copy| ["tokenizer.json", "vocab.json"].iter().any(|f| copy.0.join(f).exists());
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
