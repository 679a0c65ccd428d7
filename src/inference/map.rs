//! The most probable text: max-product over class maxima.

use super::graph::Graph;
use super::parallel;
use super::posterior::Posterior;
use super::rows::{Row, Support};
use crate::Token;
use crate::automata::Class;

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
        let items: Vec<(&Row, &Support)> = self.rows.iter().zip(&self.supports).collect();
        let work = items.len() * graph.vocab_len();
        let best = parallel::map(items, work, |(row, support)| label_maxima(graph, row, support));

        // value[gap][state]: log weight of the best completion, on fitting texts only.
        let mut value = vec![0.0; self.layers.len()];
        let mut after = vec![f64::NEG_INFINITY; graph.states()];
        for (pos, decided) in self.problem.decided.iter().enumerate().rev() {
            let next = self.layers.layer(pos + 1);
            next.iter().zip(&value[self.layers.range(pos + 1)]).for_each(|(&q, &v)| after[q as usize] = v);
            let range = self.layers.range(pos);
            for (&q, v) in self.layers.layer(pos).iter().zip(&mut value[range]) {
                *v = match (decided, self.open[pos]) {
                    (None, Some(open)) => (graph.edges(q).iter())
                        .map(|e| best[open][e.label as usize].log + after[e.target as usize])
                        .fold(f64::NEG_INFINITY, f64::max),
                    (decided, _) => decided
                        .and_then(|token| graph.next(q, graph.class_of(token)?))
                        .map_or(f64::NEG_INFINITY, |to| after[to as usize]),
                };
            }
            next.iter().for_each(|&q| after[q as usize] = f64::NEG_INFINITY);
        }

        let mut state = graph.start();
        let mut text = Vec::with_capacity(self.open.len());
        for (pos, decided) in self.problem.decided.iter().enumerate() {
            let next = self.layers.layer(pos + 1);
            let values = &value[self.layers.range(pos + 1)];
            let (token, to) = match (decided, self.open[pos]) {
                (None, Some(open)) => {
                    let mut chosen = (Best::NONE, state);
                    for edge in graph.edges(state) {
                        let Ok(i) = next.binary_search(&edge.target) else { continue };
                        let Best { log, token } = best[open][edge.label as usize];
                        let this = Best { log: log + values[i], token };
                        if chosen.0.or(this) == this {
                            chosen = (this, edge.target);
                        }
                    }
                    (chosen.0.token, chosen.1)
                }
                (decided, _) => {
                    let token = decided.unwrap_or(Token::MAX);
                    (token, graph.class_of(token).and_then(|c| graph.next(state, c)).unwrap_or(state))
                }
            };
            text.push(token);
            state = to;
        }
        text
    }
}

/// The likeliest token of each label.
fn label_maxima<G: Graph>(graph: &G, row: &Row, support: &Support) -> Vec<Best> {
    let class = |class: Class| {
        let each = support.members(graph, class).iter().map(|&token| Best { log: row.log_weight(token), token });
        each.fold(Best::NONE, Best::or)
    };
    let classes: Vec<Best> = (0..graph.classes() as Class).map(class).collect();
    let label = |label| graph.label(label).iter().fold(Best::NONE, |best, &c| best.or(classes[c as usize]));
    (0..graph.labels() as u32).map(label).collect()
}
