//! The configuration file of a training run: its keys and their defaults.

mod read;

use super::text::TextUnit;
use crate::models::masked::WeightFormat;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

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
    pub export: WeightFormat,
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
    pub unit: TextUnit,
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
    pub unit: Option<TextUnit>,
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

/// AdamW for vectors and embeddings, Muon for matrices; linear warm-up, then a decay.
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
    /// Last steps, in which the learning rate falls in a line to zero; it is the highest before them. Without it the
    /// whole run is a cosine down to a tenth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decay: Option<usize>,
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
