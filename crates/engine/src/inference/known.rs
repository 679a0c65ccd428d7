//! The texts that fit the latest canvases.

use super::layers::Layers;
use crate::Token;
use std::sync::{Arc, Mutex, PoisonError};

/// Canvases that are kept. A step asks twice about one: which tokens are forced, and what the scores say.
const MOST: usize = 4;
/// Runs of states of all gaps together, beyond which nothing is kept: 24 bytes each.
const MOST_RUNS: usize = 1 << 17;

/// Of canvases by their decided tokens and bounds on the length, what fits them; the latest last.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<Vec<(Canvas, Arc<Layers>)>>);

#[derive(Debug, PartialEq)]
pub(super) struct Canvas {
    pub(super) decided: Vec<Option<Token>>,
    pub(super) tokens: (usize, usize),
}

impl Known {
    /// What fits, if that is known, otherwise by `find`.
    pub(super) fn or_find(&self, canvas: Canvas, find: impl FnOnce() -> Option<Layers>) -> Option<Arc<Layers>> {
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, layers)) = known().iter().find(|(other, _)| *other == canvas) {
            return Some(layers.clone());
        }
        let layers = Arc::new(find()?);
        if layers.runs() <= MOST_RUNS {
            let mut known = known();
            if known.len() == MOST {
                known.remove(0);
            }
            known.push((canvas, layers.clone()));
        }
        Some(layers)
    }
}
