use super::{Alias, Moves, Pace, Policy, PolicyKey, PolicyKind, PolicyOption, Proposal, Takes, Values};
use crate::{Candidate, Result, Step};
use rand::Rng;

pub(super) const EPS: PolicyOption = PolicyOption {
    name: "eps",
    aliases: &[],
    takes: Takes::Share,
    value_name: "T",
    help: "Positions per step follow times that fall from 1 to this (Dream); evenly many by default",
};

pub(super) const ALG_TEMP: PolicyOption = PolicyOption {
    name: "alg_temp",
    aliases: &[],
    takes: Takes::Amount,
    value_name: "T",
    help: "Choose positions by chance, the likelier the readier they are",
};

const OPTIONS: &[PolicyKey] = &[
    PolicyKey { key: "eps", option: &EPS, default: None },
    PolicyKey { key: "temperature", option: &ALG_TEMP, default: Some(0.0) },
];

fn ranked(order: Order, values: &Values) -> Box<dyn Policy> {
    let pace = values.get(&EPS).map_or(values.pace(), Pace::falling);
    Box::new(Ranked { order, pace, temperature: values.number(&ALG_TEMP) })
}

/// `confidence`.
pub(super) const CONFIDENCE: PolicyKind = PolicyKind {
    name: "confidence",
    about: "the most probable tokens first",
    aliases: &[
        Alias::of("low_confidence"),
        Alias { name: "low_confidence_static", defaults: &[], whole_blocks: true },
        Alias::of("maskgit_plus"),
    ],
    options: OPTIONS,
    make: |values| ranked(Order::Confidence, values),
};

/// `margin`.
pub(super) const MARGIN: PolicyKind = PolicyKind {
    name: "margin",
    about: "where the best token leads most",
    aliases: &[Alias::of("topk_margin")],
    options: OPTIONS,
    make: |values| ranked(Order::Margin, values),
};

/// `entropy`.
pub(super) const ENTROPY: PolicyKind = PolicyKind {
    name: "entropy",
    about: "where the least is uncertain",
    aliases: &[],
    options: OPTIONS,
    make: |values| ranked(Order::Entropy, values),
};

/// `random`.
pub(super) const RANDOM: PolicyKind = PolicyKind {
    name: "random",
    about: "in random order",
    aliases: &[Alias::of("origin")],
    options: OPTIONS,
    make: |values| ranked(Order::Random, values),
};

/// `sequential`.
pub(super) const SEQUENTIAL: PolicyKind = PolicyKind {
    name: "sequential",
    about: "left to right",
    aliases: &[Alias::of("left_to_right")],
    options: OPTIONS,
    make: |values| ranked(Order::Sequential, values),
};

/// The criterion by which positions are ranked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The probability of the drawn token.
    Confidence,
    /// The probability of the likeliest token minus that of the second likeliest.
    Margin,
    /// The entropy of the position, smallest first.
    Entropy,
    /// A random order, for which masked diffusion is derived.
    Random,
    /// Left to right.
    Sequential,
}

/// Commits the first positions of an order; the pace sets their number.
#[derive(Debug, Clone, Copy)]
pub struct Ranked {
    /// The order of the positions.
    pub order: Order,
    /// The number of positions at a step.
    pub pace: Pace,
    /// Positions are drawn in proportion to exp(readiness / temperature); 0 takes the largest readiness. Source:
    /// Dream's `alg_temp`.
    pub temperature: f32,
}

impl Ranked {
    /// The order without temperature, in equal shares.
    pub fn new(order: Order) -> Self {
        Self { order, pace: Pace::Even, temperature: 0.0 }
    }

    /// The readiness of a candidate: candidates with a larger readiness are committed sooner.
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

    /// Gumbel noise per position. The largest sums of readiness / temperature and noise are a draw without replacement.
    fn noise(&self, step: &Step) -> Vec<f32> {
        let mut rng = step.rng(0x6b31);
        let gumbel = |u: f32| -(-(u.max(f32::MIN_POSITIVE)).ln()).ln();
        (0..step.canvas.len()).map(|_| self.temperature * gumbel(rng.random())).collect()
    }
}

impl Policy for Ranked {
    fn name(&self) -> &str {
        match self.order {
            Order::Confidence => CONFIDENCE.name,
            Order::Margin => MARGIN.name,
            Order::Entropy => ENTROPY.name,
            Order::Random => RANDOM.name,
            Order::Sequential => SEQUENTIAL.name,
        }
    }
    fn choose(&mut self, step: &Step, proposal: &Proposal) -> Result<Moves> {
        let key = Self::key(self.order, step);
        let noise = if self.temperature > 0.0 { self.noise(step) } else { vec![0.0; step.canvas.len()] };
        let ranked = proposal.ranked(|c| key(c) + noise[c.pos]);
        let quota = self.pace.quota(step, proposal.candidates.len());
        Ok(Moves::commit(ranked.iter().take(quota).map(|c| c.pos)))
    }
}
