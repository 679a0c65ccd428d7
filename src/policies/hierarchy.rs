use super::{Alias, Moves, Order, Policy, PolicyKey, PolicyKind, PolicyOption, Proposal, Ranked, THRESHOLD, Takes};
use crate::{Candidate, Result, Step};

pub(super) const LOW_THRESHOLD: PolicyOption = PolicyOption {
    name: "low_threshold",
    aliases: &[],
    takes: Takes::Share,
    value_name: "P",
    help: "Policy `hierarchy`: write the best of each run of open positions, if it is more probable than this",
};

/// `hierarchy`.
pub(super) const KIND: PolicyKind = PolicyKind {
    name: "hierarchy",
    about: "the best of each run of open ones, and all that are probable enough (threshold = 0.9, low_threshold = 0.6)",
    aliases: &[Alias::of("hierarchical")],
    options: &[
        PolicyKey { key: "at", option: &THRESHOLD, default: Some(0.9) },
        PolicyKey { key: "low", option: &LOW_THRESHOLD, default: Some(0.6) },
    ],
    make: |values| Box::new(Hierarchy { threshold: values.number(&THRESHOLD), low: values.number(&LOW_THRESHOLD) }),
};

/// Hierarchical decoding: commits the most probable position of every run of open positions, if it is probable enough,
/// and all positions above a higher threshold. Committed positions split the runs, so each step finds more runs, far
/// from each other.
///
/// Source: dInfer's hierarchical decoding (arXiv 2510.08666).
#[derive(Debug, Clone, Copy)]
pub struct Hierarchy {
    /// Probability above which any position is committed.
    pub threshold: f32,
    /// Probability above which the best position of a run is committed.
    pub low: f32,
}

impl Policy for Hierarchy {
    fn name(&self) -> &str {
        KIND.name
    }
    fn choose(&mut self, step: &Step, proposal: &Proposal) -> Result<Moves> {
        let key = Ranked::key(Order::Confidence, step);
        // Candidates come in order of position.
        let runs = proposal.candidates.chunk_by(|a, b| a.pos + 1 == b.pos);
        let best = |run: &[Candidate]| run.iter().copied().reduce(|a, b| if key(&b) > key(&a) { b } else { a });
        let heads = runs.filter_map(best).filter(|c| c.prob > self.low);
        let sure = proposal.candidates.iter().copied().filter(|c| c.prob > self.threshold);
        // If no position is probable enough, the engine commits the most probable one.
        Ok(Moves::commit(heads.chain(sure).map(|c| c.pos)))
    }
}
