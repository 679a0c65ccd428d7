//! What is known of one position of a step.

use crate::{Pos, Token};

/// One undecided position, with the token that the step's joint draw put there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    pub pos: Pos,
    pub token: Token,
    /// Constrained marginal probability of `token` here.
    pub prob: f32,
    /// The likeliest token by the constrained marginal.
    pub best: Token,
    /// Probability of the likeliest token minus that of the next.
    pub margin: f32,
    /// Entropy of the constrained marginal, in nats.
    pub entropy: f32,
}
