//! Denoisers predict the open positions of a canvas.

mod causal;
pub mod checkpoint;
mod classifier;
mod defaults;
pub mod families;
mod item;
pub mod masked;
mod model;
mod oracle;
mod pretrained;
mod reader;
mod topics;
pub mod transformer;
pub(crate) use causal::draw;
pub use causal::{CausalModel, ConditionedText};
pub(crate) use classifier::states;
pub use classifier::{CLASSIFIER, Classifier, Head};
pub use defaults::{Blocks, Process, SamplingDefaults, Uses};
pub use item::{Clock, DenoiserState, Hidden, Item, Kept, Marginals, Prediction, Want};
pub use masked::MaskedModel;
pub use model::{Loading, Model, TOPICS};
pub use oracle::{Chain, Oracle};
pub use pretrained::Pretrained;
pub use reader::Reader;
pub use topics::Topics;

pub use crate::settings::Cache;

use crate::{CanvasView, Error, Result, Scores, Vocab};
use std::sync::Arc;

/// A diffusion language model: it predicts every position of a canvas from the visible tokens.
///
/// Masked, uniform-state and continuous models implement this trait, and an oracle. The implementation alone decides
/// how an open position is shown to its network: as a mask token, as noise or as a latent. A model that answers from
/// the canvas alone implements [`predict`](Self::predict) and nothing else. A model that keeps a state from step to
/// step also implements [`answer`](Self::answer), and declares the state in [`uses`](Self::uses).
pub trait Denoiser: Send + Sync {
    /// The name in reports.
    fn name(&self) -> &str;
    /// The vocabulary of the predictions.
    fn vocab(&self) -> &Vocab;
    /// Maximum number of positions, including the prompt.
    fn max_len(&self) -> usize;
    /// The labels of conditions (topics, formats); [`CanvasView::condition`] is an index into this list.
    fn conditions(&self) -> &[String] {
        &[]
    }
    /// Evenly spaced quantiles of the lengths of the model's texts, in tokens including the end; empty if unknown. A
    /// canvas whose length nothing else decides gets one of these lengths.
    fn lengths(&self) -> &[usize] {
        &[]
    }
    /// Number of weights, where that means something.
    fn parameters(&self) -> Option<usize> {
        None
    }
    /// What an open position is in this model's process.
    fn process(&self) -> Process {
        Process::Masked
    }
    /// The sampling defaults of the model.
    fn defaults(&self) -> SamplingDefaults {
        SamplingDefaults::default()
    }
    /// The inputs that the model uses beside the canvas.
    fn uses(&self) -> Uses {
        Uses::default()
    }
    /// Returns one score table per view: `view.tokens.len()` rows of `vocab().len()` unnormalised log-probabilities.
    /// Views may differ in length, prompt and condition. Each view gets the same scores in a batch and alone.
    ///
    /// # Errors
    /// Views that exceed the model's limits, and failures of the model.
    fn predict(&self, views: &[CanvasView]) -> Result<Vec<Scores>>;
    /// Returns the last hidden states of each view, one row per position.
    ///
    /// # Errors
    /// As [`predict`](Self::predict), and models without access to hidden states.
    fn hidden(&self, _views: &[CanvasView]) -> Result<Vec<Hidden>> {
        Err(Error::unsupported(format!("{} shows no hidden states", self.name())))
    }
    /// Answers every item. The default answers from the canvas alone.
    ///
    /// # Errors
    /// As [`predict`](Self::predict).
    fn answer(&self, items: &mut [Item]) -> Result<()> {
        let views = |items: &[Item], want| -> Vec<CanvasView> {
            items.iter().filter(|item| item.want == want).map(|item| item.view.clone()).collect()
        };
        let (scored, hidden) = (views(items, Want::Scores), views(items, Want::Hidden));
        let scores = if scored.is_empty() { Vec::new() } else { self.predict(&scored)? };
        let hidden = if hidden.is_empty() { Vec::new() } else { self.hidden(&hidden)? };
        let (mut scores, mut hidden) = (scores.into_iter(), hidden.into_iter());
        for item in items {
            item.prediction = match item.want {
                Want::Scores => scores.next().map(Arc::new).map(Prediction::Scores),
                Want::Hidden => hidden.next().map(Arc::new).map(Prediction::Hidden),
            };
        }
        Ok(())
    }
}

/// Maximum number of items in one call of a denoiser, which bounds the memory of a step.
const TOGETHER: usize = 64;

/// Asks the denoiser in parts of bounded size, and checks the shapes of its answers.
///
/// # Errors
/// Errors of the denoiser, and answers of the wrong shape.
pub(crate) fn ask(denoiser: &dyn Denoiser, items: &mut [Item]) -> Result<()> {
    for part in items.chunks_mut(TOGETHER) {
        denoiser.answer(part)?;
    }
    for item in items {
        let len = item.view.tokens.len();
        let fits = match &item.prediction {
            Some(Prediction::Scores(scores)) => {
                item.want == Want::Scores && scores.len() == len && scores.vocab() == denoiser.vocab().len()
            }
            Some(Prediction::Hidden(hidden)) => item.want == Want::Hidden && hidden.len() == len,
            None => false,
        };
        if !fits {
            return Err(Error::model(format!(
                "the denoiser {} answered with scores of the wrong shape",
                denoiser.name()
            ))
            .help("one table per view, one row per position, one column per token"));
        }
    }
    Ok(())
}

/// The scores of views without a lane.
///
/// # Errors
/// As [`ask`].
pub(crate) fn scores_of(denoiser: &dyn Denoiser, views: &[CanvasView]) -> Result<Vec<Arc<Scores>>> {
    let mut items: Vec<Item> = views.iter().map(|view| Item::of(view.clone(), Want::Scores)).collect();
    ask(denoiser, &mut items)?;
    let scores = |item: Item| match item.prediction {
        Some(Prediction::Scores(scores)) => Some(scores),
        _ => None,
    };
    Ok(items.into_iter().filter_map(scores).collect())
}

/// ln Σ exp(x), computed relative to the largest x so that it does not overflow.
pub(crate) fn log_sum_exp(xs: impl Iterator<Item = f32> + Clone) -> f32 {
    let max = xs.clone().fold(f32::NEG_INFINITY, f32::max);
    max + xs.map(|x| (x - max).exp()).sum::<f32>().ln()
}

/// Converts errors of the tensor library to errors of kind `Model`.
pub(crate) trait OrModel<T> {
    fn or_model(self) -> Result<T>;
}

impl<T> OrModel<T> for candle_core::Result<T> {
    fn or_model(self) -> Result<T> {
        self.map_err(|e| Error::model(e.to_string()))
    }
}
