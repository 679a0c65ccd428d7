//! Writing a trained model for shipping: fewer bits per weight, and nothing of the run.

use super::{optimizer::Optimizer, state};
use crate::models::masked::{CONFIG, MaskedCheckpoint, TOKENIZER, WEIGHTS, WeightFormat, weights_to_bytes};
use crate::models::{CLASSIFIER, TOPICS};
use crate::{Error, Result};
use std::{fs, path::Path};

/// What an export did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exported {
    /// Bytes of the weights.
    pub bytes: u64,
    /// √(Σ(w′−w)² / Σw²) over all weights: what the rounding did.
    pub error: f64,
    /// Whether the weights were taken in full precision, from the state of the run.
    pub full_precision: bool,
}

/// Copies the model in directory `from` to the directory `to`, with weights in this format. Where the state of the
/// run is still there, its full-precision weights are the source.
///
/// # Errors
/// When the model or its state is damaged, both directories are the same, or nothing can be written.
pub fn export(from: &Path, to: &Path, format: WeightFormat) -> Result<Exported> {
    let MaskedCheckpoint { mut network, .. } = MaskedCheckpoint::load(from)?;
    let same = fs::canonicalize(from).ok().zip(fs::canonicalize(to).ok()).is_some_and(|(from, to)| from == to);
    if same {
        return Err(Error::input(format!("{} would replace itself", from.display())).help("name another directory"));
    }
    let state = from.join("state").join("state.safetensors");
    let full_precision = state.exists();
    let weights = match full_precision {
        true => {
            let mut optimizer = Optimizer::new(&network);
            state::load(&state, &mut network, &mut optimizer)?;
            optimizer.mean
        }
        false => network.weights().to_vec(),
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
