//! Checkpoint directories as they are downloaded: configuration, weights, tokenizer, chat template.

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

/// The location of a model: a directory, or a GGUF file, which holds everything. Any other file of a checkpoint (a
/// shard, the index, the configuration) stands for its directory.
pub fn place(path: &Path) -> &Path {
    let part = path.extension().is_some_and(|e| e == "safetensors" || e == "json");
    match path.parent().filter(|_| part && path.is_file()) {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}

/// A checkpoint whose configuration is read and whose weights are mapped, not loaded.
pub struct Checkpoint {
    /// The name: the last part of the path.
    pub name: String,
    /// The description of the model, from the configuration.
    pub description: Description,
    /// The stored weights.
    pub stored: Stored,
}

/// The weights of a checkpoint.
pub enum Stored {
    /// Weights in safetensors files.
    Safetensors(Weights),
    /// Weights in a GGUF file.
    Gguf(Gguf),
}

impl Checkpoint {
    /// Opens a directory or a GGUF file, and checks the weights against the configuration.
    ///
    /// # Errors
    /// Of kind `Model`, naming the file and what is wrong with it.
    pub fn open(path: &Path) -> Result<Self> {
        let (description, stored) = if path.is_dir() {
            let config = read_json(&path.join(CONFIG), 16 << 20).map_err(|e| e.context(CONFIG))?;
            let description = describe(&config).map_err(|e| e.context(CONFIG))?;
            let weights = Weights::open(path)?.named_as(&description.plan);
            weights.check(&description.plan, &description.ignored)?;
            (description, Stored::Safetensors(weights))
        } else {
            let gguf = Gguf::open(path)?;
            let description = gguf.describe()?;
            gguf.check(&description.plan)?;
            (description, Stored::Gguf(gguf))
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

    /// A reader of the weights in `precision`; a GGUF file is read as it is stored.
    pub fn reader(&self, precision: Precision) -> Box<dyn Tensors + '_> {
        match &self.stored {
            Stored::Safetensors(weights) => Box::new(weights.reader(precision)),
            Stored::Gguf(gguf) => Box::new(gguf.reader(&self.description.plan)),
        }
    }

    /// The memory of the running model in bytes: the weights, the buffer of a matrix under conversion, and the logits
    /// of a step.
    pub fn needed(&self, precision: Precision) -> u64 {
        let plan = &self.description.plan;
        let logits = 4 * 256 * plan.vocab() as u64;
        let weights = match &self.stored {
            Stored::Safetensors(_) => precision.bytes(plan),
            Stored::Gguf(gguf) => gguf.needed(plan).unwrap_or(u64::MAX),
        };
        weights.saturating_add(logits).saturating_add(64 << 20)
    }

    /// The number of weight files.
    pub fn files(&self) -> usize {
        match &self.stored {
            Stored::Safetensors(weights) => weights.files(),
            Stored::Gguf(_) => 1,
        }
    }
    /// The number of bytes per type of numbers.
    pub fn dtypes(&self) -> BTreeMap<String, u64> {
        match &self.stored {
            Stored::Safetensors(weights) => weights.dtypes(),
            Stored::Gguf(gguf) => gguf.dtypes(),
        }
    }
}

/// The device of pretrained networks: the first GPU in a build with the feature `cuda` or `metal`, the CPU otherwise.
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
/// A file that is missing, too large, or not JSON.
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
    if bytes.len() as u64 > limit {
        Err(Error::model(format!("it is larger than {limit} bytes; is it the right file?")))
    } else {
        Ok(bytes)
    }
}
