use super::{Alias, Moves, Order, Policy, PolicyKey, PolicyKind, PolicyOption, Proposal, Ranked, Takes};
use crate::{Cell, Pos, Result, Step};
use rand::Rng;

pub(super) const ETA: PolicyOption = PolicyOption {
    name: "eta",
    aliases: &[],
    takes: Takes::Share,
    value_name: "P",
    help: "Policy `remdm`: probability of taking a written token back, per step",
};

/// `remdm`.
pub(super) const KIND: PolicyKind = PolicyKind {
    name: "remdm",
    about: "by confidence, taking some back on the way (eta = 0.02)",
    aliases: &[Alias::of("remask")],
    options: &[PolicyKey { key: "eta", option: &ETA, default: Some(0.02) }],
    make: |values| Box::new(Remdm { eta: values.number(&ETA) }),
};

/// Remasking: reopens held positions with a small probability, so that early mistakes can be corrected.
///
/// With a share α of positions written, growing evenly from 0 to 1, a held position is reopened with probability
/// σ = min(η, (1 − α_s) / α_t). Source: ReMDM, capped schedule (arXiv 2503.00307).
#[derive(Debug, Clone, Copy)]
pub struct Remdm {
    /// Maximum of the probability.
    pub eta: f32,
}

impl Policy for Remdm {
    fn name(&self) -> &str {
        KIND.name
    }
    fn reopen(&mut self, step: &Step) -> Vec<Pos> {
        let alpha_t = step.index as f32 / step.budget.max(1) as f32;
        let alpha_s = (step.index + 1) as f32 / step.budget.max(1) as f32;
        if alpha_t == 0.0 {
            return Vec::new();
        }
        let sigma = self.eta.min((1.0 - alpha_s).max(0.0) / alpha_t);
        let mut rng = step.rng(0x4e3d);
        let block = step.canvas.cells().iter().enumerate().filter(|(pos, _)| step.block.contains(pos));
        let held = block.filter(|(_, c)| matches!(c, Cell::Held { .. }));
        held.filter(|_| rng.random::<f32>() < sigma).map(|(pos, _)| pos).collect()
    }

    fn choose(&mut self, step: &Step, proposal: &Proposal) -> Result<Moves> {
        let ranked = proposal.ranked(Ranked::key(Order::Confidence, step));
        Ok(Moves::commit(ranked.iter().take(proposal.quota(step)).map(|c| c.pos)))
    }
}
