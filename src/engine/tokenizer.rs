//! Vocabularies from a tokenizer's file alone.

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

pub(super) fn read(path: &Path, size: Option<usize>) -> Result<Vocab> {
    let tokenizer = Tokenizer::from_file(path)
        .map_err(|e| Error::model(format!("cannot read the tokenizer {}: {e}", path.display())))?;
    let known = tokenizer.get_vocab(true).into_values().max().map_or(0, |largest| largest as usize + 1);
    let eos: Option<Token> = ENDS.iter().find_map(|name| tokenizer.token_to_id(name));
    let eos = eos.ok_or_else(|| {
        Error::model(format!("{}: no token ends a text", path.display()))
            .help(format!("known names: {}", ENDS.join(", ")))
    })?;
    Vocab::from_tokenizer(tokenizer, size.unwrap_or(known), Some(eos), None)
}
