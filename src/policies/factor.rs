use super::{Alias, Moves, Order, Policy, PolicyKey, PolicyKind, PolicyOption, Proposal, Ranked, Takes};
use crate::{Result, Step};

pub(super) const FACTOR: PolicyOption = PolicyOption {
    name: "factor",
    aliases: &[],
    takes: Takes::Amount,
    value_name: "F",
    help: "Policy `factor`: write the n surest while (n + 1)(1 - probability) stays below this",
};

/// `factor`.
pub(super) const KIND: PolicyKind = PolicyKind {
    name: "factor",
    about: "the n surest while (n + 1)(1 - probability) < factor (1)",
    aliases: &[Alias::of("dynamic")],
    options: &[PolicyKey { key: "below", option: &FACTOR, default: Some(1.0) }],
    make: |values| Box::new(Factor(values.number(&FACTOR))),
};

/// Commits the n surest positions for the largest n with (n + 1)·(1 − p) < factor, p being the probability of the n-th;
/// at least one.
///
/// Source: Fast-dLLM (arXiv 2505.22618), section on factor-based parallel decoding. Fast-dLLM's code also writes the
/// last open position whatever its probability; this policy does not.
#[derive(Debug, Clone, Copy)]
pub struct Factor(pub f32);

impl Policy for Factor {
    fn name(&self) -> &str {
        KIND.name
    }
    fn choose(&mut self, step: &Step, proposal: &Proposal) -> Result<Moves> {
        let ranked = proposal.ranked(Ranked::key(Order::Confidence, step));
        let sure = ranked.iter().zip(1..).take_while(|(c, n)| c.prob >= 1.0 - self.0 / (n + 1) as f32);
        Ok(Moves::commit(sure.map(|(c, _)| c.pos)))
    }
}
