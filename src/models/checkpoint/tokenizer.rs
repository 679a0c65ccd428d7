//! The tokenizer of a checkpoint: its vocabulary and the roles of special tokens.

use super::byte_level::{self, VOCABULARY};
use super::{Gguf, read, read_json};
use crate::models::families::{Description, Diffusion};
use crate::{Error, Result, Token, Vocab};
use serde_json::Value;
use std::{collections::HashMap, path::Path};
use tokenizers::Tokenizer;

/// File name of the tokenizer.
pub const TOKENIZER: &str = "tokenizer.json";
/// File name of the tokenizer's configuration, which gives special tokens their roles.
pub const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
/// File name of the generation defaults.
pub const GENERATION_CONFIG: &str = "generation_config.json";

const MOST_BYTES: u64 = 512 << 20;
const FITTING: &str = "use the tokenizer.json that belongs to these weights";

/// The usual names of mask tokens.
const MASKS: &[&str] = &["<|mdm_mask|>", "<|mask|>", "<|MASK|>", "[MASK]", "<mask>", "<|mask_token|>"];
/// The usual names of tokens that end a turn, and so end an answer.
const TURN_ENDS: &[&str] =
    &["<|eot_id|>", "<|im_end|>", "<|role_end|>", "<end_of_turn>", "<turn|>", "<|endoftext|>", "<|end|>"];

/// A vocabulary with its special tokens.
pub struct Tokens {
    /// The vocabulary.
    pub vocab: Vocab,
    /// The mask token.
    pub mask: Option<Token>,
    /// Tokens that end a text, besides the vocabulary's end token.
    pub ends: Vec<Token>,
    /// The texts of special tokens by role: `bos_token`, `eos_token`, …
    pub names: HashMap<String, String>,
    /// The whole `tokenizer_config.json`.
    pub config: Value,
    /// The whole `generation_config.json`; null if it is missing.
    pub generation: Value,
}

impl Tokens {
    /// Whether a checkpoint directory has a tokenizer.
    pub fn are_in(directory: &Path) -> bool {
        [TOKENIZER, VOCABULARY].iter().any(|file| directory.join(file).exists())
    }

    /// Reads the tokenizer of a checkpoint directory.
    ///
    /// # Errors
    /// Files that are missing or damaged; a tokenizer that does not fit the model.
    pub fn open(directory: &Path, description: &Description) -> Result<Self> {
        let optional = |name: &str| -> Result<Value> {
            let path = directory.join(name);
            if path.exists() { read_json(&path, MOST_BYTES).map_err(|e| e.context(name)) } else { Ok(Value::Null) }
        };
        let config = optional(TOKENIZER_CONFIG)?;
        let generation = optional(GENERATION_CONFIG)?;
        let parts = !directory.join(TOKENIZER).exists() && Self::are_in(directory);
        let bytes = if parts {
            byte_level::of_parts(directory, &config)?.to_string().into_bytes()
        } else {
            read(&directory.join(TOKENIZER), MOST_BYTES).map_err(|e| e.context(TOKENIZER).help(FITTING))?
        };
        Self::new(tokenizer(&bytes)?, config, generation, description)
    }

    /// Reads the tokenizer of a GGUF file: a `tokenizer.json` beside the file if there is one, otherwise the file's
    /// own.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn of_gguf(path: &Path, gguf: &Gguf, description: &Description) -> Result<Self> {
        let beside = path.parent().unwrap_or(Path::new("."));
        if beside.join(TOKENIZER).exists() {
            return Self::open(beside, description);
        }
        let (own, config) = gguf.tokenizer()?;
        Self::new(tokenizer(own.to_string().as_bytes())?, config, Value::Null, description)
    }

    fn new(tokenizer: Tokenizer, config: Value, generation: Value, description: &Description) -> Result<Self> {
        let size = description.plan.vocab();
        let names = names(&config);
        let named = |part: &str| names.get(part).and_then(|text| tokenizer.token_to_id(text));
        let known = |texts: &[&str]| texts.iter().find_map(|t| tokenizer.token_to_id(t));

        for (what, token) in description.eos.iter().map(|&t| ("eos", t)).chain(description.mask.map(|t| ("mask", t))) {
            check_special(&tokenizer, what, token)?;
        }
        let mask = match description.process {
            Diffusion::Uniform { .. } => None,
            Diffusion::Masked { .. } => {
                description.mask.or_else(|| named("mask_token")).or_else(|| known(MASKS)).or(description.mask_default)
            }
        };
        let mut ends: Vec<Token> = description.eos.to_vec();
        ends.extend(named("eos_token"));
        ends.extend(tokens(generation.get("eos_token_id")));
        ends.extend(TURN_ENDS.iter().filter_map(|t| tokenizer.token_to_id(t)));
        // Where no file names an end token, as with GPT-2's tokenizer, the first token that ends a turn is used.
        let eos = ends.first().copied();
        let pad = description.pad.or_else(|| named("pad_token")).filter(|&p| Some(p) != eos && Some(p) != mask);
        ends.sort_unstable();
        ends.dedup();
        ends.retain(|&t| Some(t) != eos && Some(t) != pad && Some(t) != mask);
        let vocab = Vocab::from_tokenizer(tokenizer, size, eos, pad).map_err(|e| e.context(TOKENIZER))?;
        let vocab = vocab.with_special(ends.iter().copied().chain(mask).chain(description.bos));
        Ok(Self { vocab, mask, ends, names, config, generation })
    }
}

fn tokenizer(bytes: &[u8]) -> Result<Tokenizer> {
    Tokenizer::from_bytes(bytes).map_err(|e| Error::model(format!("{TOKENIZER}: cannot be read: {e}")).help(FITTING))
}

/// Checks that a special token of the configuration is no piece of text in the tokenizer.
fn check_special(tokenizer: &Tokenizer, what: &str, token: Token) -> Result<()> {
    let Some(text) = tokenizer.id_to_token(token) else {
        return Err(Error::model(format!(
            "{TOKENIZER}: does not fit the model: it has no token {token}, which is the {what} token of the model"
        ))
        .help(FITTING));
    };
    if tokenizer.get_added_tokens_decoder().contains_key(&token) || (text.starts_with('<') && text.ends_with('>')) {
        return Ok(());
    }
    Err(Error::model(format!(
        "{TOKENIZER}: does not fit the model: token {token} is the {what} token of the model, but writes {text:?}"
    ))
    .help(FITTING))
}

/// The entries `…_token` of a tokenizer's configuration: a string, or an object with `content`.
fn names(config: &Value) -> HashMap<String, String> {
    let text = |v: &Value| v.as_str().or_else(|| v.get("content")?.as_str()).map(str::to_string);
    let entries = config.as_object().into_iter().flatten();
    entries.filter(|(k, _)| k.ends_with("_token")).filter_map(|(k, v)| Some((k.clone(), text(v)?))).collect()
}

fn tokens(value: Option<&Value>) -> Vec<Token> {
    let one = |v: &Value| v.as_u64().and_then(|n| Token::try_from(n).ok());
    match value {
        Some(Value::Array(items)) => items.iter().filter_map(one).collect(),
        Some(value) => one(value).into_iter().collect(),
        None => Vec::new(),
    }
}
