//! Readers: models that say how probable a written text is.

use super::{CausalModel, ConditionedText};
use crate::{Result, Token, Vocab};

/// Reads finished texts beside the denoiser that writes them: a causal model, say. Potentials, policies and guides ask
/// for one by name ([`Ask::Text`](crate::Ask::Text)).
pub trait Reader: Send + Sync {
    /// The tokens that it reads: those of the denoiser it is used beside.
    fn vocab(&self) -> &Vocab;
    /// Log-probability of each token of each text given those before it, in nats.
    ///
    /// # Errors
    /// Texts that the model cannot hold, and failures of its own.
    fn log_probs(&self, texts: &[Vec<Token>]) -> Result<Vec<Vec<f32>>>;
}

impl Reader for CausalModel {
    fn vocab(&self) -> &Vocab {
        self.vocab()
    }
    fn log_probs(&self, texts: &[Vec<Token>]) -> Result<Vec<Vec<f32>>> {
        let prefixes: Vec<ConditionedText> =
            texts.iter().map(|tokens| ConditionedText { condition: None, tokens: tokens.clone() }).collect();
        CausalModel::log_probs(self, &prefixes)
    }
}
