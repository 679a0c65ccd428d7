use super::{Moves, Order, Pace, Policy, Proposal, Ranked};
use crate::{Result, Step};

/// Commits every position whose drawn token is at least this probable; if these are fewer than the pace asks for, as
/// many of the most probable ones.
///
/// Source: Fast-dLLM (arXiv 2505.22618), where the default is 0.9; SDAR's and LLaDA2's rules are the same.
#[derive(Debug, Clone, Copy)]
pub struct Threshold {
    pub threshold: f32,
    pub pace: Pace,
}

impl Policy for Threshold {
    fn choose(&mut self, step: &Step, proposal: &Proposal) -> Result<Moves> {
        let sure = proposal.candidates.iter().filter(|c| c.prob >= self.threshold).count();
        let count = sure.max(self.pace.quota(step, proposal.candidates.len()));
        let ranked = proposal.ranked(Ranked::key(Order::Confidence, step));
        Ok(Moves::commit(ranked.iter().take(count).map(|c| c.pos)))
    }
}
