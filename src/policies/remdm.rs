use super::{Moves, Order, Policy, Proposal, Ranked};
use crate::{Cell, Pos, Result, Step};
use rand::Rng;

/// Remasking: takes held positions back with a small probability, so that early mistakes can be mended.
///
/// With a share α of positions written, growing evenly from 0 to 1, a held position is reopened with probability
/// σ = min(η, (1 − α_s) / α_t). Source: ReMDM, capped schedule (arXiv 2503.00307).
#[derive(Debug, Clone, Copy)]
pub struct Remdm {
    pub eta: f32,
}

impl Policy for Remdm {
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
