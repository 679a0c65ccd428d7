//! The configuration file of a training run: its keys and their defaults.

mod read;

use super::text::TextUnit;
use crate::models::masked::WeightFormat;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The configuration of `stencil train CONFIG`. Paths are relative to the configuration file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// The output directory of the checkpoint, with a `state/` folder to resume from.
    pub out: PathBuf,
    /// The seed. The same seed, data and build give the same run.
    #[serde(default)]
    pub seed: u64,
    /// The format of the weights in the checkpoint; the state keeps full precision.
    #[serde(default)]
    pub export: WeightFormat,
    /// The table `[data]`.
    pub data: DataConfig,
    /// The table `[tokenizer]`.
    pub tokenizer: TokenizerConfig,
    /// The table `[model]`.
    pub model: ModelConfig,
    /// The table `[objective]`.
    #[serde(default)]
    pub objective: ObjectiveConfig,
    /// The table `[optimizer]`.
    pub optimizer: OptimizerConfig,
    /// The table `[report]`.
    #[serde(default)]
    pub report: ReportConfig,
    /// The table `[classifier]`: if present, a classifier is trained beside the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classifier: Option<ClassifierConfig>,
}

/// The table `[data]`: files of texts. JSON lines (`.jsonl`, `.ndjson`, `.json`) hold one object with a text and
/// perhaps a label each; other files are plain text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// One file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// Several files; `*` and `?` in a file name are wildcards.
    #[serde(default)]
    pub files: Vec<PathBuf>,
    /// `[[data.source]]`: files with a weight or a label of their own.
    #[serde(default)]
    pub source: Vec<SourceConfig>,
    /// Name of the field with the text.
    #[serde(default = "text")]
    pub text_field: String,
    /// Name of the field with the label, which becomes the condition and the topic. A line without the field has no
    /// label.
    #[serde(default = "label")]
    pub label_field: String,
    /// Name of the key field. Lines with the same key fall on the same side of the split; the key of a line without the
    /// field is its text.
    #[serde(default = "key")]
    pub key_field: String,
    /// Share of the keys held out.
    #[serde(default = "held_out")]
    pub held_out: f64,
    /// Whether all texts are converted to lower case.
    #[serde(default)]
    pub lowercase: bool,
    /// The unit of text in a plain file.
    #[serde(default)]
    pub unit: TextUnit,
    /// The treatment of texts longer than the model's maximum.
    #[serde(default)]
    pub long: Long,
}

/// An entry of `[[data.source]]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceConfig {
    /// A file; `*` and `?` in its name are wildcards.
    pub path: PathBuf,
    /// The mean number of times its texts are seen per epoch.
    #[serde(default = "one")]
    pub weight: f64,
    /// The label of texts without a label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// As `data.unit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<TextUnit>,
}

/// The treatment of texts longer than the model's maximum.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Long {
    /// Leave the texts out, and report their number.
    #[default]
    Skip,
    /// Cut the texts; only the last piece has an end.
    Cut,
}

/// Byte-level BPE, trained on the training texts or given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenizerConfig {
    /// Maximum number of tokens, including special ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vocab_size: Option<usize>,
    /// An existing `tokenizer.json`, used instead of training one; missing special tokens are added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// Minimum frequency of a pair that becomes a token.
    #[serde(default = "min_frequency")]
    pub min_frequency: u64,
    /// Whether each digit is a token of its own: numbers are then written digit by digit, and the vocabulary is left to
    /// words.
    #[serde(default = "yes")]
    pub split_digits: bool,
}

/// Sizes of the network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// The name in reports.
    pub name: String,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Number of blocks of attention and feed-forward.
    pub layers: usize,
    /// Number of attention heads, which share the width evenly.
    pub heads: usize,
    /// Width of the gated feed-forward layer.
    pub ff_size: usize,
    /// Maximum number of positions of a text, including its end. `data.long` says what becomes of longer texts.
    pub max_len: usize,
    /// A checkpoint of the same sizes to start from; its vocabulary may differ. Without it, weights are random.
    #[serde(default)]
    pub start: Option<PathBuf>,
    /// Base of the rotary positions.
    #[serde(default = "rope_theta")]
    pub rope_theta: f64,
}

/// The training objective.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectiveKind {
    /// A masked denoiser: each position is masked with probability t and has weight 1/t.
    #[default]
    Masked,
    /// A causal model: each token is predicted from earlier tokens.
    Causal,
}

/// The table `[objective]`: the training objective.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ObjectiveConfig {
    /// Masked or causal.
    pub kind: ObjectiveKind,
    /// Whether each text comes twice in a batch, the second time with the other positions masked.
    pub complementary: bool,
    /// Minimum of t, which bounds the weight 1/t.
    pub min_t: f64,
    /// The share of texts shown without their condition.
    pub condition_dropout: f64,
    /// Share of the visible positions that the model must confirm or correct; half of them hold a wrong token.
    pub revise: f64,
    /// Maximum number of end-of-text tokens after the first: canvases are longer than their texts, most of them a
    /// little.
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

/// The table `[optimizer]`: AdamW for vectors and embeddings, Muon for matrices; linear warm-up, then decay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimizerConfig {
    /// Total number of updates, which also shapes the learning rate.
    pub steps: usize,
    /// Number of positions per batch, over all its texts.
    pub batch_tokens: usize,
    /// Number of batches whose gradients are added for one update.
    #[serde(default = "accumulate")]
    pub accumulate: usize,
    /// Maximum learning rate of AdamW.
    pub lr: f64,
    /// Learning rate of Muon; 0 trains matrices with AdamW, too.
    #[serde(default = "muon_lr")]
    pub muon_lr: f64,
    /// Momentum of Muon.
    #[serde(default = "momentum")]
    pub momentum: f64,
    /// Number of steps until the maximum learning rate.
    #[serde(default = "warmup")]
    pub warmup: usize,
    /// Number of last steps in which the learning rate falls linearly to 0, after a constant phase. Without it, the
    /// whole run is a cosine down to a tenth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decay: Option<usize>,
    /// Decay of the running mean of the gradient.
    #[serde(default = "beta1")]
    pub beta1: f64,
    /// Decay of the running mean of the squared gradient.
    #[serde(default = "beta2")]
    pub beta2: f64,
    /// Weight decay of matrices, not of norms.
    #[serde(default = "weight_decay")]
    pub weight_decay: f64,
    /// Maximum norm of the whole gradient.
    #[serde(default = "clip")]
    pub clip: f64,
    /// Decay of the running mean of the weights. The mean is evaluated and saved.
    #[serde(default = "ema")]
    pub ema: f64,
}

/// The table `[report]`: intervals of reports and saves, in steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReportConfig {
    /// Interval of loss, speed and time left.
    pub log_every: usize,
    /// Interval of held-out NELBO and sample texts.
    pub evaluate_every: usize,
    /// Interval of saving the checkpoint and the state.
    pub save_every: usize,
    /// Number of held-out texts per evaluation; the last evaluation takes all.
    pub evaluate_texts: usize,
    /// Number of sample texts per evaluation; the first has no condition.
    pub samples: usize,
    /// How long the last save is retried when nothing can be written (a full disk), in seconds.
    pub patience: u64,
}

/// The table `[classifier]`: a head on the trained network that predicts the label of partly masked text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClassifierConfig {
    /// Number of updates.
    pub steps: usize,
    /// Number of texts per update.
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
