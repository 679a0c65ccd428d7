//! Export of a trained model: a smaller weight format, and no state of the run.

use super::{optimizer::Optimizer, state};
use crate::models::masked::{CONFIG, MaskedCheckpoint, TOKENIZER, WEIGHTS, WeightFormat, weights_to_bytes};
use crate::models::{CLASSIFIER, TOPICS};
use crate::{Error, Result};
use std::{fs, path::Path};

/// The results of an export.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exported {
    /// Number of bytes of the weights.
    pub bytes: u64,
    /// The relative rounding error √(Σ(w′−w)² / Σw²) over all weights.
    pub error: f64,
    /// Whether the source was in full precision, from the state of the run.
    pub full_precision: bool,
}

/// Copies the model in directory `from` to the directory `to`, with weights in `format`. If the state of the run still
/// exists, its full-precision weights are the source.
///
/// # Errors
/// A damaged model or state, the same directory twice, and failed writes.
pub fn export(from: &Path, to: &Path, format: WeightFormat) -> Result<Exported> {
    let MaskedCheckpoint { mut network, .. } = MaskedCheckpoint::load(from)?;
    let same = fs::canonicalize(from).ok().zip(fs::canonicalize(to).ok()).is_some_and(|(from, to)| from == to);
    if same {
        return Err(Error::input(format!("{} would replace itself", from.display())).help("name another directory"));
    }
    let state = from.join("state").join("state.safetensors");
    let full_precision = state.exists();
    let weights = if full_precision {
        let mut optimizer = Optimizer::new(&network);
        state::load(&state, &mut network, &mut optimizer)?;
        optimizer.mean
    } else {
        network.weights().to_vec()
    };
    let bytes = weights_to_bytes(network.parameters(), &weights, format)?;
    for name in [CONFIG, TOKENIZER, TOPICS, CLASSIFIER] {
        let path = from.join(name);
        if path.exists() {
            let file = fs::read(&path).map_err(|e| Error::io(format!("cannot read {}", path.display())).because(e))?;
            state::write(&to.join(name), &file)?;
        }
    }
    state::write(&to.join(WEIGHTS), &bytes)?;
    let rounded = MaskedCheckpoint::load(to)?.network;
    let square = |numbers: &mut dyn Iterator<Item = f32>| numbers.map(|x| f64::from(x).powi(2)).sum::<f64>();
    let off = square(&mut rounded.weights().iter().zip(&weights).map(|(a, b)| a - b));
    let error = (off / square(&mut weights.iter().copied()).max(f64::MIN_POSITIVE)).sqrt();
    Ok(Exported { bytes: bytes.len() as u64, error, full_precision })
}
