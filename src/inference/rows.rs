//! Score rows as probabilities, read once and summed into classes.

use super::exp::{LANES, exp, exp_all};
use super::graph::Graph;
use super::number::{Number, Wide};
use crate::automata::Class;
use crate::{Error, Pos, Result, Scores, Token};

/// A score this far below its row's largest, at temperature 1, counts as no lower: −∞ is very unlikely, not illegal.
/// Only the constraint forbids.
const LOWEST: f64 = -1e9;
/// No logarithm of a weight is below this, at any temperature: sums over all positions must stay exact enough.
const LOWEST_LOG: f64 = -1e12;

/// One row of scores, read as logarithms of weights relative to the largest.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    scores: &'a [f32],
    largest: f64,
    lowest: f64,
    inverse_temperature: f64,
}

impl<'a> Row<'a> {
    pub(super) fn new(scores: &'a Scores, pos: Pos, temperature: f32) -> Result<Self> {
        let scores = scores.row(pos);
        let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        if largest == f32::INFINITY {
            return Err(Error::model(format!("the scores of position {pos} are infinite")));
        }
        let lowest = LOWEST.max(LOWEST_LOG * temperature as f64);
        // A row of nothing but −∞ says nothing: all tokens are equally likely.
        let (largest, lowest) = if largest.is_finite() { (largest as f64, lowest) } else { (0.0, 0.0) };
        Ok(Self { scores, largest, lowest, inverse_temperature: 1.0 / temperature as f64 })
    }

    /// Logarithm of the token's weight: at most 0.
    pub(super) fn log_weight(&self, token: Token) -> f64 {
        self.log(self.scores[token as usize])
    }

    #[inline(always)]
    fn log(&self, score: f32) -> f64 {
        let below = score as f64 - self.largest;
        (if below > self.lowest { below } else { self.lowest }) * self.inverse_temperature
    }

    /// Calls `visit` with up to eight tokens at a time and the logarithms of their weights, plus `shift`; what is
    /// missing of eight is filled up with logarithms of next to nothing.
    #[inline(always)]
    pub(super) fn visit(&self, tokens: &[Token], shift: f64, mut visit: impl FnMut(&[Token], [f64; LANES])) {
        for chunk in tokens.chunks(LANES) {
            let mut logs = [-1e3; LANES];
            logs.iter_mut().zip(chunk).for_each(|(log, &t)| *log = self.log(self.scores[t as usize]) + shift);
            visit(chunk, logs);
        }
    }

    /// The weights of all tokens, and their sum.
    fn weights(&self) -> (Vec<f64>, f64) {
        let mut weights = vec![0.0; self.scores.len()];
        let mut sums = [0.0; LANES];
        let mut scores = self.scores.chunks_exact(LANES);
        let mut chunks = weights.chunks_exact_mut(LANES);
        for (weights, scores) in (&mut chunks).zip(&mut scores) {
            let mut logs = [0.0; LANES];
            logs.iter_mut().zip(scores).for_each(|(log, &s)| *log = self.log(s));
            exp_all(&mut logs);
            sums.iter_mut().zip(&logs).for_each(|(sum, w)| *sum += w);
            weights.copy_from_slice(&logs);
        }
        let mut rest = 0.0;
        for (weight, &score) in chunks.into_remainder().iter_mut().zip(scores.remainder()) {
            *weight = exp(self.log(score));
            rest += *weight;
        }
        (weights, sums.iter().sum::<f64>() + rest)
    }
}

/// The tokens that may be drawn at a position, by class.
pub(super) enum Support {
    /// All tokens of every class.
    Full,
    /// What truncation has left.
    Kept(Kept),
}

impl Support {
    pub(super) fn members<'a, G: Graph>(&'a self, graph: &'a G, class: Class) -> &'a [Token] {
        match self {
            Self::Full => graph.members(class),
            Self::Kept(kept) => kept.members(class),
        }
    }
}

/// Tokens grouped by class.
pub(super) struct Kept {
    /// Ascending.
    classes: Vec<Class>,
    first: Vec<usize>,
    tokens: Vec<Token>,
    /// For each label whether one of these classes bears it.
    pub(super) labels: Vec<bool>,
}

impl Kept {
    pub(super) fn new<G: Graph>(graph: &G, mut tokens: Vec<(Class, Token)>) -> Self {
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
        let mut kept = vec![false; graph.classes()];
        classes.iter().for_each(|&class| kept[class as usize] = true);
        let bears = |label| graph.label(label).iter().any(|&class| kept[class as usize]);
        let labels = (0..graph.labels() as u32).map(bears).collect();
        Self { classes, first, tokens: tokens.into_iter().map(|(_, token)| token).collect(), labels }
    }

    fn members(&self, class: Class) -> &[Token] {
        match self.classes.binary_search(&class) {
            Ok(i) => &self.tokens[self.first[i]..self.first[i + 1]],
            Err(_) => &[],
        }
    }
}

/// Sums a row into class masses.
pub(super) trait ClassMass: Number {
    /// Returns the logarithm of the sum of all weights, legal or not, where the whole row is read; 0 otherwise.
    fn sum_classes<G: Graph>(graph: &G, row: &Row, support: &Support, masses: &mut [Self]) -> f64;
}

impl ClassMass for f64 {
    fn sum_classes<G: Graph>(graph: &G, row: &Row, support: &Support, masses: &mut [f64]) -> f64 {
        match support {
            Support::Full => {
                let (weights, total) = row.weights();
                for (mass, class) in masses.iter_mut().zip(0..) {
                    *mass = gather(&weights, graph.members(class));
                }
                total.ln()
            }
            Support::Kept(kept) => {
                for &class in &kept.classes {
                    masses[class as usize] = kept.members(class).iter().map(|&t| exp(row.log_weight(t))).sum();
                }
                0.0
            }
        }
    }
}

/// A sum whose terms do not wait for each other.
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
    fn sum_classes<G: Graph>(graph: &G, row: &Row, support: &Support, masses: &mut [Wide]) -> f64 {
        for (mass, class) in masses.iter_mut().zip(0..) {
            let logs = || support.members(graph, class).iter().map(|&t| row.log_weight(t));
            let largest = logs().fold(f64::NEG_INFINITY, f64::max);
            if largest > f64::NEG_INFINITY {
                *mass = Wide::exp(largest).times(Wide::from(logs().map(|x| exp(x - largest)).sum()));
            }
        }
        match support {
            Support::Full => row.weights().1.ln(),
            Support::Kept(_) => 0.0,
        }
    }
}
