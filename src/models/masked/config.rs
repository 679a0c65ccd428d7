//! The `config.json` of a checkpoint.

use crate::{Error, Result, Token};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The value of `model_type`.
pub const MODEL_TYPE: &str = "stencil";

/// Sizes and special tokens of a masked diffusion transformer, or of a causal one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaskedConfig {
    /// Always [`MODEL_TYPE`].
    pub model_type: String,
    /// The name in reports.
    pub name: String,
    /// Number of tokens, including special ones.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Number of blocks of attention and feed-forward.
    pub layers: usize,
    /// Number of attention heads, which share the width evenly.
    pub heads: usize,
    /// Width of the gated feed-forward layer.
    pub ff_size: usize,
    /// Maximum number of positions of prompt and text together, without the position of the condition.
    pub max_len: usize,
    /// Base of the rotary positions.
    pub rope_theta: f64,
    /// The constant added to the mean square in RMS norms.
    pub norm_eps: f64,
    /// The mask token, which stands at open positions.
    pub mask_token: Token,
    /// The token that ends a text and fills the canvas behind it.
    pub eos_token: Token,
    /// The token in front of a text without a condition.
    pub null_token: Token,
    /// The conditions that the model was trained with.
    pub conditions: Vec<Condition>,
    /// Whether the model is causal: each position attends to earlier positions and predicts the next token.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub causal: bool,
    /// Evenly spaced quantiles of the lengths of the training texts, in tokens including the end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lengths: Vec<usize>,
}

/// A condition: a label, and the token in front of a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// The label, by which users name the condition.
    pub label: String,
    /// The token in front of the text.
    pub token: Token,
}

impl MaskedConfig {
    /// Reads and checks `config.json`.
    ///
    /// # Errors
    /// Another model type, unknown or missing keys, and sizes that fit no model.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        let value: serde_json::Value =
            serde_json::from_slice(json).map_err(|e| Error::model("it is not JSON").because(e))?;
        match value.get("model_type").and_then(|t| t.as_str()) {
            Some(MODEL_TYPE) => {}
            Some(other) => {
                return Err(Error::model(format!("unknown model_type {other:?}"))
                    .help(format!("this build loads model_type {MODEL_TYPE:?}")));
            }
            None => return Err(Error::model("it has no \"model_type\"")),
        }
        let config: Self = serde_json::from_value(value).map_err(|e| Error::model(e.to_string()))?;
        config.check()?;
        Ok(config)
    }

    /// # Errors
    /// Sizes that contradict each other or are out of range.
    pub fn check(&self) -> Result<()> {
        const LIMIT: usize = 1 << 20;
        let sizes = [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("layers", self.layers),
            ("heads", self.heads),
            ("ff_size", self.ff_size),
            ("max_len", self.max_len),
        ];
        if let Some((name, size)) = sizes.into_iter().find(|&(_, size)| size == 0 || size > LIMIT) {
            return Err(Error::model(format!("{name} is {size}, expected 1 to {LIMIT}")));
        }
        if !self.hidden_size.is_multiple_of(2 * self.heads) {
            return Err(Error::model(format!(
                "hidden_size {} does not split into {} heads of even size",
                self.hidden_size, self.heads
            )));
        }
        if !(self.rope_theta.is_finite() && self.rope_theta > 0.0 && self.norm_eps.is_finite() && self.norm_eps > 0.0) {
            return Err(Error::model("rope_theta and norm_eps must be positive numbers"));
        }
        let mut seen = BTreeSet::new();
        let conditions = self.conditions.iter().map(|c| (c.label.as_str(), c.token));
        let named = [("mask_token", self.mask_token), ("eos_token", self.eos_token), ("null_token", self.null_token)];
        for (name, token) in named.into_iter().chain(conditions) {
            if token as usize >= self.vocab_size {
                return Err(Error::model(format!("{name} {token} lies outside the vocabulary of {}", self.vocab_size)));
            }
            if !seen.insert(token) {
                return Err(Error::model(format!("{name} {token} is also another special token")));
            }
        }
        Ok(())
    }

    /// The tokens without text, which must never be predicted.
    pub fn unpredictable(&self) -> impl Iterator<Item = Token> + '_ {
        [self.mask_token, self.null_token].into_iter().chain(self.conditions.iter().map(|c| c.token))
    }

    /// Number of weights.
    pub fn parameters(&self) -> usize {
        let d = self.hidden_size;
        self.vocab_size * d + d + self.layers * (4 * d * d + 3 * d * self.ff_size + 2 * d)
    }
}
