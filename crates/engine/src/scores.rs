//! Scores, the output of a denoiser: one row of unnormalised log-probabilities per position.

use crate::{Error, Result};

/// Index of a position on the canvas.
pub type Pos = usize;

/// L × V log-probabilities in nats, row-major. Rows need not be normalised.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    vocab: usize,
    values: Vec<f32>,
}

impl Scores {
    /// `values` holds `len × vocab` numbers.
    ///
    /// # Errors
    /// When the length is no multiple of `vocab` or a value is NaN or +∞.
    pub fn new(vocab: usize, values: Vec<f32>) -> Result<Self> {
        if vocab == 0 || !values.len().is_multiple_of(vocab) {
            return Err(Error::model(format!("scores: {} values are no rows of {vocab}", values.len())));
        }
        if let Some(i) = values.iter().position(|v| v.is_nan() || *v == f32::INFINITY) {
            return Err(Error::model(format!(
                "scores: {} at position {}, token {}: the weights are damaged",
                values[i],
                i / vocab,
                i % vocab
            )));
        }
        Ok(Self { vocab, values })
    }
    /// Scores of 0: every token is equally likely everywhere.
    pub fn zeros(len: usize, vocab: usize) -> Self {
        Self { vocab, values: vec![0.0; len * vocab] }
    }
    /// Number of positions.
    pub fn len(&self) -> usize {
        self.values.len() / self.vocab
    }
    /// Whether there are no positions.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
    /// Width of a row.
    pub fn vocab(&self) -> usize {
        self.vocab
    }
    /// The V scores of a position.
    ///
    /// # Panics
    /// When there is no such position.
    pub fn row(&self, pos: Pos) -> &[f32] {
        &self.values[pos * self.vocab..(pos + 1) * self.vocab]
    }
    /// The V scores of a position, to be changed.
    ///
    /// # Panics
    /// When there is no such position.
    pub fn row_mut(&mut self, pos: Pos) -> &mut [f32] {
        &mut self.values[pos * self.vocab..(pos + 1) * self.vocab]
    }
    /// All L × V scores.
    pub fn values(&self) -> &[f32] {
        &self.values
    }
    /// All L × V scores, to be changed.
    pub fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }
}
