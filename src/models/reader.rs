//! Readers: models that give the log-probabilities of a written text.

use super::{CausalModel, ConditionedText};
use crate::{Result, Token, Vocab};

/// A second model, for example a causal one, that reads the texts of the denoiser. Potentials, policies and guides ask
/// a reader by name ([`Ask::Text`](crate::Ask::Text)).
pub trait Reader: Send + Sync {
    /// The vocabulary of the reader, which must be the denoiser's.
    fn vocab(&self) -> &Vocab;
    /// The log-probability of each token of each text given the earlier tokens, in nats.
    ///
    /// # Errors
    /// Texts that exceed the model's limits, and failures of the model.
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
