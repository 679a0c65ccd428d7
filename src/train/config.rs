//! The configuration file of a training run. Unknown keys are refused, wrong values named with their place.

use super::text::Unit;
use crate::models::masked::Precision;
use crate::{Error, Result, Source, spec::Document};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// `stencil train CONFIG`: everything about a run. Paths are relative to the configuration file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Directory the checkpoint is written to, with a `state/` folder to resume from.
    pub out: PathBuf,
    /// Same seed, same data, same build: same run.
    #[serde(default)]
    pub seed: u64,
    /// Numbers of the weights in the checkpoint; the state keeps full precision.
    #[serde(default)]
    pub export: Precision,
    /// `[data]`
    pub data: DataConfig,
    /// `[tokenizer]`
    pub tokenizer: TokenizerConfig,
    /// `[model]`
    pub model: ModelConfig,
    /// `[objective]`
    #[serde(default)]
    pub objective: ObjectiveConfig,
    /// `[optimizer]`
    pub optimizer: OptimizerConfig,
    /// `[report]`
    #[serde(default)]
    pub report: ReportConfig,
    /// `[classifier]`: trains one beside the model, where it is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classifier: Option<ClassifierConfig>,
}

/// Files of texts. JSON lines (`.jsonl`, `.ndjson`, `.json`) have an object with a text and perhaps a label each, other
/// files plain text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// One file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// Several; `*` and `?` in the file name stand for what is there.
    #[serde(default)]
    pub files: Vec<PathBuf>,
    /// `[[data.source]]`: files with a weight or a label of their own.
    #[serde(default)]
    pub source: Vec<SourceConfig>,
    /// Name of the field with the text.
    #[serde(default = "text")]
    pub text_field: String,
    /// Becomes the condition and the topic; a line without it has none.
    #[serde(default = "label")]
    pub label_field: String,
    /// Lines with the same value here fall on the same side of the split; the text itself where it is missing.
    #[serde(default = "key")]
    pub key_field: String,
    /// Share of the keys held out.
    #[serde(default = "held_out")]
    pub held_out: f64,
    /// Turn all texts into small letters.
    #[serde(default)]
    pub lowercase: bool,
    /// What a text is in a plain file.
    #[serde(default)]
    pub unit: Unit,
    /// What to do with texts longer than the model holds.
    #[serde(default)]
    pub long: Long,
}

/// One `[[data.source]]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceConfig {
    /// A file; `*` and `?` in its name stand for what is there.
    pub path: PathBuf,
    /// How often its texts are seen in one epoch, on average.
    #[serde(default = "one")]
    pub weight: f64,
    /// Label of its texts that have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// As `data.unit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<Unit>,
}

/// What to do with texts longer than the model holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Long {
    /// Leave them out, and say how many.
    #[default]
    Skip,
    /// Cut them; only the last piece has an end.
    Cut,
}

/// Byte-level BPE, trained on the training texts or given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenizerConfig {
    /// Most tokens, special ones included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vocab_size: Option<usize>,
    /// A ready `tokenizer.json`, instead of training one; special tokens it lacks are added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// Pairs that occur less often make no token.
    #[serde(default = "min_frequency")]
    pub min_frequency: u64,
    /// Each digit is a token of its own: numbers are written digit by digit, and the vocabulary is left to words.
    #[serde(default = "yes")]
    pub split_digits: bool,
}

/// Sizes of the network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Name for reports.
    pub name: String,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Blocks of attention and feed-forward.
    pub layers: usize,
    /// Attention heads; each gets an even share of the width.
    pub heads: usize,
    /// Width of the gated feed-forward layer.
    pub ff_size: usize,
    /// Most positions of a text, its end included; longer texts are left out and counted.
    pub max_len: usize,
    /// A checkpoint of the same sizes to start from; its vocabulary may differ. Random weights where it is missing.
    #[serde(default)]
    pub start: Option<PathBuf>,
    /// Base of the rotary positions.
    #[serde(default = "rope_theta")]
    pub rope_theta: f64,
}

/// What the network learns to say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectiveKind {
    /// Each position is masked with probability t and weighs 1/t: a masked denoiser.
    #[default]
    Masked,
    /// Each token from those before it: the autoregressive twin.
    Causal,
}

/// What the network learns to say, and from what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ObjectiveConfig {
    /// Masked or causal.
    pub kind: ObjectiveKind,
    /// Show each text twice in a batch, the second time with the other positions masked.
    pub complementary: bool,
    /// Smallest t: bounds the weight 1/t.
    pub min_t: f64,
    /// How often a text is shown without its condition.
    pub condition_dropout: f64,
    /// Share of the visible positions that the model must confirm or correct; half of them hold a wrong token.
    pub revise: f64,
    /// Most end-of-text tokens after the first: canvases are longer than their texts, most of them a little.
    pub extra_eos: usize,
}

impl Default for ObjectiveConfig {
    fn default() -> Self {
        Self {
            kind: ObjectiveKind::Masked,
            complementary: false,
            min_t: 0.02,
            condition_dropout: 0.15,
            revise: 0.1,
            extra_eos: 40,
        }
    }
}

/// AdamW for vectors and embeddings, Muon for matrices; linear warm-up and cosine decay to a tenth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimizerConfig {
    /// Updates in all; the learning rate follows from it.
    pub steps: usize,
    /// Positions per batch, over all texts of it.
    pub batch_tokens: usize,
    /// Batches whose gradients are added up for one update.
    #[serde(default = "accumulate")]
    pub accumulate: usize,
    /// Highest learning rate of AdamW.
    pub lr: f64,
    /// Learning rate of Muon; 0 trains the matrices with AdamW too.
    #[serde(default = "muon_lr")]
    pub muon_lr: f64,
    /// Momentum of Muon.
    #[serde(default = "momentum")]
    pub momentum: f64,
    /// Steps until the highest learning rate.
    #[serde(default = "warmup")]
    pub warmup: usize,
    /// Decay of the running mean of the gradient.
    #[serde(default = "beta1")]
    pub beta1: f64,
    /// Decay of the running mean of its square.
    #[serde(default = "beta2")]
    pub beta2: f64,
    /// Pulls matrices, not norms, towards zero.
    #[serde(default = "weight_decay")]
    pub weight_decay: f64,
    /// Largest norm of the whole gradient.
    #[serde(default = "clip")]
    pub clip: f64,
    /// Decay of the running mean of the weights, which is what is evaluated and saved.
    #[serde(default = "ema")]
    pub ema: f64,
}

/// When to tell and save, in steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReportConfig {
    /// Loss, speed and time left.
    pub log_every: usize,
    /// Held-out NELBO and sample texts.
    pub evaluate_every: usize,
    /// The checkpoint and the state to resume from.
    pub save_every: usize,
    /// Held-out texts per evaluation; the last one takes them all.
    pub evaluate_texts: usize,
    /// Texts written per evaluation; the first without a condition.
    pub samples: usize,
    /// How long to try again at the end when nothing can be written (a full disk), in seconds.
    pub patience: u64,
}

/// `[classifier]`: a head on the trained network that tells the label of partly masked text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClassifierConfig {
    /// Updates.
    pub steps: usize,
    /// Texts per update.
    pub batch_texts: usize,
    /// Learning rate of Adam.
    pub lr: f64,
}

impl Default for ClassifierConfig {
    fn default() -> Self {
        Self { steps: 600, batch_texts: 64, lr: 1e-2 }
    }
}

impl Default for ReportConfig {
    fn default() -> Self {
        Self { log_every: 50, evaluate_every: 500, save_every: 500, evaluate_texts: 500, samples: 4, patience: 600 }
    }
}

fn text() -> String {
    "text".into()
}
fn label() -> String {
    "label".into()
}
fn key() -> String {
    "key".into()
}
fn yes() -> bool {
    true
}
fn one() -> f64 {
    1.0
}
fn min_frequency() -> u64 {
    2
}
fn accumulate() -> usize {
    1
}
fn held_out() -> f64 {
    0.02
}
fn rope_theta() -> f64 {
    10_000.0
}
fn warmup() -> usize {
    200
}
fn muon_lr() -> f64 {
    0.015
}
fn momentum() -> f64 {
    0.95
}
fn beta1() -> f64 {
    0.9
}
fn beta2() -> f64 {
    0.98
}
fn weight_decay() -> f64 {
    0.05
}
fn clip() -> f64 {
    1.0
}
fn ema() -> f64 {
    0.999
}

impl TrainConfig {
    /// Reads and checks a TOML file.
    ///
    /// # Errors
    /// With line and column on a syntax error, an unknown or missing key, or a value out of range.
    pub fn read(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|e| Error::io(format!("cannot read {name}")).because(e))?;
        let source = Source::new(name, text);
        let document = Document::from_toml(&source)?;
        let mut config = Self::deserialize(&document.root).map_err(|e| e.in_source(&source))?;
        if let Err((pointer, message)) = config.check() {
            let value = document.root.resolve(&format!("/{}", pointer.replace('.', "/")));
            return Err(Error::input(format!("{pointer} {message}")).at(value.span.clone()).in_source(&source));
        }
        if config.objective.kind == ObjectiveKind::Causal {
            for key in ["complementary", "min_t", "revise", "extra_eos"] {
                let [table, value] = ["/objective".to_string(), format!("/objective/{key}")]
                    .map(|p| document.root.resolve(&p).span.clone());
                if table != value {
                    return Err(Error::input(format!("objective.{key} is for the masked objective"))
                        .at(value)
                        .in_source(&source)
                        .help("leave it out, or set objective.kind = \"masked\""));
                }
            }
        }
        let folder = path.parent().unwrap_or(Path::new(""));
        config.out = folder.join(&config.out);
        let data = &mut config.data;
        let paths = data.file.iter_mut().chain(&mut data.files).chain(data.source.iter_mut().map(|s| &mut s.path));
        let more = config.tokenizer.file.iter_mut().chain(&mut config.model.start);
        paths.chain(more).for_each(|path| *path = folder.join(&*path));
        Ok(config)
    }

    /// The key of a wrong value, and what is wrong with it.
    fn check(&self) -> std::result::Result<(), (String, String)> {
        let Self { objective, optimizer, report, data, .. } = self;
        let wrong = |key: &str, message: String| Err((key.to_string(), message));
        let shares = [
            ("data.held_out", data.held_out),
            ("objective.condition_dropout", objective.condition_dropout),
            ("objective.revise", objective.revise),
            ("optimizer.momentum", optimizer.momentum),
            ("optimizer.beta1", optimizer.beta1),
            ("optimizer.beta2", optimizer.beta2),
            ("optimizer.ema", optimizer.ema),
        ];
        if let Some((key, value)) = shares.into_iter().find(|(_, v)| !(0.0..1.0).contains(v)) {
            return wrong(key, format!("is {value}, expected at least 0 and below 1"));
        }
        let classifier = self.classifier.clone().unwrap_or_default();
        let positive = [
            ("objective.min_t", objective.min_t),
            ("optimizer.lr", optimizer.lr),
            ("optimizer.clip", optimizer.clip),
            ("optimizer.steps", optimizer.steps as f64),
            ("optimizer.batch_tokens", optimizer.batch_tokens as f64),
            ("optimizer.accumulate", optimizer.accumulate as f64),
            ("report.log_every", report.log_every as f64),
            ("report.evaluate_every", report.evaluate_every as f64),
            ("report.save_every", report.save_every as f64),
            ("classifier.steps", classifier.steps as f64),
            ("classifier.batch_texts", classifier.batch_texts as f64),
            ("classifier.lr", classifier.lr),
        ];
        if let Some((key, value)) = positive.into_iter().find(|&(_, v)| !v.is_finite() || v <= 0.0) {
            return wrong(key, format!("is {value}, expected more than 0"));
        }
        if objective.min_t > 1.0 {
            return wrong("objective.min_t", format!("is {}, expected at most 1", objective.min_t));
        }
        let not_negative =
            [("optimizer.weight_decay", optimizer.weight_decay), ("optimizer.muon_lr", optimizer.muon_lr)];
        if let Some((key, value)) = not_negative.into_iter().find(|&(_, v)| !v.is_finite() || v < 0.0) {
            return wrong(key, format!("is {value}, expected at least 0"));
        }
        for (i, source) in data.source.iter().enumerate() {
            if !(source.weight.is_finite() && source.weight > 0.0) {
                return wrong(
                    &format!("data.source.{i}.weight"),
                    format!("is {}, expected more than 0", source.weight),
                );
            }
        }
        if data.file.is_none() && data.files.is_empty() && data.source.is_empty() {
            return wrong("data", "names no file: set data.file, data.files or [[data.source]]".into());
        }
        match (&self.tokenizer.file, self.tokenizer.vocab_size) {
            (None, None) => wrong("tokenizer", "needs a vocab_size to train one, or a file with a ready one".into()),
            (Some(_), Some(_)) => {
                wrong("tokenizer.vocab_size", "is that of tokenizer.file: leave one of them out".into())
            }
            _ => Ok(()),
        }
    }
}
