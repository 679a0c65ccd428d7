//! The tensors of a checkpoint: one file, or shards with an index.

use super::device;
use super::map::{forget, map};
use super::memory::Precision;
use crate::models::OrModel;
use crate::models::transformer::plan::{TensorPlan, TransformerPlan};
use crate::models::transformer::{Matrix, QuantisedMatrix, Tensors};
use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};
use memmap2::Mmap;
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    path::Path,
    sync::Arc,
};

/// File name of the weights in a checkpoint without shards.
pub const WEIGHTS: &str = "model.safetensors";
/// File name of the index from tensors to shards.
pub const INDEX: &str = "model.safetensors.index.json";

/// Maximum size of an index.
const MOST_INDEX_BYTES: u64 = 256 << 20;
const AGAIN: &str = "download or copy the checkpoint again";

struct Entry {
    file: usize,
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Range<usize>,
}

/// The tensors of a checkpoint by name, mapped into memory and not yet read.
pub struct Weights {
    files: Vec<(String, Mmap)>,
    entries: BTreeMap<String, Entry>,
}

impl Weights {
    /// Opens the weights of a checkpoint directory.
    ///
    /// # Errors
    /// Files that are missing, truncated or damaged; an index that names a file outside the directory, or a tensor that
    /// its shard lacks.
    pub fn open(directory: &Path) -> Result<Self> {
        let index = directory.join(INDEX);
        let mut new = Self { files: Vec::new(), entries: BTreeMap::new() };
        if !index.exists() {
            if !directory.join(WEIGHTS).exists() {
                let others = directory.join("pytorch_model.bin").exists()
                    || directory.join("pytorch_model.bin.index.json").exists();
                let error = Error::model(format!("there is neither {WEIGHTS} nor {INDEX}"));
                return Err(if others {
                    error.help("pytorch_model.bin is not read: convert it to safetensors")
                } else {
                    error.help(AGAIN)
                });
            }
            new.add(directory, WEIGHTS)?;
            return Ok(new);
        }
        let map = read_index(&index).map_err(|e| e.context(INDEX))?;
        let shards: BTreeSet<&String> = map.values().collect();
        for shard in shards {
            new.add(directory, shard)?;
        }
        for (tensor, shard) in &map {
            match new.entries.get(tensor) {
                Some(entry) if new.files[entry.file].0 == *shard => {}
                _ => {
                    return Err(
                        Error::model(format!("{INDEX}: says that {tensor:?} is in {shard}, but it is not")).help(AGAIN)
                    );
                }
            }
        }
        if let Some(stray) = new.entries.keys().find(|name| !map.contains_key(*name)) {
            return Err(Error::model(format!("{INDEX}: does not list {stray:?}, which a shard has")).help(AGAIN));
        }
        Ok(new)
    }

    fn add(&mut self, directory: &Path, name: &str) -> Result<()> {
        let bytes = map(&directory.join(name))
            .map_err(|e| Error::model(format!("cannot read {name}")).because(e).help(AGAIN))?;
        let damaged =
            |e| Error::model(format!("{name}: truncated or damaged ({} bytes)", bytes.len())).because(e).help(AGAIN);
        // `read_metadata` checks the header, every shape against its bytes, and the length of the file.
        let (header, metadata) = SafeTensors::read_metadata(&bytes).map_err(damaged)?;
        let file = self.files.len();
        for (tensor, info) in metadata.tensors() {
            let (from, to) = info.data_offsets;
            let entry =
                Entry { file, dtype: info.dtype, shape: info.shape.clone(), bytes: header + 8 + from..header + 8 + to };
            if self.entries.insert(tensor.clone(), entry).is_some() {
                return Err(Error::model(format!("{name}: tensor {tensor:?} is also in another shard")).help(AGAIN));
            }
        }
        self.files.push((name.to_string(), bytes));
        Ok(())
    }

    /// Renames the tensors to the names of `plan`, if the files have all of them without the plan's first part
    /// (`model.`, `backbone.`) or with a further part in front: the `state_dict` of a part of a model, or of a wrapper.
    #[must_use]
    pub fn named_as(mut self, plan: &TransformerPlan) -> Self {
        let embedding = &plan.embedding.name;
        if self.entries.contains_key(embedding) {
            return self;
        }
        let (root, rest) = embedding.split_once('.').unwrap_or(("", embedding));
        let before = self.entries.keys().find_map(|name| name.strip_suffix(embedding.as_str()));
        let before = before.filter(|before| before.ends_with('.')).map(str::to_string);
        let rename: Box<dyn Fn(String) -> String> = match before {
            Some(before) => Box::new(move |name| name.strip_prefix(&before).map_or(name.clone(), str::to_string)),
            None if self.entries.contains_key(rest) => {
                let read: BTreeSet<String> = plan.tensors().iter().map(|t| t.name.clone()).collect();
                let root = root.to_string();
                Box::new(move |name| {
                    let full = format!("{root}.{name}");
                    if read.contains(&full) { full } else { name }
                })
            }
            None => return self,
        };
        self.entries = std::mem::take(&mut self.entries).into_iter().map(|(name, e)| (rename(name), e)).collect();
        self
    }

    /// Whether there is a tensor of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }
    /// Number of files.
    pub fn files(&self) -> usize {
        self.files.len()
    }
    /// The number of stored bytes of all tensors.
    pub fn bytes(&self) -> u64 {
        self.entries.values().map(|e| e.bytes.len() as u64).sum()
    }
    /// The number of bytes per type of numbers.
    pub fn dtypes(&self) -> BTreeMap<String, u64> {
        let mut types = BTreeMap::new();
        for entry in self.entries.values() {
            *types.entry(format!("{:?}", entry.dtype)).or_default() += entry.bytes.len() as u64;
        }
        types
    }

    /// Checks the plan against the files: every tensor must be there with its shape. No other tensor may be there,
    /// unless its name contains one of `ignored`.
    ///
    /// # Errors
    /// The first tensor that is missing, has another shape or type, or belongs to no layer.
    pub fn check(&self, plan: &TransformerPlan, ignored: &[&str]) -> Result<()> {
        let tensors = plan.tensors();
        for tensor in &tensors {
            self.find(tensor)?;
        }
        let read: BTreeSet<&str> = tensors.iter().map(|t| t.name.as_str()).collect();
        let unread = |name: &&String| !read.contains(name.as_str()) && !ignored.iter().any(|i| name.contains(i));
        match self.entries.keys().find(unread) {
            None => Ok(()),
            Some(name) => Err(Error::model(format!("tensor {name:?} belongs to no layer of this model"))
                .help("use the config.json that belongs to these weights")),
        }
    }

    fn find(&self, tensor: &TensorPlan) -> Result<(&Entry, DType)> {
        let help = "use the config.json that belongs to these weights";
        let TensorPlan { name, shape } = tensor;
        let Some(entry) = self.entries.get(name) else {
            return Err(Error::model(format!("tensor {name:?} is missing, expected shape {shape:?}")).help(help));
        };
        let place = &self.files[entry.file].0;
        if entry.shape != *shape {
            let found = &entry.shape;
            return Err(
                Error::model(format!("{place}: tensor {name:?} has shape {found:?}, expected {shape:?}")).help(help)
            );
        }
        let dtype = match entry.dtype {
            Dtype::F32 => DType::F32,
            Dtype::F16 => DType::F16,
            Dtype::BF16 => DType::BF16,
            other => {
                return Err(Error::model(format!(
                    "{place}: tensor {name:?} is stored as {other:?}, expected F32, F16 or BF16"
                ))
                .help("use the checkpoint before it was quantised"));
            }
        };
        Ok((entry, dtype))
    }

    /// A reader of the tensors, with matrices in `precision`.
    pub fn reader(&self, precision: Precision) -> WeightsReader<'_> {
        WeightsReader { weights: self, precision }
    }
}

/// A reader of a checkpoint's tensors.
pub struct WeightsReader<'a> {
    weights: &'a Weights,
    precision: Precision,
}

impl WeightsReader<'_> {
    /// Calls `read` with the type of a tensor's numbers and its bytes.
    fn with<R>(&self, plan: &TensorPlan, read: impl FnOnce(DType, &[u8]) -> Result<R>) -> Result<R> {
        let (entry, dtype) = self.weights.find(plan)?;
        let map = &self.weights.files[entry.file].1;
        let bytes = map.get(entry.bytes.clone());
        let bytes = bytes.ok_or_else(|| Error::model(format!("tensor {:?} lies outside its file", plan.name)))?;
        let done = read(dtype, bytes)?;
        forget(map, &entry.bytes);
        Ok(done)
    }
}

impl Tensors for WeightsReader<'_> {
    fn tensor(&mut self, plan: &TensorPlan) -> Result<Tensor> {
        self.with(plan, |dtype, bytes| {
            Tensor::from_raw_buffer(bytes, dtype, &plan.shape, &device()).or_model()?.to_dtype(DType::F32).or_model()
        })
    }

    fn table(&mut self, plan: &TensorPlan) -> Result<Tensor> {
        let precision = self.precision;
        self.with(plan, |dtype, bytes| {
            let kept = if precision == Precision::F32 { DType::F32 } else { half(dtype) };
            Tensor::from_raw_buffer(bytes, dtype, &plan.shape, &device()).or_model()?.to_dtype(kept).or_model()
        })
    }

    fn matrices(&mut self, plan: &TensorPlan) -> Result<Vec<Matrix>> {
        let &[.., rows, columns] = &plan.shape[..] else {
            return Err(Error::model(format!("tensor {:?} is no matrix", plan.name)));
        };
        let precision = self.precision;
        self.with(plan, |dtype, bytes| {
            let width = columns * dtype.size_in_bytes();
            let matrix = |bytes: &[u8]| -> Result<Matrix> {
                let plain = |kept| -> Result<Matrix> {
                    let stored = Tensor::from_raw_buffer(bytes, dtype, &[rows, columns], &device()).or_model()?;
                    Ok(Matrix::Dense(stored.to_dtype(kept).or_model()?))
                };
                match (precision, precision.blocks(columns)) {
                    (Precision::F32, _) => plain(DType::F32),
                    (_, None) => plain(half(dtype)),
                    (_, Some(kind)) => {
                        let read = |part: Range<usize>| {
                            let bytes = &bytes[part.start * width..part.end * width];
                            let stored = Tensor::from_raw_buffer(bytes, dtype, &[part.len() * columns], &Device::Cpu)?;
                            stored.to_dtype(DType::F32)?.to_vec1::<f32>()
                        };
                        Ok(Matrix::Quantised(Arc::new(
                            QuantisedMatrix::quantize(kind, (rows, columns), read).or_model()?,
                        )))
                    }
                }
            };
            bytes.chunks_exact((rows * width).max(1)).map(matrix).collect()
        })
    }
}

/// The 16-bit type for a stored type.
fn half(stored: DType) -> DType {
    if stored == DType::F16 { DType::F16 } else { DType::BF16 }
}

fn read_index(path: &Path) -> Result<BTreeMap<String, String>> {
    let value = super::read_json(path, MOST_INDEX_BYTES)?;
    let map = value.get("weight_map").and_then(Value::as_object);
    let map = map.ok_or_else(|| Error::model("it has no \"weight_map\"").help(AGAIN))?;
    let mut shards = BTreeMap::new();
    for (tensor, shard) in map {
        let plain = |s: &&str| s.ends_with(".safetensors") && !s.contains(['/', '\\']);
        let Some(shard) = shard.as_str().filter(plain) else {
            return Err(Error::model(format!(
                "says that {tensor:?} is in {shard}, which is no file of weights beside it"
            ))
            .help(AGAIN));
        };
        shards.insert(tensor.clone(), shard.to_string());
    }
    Ok(shards)
}
