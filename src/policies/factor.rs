use super::{Moves, Order, Policy, Proposal, Ranked};
use crate::{Result, Step};

/// Commits the n surest positions for the largest n with (n + 1)·(1 − p) < factor, p being the probability of the n-th;
/// at least one.
///
/// Source: Fast-dLLM (arXiv 2505.22618), section on factor-based parallel decoding. Its code also writes the last open
/// position whatever its probability; this does not.
#[derive(Debug, Clone, Copy)]
pub struct Factor(pub f32);

impl Policy for Factor {
    fn choose(&mut self, step: &Step, proposal: &Proposal) -> Result<Moves> {
        let ranked = proposal.ranked(Ranked::key(Order::Confidence, step));
        let sure = ranked.iter().zip(1..).take_while(|(c, n)| c.prob >= 1.0 - self.0 / (n + 1) as f32);
        Ok(Moves::commit(sure.map(|(c, _)| c.pos)))
    }
}
