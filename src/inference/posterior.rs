//! The model's distribution, conditioned on the constraint.

use super::messages::Messages;
use super::number::{Number, Wide, exp};
use super::reach::{Choice, Layers, Problem};
use super::rows::{Row, Support};
use crate::automata::Class;
use crate::{Pos, Token};
use rand::Rng;

/// The distribution of one step, conditioned on the constraint: the scores' factorised distribution restricted to
/// the texts that fit, and renormalised.
///
/// All answers are of the truncated distribution where [`Options`](super::Options) ask for truncation, except
/// [`log_z`](Self::log_z).
pub struct Posterior<'a> {
    pub(super) problem: Problem<'a>,
    pub(super) layers: Layers,
    /// Row of each position among the open ones; `None` where decided.
    pub(super) open: Vec<Option<usize>>,
    /// One for each open position.
    pub(super) rows: Vec<Row<'a>>,
    /// One for each open position.
    pub(super) supports: Vec<Support<'a>>,
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
    fn log_mass(&self, index: usize) -> f64 {
        match self {
            Self::Plain(m) => m.mass[index].ln(),
            Self::Wide(m) => m.mass[index].ln(),
        }
    }
    pub(super) fn log_sum(&self) -> f64 {
        match self {
            Self::Plain(m) => m.log_sum,
            Self::Wide(m) => m.log_sum,
        }
    }
}

/// The legal classes of an open position.
struct ClassView<'p> {
    class: Class,
    /// Posterior probability of the class.
    prob: f64,
    /// Logarithm of its mass before the constraint.
    log_mass: f64,
    members: &'p [Token],
}

impl<'a> Posterior<'a> {
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
        if self.supports[open].members(class).binary_search(&token).is_err() {
            return 0.0;
        }
        let index = self.index(open, class);
        match self.messages.class()[index] {
            0.0 => 0.0,
            prob => (prob * exp(self.rows[open].log_weight(token) - self.messages.log_mass(index))) as f32,
        }
    }

    /// Probabilities of all tokens at `pos`, given that the text fits: V numbers that sum to 1.
    pub fn marginal(&self, pos: Pos) -> Vec<f32> {
        let mut marginal = vec![0.0; self.problem.automaton.vocab_len()];
        let Some(open) = self.open[pos] else {
            if let Some(token) = self.problem.decided[pos] {
                marginal[token as usize] = 1.0;
            }
            return marginal;
        };
        for view in self.classes(open) {
            for &token in view.members {
                marginal[token as usize] = (view.prob * exp(self.rows[open].log_weight(token) - view.log_mass)) as f32;
            }
        }
        marginal
    }

    /// The two likeliest tokens at `pos` with their probabilities, the likelier first; the lower token on a tie. The
    /// second is `None` where only one token is left.
    pub fn top2(&self, pos: Pos) -> ((Token, f32), Option<(Token, f32)>) {
        let Some(open) = self.open[pos] else {
            return ((self.problem.decided[pos].unwrap_or_default(), 1.0), None);
        };
        let mut best: [Option<(f64, Token)>; 2] = [None; 2];
        let above = |a: (f64, Token), b: Option<(f64, Token)>| b.is_none_or(|b| a.0 > b.0 || a.0 == b.0 && a.1 < b.1);
        for view in self.classes(open) {
            let shift = view.prob.ln() - view.log_mass;
            for &token in view.members {
                let this = (self.rows[open].log_weight(token) + shift, token);
                if above(this, best[0]) {
                    best = [Some(this), best[0]];
                } else if above(this, best[1]) {
                    best[1] = Some(this);
                }
            }
        }
        let answer = |(log, token): (f64, Token)| (token, exp(log.min(0.0)) as f32);
        (best[0].map_or((0, 0.0), answer), best[1].map(answer))
    }

    /// Probability of the likeliest token at `pos` minus that of the next.
    pub fn margin(&self, pos: Pos) -> f32 {
        let ((_, first), second) = self.top2(pos);
        first - second.map_or(0.0, |(_, p)| p)
    }

    /// Entropy of the marginal at `pos`, in nats.
    pub fn entropy(&self, pos: Pos) -> f32 {
        let Some(open) = self.open[pos] else { return 0.0 };
        let mut entropy = 0.0;
        for view in self.classes(open) {
            let shift = view.prob.ln() - view.log_mass;
            for &token in view.members {
                let log = self.rows[open].log_weight(token) + shift;
                entropy -= exp(log.min(0.0)) * log;
            }
        }
        entropy.max(0.0) as f32
    }

    /// One text, drawn from the joint distribution of all positions: one token per position, tail included. Any
    /// subset of it can be completed by the rest of it.
    pub fn sample(&self, rng: &mut impl Rng) -> Vec<Token> {
        match &self.messages {
            Solved::Plain(messages) => self.draw(messages, rng),
            Solved::Wide(messages) => self.draw(messages, rng),
        }
    }

    fn draw<N: Number>(&self, messages: &Messages<N>, rng: &mut impl Rng) -> Vec<Token> {
        let automaton = self.problem.automaton;
        let classes = automaton.classes();
        let mut after = vec![N::ZERO; automaton.states()];
        let mut state = automaton.start();
        let mut text = Vec::with_capacity(self.open.len());
        for (pos, decided) in self.problem.decided.iter().enumerate() {
            let (token, class) = match (decided, self.open[pos]) {
                (&Some(token), _) => (token, automaton.class_of(token)),
                (None, None) => break,
                (None, Some(open)) => {
                    let next = self.layers.layer(pos + 1);
                    let backward = &messages.backward[self.layers.range(pos + 1)];
                    next.iter().zip(backward).for_each(|(&q, &b)| after[q as usize] = b);
                    let mass = &messages.mass[open * classes..][..classes];
                    let edges = automaton.edges(state);
                    let weight = |i: usize| mass[edges[i].class as usize].times(after[edges[i].target as usize]);
                    let total = (0..edges.len()).fold(N::ZERO, |sum, i| sum.plus(weight(i)));
                    let class = edges[pick((0..edges.len()).map(|i| weight(i).over(total)), rng.random())].class;
                    next.iter().for_each(|&q| after[q as usize] = N::ZERO);
                    (self.draw_token(open, class, rng.random()), Some(class))
                }
            };
            text.push(token);
            state = class.and_then(|class| automaton.next(state, class)).unwrap_or(state);
        }
        text
    }

    fn draw_token(&self, open: usize, class: Class, uniform: f64) -> Token {
        let members = self.supports[open].members(class);
        let log_mass = self.messages.log_mass(self.index(open, class));
        let row = &self.rows[open];
        members[pick(members.iter().map(|&t| exp(row.log_weight(t) - log_mass)), uniform)]
    }

    /// The classes that can stand at an open position.
    fn classes(&self, open: usize) -> impl Iterator<Item = ClassView<'_>> {
        let classes = self.problem.automaton.classes();
        let probs = &self.messages.class()[open * classes..][..classes];
        probs.iter().enumerate().filter(|&(_, &prob)| prob > 0.0).map(move |(class, &prob)| ClassView {
            class: class as Class,
            prob,
            log_mass: self.messages.log_mass(self.index(open, class as Class)),
            members: self.supports[open].members(class as Class),
        })
    }

    /// Legal tokens of an open position with their classes and probabilities.
    pub(super) fn candidates(&self, open: usize) -> Vec<(f64, Token, Class)> {
        let row = &self.rows[open];
        let each = |view: ClassView| {
            let ClassView { class, prob, log_mass, members } = view;
            members.iter().map(move |&t| (prob * exp(row.log_weight(t) - log_mass), t, class)).collect::<Vec<_>>()
        };
        self.classes(open).flat_map(each).collect()
    }

    fn index(&self, open: usize, class: Class) -> usize {
        open * self.problem.automaton.classes() + class as usize
    }

    /// What may stand at each position.
    pub(super) fn choices(&self) -> Vec<Choice<'_>> {
        let choice = |(open, decided): (&Option<usize>, &Option<Token>)| match (open, decided) {
            (Some(open), _) => match &self.supports[*open] {
                Support::Full(_) => Choice::Any,
                Support::Kept(kept) => Choice::Among(&kept.classes),
            },
            (None, decided) => {
                decided.and_then(|t| self.problem.automaton.class_of(t)).map_or(Choice::Among(&[]), Choice::One)
            }
        };
        self.open.iter().zip(self.problem.decided).map(choice).collect()
    }
}

/// The index that a uniform number falls on; probabilities that miss 1 by rounding end at the last positive one.
fn pick(probs: impl Iterator<Item = f64>, uniform: f64) -> usize {
    let mut rest = uniform;
    let mut last = 0;
    for (i, p) in probs.enumerate() {
        if p > 0.0 {
            last = i;
            rest -= p;
            if rest < 0.0 {
                break;
            }
        }
    }
    last
}
