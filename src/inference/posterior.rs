//! The model's distribution, conditioned on the constraint.

use super::exp::{exp, exp_all};
use super::graph::Graph;
use super::messages::Messages;
use super::number::{Number, Wide};
use super::parallel;
use super::reach::{Choice, Layers, Problem};
use super::rows::{Row, Support};
use crate::automata::{Class, TokenAutomaton};
use crate::{Candidate, Pos, Token};
use std::sync::Arc;

/// The distribution of one step, conditioned on the constraint: the scores' factorised distribution restricted to
/// the texts that fit, and renormalised.
///
/// All answers are of the truncated distribution where [`Options`](super::Options) ask for truncation, except
/// [`log_z`](Self::log_z).
pub struct Posterior<'a, G = TokenAutomaton> {
    pub(super) problem: Problem<'a, G>,
    pub(super) layers: Arc<Layers>,
    /// Row of each position among the open ones; `None` where decided.
    pub(super) open: Vec<Option<usize>>,
    /// One for each open position.
    pub(super) rows: Vec<Row<'a>>,
    /// One for each open position.
    pub(super) supports: Vec<Support>,
    pub(super) messages: Solved,
    pub(super) log_z: f64,
}

/// Messages in the numbers that could hold them.
pub(super) enum Solved {
    Plain(Messages<f64>),
    Wide(Messages<Wide>),
}

impl Solved {
    fn class(&self) -> &[f64] {
        match self {
            Self::Plain(m) => &m.class,
            Self::Wide(m) => &m.class,
        }
    }
    pub(super) fn log_sum(&self) -> f64 {
        match self {
            Self::Plain(m) => m.log_sum,
            Self::Wide(m) => m.log_sum,
        }
    }
}

/// A class that can stand at an open position.
struct Legal<'p> {
    class: Class,
    /// What to add to the logarithm of a member's weight to have that of its posterior probability.
    shift: f64,
    members: &'p [Token],
}

impl<G: Graph> Posterior<'_, G> {
    /// Logarithm, in nats, of the probability that a text drawn position by position from the scores fits the
    /// constraint: at most 0. Decided positions count with factor 1; truncation does not enter.
    pub fn log_z(&self) -> f64 {
        self.log_z
    }

    /// Probability of `token` at `pos`, given that the text fits.
    pub fn prob(&self, pos: Pos, token: Token) -> f32 {
        let Some(open) = self.open[pos] else {
            return (self.problem.decided[pos] == Some(token)) as u8 as f32;
        };
        let Some(class) = self.problem.automaton.class_of(token) else { return 0.0 };
        match self.legal(open, class) {
            Some(legal) if legal.members.binary_search(&token).is_ok() => {
                probability(self.rows[open].log_weight(token) + legal.shift)
            }
            _ => 0.0,
        }
    }

    /// Probabilities of all tokens at `pos`, given that the text fits: V numbers that sum to 1.
    pub fn marginal(&self, pos: Pos) -> Vec<f32> {
        let mut marginal = vec![0.0; self.problem.automaton.vocab_len()];
        match (self.open[pos], self.problem.decided[pos]) {
            (Some(open), _) => {
                self.each_probability(open, |_, token, p| marginal[token as usize] = p as f32);
            }
            (None, Some(token)) => marginal[token as usize] = 1.0,
            (None, None) => {}
        }
        marginal
    }

    /// The two likeliest tokens at `pos` with their probabilities, the likelier first; the lower token on a tie. The
    /// second is `None` where only one token is left.
    pub fn top2(&self, pos: Pos) -> ((Token, f32), Option<(Token, f32)>) {
        match self.open[pos] {
            Some(open) => self.shape(open).top2(),
            None => ((self.problem.decided[pos].unwrap_or_default(), 1.0), None),
        }
    }

    /// Probability of the likeliest token at `pos` minus that of the next.
    pub fn margin(&self, pos: Pos) -> f32 {
        self.open[pos].map_or(1.0, |open| self.shape(open).margin())
    }

    /// Entropy of the marginal at `pos`, in nats.
    pub fn entropy(&self, pos: Pos) -> f32 {
        self.open[pos].map_or(0.0, |open| self.shape(open).entropy())
    }

    /// What a policy needs to know of each undecided position, with the token that `text` has there.
    pub fn candidates(&self, text: &[Token]) -> Vec<Candidate> {
        let undecided: Vec<(Pos, usize)> = (0..).zip(&self.open).filter_map(|(pos, o)| Some((pos, (*o)?))).collect();
        let candidate = |(pos, open): (Pos, usize)| {
            let shape = self.shape(open);
            let prob = self.prob(pos, text[pos]);
            Candidate { pos, token: text[pos], prob, margin: shape.margin(), entropy: shape.entropy() }
        };
        let work = undecided.len() * self.problem.automaton.vocab_len();
        parallel::map(undecided, work, candidate)
    }

    /// One look at all probabilities of an open position.
    fn shape(&self, open: usize) -> Shape {
        let mut shape = Shape { best: [(f64::NEG_INFINITY, Token::MAX); 2], entropy: [0.0; 8] };
        for legal in self.all_legal(open) {
            self.rows[open].visit(legal.members, legal.shift, |tokens, logs| {
                let mut probs = logs;
                exp_all(&mut probs);
                shape.entropy.iter_mut().zip(logs).zip(probs).for_each(|((sum, log), p)| *sum -= p * log);
                tokens.iter().zip(logs).for_each(|(&token, log)| shape.see(log, token));
            });
        }
        shape
    }

    /// Calls `visit` with class, token and probability of everything that can stand at an open position.
    fn each_probability(&self, open: usize, mut visit: impl FnMut(Class, Token, f64)) {
        for legal in self.all_legal(open) {
            self.rows[open].visit(legal.members, legal.shift, |tokens, mut logs| {
                exp_all(&mut logs);
                tokens.iter().zip(logs).for_each(|(&token, p)| visit(legal.class, token, p));
            });
        }
    }

    /// Legal tokens of an open position with their probabilities.
    pub(super) fn probabilities(&self, open: usize) -> Vec<(f64, Token, Class)> {
        let mut all = Vec::new();
        self.each_probability(open, |class, token, p| all.push((p, token, class)));
        all
    }

    fn all_legal(&self, open: usize) -> impl Iterator<Item = Legal<'_>> {
        (0..self.problem.automaton.classes() as Class).filter_map(move |class| self.legal(open, class))
    }

    fn legal(&self, open: usize, class: Class) -> Option<Legal<'_>> {
        let prob = self.messages.class()[self.index(open, class)];
        if prob == 0.0 {
            return None;
        }
        let shift = prob.ln() - self.log_mass(open, class);
        Some(Legal { class, shift, members: self.supports[open].members(self.problem.automaton, class) })
    }

    /// Logarithm of a class's mass before the constraint.
    pub(super) fn log_mass(&self, open: usize, class: Class) -> f64 {
        let index = self.index(open, class);
        match &self.messages {
            Solved::Plain(m) => m.mass[index].ln(),
            Solved::Wide(m) => m.mass[index].ln(),
        }
    }

    fn index(&self, open: usize, class: Class) -> usize {
        open * self.problem.automaton.classes() + class as usize
    }

    /// What may stand at each position.
    pub(super) fn choices(&self) -> Vec<Choice<'_>> {
        let choice = |(open, decided): (&Option<usize>, &Option<Token>)| match (open, decided) {
            (Some(open), _) => match &self.supports[*open] {
                Support::Full => Choice::Any,
                Support::Kept(kept) => Choice::Among(&kept.labels),
            },
            (None, decided) => {
                decided.and_then(|t| self.problem.automaton.class_of(t)).map_or(Choice::Among(&[]), Choice::One)
            }
        };
        self.open.iter().zip(self.problem.decided).map(choice).collect()
    }
}

/// Probability from its logarithm, which may exceed 0 by rounding.
fn probability(log: f64) -> f32 {
    exp(log.min(0.0)) as f32
}

/// Summary of one position's probabilities.
struct Shape {
    /// Logarithm and token of the two likeliest.
    best: [(f64, Token); 2],
    /// Parts of the entropy.
    entropy: [f64; 8],
}

impl Shape {
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
        self.entropy.iter().sum::<f64>().max(0.0) as f32
    }
}
