//! What weights take in memory, and what there is.

use crate::models::transformer::Plan;
use crate::{Error, Result};
use std::fs;

/// How weights are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Precision {
    F32,
    /// bf16 or f16.
    Half,
    /// 8 bits and a scale per 32 weights.
    Q8_0,
    /// 4 bits and scales per 256 weights.
    Q4K,
}

impl Precision {
    /// All of them, widest first.
    pub const ALL: [Self; 4] = [Self::F32, Self::Half, Self::Q8_0, Self::Q4K];

    /// As flags name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Half => "bf16",
            Self::Q8_0 => "q8_0",
            Self::Q4K => "q4k",
        }
    }
    /// Bytes of a block of weights, and how many there are in it.
    fn block(self) -> (u64, u64) {
        match self {
            Self::F32 => (4, 1),
            Self::Half => (2, 1),
            Self::Q8_0 => (34, 32),
            Self::Q4K => (144, 256),
        }
    }
    /// Bytes that a network's weights take. Vectors and embeddings stay as wide as in f32 and bf16 whatever the
    /// precision of the matrices.
    pub fn bytes(self, plan: &Plan) -> u64 {
        let (bytes, weights) = self.block();
        let each = |tensor: &&crate::models::transformer::plan::TensorPlan| {
            let n = tensor.elements();
            let packed =
                tensor.shape.len() >= 2 && tensor.shape.last().is_some_and(|&w| (w as u64).is_multiple_of(weights));
            match (self, packed && tensor.name != plan.embedding.name) {
                (Self::F32, _) => n.saturating_mul(4),
                (Self::Half, _) | (_, true) => (n / weights).saturating_mul(bytes),
                (_, false) => n.saturating_mul(if tensor.shape.len() < 2 { 4 } else { 2 }),
            }
        };
        plan.tensors().iter().map(each).fold(0, u64::saturating_add)
    }
}

/// Bytes that this process may still take; None where the system does not tell.
pub fn available() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix("MemAvailable:"))?;
    let machine = line.trim().trim_end_matches(" kB").parse::<u64>().ok()?.saturating_mul(1024);
    let number = |file: &str| fs::read_to_string(format!("/sys/fs/cgroup/{file}")).ok()?.trim().parse::<u64>().ok();
    let group = number("memory.max").zip(number("memory.current")).map(|(max, now)| max.saturating_sub(now));
    Some(group.map_or(machine, |group| group.min(machine)))
}

/// Refuses weights that do not fit.
///
/// # Errors
/// With the figures, when `needed` bytes are more than `limit`, or than there are.
pub fn check(needed: u64, limit: Option<u64>) -> Result<()> {
    let Some(limit) = limit.or_else(available) else { return Ok(()) };
    if needed <= limit {
        return Ok(());
    }
    let gib = |bytes: u64| bytes as f64 / (1u64 << 30) as f64;
    Err(Error::too_large(format!(
        "the model needs {:.1} GiB of memory, but {:.1} GiB are available",
        gib(needed),
        gib(limit)
    ))
    .help("use a smaller model or a machine with more memory; `stencil models inspect DIR` shows what it takes"))
}
