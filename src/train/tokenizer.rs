//! Byte-level BPE with the special tokens of a masked model.

use crate::{Error, Result};
use tokenizers::{
    AddedToken, DecoderWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper, Tokenizer,
    TokenizerBuilder,
    models::bpe::{BPE, BpeTrainerBuilder},
    pre_tokenizers::{byte_level::ByteLevel, digits::Digits, sequence::Sequence},
};

/// Ends a text. Special tokens have the first ids, in the order they are given to the trainer.
pub const EOS: u32 = 0;
/// Shown where a position is open.
pub const MASK: u32 = 1;
/// Stands in front where there is no condition.
pub const NULL: u32 = 2;
/// The token of the first label; the others follow.
pub const FIRST_CONDITION: u32 = 3;

/// Trains a tokenizer of exactly `size` tokens.
///
/// # Errors
/// When the texts hold too little for that many tokens, or there are too few for the bytes and the special tokens.
pub fn train<'a>(texts: impl Iterator<Item = &'a str> + Send, labels: &[String], size: usize) -> Result<Tokenizer> {
    let least = 256 + FIRST_CONDITION as usize + labels.len();
    if size < least {
        return Err(Error::input(format!("tokenizer.vocab_size is {size}, expected at least {least}"))
            .help("256 bytes, the special tokens and one token per label"));
    }
    let names = ["<eos>".to_string(), "<mask>".into(), "<null>".into()];
    let names = names.into_iter().chain(labels.iter().map(|l| format!("<label:{l}>")));
    let special: Vec<AddedToken> = names.map(|name| AddedToken::from(name, true)).collect();
    let failed = |e: tokenizers::Error| Error::model(format!("the tokenizer cannot be trained: {e}"));
    let mut trainer = BpeTrainerBuilder::new()
        .show_progress(false)
        .vocab_size(size)
        .min_frequency(2)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .special_tokens(special)
        .build();
    let bytes = ByteLevel::new(false, false, true);
    // A digit is a token of its own: numbers are written digit by digit, and the vocabulary is left to words.
    let pieces =
        Sequence::new(vec![PreTokenizerWrapper::Digits(Digits::new(true)), PreTokenizerWrapper::ByteLevel(bytes)]);
    type Builder = TokenizerBuilder<BPE, NormalizerWrapper, PreTokenizerWrapper, PostProcessorWrapper, DecoderWrapper>;
    let mut tokenizer = Builder::new()
        .with_model(BPE::default())
        .with_pre_tokenizer(Some(PreTokenizerWrapper::Sequence(pieces)))
        .with_decoder(Some(DecoderWrapper::ByteLevel(bytes)))
        .build()
        .map_err(failed)?;
    tokenizer.train(&mut trainer, texts).map_err(failed)?;
    let found = tokenizer.get_vocab_size(true);
    if found != size {
        return Err(Error::input(format!("the texts give a tokenizer of {found} tokens, not {size}"))
            .help(format!("set tokenizer.vocab_size = {found} or give more text")));
    }
    tokenizer.to_string(false).and_then(|json| json.parse()).map_err(failed)
}
