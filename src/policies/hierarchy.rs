use super::{Moves, Order, Policy, Proposal, Ranked};
use crate::{Candidate, Result, Step};

/// Divides and conquers: writes the most probable position of every run of open ones, if it is probable enough, and
/// everything that is more probable still. What is written splits the runs, so that each step finds more of them, far
/// from each other.
///
/// Source: dInfer's hierarchical decoding (arXiv 2510.08666).
#[derive(Debug, Clone, Copy)]
pub struct Hierarchy {
    /// Above this a position is written wherever it stands.
    pub threshold: f32,
    /// Above this the best of a run is written.
    pub low: f32,
}

impl Policy for Hierarchy {
    fn choose(&mut self, step: &Step, proposal: &Proposal) -> Result<Moves> {
        let key = Ranked::key(Order::Confidence, step);
        // Candidates come in order of position.
        let runs = proposal.candidates.chunk_by(|a, b| a.pos + 1 == b.pos);
        let best = |run: &[Candidate]| run.iter().copied().reduce(|a, b| if key(&b) > key(&a) { b } else { a });
        let heads = runs.filter_map(best).filter(|c| c.prob > self.low);
        let sure = proposal.candidates.iter().copied().filter(|c| c.prob > self.threshold);
        // Where nothing is, the engine takes the most probable position.
        Ok(Moves::commit(heads.chain(sure).map(|c| c.pos)))
    }
}
