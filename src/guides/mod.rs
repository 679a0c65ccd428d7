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

/// Makes a guide for one lane, given the model.
pub type GuideFactory = Arc<dyn Fn(&Model) -> Result<Box<dyn Guide>> + Send + Sync>;

/// A soft constraint. A guide adds finite numbers to the scores, so it moves probability and never forbids a token.
///
/// One instance serves one lane, so a guide may keep state between steps. A copy of the lane has a copy of the guide.
pub trait Guide: ForkGuide + Send {
    /// The questions of this guide at this step. The runner answers the questions of all lanes in one batch.
    fn ask(&mut self, _step: &Step) -> Vec<Ask> {
        Vec::new()
    }
    /// Adds energies to the scores (L × V log-probabilities). `answers` answer the questions of [`ask`](Guide::ask), in
    /// order.
    ///
    /// # Errors
    /// Whatever prevents the guide from guiding; the lane fails.
    fn guide(&mut self, step: &Step, to: &mut Energies, answers: &[Answer]) -> Result<()>;
}

/// Copies a guide for a copy of its lane. Every guide that is `Clone` has this.
pub trait ForkGuide {
    /// A copy in the same state.
    fn fork(&self) -> Box<dyn Guide>;
}

impl<T: Guide + Clone + 'static> ForkGuide for T {
    fn fork(&self) -> Box<dyn Guide> {
        Box::new(self.clone())
    }
}
