use super::{Alias, Moves, Order, Pace, Policy, PolicyKey, PolicyKind, PolicyOption, Proposal, Ranked, Takes};
use crate::{Result, Step};

pub(super) const THRESHOLD: PolicyOption = PolicyOption {
    name: "threshold",
    aliases: &[],
    takes: Takes::Share,
    value_name: "P",
    help: "Policies `threshold`, `hierarchy`, `edit`: write everything at least this probable",
};

/// `threshold`.
pub(super) const KIND: PolicyKind = PolicyKind {
    name: "threshold",
    about: "all that are probable enough (threshold = 0.9)",
    aliases: &[
        Alias { name: "low_confidence_dynamic", defaults: &[("threshold", 0.85)], whole_blocks: true },
        Alias::of("confidence_threshold"),
    ],
    options: &[PolicyKey { key: "at", option: &THRESHOLD, default: Some(0.9) }],
    make: |values| Box::new(Threshold { threshold: values.number(&THRESHOLD), pace: values.pace() }),
};

/// Commits every position whose drawn token is at least this probable. If these are fewer than the pace sets, the most
/// probable positions are added.
///
/// Source: Fast-dLLM (arXiv 2505.22618), where the default is 0.9; SDAR's and LLaDA2's rules are the same.
#[derive(Debug, Clone, Copy)]
pub struct Threshold {
    /// Probability from which on a position is committed.
    pub threshold: f32,
    /// The minimum number of positions at a step.
    pub pace: Pace,
}

impl Policy for Threshold {
    fn name(&self) -> &str {
        KIND.name
    }
    fn choose(&mut self, step: &Step, proposal: &Proposal) -> Result<Moves> {
        let sure = proposal.candidates.iter().filter(|c| c.prob >= self.threshold).count();
        let count = sure.max(self.pace.quota(step, proposal.candidates.len()));
        let ranked = proposal.ranked(Ranked::key(Order::Confidence, step));
        Ok(Moves::commit(ranked.iter().take(count).map(|c| c.pos)))
    }
}
