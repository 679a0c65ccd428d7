//! The model's distribution, conditioned on the constraint.

use super::feasible::Problem;
use super::graph::Graph;
use super::layers::Layers;
use super::messages::Messages;
use super::number::{Message, Wide};
use super::row::{Mass, Row};
use super::support::Support;
use super::tables::Tables;
use super::{map, parallel, sample};
use crate::automata::{Class, TokenAutomaton};
use crate::{Candidate, Pos, Token};
use rand::Rng;
use std::sync::{Arc, OnceLock};

/// The distribution of one step, conditioned on the constraint: the scores' factorised distribution restricted to
/// the texts that fit, and renormalised.
///
/// All answers are of the truncated distribution where [`Options`](super::Options) ask for truncation, except
/// [`log_z`](Self::log_z). The messages of both passes are computed at once; answers are computed from them when they
/// are asked for, for one position at a time.
pub struct Posterior<'a, G = TokenAutomaton> {
    pub(super) problem: Problem<'a, G>,
    pub(super) layers: Arc<Layers>,
    pub(super) tables: Arc<Tables>,
    /// Row of each position among the open ones; `None` where decided.
    pub(super) open: Vec<Option<usize>>,
    /// The row of each open position.
    pub(super) rows: Vec<Row<'a>>,
    /// For each open position the masses of its support's classes.
    pub(super) masses: Vec<Vec<Mass>>,
    pub(super) messages: Solved,
    /// For each open position the posterior probabilities of its support's classes.
    pub(super) classes: Vec<OnceLock<Vec<f64>>>,
    /// Logarithm of the weight of all fitting texts, before truncation.
    pub(super) log_sum: f64,
}

/// Messages in the first number type that holds them without underflow.
pub(super) enum Solved {
    Single(Messages<f32>),
    Plain(Messages<f64>),
    Wide(Messages<Wide>),
}

impl Solved {
    pub(super) fn log_sum(&self) -> f64 {
        match self {
            Self::Single(m) => m.log_sum,
            Self::Plain(m) => m.log_sum,
            Self::Wide(m) => m.log_sum,
        }
    }
}

/// An open position.
#[derive(Clone, Copy)]
pub(super) struct Place<'p> {
    pub(super) pos: Pos,
    /// Its index among the open positions.
    pub(super) open: usize,
    pub(super) support: &'p Support,
}

/// A class that can stand at an open position.
struct Legal<'p> {
    class: Class,
    prob: f64,
    /// The difference between the logarithms of a member's posterior probability and of its weight.
    shift: f64,
    members: &'p [Token],
}

impl<G: Graph> Posterior<'_, G> {
    /// Logarithm, in nats, of the probability that a text drawn position by position from the scores fits the
    /// constraint: at most 0. Decided positions count with factor 1; truncation does not enter.
    ///
    /// This needs the weight of the illegal tokens too: rows of which only the legal ones have been read are read in
    /// full when it is asked for first. NaN if a score that no text can use is NaN.
    pub fn log_z(&self) -> f64 {
        let work = self.rows.len() * self.problem.automaton.vocab_len();
        let totals: f64 = parallel::map(self.rows.iter().collect(), work, |row: &Row| row.log_total()).iter().sum();
        // `min` would pass over NaN.
        let log_z = self.log_sum - totals;
        if log_z > 0.0 { 0.0 } else { log_z }
    }

    /// The most probable text: one token per position, tail included. Of equally probable texts the one whose
    /// first differing token is lowest.
    pub fn map(&self) -> Vec<Token> {
        map::map(self)
    }

    /// One text, drawn from the joint distribution of all positions: one token per position, tail included. Any
    /// subset of it can be completed by the rest of it.
    ///
    /// Three numbers are taken from `rng` for each undecided position. The generator is the caller's, of the crate
    /// `rand`, so that a run can go on drawing from one stream; [`Projection::sample`](crate::Projection::sample) takes a
    /// seed instead.
    pub fn sample(&self, rng: &mut impl Rng) -> Vec<Token> {
        sample::sample(self, rng)
    }

    /// Probability of `token` at `pos`, given that the text fits.
    pub fn prob(&self, pos: Pos, token: Token) -> f32 {
        let Some(place) = self.place(pos) else {
            return (self.problem.decided[pos] == Some(token)) as u8 as f32;
        };
        let class = self.problem.automaton.class_of(token).and_then(|class| place.support.place(class));
        match class.and_then(|class| self.legal(place, class)) {
            Some(legal) if legal.members.binary_search(&token).is_ok() => {
                probability(self.rows[place.open].log_weight(token) + legal.shift)
            }
            _ => 0.0,
        }
    }

    /// Probabilities of all tokens at `pos`, given that the text fits: V numbers that sum to 1.
    pub fn marginal(&self, pos: Pos) -> Vec<f32> {
        let mut marginal = vec![0.0; self.problem.automaton.vocab_len()];
        match (self.place(pos), self.problem.decided[pos]) {
            (Some(place), _) => self.each_probability(place, |_, token, p| marginal[token as usize] = p as f32),
            (None, Some(token)) => marginal[token as usize] = 1.0,
            (None, None) => {}
        }
        marginal
    }

    /// Writes the logarithms of [`marginal`](Self::marginal) to `out`, V numbers: the projected logits of a position,
    /// −∞ where a token is illegal or was truncated.
    ///
    /// # Panics
    /// When `out` is shorter than the vocabulary.
    pub fn log_marginal(&self, pos: Pos, out: &mut [f32]) {
        let graph = self.problem.automaton;
        out.fill(f32::NEG_INFINITY);
        match (self.place(pos), self.problem.decided[pos]) {
            (Some(place), _) if place.support.is_full() && place.support.tokens * 4 > graph.vocab_len() => {
                let mut shifts = vec![f64::NEG_INFINITY; graph.classes()];
                self.all_legal(place).for_each(|legal| shifts[legal.class as usize] = legal.shift);
                self.rows[place.open].shifted(graph, &shifts, out);
            }
            (Some(place), _) => {
                let row = &self.rows[place.open];
                for legal in self.all_legal(place) {
                    let write = |&token: &Token| out[token as usize] = (row.log_weight(token) + legal.shift) as f32;
                    legal.members.iter().for_each(write);
                }
            }
            (None, Some(token)) => out[token as usize] = 0.0,
            (None, None) => {}
        }
    }

    /// The two likeliest tokens at `pos` with their probabilities, the likelier first; the lower token on a tie. The
    /// second is `None` where only one token is left.
    pub fn top2(&self, pos: Pos) -> ((Token, f32), Option<(Token, f32)>) {
        match self.place(pos) {
            Some(place) => self.summary(place).top2(),
            None => {
                debug_assert!(self.problem.decided[pos].is_some(), "a position without a support is decided");
                ((self.problem.decided[pos].unwrap_or_default(), 1.0), None)
            }
        }
    }

    /// Probability of the likeliest token at `pos` minus that of the next.
    pub fn margin(&self, pos: Pos) -> f32 {
        self.place(pos).map_or(1.0, |place| self.summary(place).margin())
    }

    /// Entropy of the marginal at `pos`, in nats.
    pub fn entropy(&self, pos: Pos) -> f32 {
        self.place(pos).map_or(0.0, |place| self.summary(place).entropy())
    }

    /// What a policy needs to know of each undecided position, with the token that `text` has there.
    pub fn candidates(&self, text: &[Token]) -> Vec<Candidate> {
        let undecided: Vec<Pos> = (0..self.open.len()).filter(|&pos| self.open[pos].is_some()).collect();
        self.candidates_at(&undecided, text)
    }

    /// [`candidates`](Self::candidates) of some undecided positions only; decided ones are passed over.
    pub fn candidates_at(&self, positions: &[Pos], text: &[Token]) -> Vec<Candidate> {
        let places: Vec<Place> = positions.iter().filter_map(|&pos| self.place(pos)).collect();
        let candidate = |place: Place| {
            let (pos, summary) = (place.pos, self.summary(place));
            let prob = self.prob(pos, text[pos]);
            let best = summary.top2().0.0;
            Candidate { pos, token: text[pos], prob, best, margin: summary.margin(), entropy: summary.entropy() }
        };
        let work = places.len() * self.problem.automaton.vocab_len();
        parallel::map(places, work, candidate)
    }

    /// The summary of an open position, from one pass over its legal scores.
    fn summary(&self, place: Place) -> Summary {
        let (row, masses) = (&self.rows[place.open], &self.masses[place.open]);
        let source = (self.problem.automaton, &*self.tables, place.support);
        let mut summary = Summary { best: [(f64::NEG_INFINITY, Token::MAX); 2], entropy: 0.0 };
        // Classes whose largest scores are known, but not yet which tokens have them.
        let (mut rough, mut least) = (Vec::new(), summary);
        let found = row.shapes(source, Some(masses));
        for (class, legal) in self.legal_places(place) {
            match found[class].filter(|found| !row.is_level(found.best[1]) || legal.members.len() == 1) {
                Some(found) => {
                    summary.entropy -= legal.negative_entropy(masses[class].sum(), found.moment);
                    let scores = &found.best[..legal.members.len().min(2)];
                    scores.iter().for_each(|&score| least.see(row.log(score) + legal.shift, Token::MAX));
                    rough.push((class, legal, found.best));
                }
                None => self.look(place, &legal, &mut summary),
            }
        }
        summary.best.iter().for_each(|&(log, _)| least.see(log, Token::MAX));
        for (class, legal, best) in rough {
            let [first, second] = best.map(|score| row.log(score) + legal.shift);
            if first >= least.best[1].0 {
                let n = 1 + (first == second) as usize;
                row.with_score((self.problem.automaton, place.support), class, best[0], n)
                    .into_iter()
                    .for_each(|token| summary.see(first, token));
            }
            if first > second && second >= least.best[1].0 && legal.members.len() > 1 {
                row.with_score((self.problem.automaton, place.support), class, best[1], 1)
                    .into_iter()
                    .for_each(|token| summary.see(second, token));
            }
        }
        summary
    }

    /// Adds a class to the summary, from one pass over its scores.
    fn look(&self, place: Place, legal: &Legal, summary: &mut Summary) {
        let (row, mut buffer) = (&self.rows[place.open], Vec::new());
        let found = row.scores(legal.members, &mut buffer);
        let (sum, moment) = row.moments(&found, &buffer);
        summary.entropy -= legal.negative_entropy(sum, moment);
        let mut see = |at: usize| {
            let log = row.log_weight(legal.members[at]) + legal.shift;
            summary.see(log, legal.members[at]);
            log >= summary.best[1].0
        };
        let first = buffer.iter().position(|&score| found.level || score == found.largest);
        debug_assert!(first.is_some(), "the largest score is one of the scores");
        let first = first.unwrap_or_default();
        if see(first) && buffer.len() > 1 {
            buffer[first] = f32::NEG_INFINITY;
            let largest = buffer.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let second = |&at: &usize| at != first && (found.level || buffer[at] == largest);
            (0..buffer.len()).find(second).map(see);
        }
    }

    /// Calls `visit` with class, token and probability of everything that can stand at an open position.
    fn each_probability(&self, place: Place, mut visit: impl FnMut(Class, Token, f64)) {
        let row = &self.rows[place.open];
        let (mut buffer, mut weights) = (Vec::new(), Vec::new());
        for legal in self.all_legal(place) {
            let found = row.scores(legal.members, &mut buffer);
            row.weigh(&found, &mut buffer, &mut weights);
            let factor = (found.log + legal.shift).exp();
            let members = legal.members.iter().zip(&weights);
            members.for_each(|(&token, &weight)| visit(legal.class, token, weight as f64 * factor));
        }
    }

    /// Legal tokens of an open position with their probabilities.
    pub(super) fn probabilities(&self, place: Place) -> Vec<(f64, Token, Class)> {
        let mut all = Vec::with_capacity(place.support.tokens);
        self.each_probability(place, |class, token, p| all.push((p, token, class)));
        all
    }

    fn all_legal<'p>(&'p self, place: Place<'p>) -> impl Iterator<Item = Legal<'p>> {
        self.legal_places(place).map(|(_, legal)| legal)
    }

    /// The legal classes, with their indices in the support.
    fn legal_places<'p>(&'p self, place: Place<'p>) -> impl Iterator<Item = (usize, Legal<'p>)> {
        (0..place.support.classes.len()).filter_map(move |class| Some((class, self.legal(place, class)?)))
    }

    /// The class at an index in the support; `None` if its probability is 0.
    fn legal<'p>(&'p self, place: Place<'p>, class: usize) -> Option<Legal<'p>> {
        let prob = self.class_posterior(place)[class];
        if prob == 0.0 {
            return None;
        }
        let shift = prob.ln() - self.masses[place.open][class].ln();
        let members = place.support.members(self.problem.automaton, class);
        Some(Legal { class: place.support.classes[class], prob, shift, members })
    }

    fn class_posterior(&self, place: Place) -> &[f64] {
        fn found<M: Message, G: Graph>(posterior: &Posterior<G>, messages: &Messages<M>, place: Place) -> Vec<f64> {
            let graph = posterior.problem.automaton;
            let masses = &posterior.masses[place.open];
            messages.classes((graph, &*posterior.tables), &posterior.layers, (place.pos, place.support), masses)
        }
        self.classes[place.open].get_or_init(|| match &self.messages {
            Solved::Single(messages) => found(self, messages, place),
            Solved::Plain(messages) => found(self, messages, place),
            Solved::Wide(messages) => found(self, messages, place),
        })
    }

    /// The open position at `pos`; `None` where a token is decided.
    pub(super) fn place(&self, pos: Pos) -> Option<Place<'_>> {
        let support = self.layers.supports[pos].as_deref()?;
        Some(Place { pos, open: self.open[pos]?, support })
    }
}

/// Probability from its logarithm, which may exceed 0 by rounding.
fn probability(log: f64) -> f32 {
    log.min(0.0).exp() as f32
}

impl Legal<'_> {
    /// Σ p ln p of the members, from Σ w and Σ w ln w of their weights in any unit.
    fn negative_entropy(&self, sum: f64, moment: f64) -> f64 {
        self.prob * (self.prob.ln() - sum.ln() + moment / sum)
    }
}

/// Summary of one position's probabilities.
#[derive(Clone, Copy)]
struct Summary {
    /// Logarithm and token of the two likeliest.
    best: [(f64, Token); 2],
    entropy: f64,
}

impl Summary {
    fn see(&mut self, log: f64, token: Token) {
        let above = |(best, other): (f64, Token)| log > best || log == best && token < other;
        if above(self.best[1]) {
            self.best[1] = (log, token);
            if above(self.best[0]) {
                self.best.swap(0, 1);
            }
        }
    }
    fn top2(&self) -> ((Token, f32), Option<(Token, f32)>) {
        let [first, second] = self.best.map(|(log, token)| (token, probability(log)));
        (first, (self.best[1].0 > f64::NEG_INFINITY).then_some(second))
    }
    fn margin(&self) -> f32 {
        let ((_, first), second) = self.top2();
        first - second.map_or(0.0, |(_, p)| p)
    }
    fn entropy(&self) -> f32 {
        self.entropy.max(0.0) as f32
    }
}
