//! Questions of hooks to models. All questions of a step are answered in one batch.

use crate::{CanvasView, Error, Result, Scores, Token, models::Hidden};
use std::sync::Arc;

/// A question of a guide, a policy or a potential. Equal questions of a step are answered once.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Ask {
    /// The denoiser's scores for a view.
    Scores(CanvasView),
    /// The denoiser's last hidden states for a view.
    Hidden(CanvasView),
    /// The log-probabilities that a [`Reader`](crate::models::Reader) of the runner gives the tokens of a text.
    Text {
        /// The name of the reader in the runner.
        reader: String,
        /// The text.
        tokens: Vec<Token>,
    },
}

/// The answer to an [`Ask`].
#[derive(Debug, Clone)]
pub enum Answer {
    /// Positions × tokens.
    Scores(Arc<Scores>),
    /// Positions × width.
    Hidden(Arc<Hidden>),
    /// Log-probability of each token given those before it, in nats.
    Text(Arc<[f32]>),
}

impl Answer {
    /// The answer to [`Ask::Scores`].
    ///
    /// # Errors
    /// When something else was asked.
    pub fn scores(&self) -> Result<&Scores> {
        match self {
            Self::Scores(scores) => Ok(scores),
            _ => Err(another("scores")),
        }
    }
    /// The answer to [`Ask::Hidden`].
    ///
    /// # Errors
    /// When something else was asked.
    pub fn hidden(&self) -> Result<&Hidden> {
        match self {
            Self::Hidden(hidden) => Ok(hidden),
            _ => Err(another("hidden states")),
        }
    }
    /// The answer to [`Ask::Text`].
    ///
    /// # Errors
    /// When something else was asked.
    pub fn log_probs(&self) -> Result<&[f32]> {
        match self {
            Self::Text(log_probs) => Ok(log_probs),
            _ => Err(another("log-probabilities of a text")),
        }
    }
}

fn another(wanted: &str) -> Error {
    Error::input(format!("a hook reads {wanted} where it asked for something else"))
        .help("answers come in the order of the questions")
}
