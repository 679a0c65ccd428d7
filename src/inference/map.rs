//! The most probable text: max-product over class maxima.

use super::graph::Graph;
use super::parallel;
use super::posterior::{Place, Posterior};
use crate::Token;
use crate::automata::{Class, Label};

/// Logarithm of the weight of the likeliest token of a set, and that token: the lowest one of several.
#[derive(Clone, Copy, PartialEq)]
struct Best {
    log: f64,
    token: Token,
}

impl Best {
    const NONE: Self = Self { log: f64::NEG_INFINITY, token: Token::MAX };

    fn or(self, other: Self) -> Self {
        let other_wins = other.log > self.log || other.log == self.log && other.token < self.token;
        if other_wins { other } else { self }
    }
}

impl<G: Graph> Posterior<'_, G> {
    /// The most probable text: one token per position, tail included. Of equally probable texts the one whose
    /// first differing token is lowest.
    pub fn map(&self) -> Vec<Token> {
        let graph = self.problem.automaton;
        let places: Vec<Place> = (0..self.open.len()).filter_map(|pos| self.place(pos)).collect();
        let work = places.len() * graph.vocab_len();
        let best = parallel::map(places, work, |place| self.label_maxima(place));
        // value[gap][state]: log weight of the best completion, on fitting texts only.
        let mut value = vec![0.0; self.layers.len()];
        let mut after = vec![f64::NEG_INFINITY; graph.states()];
        let mut logs = vec![f64::NEG_INFINITY; graph.labels()];
        for (pos, decided) in self.problem.decided.iter().enumerate().rev() {
            let next = self.layers.layer(pos + 1);
            next.scatter(&value[self.layers.range(pos + 1)], &mut after);
            if let Some(place) = self.place(pos) {
                logs.fill(f64::NEG_INFINITY);
                let known = place.support.labels.iter().zip(&best[place.open]);
                known.for_each(|(&label, best)| logs[label as usize] = best.log);
            }
            let range = self.layers.range(pos);
            for (q, v) in self.layers.layer(pos).iter().zip(&mut value[range]) {
                *v = match decided {
                    None => (graph.edges(q).iter())
                        .map(|e| logs[e.label as usize] + after[e.target as usize])
                        .fold(f64::NEG_INFINITY, f64::max),
                    Some(token) => (graph.class_of(*token).and_then(|class| graph.next(q, class)))
                        .map_or(f64::NEG_INFINITY, |to| after[to as usize]),
                };
            }
            next.iter().for_each(|q| after[q as usize] = f64::NEG_INFINITY);
        }

        let mut state = graph.start();
        let mut text = Vec::with_capacity(self.open.len());
        for (pos, decided) in self.problem.decided.iter().enumerate() {
            let next = self.layers.layer(pos + 1);
            let values = &value[self.layers.range(pos + 1)];
            let (token, to) = match self.place(pos) {
                Some(place) => {
                    let mut chosen = (Best::NONE, state);
                    for edge in graph.edges(state) {
                        let label = place.support.labels.binary_search(&edge.label);
                        let (Some(i), Ok(label)) = (next.place(edge.target), label) else { continue };
                        let Best { log, token } = best[place.open][label];
                        let this = Best { log: log + values[i], token };
                        if chosen.0.or(this) == this {
                            chosen = (this, edge.target);
                        }
                    }
                    (chosen.0.token, chosen.1)
                }
                None => {
                    let token = decided.unwrap_or(Token::MAX);
                    (token, graph.class_of(token).and_then(|c| graph.next(state, c)).unwrap_or(state))
                }
            };
            text.push(token);
            state = to;
        }
        text
    }

    /// The likeliest token of each label of the support.
    fn label_maxima(&self, place: Place) -> Vec<Best> {
        let (graph, row) = (self.problem.automaton, &self.rows[place.open]);
        let mut buffer = Vec::new();
        let mut classes = vec![Best::NONE; graph.classes()];
        for (i, &class) in place.support.classes.iter().enumerate() {
            let members = place.support.members(graph, i);
            let found = row.scores(members, &mut buffer);
            let at = buffer.iter().position(|&score| found.level || score == found.largest).unwrap_or_default();
            classes[class as usize] = Best { log: found.log, token: members[at] };
        }
        let best = |class: &Class| classes[*class as usize];
        let label = |label: &Label| graph.label(*label).iter().fold(Best::NONE, |sum, class| sum.or(best(class)));
        place.support.labels.iter().map(label).collect()
    }
}
