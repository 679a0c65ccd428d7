//! The memory of weights, and the memory that is available.

use crate::models::transformer::{TransformerPlan, plan::TensorPlan};
use crate::{Error, Result};
use candle_core::quantized::GgmlDType;
use std::fs;

/// The numbers that hold a pretrained model's weights in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Precision {
    /// 32 bits.
    F32,
    /// bf16 or f16.
    Half,
    /// 8 bits and a scale per 32 weights.
    Q8_0,
    /// 4 bits and scales per 256 weights.
    Q4K,
}

impl Precision {
    /// All precisions, widest first.
    pub const ALL: [Self; 4] = [Self::F32, Self::Half, Self::Q8_0, Self::Q4K];

    /// Looks a precision up by name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.name() == name)
    }
    /// The name in flags.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Half => "bf16",
            Self::Q8_0 => "q8_0",
            Self::Q4K => "q4k",
        }
    }
    /// The kind of block for rows of `columns` weights; `None` where rows stay plain numbers. Rows that do not fill
    /// large blocks get smaller blocks of 8 bits.
    pub fn blocks(self, columns: usize) -> Option<GgmlDType> {
        let kinds: &[GgmlDType] = match self {
            Self::F32 | Self::Half => &[],
            Self::Q8_0 => &[GgmlDType::Q8_0],
            Self::Q4K => &[GgmlDType::Q4K, GgmlDType::Q8_0],
        };
        kinds.iter().copied().find(|kind| columns.is_multiple_of(kind.block_size()))
    }

    /// The number of bytes per weight in a large matrix.
    pub fn bytes_per_weight(self) -> f64 {
        match self.blocks(256) {
            Some(kind) => kind.type_size() as f64 / kind.block_size() as f64,
            None if self == Self::F32 => 4.0,
            None => 2.0,
        }
    }
    /// The memory of a network's weights in bytes. Vectors stay in f32 and embeddings in 16 bits, whatever the
    /// precision of matrices.
    pub fn bytes(self, plan: &TransformerPlan) -> u64 {
        let each = |tensor: &&TensorPlan| {
            let n = tensor.elements();
            let columns = tensor.shape.last().copied().unwrap_or(1);
            match self.blocks(columns) {
                _ if self == Self::F32 || tensor.shape.len() < 2 => n.saturating_mul(4),
                Some(kind) if tensor.name != plan.embedding.name => {
                    (n / kind.block_size() as u64).saturating_mul(kind.type_size() as u64)
                }
                _ => n.saturating_mul(2),
            }
        };
        plan.tensors().iter().map(each).fold(0, u64::saturating_add)
    }
}

/// The memory that this process may still take, in bytes; `None` where the system does not tell.
pub fn available() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix("MemAvailable:"))?;
    let machine = line.trim().trim_end_matches(" kB").parse::<u64>().ok()?.saturating_mul(1024);
    let number = |file: &str| fs::read_to_string(format!("/sys/fs/cgroup/{file}")).ok()?.trim().parse::<u64>().ok();
    let group = number("memory.max").zip(number("memory.current")).map(|(max, now)| max.saturating_sub(now));
    Some(group.map_or(machine, |group| group.min(machine)))
}

/// Checks that weights fit into memory.
///
/// # Errors
/// `needed` bytes that exceed `limit` or the available memory; the error has the figures, and `instead` names what
/// would fit.
pub fn check(needed: u64, limit: Option<u64>, instead: impl FnOnce(u64) -> Option<String>) -> Result<()> {
    let Some(limit) = limit.or_else(available) else { return Ok(()) };
    if needed <= limit {
        return Ok(());
    }
    let gib = |bytes: u64| bytes as f64 / (1u64 << 30) as f64;
    let error = Error::too_large(format!(
        "the model needs {:.1} GiB of memory, but {:.1} GiB are available",
        gib(needed),
        gib(limit)
    ));
    let other =
        || "use a smaller model or a machine with more memory; `stencil models inspect` shows what it takes".into();
    Err(error.help(instead(limit).unwrap_or_else(other)))
}
