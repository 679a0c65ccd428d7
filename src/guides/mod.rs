//! Soft constraints: finite energies added to the scores before the projection.

mod bias;
mod classifier_free;
mod credit;
mod hidden_prompt;
mod naive_bayes;
pub use bias::Bias;
pub use classifier_free::ClassifierFree;
pub use credit::Credit;
pub use hidden_prompt::HiddenPrompt;
pub use naive_bayes::NaiveBayes;

use crate::{CanvasView, Result, Scores, Step};

/// Moves probability, never forbids: it may add finite numbers to the scores, nothing else.
///
/// One instance serves one sample of a batch, so it may keep state between steps.
pub trait Guide: Send {
    /// Extra forwards this guide needs at this step; the engine batches them with its own.
    fn views(&mut self, _step: &Step) -> Vec<CanvasView> {
        Vec::new()
    }
    /// Adds to `scores` (L × V log-probabilities). `extra` answers [`views`](Guide::views), in order.
    fn guide(&mut self, step: &Step, scores: &mut Scores, extra: &[Scores]) -> Result<()>;
}
