//! Denoisers: what predicts the open positions.

mod causal;
pub mod checkpoint;
mod classifier;
pub mod families;
mod manner;
pub mod masked;
mod model;
mod oracle;
mod pretrained;
mod topics;
pub mod transformer;
pub use crate::settings::Cache;
pub(crate) use causal::draw;
pub use causal::{CausalModel, Prefix};
pub(crate) use classifier::states;
pub use classifier::{CLASSIFIER, Classifier, Head};
pub use manner::{Blocks, Manner, Session};
pub use masked::MaskedModel;
pub use model::{Loading, Model, TOPICS};
pub use oracle::{Chain, Oracle};
pub use pretrained::Pretrained;
pub use topics::Topics;

use crate::{CanvasView, Error, Result, Scores, Vocab};

/// Predicts every position of a canvas from what is visible on it.
///
/// A masked, a uniform-state and an oracle model all fit: how an open position is shown to the network (a mask
/// token, noise) is the implementation's own affair.
pub trait Denoiser: Send + Sync {
    /// Name for reports.
    fn name(&self) -> &str;
    fn vocab(&self) -> &Vocab;
    /// Most positions, prompt included, that the model can hold.
    fn max_len(&self) -> usize;
    /// Labels the model can be conditioned on (topics, formats); [`CanvasView::condition`] is an index into it.
    fn conditions(&self) -> &[String] {
        &[]
    }
    /// How long texts usually are, in tokens with their end: quantiles, evenly spaced; empty where it is not known. A
    /// canvas whose length nothing tells gets one of them.
    fn lengths(&self) -> &[usize] {
        &[]
    }
    /// Number of weights, where that means something.
    fn parameters(&self) -> Option<usize> {
        None
    }
    /// One score table per view: `view.tokens.len()` rows of `vocab().len()` unnormalised log-probabilities.
    /// Views may differ in length, prompt and condition; each gets exactly what it would get alone.
    fn predict(&self, views: &[CanvasView]) -> Result<Vec<Scores>>;
    /// How the model is meant to be sampled.
    fn manner(&self) -> Manner {
        Manner::default()
    }
    /// Predicts texts in the making, each with its session: for models that keep something from step to step.
    fn resume(&self, views: &[CanvasView], _sessions: &mut [&mut Session]) -> Result<Vec<Scores>> {
        self.predict(views)
    }
}

/// Failures of the tensor library, told as errors of kind `Model`.
pub(crate) trait OrModel<T> {
    fn or_model(self) -> Result<T>;
}

impl<T> OrModel<T> for candle_core::Result<T> {
    fn or_model(self) -> Result<T> {
        self.map_err(|e| Error::model(e.to_string()))
    }
}
