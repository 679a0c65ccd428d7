//! Evaluation of models on text: bits per byte, and accuracy on hidden words.

mod infill;
mod likelihood;
mod ngram;

pub use infill::{Blank, Infill};
pub use likelihood::{Likelihood, likelihood};
pub use ngram::Ngram;

use crate::models::{CausalModel, Classifier, ConditionedText, masked};
use crate::{CanvasView, Denoiser, Error, Model, Result, Scores, Token, Vocab};
use serde::Serialize;
use std::path::Path;

/// A text in the tokens of a model, with the index of its condition.
#[derive(Debug, Clone, PartialEq)]
pub struct Coded {
    /// The text, then the end of text where the model has one.
    pub tokens: Vec<Token>,
    /// Index into [`LanguageModel::conditions`].
    pub condition: Option<usize>,
    /// Length of the text in bytes.
    pub bytes: usize,
}

/// A model that can be evaluated: a masked denoiser (a bound), a causal model or an n-gram model (exact).
pub trait LanguageModel: Sync {
    /// The name in reports.
    fn name(&self) -> &str;
    /// The vocabulary.
    fn vocab(&self) -> &Vocab;
    /// Maximum number of tokens of one text, including its end; longer texts are measured in pieces.
    fn max_len(&self) -> usize;
    /// The labels of the model's conditions.
    fn conditions(&self) -> &[String];
    /// Whether [`nats`](Self::nats) is exactly −log p and the same for every draw, not an estimate of a bound.
    fn exact(&self) -> bool;
    /// −log p of each text in nats, or an unbiased estimate of an upper bound on it. `draw` selects the random numbers.
    ///
    /// # Errors
    /// A text that the model cannot take.
    fn nats(&self, texts: &[Coded], seed: u64, draw: u64) -> Result<Vec<f64>>;
    /// Scores of the token at `blank.at`, one row per blank: unnormalised log-probabilities.
    ///
    /// # Errors
    /// A text that the model cannot take.
    fn scores(&self, blanks: &[Blank]) -> Result<Scores>;
}

/// Loads a model directory, masked or causal; without a directory, the bundled model.
///
/// # Errors
/// As [`Model::load`] and [`CausalModel::load`].
pub fn load(directory: Option<&Path>) -> Result<Box<dyn LanguageModel>> {
    let Some(directory) = directory else { return Ok(Box::new(Model::bundled()?)) };
    let config = std::fs::read(directory.join(masked::CONFIG)).unwrap_or_default();
    let config = serde_json::from_slice::<serde_json::Value>(&config).unwrap_or_default();
    match config.get("causal").and_then(|c| c.as_bool()) {
        Some(true) => Ok(Box::new(CausalModel::load(directory)?)),
        _ => Ok(Box::new(Model::load(directory)?)),
    }
}

/// Encodes a text in a model's tokens. An unknown label gives no condition.
///
/// # Errors
/// A text that the model's vocabulary cannot write.
pub fn encode(model: &dyn LanguageModel, text: &str, label: Option<&str>) -> Result<Coded> {
    let mut tokens = model.vocab().encode(text)?;
    tokens.extend(model.vocab().eos());
    let condition = label.and_then(|label| model.conditions().iter().position(|c| c == label));
    Ok(Coded { tokens, condition, bytes: text.len() })
}

/// The effort of an evaluation.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Number of independent estimates of the bound; exact models need one.
    pub draws: u64,
    /// Maximum number of texts in which one word is hidden.
    pub words: usize,
    /// The seed. The same seed gives the same numbers.
    pub seed: u64,
}

/// The results of an evaluation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EvalReport {
    /// Name of the model.
    pub model: String,
    /// Number of texts.
    pub texts: usize,
    /// Number of bytes of the texts.
    pub bytes: usize,
    /// Number of tokens of the texts, including their ends.
    pub tokens: usize,
    /// −log₂ p over bytes: exact, or an upper bound.
    pub bits_per_byte: f64,
    /// Standard error of `bits_per_byte` from the random masks; 0 for an exact value.
    pub bits_per_byte_error: f64,
    /// −ln p over tokens, ends included.
    pub nll_nats_per_token: f64,
    /// Whether the likelihood is exact and not an upper bound.
    pub exact: bool,
    /// Share of the hidden words that are the likeliest candidate.
    pub infill_top1: Option<f64>,
    /// Share of the hidden words among the five likeliest candidates.
    pub infill_top5: Option<f64>,
    /// Number of hidden words, one per text.
    pub infill_words: usize,
    /// Share of the labelled texts whose label the model's classifier predicts; see [`topic_accuracy`].
    pub topic_accuracy: Option<f64>,
}

/// Measures a model on texts.
///
/// # Errors
/// No texts, or a failing model.
pub fn evaluate(model: &dyn LanguageModel, texts: &[Coded], effort: Effort) -> Result<EvalReport> {
    if texts.is_empty() {
        return Err(Error::input("there are no texts to measure on"));
    }
    let likelihood = likelihood(model, texts, effort.seed, effort.draws)?;
    let infill = infill::measure(model, texts, effort.words, effort.seed)?;
    let share = |found: usize| (infill.words > 0).then(|| found as f64 / infill.words as f64);
    Ok(EvalReport {
        model: model.name().into(),
        texts: texts.len(),
        bytes: likelihood.bytes,
        tokens: likelihood.tokens,
        bits_per_byte: likelihood.bits_per_byte(),
        bits_per_byte_error: likelihood.error / std::f64::consts::LN_2 / likelihood.bytes.max(1) as f64,
        nll_nats_per_token: likelihood.nats_per_token(),
        exact: model.exact(),
        infill_top1: share(infill.first),
        infill_top5: share(infill.five),
        infill_words: infill.words,
        topic_accuracy: None,
    })
}

/// The share of labelled texts whose label a classifier predicts from the whole text, or from as much of it as the
/// classifier's maximum allows. `None` where no text has a known label.
///
/// # Errors
/// Texts in other tokens than the classifier's.
pub fn topic_accuracy(classifier: &Classifier, model: &dyn LanguageModel, texts: &[Coded]) -> Result<Option<f64>> {
    let eos = model.vocab().eos();
    let (mut right, mut all) = (0u32, 0u32);
    for group in texts.chunks(32) {
        let label = |text: &Coded| {
            let label = model.conditions().get(text.condition?)?;
            classifier.labels().iter().position(|l| l == label)
        };
        let labelled: Vec<(usize, Vec<Option<Token>>)> = group
            .iter()
            .filter_map(|text| {
                let tokens = text.tokens.iter().copied().filter(|&t| Some(t) != eos);
                Some((label(text)?, tokens.take(classifier.max_len()).map(Some).collect()))
            })
            .collect();
        let (labels, views): (Vec<usize>, Vec<_>) = labelled.into_iter().unzip();
        for (label, scores) in labels.into_iter().zip(classifier.log_probs(&views)?) {
            let best = scores.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map(|(y, _)| y);
            right += u32::from(best == Some(label));
            all += 1;
        }
    }
    Ok((all > 0).then(|| f64::from(right) / f64::from(all)))
}

impl LanguageModel for Model {
    fn name(&self) -> &str {
        self.denoiser().name()
    }
    fn vocab(&self) -> &Vocab {
        self.denoiser().vocab()
    }
    fn max_len(&self) -> usize {
        self.denoiser().max_len()
    }
    fn conditions(&self) -> &[String] {
        self.denoiser().conditions()
    }
    fn exact(&self) -> bool {
        false
    }
    fn nats(&self, texts: &[Coded], seed: u64, draw: u64) -> Result<Vec<f64>> {
        likelihood::masked_nats(self.denoiser(), texts, seed, draw)
    }
    fn scores(&self, blanks: &[Blank]) -> Result<Scores> {
        masked_scores(self.denoiser(), blanks)
    }
}

impl LanguageModel for CausalModel {
    fn name(&self) -> &str {
        &self.config().name
    }
    fn vocab(&self) -> &Vocab {
        CausalModel::vocab(self)
    }
    fn max_len(&self) -> usize {
        self.config().max_len
    }
    fn conditions(&self) -> &[String] {
        CausalModel::conditions(self)
    }
    fn exact(&self) -> bool {
        true
    }
    fn nats(&self, texts: &[Coded], _: u64, _: u64) -> Result<Vec<f64>> {
        let prefixes: Vec<ConditionedText> =
            texts.iter().map(|t| ConditionedText { condition: t.condition, tokens: t.tokens.clone() }).collect();
        let found = self.log_probs(&prefixes)?;
        Ok(found.iter().map(|text| -text.iter().map(|&p| f64::from(p)).sum::<f64>()).collect())
    }
    fn scores(&self, blanks: &[Blank]) -> Result<Scores> {
        let left = |b: &Blank| b.tokens.iter().take(b.at).copied().flatten().collect();
        let prefixes: Vec<ConditionedText> =
            blanks.iter().map(|b| ConditionedText { condition: b.condition, tokens: left(b) }).collect();
        self.next(&prefixes)
    }
}

fn masked_scores(denoiser: &dyn Denoiser, blanks: &[Blank]) -> Result<Scores> {
    let view = |b: &Blank| CanvasView { prompt: Vec::new().into(), condition: b.condition, tokens: b.tokens.clone() };
    let views: Vec<CanvasView> = blanks.iter().map(view).collect();
    let tables = denoiser.predict(&views)?;
    let rows = tables.iter().zip(blanks).flat_map(|(table, blank)| table.row(blank.at));
    Scores::new(denoiser.vocab().len(), rows.copied().collect())
}
