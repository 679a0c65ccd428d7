use super::{Moves, Order, Policy, PolicyKind, Proposal, Ranked};
use crate::{Pos, Result, Step};

/// `spread`.
pub(super) const KIND: PolicyKind = PolicyKind {
    name: "spread",
    about: "the most probable, never neighbours together",
    aliases: &[],
    options: &[],
    make: |_| Box::new(Spread),
};

/// Commits in order of confidence, but never two neighbours in one step, since neighbours depend on each other most.
#[derive(Debug, Clone, Copy)]
pub struct Spread;

impl Policy for Spread {
    fn name(&self) -> &str {
        KIND.name
    }
    fn choose(&mut self, step: &Step, proposal: &Proposal) -> Result<Moves> {
        let mut chosen: Vec<Pos> = Vec::new();
        for candidate in proposal.ranked(Ranked::key(Order::Confidence, step)) {
            if chosen.len() == proposal.quota(step) {
                break;
            }
            if chosen.iter().all(|&pos| pos.abs_diff(candidate.pos) > 1) {
                chosen.push(candidate.pos);
            }
        }
        Ok(Moves::commit(chosen))
    }
}
