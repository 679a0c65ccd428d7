//! Joint samples: the path of classes first, then a token inside each class.

use super::exp::exp_all;
use super::graph::Graph;
use super::messages::Messages;
use super::number::Number;
use super::parallel;
use super::posterior::{Posterior, Solved};
use crate::Token;
use crate::automata::Class;
use rand::Rng;

/// What a position of a sample is, before the token has been picked.
enum Drawn {
    Decided(Token),
    /// Open position, class, and the uniform number that picks the token.
    Class(usize, Class, f64),
}

impl<G: Graph> Posterior<'_, G> {
    /// One text, drawn from the joint distribution of all positions: one token per position, tail included. Any
    /// subset of it can be completed by the rest of it.
    ///
    /// Three numbers are taken from `rng` for each undecided position.
    pub fn sample(&self, rng: &mut impl Rng) -> Vec<Token> {
        let path = match &self.messages {
            Solved::Plain(messages) => self.draw_path(messages, rng),
            Solved::Wide(messages) => self.draw_path(messages, rng),
        };
        let token = |drawn: Drawn| match drawn {
            Drawn::Decided(token) => token,
            Drawn::Class(open, class, uniform) => self.draw_token(open, class, uniform),
        };
        let work = self.rows.len() * self.problem.automaton.vocab_len();
        parallel::map(path, work, token)
    }

    fn draw_path<N: Number>(&self, messages: &Messages<N>, rng: &mut impl Rng) -> Vec<Drawn> {
        let automaton = self.problem.automaton;
        let classes = automaton.classes();
        let mut state = automaton.start();
        let mut path = Vec::with_capacity(self.open.len());
        for (pos, open) in self.open.iter().enumerate() {
            let Some(open) = *open else {
                let Some(token) = self.problem.decided[pos] else { continue };
                path.push(Drawn::Decided(token));
                state = automaton.class_of(token).and_then(|c| automaton.next(state, c)).unwrap_or(state);
                continue;
            };
            let next = self.layers.layer(pos + 1);
            let backward = &messages.backward[self.layers.range(pos + 1)];
            let after = |to: u32| next.binary_search(&to).map_or(N::ZERO, |i| backward[i]);
            let mass = |class: Class| messages.mass[open * classes + class as usize];
            let edges = automaton.edges(state);
            let edge = pick(rng.random(), edges, |edge| {
                let sum = automaton.label(edge.label).iter().fold(N::ZERO, |sum, &class| sum.plus(mass(class)));
                sum.times(after(edge.target))
            });
            let label = automaton.label(edges[edge].label);
            let class = label[pick(rng.random(), label, |&class| mass(class))];
            path.push(Drawn::Class(open, class, rng.random()));
            state = edges[edge].target;
        }
        path
    }

    fn draw_token(&self, open: usize, class: Class, uniform: f64) -> Token {
        let members = self.supports[open].members(self.problem.automaton, class);
        let row = &self.rows[open];
        // Relative to the mass of the class, so that the sum neither under- nor overflows.
        let shift = -self.log_mass(open, class);
        let mut sums = Vec::with_capacity(members.len().div_ceil(8));
        let mut total = 0.0;
        row.visit(members, shift, |_, mut logs| {
            exp_all(&mut logs);
            total += logs.iter().sum::<f64>();
            sums.push(total);
        });
        let wanted = uniform * total;
        let chunk = sums.partition_point(|&sum| sum <= wanted).min(sums.len().saturating_sub(1));
        let members = &members[chunk * 8..members.len().min(chunk * 8 + 8)];
        let mut rest = wanted - if chunk == 0 { 0.0 } else { sums[chunk - 1] };
        let mut drawn = members[0];
        row.visit(members, shift, |tokens, mut logs| {
            exp_all(&mut logs);
            for (&token, weight) in tokens.iter().zip(logs) {
                if rest >= 0.0 {
                    drawn = token;
                }
                rest -= weight;
            }
        });
        drawn
    }
}

/// Index of an item drawn in proportion to its weight. At least one weight is positive, and no other is drawn.
fn pick<T, N: Number>(uniform: f64, items: &[T], weight: impl Fn(&T) -> N) -> usize {
    let weights: Vec<N> = items.iter().map(weight).collect();
    let total = weights.iter().fold(N::ZERO, |sum, &w| sum.plus(w));
    let mut rest = uniform;
    let mut last = 0;
    for (i, weight) in weights.iter().enumerate() {
        let p = weight.over(total);
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
