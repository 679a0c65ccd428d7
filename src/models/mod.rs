//! Denoisers: what predicts the open positions.

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

/// Predicts every position of a canvas from what is visible on it.
///
/// A masked, a uniform-state, a continuous and an oracle model all fit: how an open position is shown to the network (a
/// mask token, noise, a latent) is the implementation's own affair. A model that answers from the canvas alone
/// implements [`predict`](Self::predict) and nothing else; one that keeps something from step to step implements
/// [`answer`](Self::answer), too, and says so in [`uses`](Self::uses).
pub trait Denoiser: Send + Sync {
    /// Name for reports.
    fn name(&self) -> &str;
    /// The tokens that it predicts.
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
    /// What an open position is in this model's process.
    fn process(&self) -> Process {
        Process::Masked
    }
    /// How the model is sampled where nobody says otherwise.
    fn defaults(&self) -> SamplingDefaults {
        SamplingDefaults::default()
    }
    /// What it uses beside the canvas.
    fn uses(&self) -> Uses {
        Uses::default()
    }
    /// One score table per view: `view.tokens.len()` rows of `vocab().len()` unnormalised log-probabilities.
    /// Views may differ in length, prompt and condition; each gets exactly what it would get alone.
    ///
    /// # Errors
    /// Views that the model cannot hold, and failures of its own.
    fn predict(&self, views: &[CanvasView]) -> Result<Vec<Scores>>;
    /// The last hidden states of each view, one row per position.
    ///
    /// # Errors
    /// As [`predict`](Self::predict), and for models that show none.
    fn hidden(&self, _views: &[CanvasView]) -> Result<Vec<Hidden>> {
        Err(Error::unsupported(format!("{} shows no hidden states", self.name())))
    }
    /// Answers every item, from the canvas alone unless the model [uses](Self::uses) more.
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

/// Most items in one call of a denoiser: bounds the memory of a step.
const TOGETHER: usize = 64;

/// Asks in parts of a size that memory bounds, and holds the denoiser to its contract.
///
/// # Errors
/// Those of the denoiser, and answers of the wrong shape.
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

/// Scores of views that stand for themselves.
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

/// Failures of the tensor library, told as errors of kind `Model`.
pub(crate) trait OrModel<T> {
    fn or_model(self) -> Result<T>;
}

impl<T> OrModel<T> for candle_core::Result<T> {
    fn or_model(self) -> Result<T> {
        self.map_err(|e| Error::model(e.to_string()))
    }
}
