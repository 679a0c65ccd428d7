//! A checkpoint directory as it is downloaded: configuration, weights, tokenizer, chat template.

mod byte_level;
mod chat;
mod gguf;
mod gguf_tokenizer;
mod map;
mod memory;
mod tokenizer;
mod weights;

pub use chat::{CHAT_TEMPLATE, ChatTemplate, Message};
pub use gguf::Gguf;
pub use memory::{Precision, available as available_memory, check as check_memory};
pub use tokenizer::{GENERATION_CONFIG, TOKENIZER, TOKENIZER_CONFIG, Tokens};
pub use weights::{INDEX, WEIGHTS, Weights};

use super::families::{Description, describe};
use super::transformer::Tensors;
use crate::{Error, Result};
use candle_core::Device;
use serde_json::Value;
use std::{collections::BTreeMap, fs::File, io::Read, path::Path, sync::OnceLock};

/// File name of the configuration.
pub const CONFIG: &str = "config.json";

/// Where a model lies that somebody names: a directory, or a GGUF file, which has everything in it. Any other of a
/// checkpoint's files (a shard, the index, the configuration) stands for the directory it lies in.
pub fn place(path: &Path) -> &Path {
    let part = path.extension().is_some_and(|e| e == "safetensors" || e == "json");
    match path.parent().filter(|_| part && path.is_file()) {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}

/// A checkpoint whose configuration has been read; the weights are mapped, not loaded.
pub struct Checkpoint {
    /// The last part of its path.
    pub name: String,
    /// What its configuration says.
    pub description: Description,
    /// Its weights.
    pub stored: Stored,
}

/// The weights of a checkpoint.
pub enum Stored {
    /// In files of their own.
    Safetensors(Weights),
    /// In one file with everything else.
    Gguf(Gguf),
}

impl Checkpoint {
    /// Opens a directory, or a GGUF file, and holds the weights against the configuration.
    ///
    /// # Errors
    /// Of kind `Model`, naming the file and what is wrong with it.
    pub fn open(path: &Path) -> Result<Self> {
        let (description, stored) = match path.is_dir() {
            true => {
                let config = read_json(&path.join(CONFIG), 16 << 20).map_err(|e| e.context(CONFIG))?;
                let description = describe(&config).map_err(|e| e.context(CONFIG))?;
                let weights = Weights::open(path)?.named_as(&description.plan);
                weights.check(&description.plan, &description.ignored)?;
                (description, Stored::Safetensors(weights))
            }
            false => {
                let gguf = Gguf::open(path)?;
                let description = gguf.describe()?;
                gguf.check(&description.plan)?;
                (description, Stored::Gguf(gguf))
            }
        };
        let name = path.canonicalize().ok().and_then(|d| Some(d.file_name()?.to_string_lossy().into_owned()));
        let name = name.unwrap_or_else(|| description.family.to_string());
        Ok(Self { name, description, stored })
    }

    /// The tokenizer of the checkpoint at `path`.
    ///
    /// # Errors
    /// Files that are missing or damaged; a tokenizer that does not fit the model.
    pub fn tokens(&self, path: &Path) -> Result<Tokens> {
        match &self.stored {
            Stored::Safetensors(_) => Tokens::open(path, &self.description),
            Stored::Gguf(gguf) => Tokens::of_gguf(path, gguf, &self.description),
        }
    }

    /// Where weights are read in `precision`; a GGUF file is read as it is.
    pub fn reader(&self, precision: Precision) -> Box<dyn Tensors + '_> {
        match &self.stored {
            Stored::Safetensors(weights) => Box::new(weights.reader(precision)),
            Stored::Gguf(gguf) => Box::new(gguf.reader(&self.description.plan)),
        }
    }

    /// Bytes of memory that the model takes while it works: the weights, what a matrix takes while it is converted,
    /// and a step's logits.
    pub fn needed(&self, precision: Precision) -> u64 {
        let plan = &self.description.plan;
        let logits = 4 * 256 * plan.vocab() as u64;
        let weights = match &self.stored {
            Stored::Safetensors(_) => precision.bytes(plan),
            Stored::Gguf(gguf) => gguf.needed(plan).unwrap_or(u64::MAX),
        };
        weights.saturating_add(logits).saturating_add(64 << 20)
    }

    /// Files of weights.
    pub fn files(&self) -> usize {
        match &self.stored {
            Stored::Safetensors(weights) => weights.files(),
            Stored::Gguf(_) => 1,
        }
    }
    /// The types of numbers that occur, with the bytes each takes.
    pub fn dtypes(&self) -> BTreeMap<String, u64> {
        match &self.stored {
            Stored::Safetensors(weights) => weights.dtypes(),
            Stored::Gguf(gguf) => gguf.dtypes(),
        }
    }
}

/// Where pretrained networks run: the first GPU in a build with the feature `cuda` or `metal`, the CPU otherwise.
pub fn device() -> Device {
    static DEVICE: OnceLock<Device> = OnceLock::new();
    let open = || {
        #[cfg(feature = "cuda")]
        if let Ok(device) = Device::new_cuda(0) {
            return device;
        }
        #[cfg(feature = "metal")]
        if let Ok(device) = Device::new_metal(0) {
            return device;
        }
        Device::Cpu
    };
    DEVICE.get_or_init(open).clone()
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
