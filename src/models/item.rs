//! Questions to a denoiser in a step, and its answers.

use crate::{CanvasView, Error, Pos, Result, Scores, settings::Cache};
use std::{any::Any, ops::Range, sync::Arc};

/// One question to a denoiser: a canvas view, and the data of the lane that asks.
pub struct Item<'a> {
    /// The visible part of the canvas.
    pub view: CanvasView,
    /// The kind of prediction that is wanted.
    pub want: Want,
    /// The step of the lane; none for a view without a lane.
    pub clock: Option<Clock>,
    /// The denoiser's state for the lane; none for a view without a lane.
    pub state: Option<&'a mut DenoiserState>,
    /// The constrained marginals of the previous step, if the model uses feedback and a constraint holds.
    pub feedback: Option<Arc<Marginals>>,
    /// The answer, set by [`Denoiser::answer`](super::Denoiser::answer).
    pub prediction: Option<Prediction>,
}

impl Item<'_> {
    /// A question without a lane.
    pub fn of(view: CanvasView, want: Want) -> Self {
        Self { view, want, clock: None, state: None, feedback: None, prediction: None }
    }
}

/// The kind of prediction that an [`Item`] asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Want {
    /// Log-probabilities of every token at every position.
    Scores,
    /// The network's last hidden state at every position.
    Hidden,
}

/// A denoiser's prediction for a canvas.
#[derive(Debug, Clone)]
pub enum Prediction {
    /// Positions × tokens.
    Scores(Arc<Scores>),
    /// Positions × width.
    Hidden(Arc<Hidden>),
}

/// The step at which a denoiser is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// Zero-based step of the block.
    pub index: usize,
    /// Steps planned for the block.
    pub budget: usize,
    /// Steps taken before, over all blocks.
    pub taken: usize,
    /// Seed of the lane.
    pub seed: u64,
}

/// Hidden states: one row of `width` numbers per position, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Hidden {
    width: usize,
    values: Vec<f32>,
}

impl Hidden {
    /// # Errors
    /// A number of values that is no multiple of the width.
    pub fn new(width: usize, values: Vec<f32>) -> Result<Self> {
        if width > 0 && values.len().is_multiple_of(width) {
            Ok(Self { width, values })
        } else {
            Err(Error::model(format!("hidden states: {} values are no rows of {width}", values.len())))
        }
    }
    /// Number of positions.
    pub fn len(&self) -> usize {
        self.values.len() / self.width
    }
    /// Whether there is no position.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
    /// Number of values per position.
    pub fn width(&self) -> usize {
        self.width
    }
    /// The state of a position.
    pub fn row(&self, pos: Pos) -> &[f32] {
        &self.values[pos * self.width..(pos + 1) * self.width]
    }
}

/// Log-marginals of a step given the constraints: positions × tokens, −∞ for forbidden tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct Marginals {
    pub(crate) vocab: usize,
    pub(crate) values: Vec<f32>,
}

impl Marginals {
    /// Number of positions.
    pub fn len(&self) -> usize {
        self.values.len() / self.vocab
    }
    /// Whether there is no position.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
    /// Log-probabilities at a position, in nats.
    pub fn row(&self, pos: Pos) -> &[f32] {
        &self.values[pos * self.vocab..(pos + 1) * self.vocab]
    }
}

/// The state that a denoiser keeps for one lane from step to step.
#[derive(Default)]
pub struct DenoiserState {
    /// The positions of the current block.
    pub block: Range<Pos>,
    /// The approximate cache within a block; `None` computes everything anew.
    pub cache: Option<Cache>,
    /// The temperature of the latest step.
    pub temperature: f32,
    /// The denoiser's own data.
    pub kept: Option<Box<dyn Kept>>,
}

impl DenoiserState {
    /// Takes the kept data out, if it has this type.
    pub fn take<T: Kept>(&mut self) -> Option<T> {
        self.kept.take().and_then(|kept| (kept as Box<dyn Any>).downcast::<T>().ok()).map(|kept| *kept)
    }
    /// Keeps data for the next step.
    pub fn keep(&mut self, kept: impl Kept) {
        self.kept = Some(Box::new(kept));
    }
    /// A copy for a copy of the lane.
    pub fn fork(&self) -> Self {
        let Self { block, cache, temperature, kept } = self;
        Self {
            block: block.clone(),
            cache: *cache,
            temperature: *temperature,
            kept: kept.as_ref().map(|kept| (**kept).fork()),
        }
    }
}

/// Data that a lane keeps and that is copied with the lane: any `Clone + Send + 'static`.
pub trait Kept: Any + Send {
    /// A copy.
    fn fork(&self) -> Box<dyn Kept>;
}

impl<T: Any + Send + Clone> Kept for T {
    fn fork(&self) -> Box<dyn Kept> {
        Box::new(self.clone())
    }
}
