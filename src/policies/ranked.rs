use super::{Moves, Pace, Policy, Proposal};
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

/// Commits the best positions of an order, as many as the pace says.
#[derive(Debug, Clone, Copy)]
pub struct Ranked {
    pub order: Order,
    pub pace: Pace,
    /// Positions are drawn in proportion to exp(readiness / temperature) instead of taken best first; 0 takes the
    /// best. Source: Dream's `alg_temp`.
    pub temperature: f32,
}

impl Ranked {
    /// The best first, in equal shares.
    pub fn new(order: Order) -> Self {
        Self { order, pace: Pace::Even, temperature: 0.0 }
    }

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

    /// Gumbel noise: the largest sums of readiness / temperature and this are a draw without replacement.
    fn noise(&self, step: &Step) -> Vec<f32> {
        let mut rng = step.rng(0x6b31);
        let gumbel = |u: f32| -(-(u.max(f32::MIN_POSITIVE)).ln()).ln();
        (0..step.canvas.len()).map(|_| self.temperature * gumbel(rng.random())).collect()
    }
}

impl Policy for Ranked {
    fn choose(&mut self, step: &Step, proposal: &Proposal) -> Result<Moves> {
        let key = Self::key(self.order, step);
        let noise = if self.temperature > 0.0 { self.noise(step) } else { vec![0.0; step.canvas.len()] };
        let ranked = proposal.ranked(|c| key(c) + noise[c.pos]);
        let quota = self.pace.quota(step, proposal.candidates.len());
        Ok(Moves::commit(ranked.iter().take(quota).map(|c| c.pos)))
    }
}
