use super::{Moves, Policy, Proposal};
use crate::{Result, Step};

/// Commits every position whose drawn token is at least this probable; if none is, the most probable one.
///
/// Source: Fast-dLLM (arXiv 2505.22618), where the default is 0.9.
#[derive(Debug, Clone, Copy)]
pub struct Threshold(pub f32);

impl Policy for Threshold {
    fn choose(&mut self, _: &Step, proposal: &Proposal) -> Result<Moves> {
        Ok(Moves::commit(proposal.candidates.iter().filter(|c| c.prob >= self.0).map(|c| c.pos)))
    }
}
