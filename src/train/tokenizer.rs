//! Byte-level BPE with the special tokens of a model.

use super::config::TokenizerConfig;
use crate::models::masked::Condition;
use crate::{Error, Result, Token};
use std::path::Path;
use tokenizers::{
    AddedToken, DecoderWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper, Tokenizer,
    TokenizerBuilder,
    models::bpe::{BPE, BpeTrainerBuilder},
    pre_tokenizers::{byte_level::ByteLevel, digits::Digits, sequence::Sequence},
};

/// The token that ends a text.
const EOS: &str = "<eos>";
/// The mask token.
const MASK: &str = "<mask>";
/// The token in front of a text without a condition.
const NULL: &str = "<null>";
/// Prefix and suffix of a label's token, which stands in front of its texts.
const LABEL: (&str, &str) = ("<label:", ">");

/// The ids of the special tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct Special {
    pub eos: Token,
    pub mask: Token,
    pub null: Token,
    /// The conditions, in the order of their ids.
    pub labels: Vec<Condition>,
}

fn names(labels: &[String]) -> Vec<AddedToken> {
    let labels = labels.iter().map(|l| format!("{}{l}{}", LABEL.0, LABEL.1));
    let names = [EOS, MASK, NULL].map(String::from).into_iter().chain(labels);
    names.map(|name| AddedToken::from(name, true)).collect()
}

fn failed(e: tokenizers::Error) -> Error {
    Error::model(format!("the tokenizer cannot be made: {e}"))
}

/// Trains a tokenizer of at most `size` tokens; it has fewer if the texts yield fewer.
///
/// # Errors
/// A `size` that is too small for all bytes and the special tokens.
pub fn train(
    texts: impl Iterator<Item = String> + Send,
    labels: &[String],
    size: usize,
    config: &TokenizerConfig,
) -> Result<Tokenizer> {
    let special = names(labels);
    let least = 256 + special.len();
    if size < least {
        return Err(Error::input(format!("tokenizer.vocab_size is {size}, expected at least {least}"))
            .help("256 bytes, the special tokens and one token per label"));
    }
    let mut trainer = BpeTrainerBuilder::new()
        .show_progress(false)
        .vocab_size(size)
        .min_frequency(config.min_frequency)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .special_tokens(special)
        .build();
    let bytes = ByteLevel::new(false, false, true);
    let split = if config.split_digits {
        PreTokenizerWrapper::Sequence(Sequence::new(vec![
            PreTokenizerWrapper::Digits(Digits::new(true)),
            PreTokenizerWrapper::ByteLevel(bytes),
        ]))
    } else {
        PreTokenizerWrapper::ByteLevel(bytes)
    };
    type Builder = TokenizerBuilder<BPE, NormalizerWrapper, PreTokenizerWrapper, PostProcessorWrapper, DecoderWrapper>;
    let mut tokenizer = Builder::new()
        .with_model(BPE::default())
        .with_pre_tokenizer(Some(split))
        .with_decoder(Some(DecoderWrapper::ByteLevel(bytes)))
        .build()
        .map_err(failed)?;
    tokenizer.train(&mut trainer, texts).map_err(failed)?;
    tokenizer.to_string(false).and_then(|json| json.parse()).map_err(failed)
}

/// Reads an existing tokenizer and adds missing special tokens.
///
/// # Errors
/// A tokenizer that cannot be read.
pub fn read(path: &Path, labels: &[String]) -> Result<Tokenizer> {
    let mut tokenizer = Tokenizer::from_file(path)
        .map_err(|e| Error::model(format!("cannot read the tokenizer {}: {e}", path.display())))?;
    tokenizer.add_special_tokens(names(labels)).map_err(failed)?;
    Ok(tokenizer)
}

/// Finds the special tokens.
///
/// # Errors
/// A missing special token.
pub fn special(tokenizer: &Tokenizer) -> Result<Special> {
    let find = |name: &str| {
        tokenizer.token_to_id(name).ok_or_else(|| Error::model(format!("the tokenizer has no token {name:?}")))
    };
    let label = |(&token, added): (&Token, &AddedToken)| {
        let label = added.content.strip_prefix(LABEL.0)?.strip_suffix(LABEL.1)?;
        Some(Condition { label: label.into(), token })
    };
    let mut labels: Vec<Condition> = tokenizer.get_added_tokens_decoder().iter().filter_map(label).collect();
    labels.sort_by_key(|c| c.token);
    Ok(Special { eos: find(EOS)?, mask: find(MASK)?, null: find(NULL)?, labels })
}
