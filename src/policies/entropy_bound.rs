use super::{Alias, Moves, Policy, PolicyKey, PolicyKind, PolicyOption, Proposal, Takes};
use crate::{Result, Step, Token};

pub(super) const ENTROPY_BOUND: PolicyOption = PolicyOption {
    name: "entropy_bound",
    aliases: &[],
    takes: Takes::Amount,
    value_name: "NATS",
    help: "Policy `entropy_bound`: joint uncertainty to accept in one step, in nats",
};

pub(super) const STOP_ENTROPY: PolicyOption = PolicyOption {
    name: "stop_entropy",
    aliases: &[],
    takes: Takes::Amount,
    value_name: "NATS",
    help: "Policy `entropy_bound`: mean entropy below which a stable uniform-state canvas is finished, in nats",
};

/// `entropy_bound`.
pub(super) const KIND: PolicyKind = PolicyKind {
    name: "entropy_bound",
    about: "as many as stay jointly certain (entropy_bound = 0.1 nats)",
    aliases: &[
        Alias { name: "entropy_bounded", defaults: &[("entropy_bound", 0.35)], whole_blocks: false },
        Alias::of("eb"),
    ],
    options: &[
        PolicyKey { key: "bound", option: &ENTROPY_BOUND, default: Some(0.1) },
        PolicyKey { key: "stop", option: &STOP_ENTROPY, default: Some(0.005) },
    ],
    make: |values| {
        let stop = Stop::below(values.number(&STOP_ENTROPY));
        Box::new(EntropyBound { bound: values.number(&ENTROPY_BOUND), stop })
    },
};

/// Commits the most certain positions as long as a bound on their mutual dependence holds.
///
/// Positions in ascending entropy; the largest prefix with Σ H − max H ≤ bound (nats). The left side bounds the
/// error of drawing the prefix independently. Source: arXiv 2505.24857.
#[derive(Debug, Clone)]
pub struct EntropyBound {
    /// The bound, in nats.
    pub bound: f32,
    /// The stopping rule of a uniform-state process, in which positions stay open.
    pub stop: Stop,
}

/// Stops when the likeliest tokens are the same as at the step before, and the mean entropy is low.
///
/// Source: DiffusionGemma's generation code, where the default is 0.005 nats.
#[derive(Debug, Clone)]
pub struct Stop {
    /// Mean entropy in nats below which a canvas is finished.
    pub entropy: f32,
    before: Vec<Token>,
}

impl Stop {
    /// Stops below a mean entropy, in nats.
    pub fn below(entropy: f32) -> Self {
        Self { entropy, before: Vec::new() }
    }

    fn reached(&mut self, step: &Step, proposal: &Proposal) -> bool {
        let best: Vec<Token> = proposal.candidates.iter().map(|c| c.best).collect();
        let stable = step.index > 0 && best == self.before;
        self.before = best;
        let sum: f32 = proposal.candidates.iter().map(|c| c.entropy).sum();
        stable && sum / (proposal.candidates.len().max(1) as f32) < self.entropy
    }
}

impl Policy for EntropyBound {
    fn name(&self) -> &str {
        KIND.name
    }
    fn choose(&mut self, step: &Step, proposal: &Proposal) -> Result<Moves> {
        if step.process.revises() && self.stop.reached(step, proposal) {
            return Ok(Moves::all());
        }
        let mut before = 0.0; // Σ H − max H of a prefix in ascending order is the sum without its last
        let prefix = proposal.ranked(|c| -c.entropy).into_iter().take_while(|c| {
            let within = before <= self.bound;
            before += c.entropy;
            within
        });
        Ok(Moves::commit(prefix.map(|c| c.pos)))
    }
}
