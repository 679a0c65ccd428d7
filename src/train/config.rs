//! The configuration file of a training run. Unknown keys are refused.

use crate::{Error, Result, Source};
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
}

/// JSON lines, one object with a text and perhaps a label each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// One JSON object per line.
    pub file: PathBuf,
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
}

/// Byte-level BPE, trained on the training texts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenizerConfig {
    /// Tokens, special ones included.
    pub vocab_size: usize,
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

/// The masked objective: mask each position with probability t, weigh the loss 1/t.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ObjectiveConfig {
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
        Self { min_t: 0.02, condition_dropout: 0.15, revise: 0.1, extra_eos: 40 }
    }
}

/// AdamW for vectors and embeddings, Muon for matrices; linear warm-up and cosine decay to a tenth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimizerConfig {
    /// Updates in all; the learning rate follows from it.
    pub steps: usize,
    /// Positions per step, over all texts of the batch.
    pub batch_tokens: usize,
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
}

impl Default for ReportConfig {
    fn default() -> Self {
        Self { log_every: 50, evaluate_every: 500, save_every: 500, evaluate_texts: 500, samples: 4 }
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
        let mut config: Self = toml::from_str(&source.text).map_err(|e| {
            let error = Error::input(e.message());
            match e.span() {
                Some(span) => error.at(span),
                None => error,
            }
            .in_source(&source)
        })?;
        config.check().map_err(|e| e.in_source(&source))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        config.out = folder.join(&config.out);
        config.data.file = folder.join(&config.data.file);
        config.model.start = config.model.start.map(|start| folder.join(start));
        Ok(config)
    }

    fn check(&self) -> Result<()> {
        let objective = &self.objective;
        let optimizer = &self.optimizer;
        let shares = [
            ("data.held_out", self.data.held_out),
            ("objective.condition_dropout", objective.condition_dropout),
            ("objective.revise", objective.revise),
            ("optimizer.momentum", optimizer.momentum),
            ("optimizer.beta1", optimizer.beta1),
            ("optimizer.beta2", optimizer.beta2),
            ("optimizer.ema", optimizer.ema),
        ];
        if let Some((name, value)) = shares.into_iter().find(|(_, v)| !(0.0..1.0).contains(v)) {
            return Err(Error::input(format!("{name} is {value}, expected at least 0 and below 1")));
        }
        let positive = [
            ("objective.min_t", objective.min_t),
            ("optimizer.lr", optimizer.lr),
            ("optimizer.clip", optimizer.clip),
            ("optimizer.steps", optimizer.steps as f64),
            ("optimizer.batch_tokens", optimizer.batch_tokens as f64),
            ("report.log_every", self.report.log_every as f64),
            ("report.evaluate_every", self.report.evaluate_every as f64),
            ("report.save_every", self.report.save_every as f64),
        ];
        if let Some((name, value)) = positive.into_iter().find(|&(_, v)| !v.is_finite() || v <= 0.0) {
            return Err(Error::input(format!("{name} is {value}, expected more than 0")));
        }
        if objective.min_t > 1.0 {
            return Err(Error::input(format!("objective.min_t is {}, expected at most 1", objective.min_t)));
        }
        let not_negative = [("weight_decay", optimizer.weight_decay), ("muon_lr", optimizer.muon_lr)];
        if let Some((name, value)) = not_negative.into_iter().find(|&(_, v)| !v.is_finite() || v < 0.0) {
            return Err(Error::input(format!("optimizer.{name} is {value}, expected at least 0")));
        }
        Ok(())
    }
}
