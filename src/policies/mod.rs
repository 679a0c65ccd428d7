//! Policies: which positions to commit at a step, and which to take back.

mod entropy_bound;
mod named;
mod ranked;
mod remdm;
mod spread;
mod threshold;

pub use entropy_bound::EntropyBound;
pub use named::{NAMES, by_name};
pub use ranked::{Order, Ranked};
pub use remdm::Remdm;
pub use spread::Spread;
pub use threshold::Threshold;

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

impl Proposal {
    /// The candidates, best first by `key`; ties go to the leftmost, so that the order never depends on chance.
    pub fn ranked(&self, key: impl Fn(&Candidate) -> f32) -> Vec<&Candidate> {
        let mut order: Vec<&Candidate> = self.candidates.iter().collect();
        order.sort_by(|a, b| key(b).total_cmp(&key(a)).then(a.pos.cmp(&b.pos)));
        order
    }
    /// How many positions to commit now so that all are written when the step budget ends.
    pub fn quota(&self, step: &Step) -> usize {
        self.candidates.len().div_ceil(step.left())
    }
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
