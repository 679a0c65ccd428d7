//! Vocabularies from a tokenizer's file alone.

use super::Store;
use crate::{Error, Result, Token, Vocab};
use std::path::Path;
use tokenizers::Tokenizer;

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

/// From the file, or from what was stored when the same file was read before.
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
