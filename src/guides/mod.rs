//! Soft constraints: finite energies added to the scores before the projection.

mod bias;
mod classifier_free;
mod credit;
mod energies;
mod hidden_prompt;
mod naive_bayes;
pub use bias::Bias;
pub use classifier_free::ClassifierFree;
pub use credit::Credit;
pub use energies::Energies;
pub use hidden_prompt::HiddenPrompt;
pub use naive_bayes::NaiveBayes;

use crate::{Answer, Ask, Model, Result, Step};
use std::sync::Arc;

/// Makes a guide for one lane, once the model is known.
pub type GuideFactory = Arc<dyn Fn(&Model) -> Result<Box<dyn Guide>> + Send + Sync>;

/// Moves probability, never forbids: it may add finite numbers to the scores, nothing else.
///
/// One instance serves one lane, so it may keep state between steps; a copy of the lane gets a clone of it.
pub trait Guide: ForkGuide + Send {
    /// What this guide wants to know at this step; the runner answers it in one batch with everything else.
    fn ask(&mut self, _step: &Step) -> Vec<Ask> {
        Vec::new()
    }
    /// Adds to the scores (L × V log-probabilities). `answers` are those to [`ask`](Guide::ask), in order.
    ///
    /// # Errors
    /// What the guide cannot do.
    fn guide(&mut self, step: &Step, to: &mut Energies, answers: &[Answer]) -> Result<()>;
}

/// Copies a guide for a copy of its lane: every guide that is `Clone`.
pub trait ForkGuide {
    /// A copy.
    fn fork(&self) -> Box<dyn Guide>;
}

impl<T: Guide + Clone + 'static> ForkGuide for T {
    fn fork(&self) -> Box<dyn Guide> {
        Box::new(self.clone())
    }
}
