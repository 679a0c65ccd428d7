//! Measuring models on text: how many bits a byte costs, and whether a hidden word is found.

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

/// What can be measured: a masked denoiser (a bound), a causal model or an n-gram model (exactly).
pub trait LanguageModel: Sync {
    /// Name for reports.
    fn name(&self) -> &str;
    /// What the tokens write.
    fn vocab(&self) -> &Vocab;
    /// Most tokens of one text, its end included; longer ones are measured in pieces.
    fn max_len(&self) -> usize;
    /// Labels it can be conditioned on.
    fn conditions(&self) -> &[String];
    /// Whether [`nats`](Self::nats) is −log p itself, the same for every draw, and not an estimate of a bound.
    fn exact(&self) -> bool;
    /// −log p of each text in nats, or an unbiased estimate of an upper bound on it. `draw` picks the random numbers.
    ///
    /// # Errors
    /// When the model cannot take a text.
    fn nats(&self, texts: &[Coded], seed: u64, draw: u64) -> Result<Vec<f64>>;
    /// Scores of the token at `blank.at`, one row per blank: unnormalised log-probabilities.
    ///
    /// # Errors
    /// When the model cannot take a text.
    fn scores(&self, blanks: &[Blank]) -> Result<Scores>;
}

/// Reads a model directory, masked or causal; the bundled model without one.
///
/// # Errors
/// Those of [`Model::load`] and [`CausalModel::load`].
pub fn load(directory: Option<&Path>) -> Result<Box<dyn LanguageModel>> {
    let Some(directory) = directory else { return Ok(Box::new(Model::bundled()?)) };
    let config = std::fs::read(directory.join(masked::CONFIG)).unwrap_or_default();
    let config = serde_json::from_slice::<serde_json::Value>(&config).unwrap_or_default();
    match config.get("causal").and_then(|c| c.as_bool()) {
        Some(true) => Ok(Box::new(CausalModel::load(directory)?)),
        _ => Ok(Box::new(Model::load(directory)?)),
    }
}

/// A text in a model's tokens. A label the model does not know gives no condition.
///
/// # Errors
/// When the model's vocabulary cannot write the text.
pub fn encode(model: &dyn LanguageModel, text: &str, label: Option<&str>) -> Result<Coded> {
    let mut tokens = model.vocab().encode(text)?;
    tokens.extend(model.vocab().eos());
    let condition = label.and_then(|label| model.conditions().iter().position(|c| c == label));
    Ok(Coded { tokens, condition, bytes: text.len() })
}

/// How much to measure.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Independent estimates of the bound; exact models need one.
    pub draws: u64,
    /// Most texts in which one word is hidden.
    pub words: usize,
    /// Same seed, same numbers.
    pub seed: u64,
}

/// What was measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EvalReport {
    /// Name of the model.
    pub model: String,
    /// Texts measured.
    pub texts: usize,
    /// Bytes of the texts.
    pub bytes: usize,
    /// Tokens of the texts, their ends included.
    pub tokens: usize,
    /// −log₂ p over bytes: exact, or an upper bound.
    pub bits_per_byte: f64,
    /// Standard error of `bits_per_byte` that the random masks leave; 0 where it is exact.
    pub bits_per_byte_error: f64,
    /// −ln p over tokens, ends included.
    pub nll_nats_per_token: f64,
    /// Whether it is −log p itself and not an upper bound.
    pub exact: bool,
    /// Share of the hidden words that are the likeliest candidate.
    pub infill_top1: Option<f64>,
    /// Share of the hidden words among the five likeliest candidates.
    pub infill_top5: Option<f64>,
    /// Words hidden, one per text.
    pub infill_words: usize,
    /// Share of the labelled texts whose label the classifier beside the model tells; see [`topic_accuracy`].
    pub topic_accuracy: Option<f64>,
}

/// Measures a model on texts.
///
/// # Errors
/// Without texts, or when the model fails.
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

/// Share of the labelled texts whose label a classifier tells from the whole text, or from as much of it as the
/// classifier holds; `None` where no text has a label it knows.
///
/// # Errors
/// When the texts are not in the classifier's tokens.
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
