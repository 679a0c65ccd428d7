//! Policies: which positions to commit at a step, and which to take back.

use crate::{Pos, Result, Step, Token};

/// One undecided position, with the token that the step's joint draw put there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    pub pos: Pos,
    pub token: Token,
    /// Constrained marginal probability of `token` here.
    pub prob: f32,
    /// Probability of the likeliest token minus that of the next.
    pub margin: f32,
    /// Entropy of the constrained marginal, in nats.
    pub entropy: f32,
}

/// One valid text for all undecided positions, drawn jointly. Any subset of it can be committed.
#[derive(Debug, Clone)]
pub struct Proposal {
    /// In order of position; never empty.
    pub candidates: Vec<Candidate>,
}

/// What a policy decides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Moves {
    /// Positions of the proposal to commit.
    pub commit: Vec<Pos>,
}

impl Moves {
    pub fn commit(commit: impl IntoIterator<Item = Pos>) -> Self {
        Self { commit: commit.into_iter().collect() }
    }
}

/// Picks positions; the engine writes the tokens. One instance serves one sample of a batch.
pub trait Policy: Send {
    /// Held positions to open again before the next prediction.
    fn reopen(&mut self, _step: &Step) -> Vec<Pos> {
        Vec::new()
    }
    /// Which candidates to commit now. An empty answer commits the most probable one.
    fn choose(&mut self, step: &Step, proposal: &Proposal) -> Result<Moves>;
}
