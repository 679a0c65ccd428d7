//! Byte-level BPE: makes a `tokenizer.json` from the parts in other formats.

use super::read;
use crate::{Error, Result};
use serde_json::{Map, Value, json};
use std::path::Path;

/// File names of the vocabulary and the merges, where there is no `tokenizer.json`.
pub(super) const VOCABULARY: &str = "vocab.json";
const MERGES: &str = "merges.txt";

const MOST_BYTES: u64 = 512 << 20;

/// Patterns that split a text before bytes are merged.
pub(super) mod cut {
    pub const QWEN: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
    pub const LLAMA: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
    pub const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
}

/// An entry of `added_tokens`.
pub(super) fn added(id: u64, content: &str, special: bool) -> Value {
    json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
           "special": special})
}

/// Makes the whole `tokenizer.json`.
pub(super) fn tokenizer_json(
    cut: &str,
    normalizer: Value,
    vocab: Map<String, Value>,
    merges: Vec<Value>,
    added: Vec<Value>,
) -> Value {
    let level =
        |regex| json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": regex});
    let split = json!({"type": "Split", "pattern": {"Regex": cut}, "behavior": "Isolated", "invert": false});
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added, "normalizer": normalizer,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, level(false)]},
        "post_processor": null, "decoder": level(true),
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                  "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
                  "vocab": vocab, "merges": merges}})
}

/// Makes the `tokenizer.json` of a directory with `vocab.json` and `merges.txt`, such as Dream's and SDAR's. `config`
/// is the directory's `tokenizer_config.json`, which names the kind of tokenizer and the special tokens.
///
/// # Errors
/// Files that are missing or damaged, and kinds of tokenizers other than Qwen's and GPT-2's.
pub(super) fn of_parts(directory: &Path, config: &Value) -> Result<Value> {
    let class = config.get("tokenizer_class").and_then(Value::as_str).unwrap_or("");
    let (cut, normalizer) = match class.trim_end_matches("Fast") {
        "GPT2Tokenizer" => (cut::GPT2, Value::Null),
        "Qwen2Tokenizer" | "Qwen3Tokenizer" | "DreamTokenizer" | "SDARTokenizer" => (cut::QWEN, json!({"type": "NFC"})),
        other => {
            return Err(Error::unsupported(format!("{VOCABULARY}: tokenizers of the class {other:?} are not known"))
                .help(
                    "known without a tokenizer.json: Qwen2Tokenizer, DreamTokenizer, GPT2Tokenizer; \
                       save the others with `AutoTokenizer.from_pretrained(…).save_pretrained(…)`",
                ));
        }
    };
    let Value::Object(mut vocab) = super::read_json(&directory.join(VOCABULARY), MOST_BYTES)? else {
        return Err(Error::model(format!("{VOCABULARY}: it is not a JSON object")));
    };
    let merges = read(&directory.join(MERGES), MOST_BYTES).map_err(|e| e.context(MERGES))?;
    let merges = String::from_utf8(merges).map_err(|_| Error::model(format!("{MERGES}: it is not UTF-8")))?;
    let lines = merges.lines().enumerate().filter(|(i, line)| !(line.is_empty() || *i == 0 && line.starts_with("#v")));
    let merges = lines.map(|(_, line)| json!(line)).collect();
    // Newer configurations list special tokens by id; older directories list them by text in a file of its own.
    let mut more: Vec<(u64, String, bool)> = Vec::new();
    for (id, token) in config.get("added_tokens_decoder").and_then(Value::as_object).into_iter().flatten() {
        let content = token.get("content").and_then(Value::as_str);
        let (Ok(id), Some(content)) = (id.parse(), content) else {
            return Err(Error::model(format!("\"added_tokens_decoder\": {id:?} is no token")));
        };
        more.push((id, content.into(), token.get("special") == Some(&json!(true))));
    }
    const ADDED: &str = "added_tokens.json";
    if more.is_empty() && directory.join(ADDED).exists() {
        let file = super::read_json(&directory.join(ADDED), MOST_BYTES).map_err(|e| e.context(ADDED))?;
        let entries = file.as_object().into_iter().flatten();
        more.extend(entries.filter_map(|(content, id)| Some((id.as_u64()?, content.clone(), true))));
    }
    more.sort();
    // The ids of these tokens are valid only if the vocabulary has them.
    vocab.extend(more.iter().map(|(id, content, _)| (content.clone(), json!(id))));
    let added = more.iter().map(|(id, content, special)| added(*id, content, *special)).collect();
    Ok(tokenizer_json(cut, normalizer, vocab, merges, added))
}
