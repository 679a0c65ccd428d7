use super::{Moves, Policy, Proposal};
use crate::{Candidate, Result, Step};
use rand::Rng;

/// What makes a position ready to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The drawn token is probable.
    Confidence,
    /// The likeliest token leads the next by much.
    Margin,
    /// Little is uncertain about the position.
    Entropy,
    /// Chance: the order that masked diffusion is derived for.
    Random,
    /// Left to right.
    Sequential,
}

/// Commits the best positions of an order, equally many at each step of the budget.
#[derive(Debug, Clone, Copy)]
pub struct Ranked(pub Order);

impl Ranked {
    /// The readiness of a candidate: larger is sooner.
    pub(super) fn key(order: Order, step: &Step) -> impl Fn(&Candidate) -> f32 {
        let mut rng = step.rng(0x0a4d);
        let shuffled: Vec<f32> = match order {
            Order::Random => (0..step.canvas.len()).map(|_| rng.random()).collect(),
            _ => Vec::new(),
        };
        move |c| match order {
            Order::Confidence => c.prob,
            Order::Margin => c.margin,
            Order::Entropy => -c.entropy,
            Order::Random => shuffled[c.pos],
            Order::Sequential => -(c.pos as f32),
        }
    }
}

impl Policy for Ranked {
    fn choose(&mut self, step: &Step, proposal: &Proposal) -> Result<Moves> {
        let ranked = proposal.ranked(Self::key(self.0, step));
        Ok(Moves::commit(ranked.iter().take(proposal.quota(step)).map(|c| c.pos)))
    }
}
