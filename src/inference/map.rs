//! The most probable text: max-product over class maxima.

use super::posterior::Posterior;
use super::rows::{Row, Support};
use crate::Token;
use crate::automata::Class;

/// The likeliest token of a class and the logarithm of its weight.
type Best = (f64, Token);

const NONE: Best = (f64::NEG_INFINITY, Token::MAX);

impl Posterior<'_> {
    /// The most probable text: one token per position, tail included. Of equally probable texts the one whose
    /// first differing token is lowest.
    pub fn map(&self) -> Vec<Token> {
        let automaton = self.problem.automaton;
        let best: Vec<Vec<Best>> = (self.rows.iter().zip(&self.supports))
            .map(|(row, support)| (0..automaton.classes() as Class).map(|c| likeliest(row, support, c)).collect())
            .collect();

        // value[gap][state]: log weight of the best completion, on fitting texts only.
        let mut value = vec![0.0; self.layers.len()];
        let mut after = vec![f64::NEG_INFINITY; automaton.states()];
        for (pos, decided) in self.problem.decided.iter().enumerate().rev() {
            let next = self.layers.layer(pos + 1);
            next.iter().zip(&value[self.layers.range(pos + 1)]).for_each(|(&q, &v)| after[q as usize] = v);
            let range = self.layers.range(pos);
            for (&q, v) in self.layers.layer(pos).iter().zip(&mut value[range]) {
                *v = match (decided, self.open[pos]) {
                    (None, Some(open)) => (automaton.edges(q).iter())
                        .map(|e| best[open][e.class as usize].0 + after[e.target as usize])
                        .fold(f64::NEG_INFINITY, f64::max),
                    (decided, _) => decided
                        .and_then(|token| automaton.next(q, automaton.class_of(token)?))
                        .map_or(f64::NEG_INFINITY, |to| after[to as usize]),
                };
            }
            next.iter().for_each(|&q| after[q as usize] = f64::NEG_INFINITY);
        }

        let mut state = automaton.start();
        let mut text = Vec::with_capacity(self.open.len());
        for (pos, decided) in self.problem.decided.iter().enumerate() {
            let next = self.layers.layer(pos + 1);
            let values = &value[self.layers.range(pos + 1)];
            let (token, to) = match (decided, self.open[pos]) {
                (None, Some(open)) => (automaton.edges(state).iter())
                    .filter_map(|e| {
                        let (log, token) = best[open][e.class as usize];
                        let beyond = values[next.binary_search(&e.target).ok()?];
                        (log > f64::NEG_INFINITY).then_some((log + beyond, token, e.target))
                    })
                    .reduce(|a, b| if b.0 > a.0 || b.0 == a.0 && b.1 < a.1 { b } else { a })
                    .map_or((Token::MAX, state), |(_, token, to)| (token, to)),
                (decided, _) => {
                    let token = decided.unwrap_or(Token::MAX);
                    (token, automaton.class_of(token).and_then(|c| automaton.next(state, c)).unwrap_or(state))
                }
            };
            text.push(token);
            state = to;
        }
        text
    }
}

fn likeliest(row: &Row, support: &Support, class: Class) -> Best {
    let weights = support.members(class).iter().map(|&t| (row.log_weight(t), t));
    weights.fold(NONE, |best, this| if this.0 > best.0 { this } else { best })
}
