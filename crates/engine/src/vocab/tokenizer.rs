//! Vocabularies from a `tokenizer.json`, and texts into tokens as that file says.

use super::spelling::{Spelling, byte_level_alphabet};
use super::store::Store;
use crate::{Error, Result, Token, Vocab};
use std::path::Path;
use std::sync::OnceLock;
use tokenizers::{NormalizedString, Normalizer, Tokenizer};

/// What tokenizers call the end of a text.
const ENDS: [&str; 10] = [
    "<|endoftext|>",
    "<|end_of_text|>",
    "</s>",
    "<eos>",
    "<|im_end|>",
    "<|eot_id|>",
    "<end_of_turn>",
    "[EOS]",
    "<|eos|>",
    "[SEP]",
];

/// A tokenizer, parsed when first needed: a stored vocabulary often does without it.
pub(super) struct LazyTokenizer {
    /// The file, unless the tokenizer was parsed before.
    json: Vec<u8>,
    parsed: OnceLock<Tokenizer>,
}

impl LazyTokenizer {
    pub(super) fn unread(json: Vec<u8>) -> Self {
        Self { json, parsed: OnceLock::new() }
    }

    pub(super) fn json(&self) -> &[u8] {
        &self.json
    }

    fn get(&self) -> Result<&Tokenizer> {
        if let Some(tokenizer) = self.parsed.get() {
            return Ok(tokenizer);
        }
        let parsed =
            Tokenizer::from_bytes(&self.json).map_err(|e| Error::model(format!("cannot read the tokenizer: {e}")))?;
        Ok(self.parsed.get_or_init(|| parsed))
    }

    /// Tokens of a text in which control tokens are recognised by their names.
    pub(super) fn encode(&self, text: &str) -> Result<Vec<Token>> {
        let encoding = self.get()?.encode_fast(text, false);
        Ok(encoding.map_err(|e| Error::model(format!("the tokenizer failed: {e}")))?.get_ids().to_vec())
    }

    /// The text after the tokenizer's own normaliser, where it has one.
    pub(super) fn normalised(&self, text: &str) -> Result<String> {
        let mut normal = NormalizedString::from(text);
        if let Some(normalizer) = self.get()?.get_normalizer() {
            normalizer.normalize(&mut normal).map_err(|e| Error::model(format!("the tokenizer failed: {e}")))?;
        }
        Ok(normal.get().to_string())
    }

    /// What the tokenizer calls a token.
    pub(super) fn name(&self, token: Token) -> Result<Option<String>> {
        Ok(self.get()?.id_to_token(token))
    }
}

impl From<Tokenizer> for LazyTokenizer {
    fn from(tokenizer: Tokenizer) -> Self {
        Self { json: Vec::new(), parsed: tokenizer.into() }
    }
}

/// What each of `size` tokens writes; `special` tokens write nothing.
pub(super) fn spelled(
    tokenizer: &Tokenizer,
    size: usize,
    special: [Option<Token>; 2],
) -> Result<Vec<Option<Box<[u8]>>>> {
    let vocab = tokenizer.get_vocab(true);
    let largest = vocab.values().copied().max().unwrap_or(0) as usize;
    if largest >= size {
        return Err(Error::model(format!(
            "the tokenizer does not fit the model: it has ids up to {largest}, the model predicts {size} tokens"
        ))
        .help("use the tokenizer.json that was trained with these weights"));
    }
    let mut bytes: Vec<Option<Box<[u8]>>> = vec![None; size];
    let added = tokenizer.get_added_tokens_decoder();
    let unmap = byte_level_alphabet();
    let spelling = Spelling::of(tokenizer)?;
    for (text, id) in vocab {
        if added.get(&id).is_some_and(|t| t.special) || special.contains(&Some(id)) || text.is_empty() {
            continue;
        }
        let written = match added.get(&id) {
            Some(token) => token.content.as_bytes().to_vec(),
            None => spelling.bytes(&text, &unmap)?,
        };
        bytes[id as usize] = Some(written.into_boxed_slice());
    }
    Ok(bytes)
}

/// The vocabulary of a file, made from it or stored when the same file was read before.
pub(crate) fn read(path: &Path, size: Option<usize>) -> Result<Vocab> {
    let place = |e: Error| e.context(path.display());
    let json = std::fs::read(path)
        .map_err(|e| Error::model(format!("cannot read the tokenizer {}", path.display())).because(e))?;
    match Store::of_user() {
        Some(store) => store.vocab(json, size, |json| parse(json, size)),
        None => parse(&json, size),
    }
    .map_err(place)
}

fn parse(json: &[u8], size: Option<usize>) -> Result<Vocab> {
    let tokenizer =
        Tokenizer::from_bytes(json).map_err(|e| Error::model(format!("not a tokenizer that can be read: {e}")))?;
    let known = tokenizer.get_vocab(true).into_values().max().map_or(0, |largest| largest as usize + 1);
    let eos: Option<Token> = ENDS.iter().find_map(|name| tokenizer.token_to_id(name));
    let eos =
        eos.ok_or_else(|| Error::model("no token ends a text").help(format!("known names: {}", ENDS.join(", "))))?;
    Vocab::from_tokenizer(tokenizer, size.unwrap_or(known), Some(eos), None)
}
