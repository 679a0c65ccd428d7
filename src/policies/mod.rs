//! Policies: which positions to commit at a step, and which to take back.

mod edit;
mod entropy_bound;
mod factor;
mod hierarchy;
mod named;
mod pace;
mod ranked;
mod remdm;
mod spread;
mod threshold;

pub use edit::Edit;
pub use entropy_bound::{EntropyBound, Stop};
pub use factor::Factor;
pub use hierarchy::Hierarchy;
pub use named::{NAMES, by_name};
pub use pace::Pace;
pub use ranked::{Order, Ranked};
pub use remdm::Remdm;
pub use spread::Spread;
pub use threshold::Threshold;

use crate::{Answer, Ask, Candidate, Pos, Result, Step, Token};
use std::sync::Arc;

/// Makes a policy for one lane.
pub type PolicyFactory = Arc<dyn Fn() -> Result<Box<dyn Policy>> + Send + Sync>;

/// One valid text for all undecided positions, drawn jointly. Any subset of it can be committed.
#[derive(Debug, Clone, Default)]
pub struct Proposal {
    /// In order of position; never empty where positions are to be written.
    pub candidates: Vec<Candidate>,
    /// The whole text that was drawn, one token for each position in play, with what pads it.
    pub text: Vec<Token>,
    /// The answers to [`Policy::ask`], in order.
    pub answers: Vec<Answer>,
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
    /// Positions of the proposal to commit. In a uniform-state process: to accept, until the next step.
    pub commit: Vec<Pos>,
    /// The block is finished: everything is committed.
    pub done: bool,
}

impl Moves {
    pub fn commit(commit: impl IntoIterator<Item = Pos>) -> Self {
        Self { commit: commit.into_iter().collect(), done: false }
    }
    /// Finishes the block.
    pub fn all() -> Self {
        Self { commit: Vec::new(), done: true }
    }
}

/// Picks positions; the engine writes the tokens. One instance serves one sample of a batch.
pub trait Policy: ForkPolicy + Send {
    /// Held positions to open again before the next prediction.
    fn reopen(&mut self, _step: &Step) -> Vec<Pos> {
        Vec::new()
    }
    /// What this policy wants to know before it chooses; answered in one batch for all lanes.
    fn ask(&mut self, _step: &Step, _proposal: &Proposal) -> Vec<Ask> {
        Vec::new()
    }
    /// Which candidates to commit now. An empty answer commits the most probable one.
    fn choose(&mut self, step: &Step, proposal: &Proposal) -> Result<Moves>;
    /// Whether held positions of the block are to be looked at again in this step. Asked also when the block is full:
    /// the answer yes then costs a forward.
    fn edits(&self, _step: &Step) -> bool {
        false
    }
    /// Held positions to overwrite. The candidates are those for which one text drawn for all held positions of the
    /// block has another token than stands there.
    fn edit(&mut self, _step: &Step, _proposal: &Proposal) -> Result<Vec<Pos>> {
        Ok(Vec::new())
    }
}

/// Copies a policy for a copy of its lane: every policy that is `Clone`.
pub trait ForkPolicy {
    /// A copy.
    fn fork(&self) -> Box<dyn Policy>;
}

impl<T: Policy + Clone + 'static> ForkPolicy for T {
    fn fork(&self) -> Box<dyn Policy> {
        Box::new(self.clone())
    }
}
