//! A checkpoint directory as it is downloaded: configuration, weights, tokenizer, chat template.

mod chat;
mod map;
mod memory;
mod tokenizer;
mod weights;

pub use chat::{CHAT_TEMPLATE, ChatTemplate, Message};
pub use memory::{Precision, available as available_memory, check as check_memory};
pub use tokenizer::{GENERATION_CONFIG, TOKENIZER, TOKENIZER_CONFIG, Tokens};
pub use weights::{INDEX, WEIGHTS, Weights};

use super::families::{Description, describe};
use crate::{Error, Result};
use serde_json::Value;
use std::{fs::File, io::Read, path::Path};

/// File name of the configuration.
pub const CONFIG: &str = "config.json";

/// A checkpoint directory whose configuration has been read; the weights are mapped, not loaded.
pub struct Checkpoint {
    /// The last part of the directory's name.
    pub name: String,
    pub description: Description,
    pub weights: Weights,
}

impl Checkpoint {
    /// Opens a directory, and holds the weights against the configuration.
    ///
    /// # Errors
    /// Of kind `Model`, naming the file and what is wrong with it.
    pub fn open(directory: &Path) -> Result<Self> {
        let config = read_json(&directory.join(CONFIG), 16 << 20).map_err(|e| e.context(CONFIG))?;
        let description = describe(&config).map_err(|e| e.context(CONFIG))?;
        let weights = Weights::open(directory)?;
        weights.check(&description.plan, &description.ignored)?;
        let name = directory.canonicalize().ok().and_then(|d| Some(d.file_name()?.to_string_lossy().into_owned()));
        let name = name.unwrap_or_else(|| description.family.to_string());
        Ok(Self { name, description, weights })
    }

    /// Bytes of memory that the model takes while it works: the weights, the largest one while it is converted, and a
    /// step's logits.
    pub fn needed(&self, precision: Precision) -> u64 {
        let plan = &self.description.plan;
        let largest = plan.tensors().iter().map(|t| t.elements()).max().unwrap_or(0);
        let logits = 256 * plan.vocab() as u64;
        precision.bytes(plan).saturating_add(largest.saturating_mul(2)).saturating_add(logits.saturating_mul(4))
    }
}

/// Reads a JSON file of at most `limit` bytes.
///
/// # Errors
/// A file that is missing, too large, or no JSON.
pub(crate) fn read_json(path: &Path, limit: u64) -> Result<Value> {
    let bytes = read(path, limit)?;
    serde_json::from_slice(&bytes).map_err(|e| Error::model("it is not JSON").because(e))
}

/// Reads a file of at most `limit` bytes.
///
/// # Errors
/// A file that is missing, unreadable or too large.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|f| f.take(limit + 1).read_to_end(&mut bytes))
        .map_err(|e| Error::model("it cannot be read").because(e))?;
    match bytes.len() as u64 > limit {
        true => Err(Error::model(format!("it is larger than {limit} bytes; is it the right file?"))),
        false => Ok(bytes),
    }
}
