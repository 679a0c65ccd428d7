//! Checkpoints of the small models: a configuration, a tokenizer and weights.

use super::weight_format::{SCALES, numbers};
use super::{MaskedConfig, MaskedModel, MaskedNetwork, Parameter};
use crate::{Error, Result, Vocab};
use safetensors::{Dtype, SafeTensors};
use std::path::Path;

/// File name of the configuration in a checkpoint directory.
pub const CONFIG: &str = "config.json";
/// File name of the tokenizer in a checkpoint directory.
pub const TOKENIZER: &str = "tokenizer.json";
/// File name of the weights in a checkpoint directory.
pub const WEIGHTS: &str = "model.safetensors";

/// The contents of a checkpoint's three files.
pub struct MaskedCheckpoint {
    /// Sizes and special tokens.
    pub config: MaskedConfig,
    /// The vocabulary.
    pub vocab: Vocab,
    /// The weights, ready to run.
    pub network: MaskedNetwork,
}

impl MaskedCheckpoint {
    /// Reads the bytes of the three files.
    ///
    /// # Errors
    /// Files that do not fit each other. The error names the file, and the tensor with its expected and found shape.
    pub fn from_bytes(config: &[u8], tokenizer: &[u8], weights: &[u8]) -> Result<Self> {
        let config = MaskedConfig::from_json(config).map_err(|e| e.context(CONFIG))?;
        let tokenizer = tokenizers::Tokenizer::from_bytes(tokenizer)
            .map_err(|e| Error::model(format!("{TOKENIZER}: cannot be read: {e}")))?;
        let found = tokenizer.get_vocab_size(true);
        if found != config.vocab_size {
            return Err(Error::model(format!(
                "{TOKENIZER}: does not fit the model: it has {found} tokens, {CONFIG} says {}",
                config.vocab_size
            ))
            .help("use the tokenizer.json that was trained with these weights"));
        }
        let vocab = Vocab::from_tokenizer(tokenizer, config.vocab_size, Some(config.eos_token), None)
            .map_err(|e| e.context(TOKENIZER))?;
        let network = network_from_bytes(&config, weights).map_err(|e| e.context(WEIGHTS))?;
        Ok(Self { config, vocab, network })
    }

    /// Reads the three files in a directory.
    ///
    /// # Errors
    /// As [`from_bytes`](Self::from_bytes); a file that cannot be read.
    pub fn load(directory: &Path) -> Result<Self> {
        let place = directory.display();
        let read = |name: &str| {
            std::fs::read(directory.join(name)).map_err(|e| {
                Error::model(format!("{place}: cannot read {name}"))
                    .because(e)
                    .help(format!("a model is a directory with {CONFIG}, {TOKENIZER} and {WEIGHTS}"))
            })
        };
        Self::from_bytes(&read(CONFIG)?, &read(TOKENIZER)?, &read(WEIGHTS)?).map_err(|e| e.context(place))
    }
}

impl MaskedModel {
    /// Makes a model from the bytes of its three files.
    ///
    /// # Errors
    /// Files that do not fit each other. The error names the file, and the tensor with its expected and found shape.
    pub fn from_bytes(config: &[u8], tokenizer: &[u8], weights: &[u8]) -> Result<Self> {
        let MaskedCheckpoint { config, vocab, network } = MaskedCheckpoint::from_bytes(config, tokenizer, weights)?;
        Self::new(config, vocab, network)
    }
}

pub(super) fn network_from_bytes(config: &MaskedConfig, bytes: &[u8]) -> Result<MaskedNetwork> {
    let again = "download or copy the checkpoint again";
    let file = SafeTensors::deserialize(bytes)
        .map_err(|e| Error::model(format!("truncated or damaged ({} bytes)", bytes.len())).because(e).help(again))?;
    let mut unused: std::collections::BTreeSet<String> = file.names().into_iter().map(str::to_string).collect();
    let network = MaskedNetwork::build(config, |Parameter { name, shape, .. }| {
        let view = file.tensor(name).map_err(|_| {
            Error::model(format!("tensor {name:?} is missing, expected shape {shape:?}"))
                .help(format!("use the {CONFIG} that belongs to these weights"))
        })?;
        unused.remove(name.as_str());
        if view.dtype() == Dtype::I8 {
            unused.remove(&format!("{name}{SCALES}"));
        }
        if view.shape() != shape {
            return Err(Error::model(format!("tensor {name:?} has shape {:?}, expected {shape:?}", view.shape()))
                .help(format!("use the {CONFIG} that belongs to these weights")));
        }
        numbers(&file, name, &view)
    })?;
    match unused.first() {
        None => Ok(network),
        Some(name) => Err(Error::model(format!("tensor {name:?} belongs to no layer of this model"))
            .help(format!("use the {CONFIG} that belongs to these weights"))),
    }
}
