//! A cache of the feasible states of the latest canvases.

use super::layers::Layers;
use crate::Token;
use std::sync::{Arc, Mutex, PoisonError};

/// Most canvases in the cache. A step asks twice about one: which tokens are forced, and what the scores say.
const MOST: usize = 4;
/// Most runs of states, over all gaps, of an entry: 24 bytes each. Larger results are not cached.
const MOST_RUNS: usize = 1 << 17;

/// Feasible states by canvas; the latest entry is the last.
#[derive(Debug, Default)]
pub(super) struct LayerCache(Mutex<Vec<(Canvas, Arc<Layers>)>>);

/// The key of an entry: the decided tokens, and the bounds on the number of tokens of the text.
#[derive(Debug, PartialEq)]
pub(super) struct Canvas {
    pub(super) decided: Vec<Option<Token>>,
    pub(super) tokens: (usize, usize),
}

impl LayerCache {
    /// The entry of `canvas`, which `find` makes if there is none. `None` if `find` returns that: no text fits.
    pub(super) fn get_or_find(&self, canvas: Canvas, find: impl FnOnce() -> Option<Layers>) -> Option<Arc<Layers>> {
        let entries = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, layers)) = entries().iter().find(|(other, _)| *other == canvas) {
            return Some(layers.clone());
        }
        let layers = Arc::new(find()?);
        if layers.runs() <= MOST_RUNS {
            let mut entries = entries();
            if entries.len() == MOST {
                entries.remove(0);
            }
            entries.push((canvas, layers.clone()));
        }
        Some(layers)
    }
}
