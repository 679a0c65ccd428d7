//! Rows of scores: the legal scores of a position are read once and summed into the masses of token classes.

use super::graph::Graph;
use super::logits::Logits;
use super::number::Number;
use super::support::Support;
use super::tables::Tables;
use crate::automata::Class;
use crate::inference::simd::{Lists, Parts, Scale, Shape, Shapes, Simd};
use crate::{Error, Pos, Result, Token};
use std::sync::OnceLock;

/// The floor of scores, relative to the largest of the row, at temperature 1. A lower score counts as this: −∞ means
/// very unlikely, not illegal, since only the constraint forbids.
const LOWEST: f64 = -1e9;
/// The floor of the logarithms of weights, at any temperature: sums over all positions must stay exact enough.
const LOWEST_LOG: f64 = -1e12;

/// The whole row is read, in order, where at least one token in 12 is legal: that takes no longer than fetching the
/// legal ones from memory one by one.
const WHOLE: usize = 12;
/// Classes are summed from the lists of all classes unless fewer than one listed token in 3 is legal: fetching a token
/// on its own costs 3 times as much.
const LISTED: usize = 3;
/// The tokens of a class are looked up one by one where the vocabulary is at least 6 times larger than the class.
const SCATTERED: usize = 6;
/// A class whose mass, relative to the likeliest token, is below this is summed again on its own: single precision may
/// have lost a part of it that matters.
const FAINT: f64 = 1e-18;

/// The mass of a class: sum · e^log, in units of the row's origin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Mass {
    log: f64,
    sum: f64,
}

impl Mass {
    pub(super) fn ln(self) -> f64 {
        self.log + self.sum.ln()
    }
    pub(super) fn sum(self) -> f64 {
        self.sum
    }
    pub(super) fn number<N: Number>(self) -> N {
        N::exp(self.log, self.sum)
    }
}

/// One row, read as logarithms of weights relative to an origin.
pub(super) struct Row<'a> {
    logits: Logits<'a>,
    /// The largest score that has been read.
    origin: f64,
    lowest: f64,
    inverse_temperature: f64,
    scale: Scale,
    /// Logarithm of the weight of all tokens, legal or not.
    log_total: OnceLock<f64>,
}

/// The scale of the weights of some tokens, by which the likeliest of them weighs 1.
pub(super) struct Weights {
    /// Logarithm of the weight of the likeliest token.
    pub(super) log: f64,
    pub(super) largest: f32,
    /// Whether all scores are at the floor, so that the tokens weigh the same.
    pub(super) level: bool,
}

impl<'a> Row<'a> {
    /// Reads the scores of the tokens that are legal at `pos`; returns the row and the masses of the support's classes.
    ///
    /// # Errors
    /// NaN or +∞ among the scores that are read.
    pub(super) fn read<G: Graph>(
        logits: Logits<'a>,
        (graph, tables, support): (&G, &Tables, &Support),
        temperature: f32,
        pos: Pos,
    ) -> Result<(Self, Vec<Mass>)> {
        let inverse_temperature = 1.0 / temperature as f64;
        let mut row = Self {
            logits,
            origin: f64::NEG_INFINITY,
            lowest: LOWEST.max(LOWEST_LOG * temperature as f64),
            inverse_temperature,
            scale: Scale::new(inverse_temperature),
            log_total: OnceLock::new(),
        };
        let masses = if is_whole(graph, support) {
            row.read_whole(graph, tables, support)
        } else {
            row.read_legal(graph, support)
        };
        match masses {
            Some(masses) => Ok((row, masses)),
            None => Err(row.damaged(pos)),
        }
    }

    /// The masses from one pass over the whole row; `None` if a score is NaN or +∞.
    fn read_whole<G: Graph>(&mut self, graph: &G, tables: &Tables, support: &Support) -> Option<Vec<Mass>> {
        let (mut space, simd) = (Vec::new(), Simd::best());
        let values = Logits::F32(self.logits.single(&mut space));
        let Logits::F32(all) = values else { return None };
        let lists = useful(graph, tables, support);
        let alone = lists.is_some_and(Lists::alone);
        let mut sums = vec![0.0; lists.map_or(0, |_| graph.classes())];
        let largest = match lists {
            None => simd.max(all),
            Some(lists) => {
                let (largest, total) = simd.softmax_parts(all, self.scale, &mut Parts { lists, sums: &mut sums });
                if total.is_nan() {
                    return None;
                }
                match alone {
                    true if largest == f32::NEG_INFINITY => return self.read_legal(graph, support),
                    false if largest > f32::NEG_INFINITY => _ = self.log_total.get_or_init(|| total.ln()),
                    _ => {}
                }
                largest
            }
        };
        self.set_origin(largest)?;
        let mut buffer = Vec::new();
        let mass = |(place, sum): (usize, Option<f64>)| match sum.filter(|&sum| sum > FAINT) {
            Some(sum) => Some(Mass { log: 0.0, sum }),
            None => self.mass(&values, support.members(graph, place), &mut buffer),
        };
        let sums = support.classes.iter().map(|&class| sums.get(class as usize).copied());
        let masses: Vec<Mass> = sums.enumerate().map(mass).collect::<Option<_>>()?;
        // The floor of such unlikely scores is relative to the row's largest, which only the other way of reading
        // finds.
        let deep = |mass: &Mass| mass.log <= LOWEST / 10.0 * self.inverse_temperature;
        if alone && masses.iter().any(deep) { self.read_legal(graph, support) } else { Some(masses) }
    }

    /// The masses from the scores of the legal tokens alone; `None` if one is NaN or +∞.
    fn read_legal<G: Graph>(&mut self, graph: &G, support: &Support) -> Option<Vec<Mass>> {
        let (mut buffer, simd) = (Vec::new(), Simd::best());
        let peaks = (0..support.classes.len()).map(|place| {
            self.logits.gather(support.members(graph, place), &mut buffer);
            let largest = simd.max(&buffer);
            let sum = if largest.is_finite() { self.sum(&buffer, largest) } else { buffer.iter().sum::<f32>() as f64 };
            (largest, sum)
        });
        let peaks: Vec<(f32, f64)> = peaks.collect();
        if peaks.iter().any(|&(_, sum)| sum.is_nan()) {
            return None;
        }
        let largest = peaks.iter().fold(f32::NEG_INFINITY, |a, &(b, _)| a.max(b));
        // The floor of such unlikely scores is relative to the row's largest.
        let deep = peaks
            .iter()
            .any(|&(peak, _)| (peak as f64 - largest as f64) <= LOWEST / 10.0 || largest == f32::NEG_INFINITY);
        self.set_origin(if deep { simd.max(self.logits.single(&mut Vec::new())) } else { largest })?;
        let masses = peaks.into_iter().enumerate().map(|(place, (peak, sum))| match self.log(peak) {
            log if self.is_level(peak) => Mass { log, sum: support.members(graph, place).len() as f64 },
            log => Mass { log, sum },
        });
        Some(masses.collect())
    }

    /// Sets the score that weighs 1; `None` if it is NaN or +∞.
    fn set_origin(&mut self, largest: f32) -> Option<()> {
        if largest.is_finite() {
            self.origin = largest as f64;
        } else {
            // In a row of nothing but −∞ all tokens are equally likely.
            (self.origin, self.lowest) = (0.0, 0.0);
            self.log_total.get_or_init(|| (self.logits.len() as f64).ln());
        }
        (largest < f32::INFINITY).then_some(())
    }

    /// The mass of some tokens; `None` if a score is NaN.
    fn mass(&self, values: &Logits, tokens: &[Token], buffer: &mut Vec<f32>) -> Option<Mass> {
        if let &[token] = tokens {
            let value = values.get(token);
            return (!value.is_nan()).then(|| Mass { log: self.log(value), sum: 1.0 });
        }
        values.gather(tokens, buffer);
        let largest = Simd::best().max(buffer);
        if self.is_level(largest) {
            let damaged = buffer.iter().any(|x| x.is_nan());
            return (!damaged).then(|| Mass { log: self.log(largest), sum: tokens.len() as f64 });
        }
        let sum = self.sum(buffer, largest);
        (!sum.is_nan()).then(|| Mass { log: self.log(largest), sum })
    }

    fn sum(&self, scores: &[f32], largest: f32) -> f64 {
        match scores {
            [_] => 1.0,
            _ => Simd::best().sum_exp(scores, largest, self.scale),
        }
    }

    /// The mass of some tokens, relative to the row's origin.
    pub(super) fn mass_of(&self, tokens: &[Token], buffer: &mut Vec<f32>) -> Mass {
        self.mass(&self.logits, tokens, buffer).unwrap_or(Mass { log: f64::NAN, sum: f64::NAN })
    }

    pub(super) fn is_level(&self, largest: f32) -> bool {
        largest as f64 - self.origin <= self.lowest
    }

    /// Logarithm of the weight of a score.
    pub(super) fn log(&self, score: f32) -> f64 {
        let below = score as f64 - self.origin;
        (if below > self.lowest { below } else { self.lowest }) * self.inverse_temperature
    }

    /// Logarithm of the token's weight: at most 0.
    pub(super) fn log_weight(&self, token: Token) -> f64 {
        self.log(self.logits.get(token))
    }

    /// Leaves the tokens' scores in `buffer`.
    pub(super) fn scores(&self, tokens: &[Token], buffer: &mut Vec<f32>) -> Weights {
        self.logits.gather(tokens, buffer);
        let largest = Simd::best().max(buffer);
        Weights { log: self.log(largest), largest, level: self.is_level(largest) }
    }

    /// The scale that `mass` is relative to: the likeliest token of the row, or of `tokens`.
    pub(super) fn unit(&self, mass: Mass, tokens: &[Token], buffer: &mut Vec<f32>) -> Weights {
        match self.origin as f32 {
            largest if mass.log == 0.0 => Weights { log: 0.0, largest, level: self.is_level(largest) },
            _ => self.scores(tokens, buffer),
        }
    }

    /// Leaves the tokens' scores in `buffer`; returns the sum of their weights.
    pub(super) fn weight(&self, unit: &Weights, tokens: &[Token], buffer: &mut Vec<f32>) -> f64 {
        self.logits.gather(tokens, buffer);
        match unit.level {
            true => tokens.len() as f64,
            false => Simd::best().sum_exp(buffer, unit.largest, self.scale),
        }
    }

    /// Turns scores into weights relative to the likeliest.
    pub(super) fn weigh(&self, found: &Weights, buffer: &mut [f32], weights: &mut Vec<f32>) {
        weights.clear();
        weights.resize(buffer.len(), 1.0);
        if !found.level {
            Simd::best().exp(buffer, found.largest, self.scale, weights);
        }
    }

    /// Σ w and Σ w ln w of the weights w, relative to the likeliest.
    pub(super) fn moments(&self, found: &Weights, buffer: &[f32]) -> (f64, f64) {
        match buffer {
            [_] => (1.0, 0.0),
            _ if found.level => (buffer.len() as f64, 0.0),
            _ => Simd::best().moments(buffer, found.largest, self.scale),
        }
    }

    /// Logarithm of the weight of all tokens together, legal or not: the first call reads the whole row if that has not
    /// been done. NaN if a score is NaN.
    pub(super) fn log_total(&self) -> f64 {
        *self.log_total.get_or_init(|| {
            let peak = Simd::best().softmax(self.logits.single(&mut Vec::new()), self.scale);
            peak.sum.ln() + (peak.value as f64 - self.origin) * self.inverse_temperature
        })
    }

    /// The two largest scores of each class of the support from one pass over the row, with its moment relative to the
    /// row's origin if `masses` are given. `None` for a class that must be read on its own, and for all where one pass
    /// does not pay.
    pub(super) fn shapes<G: Graph>(
        &self,
        (graph, tables, support): (&G, &Tables, &Support),
        masses: Option<&[Mass]>,
    ) -> Vec<Option<Shape>> {
        let Some(lists) = useful(graph, tables, support).filter(|_| is_whole(graph, support)) else {
            return vec![None; support.classes.len()];
        };
        let mut shapes = vec![Shape::NONE; graph.classes()];
        let moments_of = masses.map(|_| (self.origin as f32, self.scale));
        let parts = &mut Shapes { lists, shapes: &mut shapes };
        Simd::best().shapes(self.logits.single(&mut Vec::new()), moments_of, parts);
        // A mass in other units than the origin's was summed on its own, so that the moment must be too.
        let usual = |place: usize| masses.is_none_or(|masses| masses[place].log == 0.0);
        let shape = |(place, &class): (usize, &Class)| usual(place).then(|| shapes[class as usize]);
        support.classes.iter().enumerate().map(shape).collect()
    }

    /// The first `n` tokens of a class of the support that have this score; the first of all tokens if the score is at
    /// the floor, where tokens weigh the same.
    pub(super) fn with_score<G: Graph>(
        &self,
        (graph, support): (&G, &Support),
        place: usize,
        score: f32,
        n: usize,
    ) -> Vec<Token> {
        let (class, members) = (support.classes[place], support.members(graph, place));
        if self.is_level(score) {
            return members.iter().copied().take(n).collect();
        }
        if !support.is_full() || members.len() * SCATTERED < self.logits.len() {
            return members.iter().copied().filter(|&token| self.logits.get(token) == score).take(n).collect();
        }
        let mut space = Vec::new();
        let (scores, mut from, mut found) = (self.logits.single(&mut space), 0, Vec::new());
        while let Some(at) = Simd::best().position(&scores[from..], score).filter(|_| found.len() < n) {
            let token = (from + at) as Token;
            found.extend((graph.class_of(token) == Some(class)).then_some(token));
            from += at + 1;
        }
        found
    }

    /// Writes the logarithm of each token's weight plus `shift[class]`; −∞ for a token without a class.
    pub(super) fn shifted<G: Graph>(&self, graph: &G, shift: &[f64], out: &mut [f32]) {
        let mut space = Vec::new();
        for ((&score, out), token) in self.logits.single(&mut space).iter().zip(out).zip(0..) {
            *out = graph.class_of(token).map_or(f32::NEG_INFINITY, |c| (self.log(score) + shift[c as usize]) as f32);
        }
    }

    fn damaged(&self, pos: Pos) -> Error {
        let mut space = Vec::new();
        let values = self.logits.single(&mut space);
        let bad = values.iter().position(|x| x.is_nan() || *x == f32::INFINITY).unwrap_or_default();
        let value = values.get(bad).copied().unwrap_or(f32::NAN);
        Error::model(format!("scores: {value} at position {pos}, token {bad}: the weights are damaged"))
            .help("scores are finite or −∞")
    }
}

/// Whether so many tokens are legal that the whole row is read.
fn is_whole<G: Graph>(graph: &G, support: &Support) -> bool {
    support.tokens * WHOLE >= graph.vocab_len()
}

/// The lists of all classes, if the support has whole classes, and enough of their tokens are legal.
fn useful<'t, G: Graph>(graph: &G, tables: &'t Tables, support: &Support) -> Option<&'t Lists> {
    let lists = support.is_full().then(|| tables.lists(graph));
    lists.filter(|lists| support.tokens * LISTED > lists.len())
}
