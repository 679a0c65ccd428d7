//! Score rows as probabilities, read once and summed into classes.

use super::number::{Number, Wide, exp};
use crate::automata::{Class, TokenAutomaton};
use crate::{Pos, Scores, Token};

/// A score this far below its row's largest, at temperature 1, counts as no lower: −∞ is very unlikely, not illegal.
/// Only the constraint forbids.
const LOWEST: f64 = -1e9;

/// One row of scores, read as logarithms of weights relative to the largest.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    scores: &'a [f32],
    largest: f64,
    lowest: f64,
    inverse_temperature: f64,
}

impl<'a> Row<'a> {
    pub(super) fn new(scores: &'a Scores, pos: Pos, temperature: f32) -> Self {
        let scores = scores.row(pos);
        let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        // A row of nothing but −∞ says nothing: all tokens are equally likely.
        let (largest, lowest) = if largest.is_finite() { (largest as f64, LOWEST) } else { (0.0, 0.0) };
        Self { scores, largest, lowest, inverse_temperature: 1.0 / temperature as f64 }
    }

    /// Logarithm of the token's weight: at most 0.
    pub(super) fn log_weight(&self, token: Token) -> f64 {
        self.log(self.scores[token as usize])
    }

    fn log(&self, score: f32) -> f64 {
        (score as f64 - self.largest).max(self.lowest) * self.inverse_temperature
    }

    /// The weights of all tokens, into `weights`; returns their sum.
    pub(super) fn weights(&self, weights: &mut Vec<f64>) -> f64 {
        weights.clear();
        weights.extend(self.scores.iter().map(|&s| exp(self.log(s))));
        sum(weights)
    }
}

/// A sum whose terms do not wait for each other.
fn sum(values: &[f64]) -> f64 {
    let mut lanes = [0.0; 8];
    let chunks = values.chunks_exact(8);
    let rest: f64 = chunks.remainder().iter().sum();
    for chunk in chunks {
        lanes.iter_mut().zip(chunk).for_each(|(lane, v)| *lane += v);
    }
    lanes.iter().sum::<f64>() + rest
}

/// The tokens that may be drawn at a position, by class.
pub(super) enum Support<'a> {
    /// All tokens of every class.
    Full(&'a TokenAutomaton),
    /// What truncation has left.
    Kept(Kept),
}

impl Support<'_> {
    pub(super) fn members(&self, class: Class) -> &[Token] {
        match self {
            Self::Full(automaton) => automaton.members(class),
            Self::Kept(kept) => kept.members(class),
        }
    }
}

/// Tokens grouped by class.
pub(super) struct Kept {
    /// Ascending.
    pub(super) classes: Vec<Class>,
    first: Vec<usize>,
    tokens: Vec<Token>,
}

impl Kept {
    pub(super) fn new(mut tokens: Vec<(Class, Token)>) -> Self {
        tokens.sort_unstable();
        tokens.dedup();
        let (mut classes, mut first) = (Vec::new(), Vec::new());
        for (i, &(class, _)) in tokens.iter().enumerate() {
            if classes.last() != Some(&class) {
                classes.push(class);
                first.push(i);
            }
        }
        first.push(tokens.len());
        Self { classes, first, tokens: tokens.into_iter().map(|(_, token)| token).collect() }
    }

    fn members(&self, class: Class) -> &[Token] {
        match self.classes.binary_search(&class) {
            Ok(i) => &self.tokens[self.first[i]..self.first[i + 1]],
            Err(_) => &[],
        }
    }
}

/// Sums a row into class masses. Returns the logarithm of the sum of all weights, legal or not.
pub(super) trait ClassMass: Number {
    fn sum_classes(row: &Row, support: &Support, weights: &mut Vec<f64>, masses: &mut [Self]) -> f64;
}

impl ClassMass for f64 {
    fn sum_classes(row: &Row, support: &Support, weights: &mut Vec<f64>, masses: &mut [f64]) -> f64 {
        let total = row.weights(weights);
        for (class, mass) in masses.iter_mut().enumerate() {
            *mass = gather(weights, support.members(class as Class));
        }
        total.ln()
    }
}

fn gather(weights: &[f64], tokens: &[Token]) -> f64 {
    let mut lanes = [0.0; 4];
    let chunks = tokens.chunks_exact(4);
    let rest: f64 = chunks.remainder().iter().map(|&t| weights[t as usize]).sum();
    for chunk in chunks {
        lanes.iter_mut().zip(chunk).for_each(|(lane, &t)| *lane += weights[t as usize]);
    }
    lanes.iter().sum::<f64>() + rest
}

impl ClassMass for Wide {
    fn sum_classes(row: &Row, support: &Support, weights: &mut Vec<f64>, masses: &mut [Wide]) -> f64 {
        for (class, mass) in masses.iter_mut().enumerate() {
            let logs = || support.members(class as Class).iter().map(|&t| row.log_weight(t));
            let largest = logs().fold(f64::NEG_INFINITY, f64::max);
            *mass = match largest {
                f64::NEG_INFINITY => Wide::ZERO,
                _ => Wide::exp(largest).times(Wide::from(logs().map(|x| exp(x - largest)).sum())),
            };
        }
        row.weights(weights).ln()
    }
}
