//! What policies see of a position: the probability of its token, margin and entropy.

use crate::{Pos, Token};

/// One undecided position, with the token that the step's joint draw put there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// The position on the canvas.
    pub pos: Pos,
    /// The token that the draw put there.
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
