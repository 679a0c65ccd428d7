//! The tokenizer inside a GGUF file, converted to a `tokenizer.json`.

use super::byte_level::{added, cut, tokenizer_json};
use super::gguf::Gguf;
use crate::{Error, Result};
use candle_core::quantized::gguf_file::Value as Meta;
use serde_json::{Map, Value, json};

const HELP: &str = "put the model's tokenizer.json beside the file";

/// Patterns that split a text before bytes are merged, by llama.cpp's names.
const CUTS: &[(&[&str], &str)] = &[
    (&["qwen2", "dream"], cut::QWEN),
    (&["llama-bpe", "llama3", "llada-moe", "bailingmoe"], cut::LLAMA),
    (&["gpt-2", "default", "llada"], cut::GPT2),
];

impl Gguf {
    /// Makes `tokenizer.json` and `tokenizer_config.json` from the metadata.
    ///
    /// # Errors
    /// Vocabularies other than byte-level BPE, and unknown splitting patterns.
    pub fn tokenizer(&self) -> Result<(Value, Value)> {
        let kind = self.value("tokenizer.ggml.model");
        if kind != "gpt2" {
            return Err(Error::unsupported(format!("the tokenizer {kind} of GGUF files is not supported")).help(HELP));
        }
        let cut = self.value("tokenizer.ggml.pre");
        let cut = cut.as_str().unwrap_or("default");
        let Some((_, pattern)) = CUTS.iter().find(|(names, _)| names.contains(&cut)) else {
            return Err(Error::unsupported(format!("the pre-tokenizer {cut:?} is not known")).help(HELP));
        };
        let texts = |key: &str| -> Result<Vec<&String>> {
            match self.meta(key) {
                Some(Meta::Array(items)) => items
                    .iter()
                    .map(|item| item.to_string())
                    .collect::<candle_core::Result<_>>()
                    .map_err(|e| Error::model(format!("{key} is no list of texts")).because(e).help(HELP)),
                _ => Err(Error::model(format!("{key} is missing")).help(HELP)),
            }
        };
        let (tokens, merges) = (texts("tokenizer.ggml.tokens")?, texts("tokenizer.ggml.merges")?);
        let kinds: Vec<i64> = match self.meta("tokenizer.ggml.token_type") {
            Some(Meta::Array(items)) => items
                .iter()
                .map(|kind| kind.to_i64().or(kind.to_i32().map(i64::from)))
                .map(|kind| kind.unwrap_or(1))
                .collect(),
            _ => Vec::new(),
        };
        // Token types: 3 is control, 4 is user-defined; all others are pieces of text.
        let added = (0..)
            .zip(&kinds)
            .filter(|(_, kind)| matches!(kind, 3 | 4))
            .filter_map(|(id, kind): (u64, _)| Some(added(id, tokens.get(id as usize)?, *kind == 3)))
            .collect();
        let vocab: Map<String, Value> =
            tokens.iter().enumerate().map(|(id, text)| (text.to_string(), json!(id))).collect();
        let merges = merges.iter().map(|text| json!(text)).collect();
        let tokenizer = tokenizer_json(pattern, Value::Null, vocab, merges, added);
        let name = |key: &str| {
            let id = self.value(&format!("tokenizer.ggml.{key}_token_id")).as_u64()?;
            tokens.get(usize::try_from(id).ok()?).map(|text| json!(text))
        };
        let mut config = Map::new();
        for (part, key) in
            [("bos_token", "bos"), ("eos_token", "eos"), ("pad_token", "padding"), ("mask_token", "mask")]
        {
            config.extend(name(key).map(|text| (part.to_string(), text)));
        }
        if let template @ Value::String(_) = self.value("tokenizer.chat_template") {
            config.insert("chat_template".into(), template);
        }
        Ok((tokenizer, Value::Object(config)))
    }
}
