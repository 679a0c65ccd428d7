//! The most probable text: max-product over class maxima.

use super::graph::Graph;
use super::messages::{Field, Way, label_sums};
use super::number::Summed;
use super::parallel;
use super::posterior::{Place, Posterior};
use crate::Token;
use crate::inference::simd::{MaxPlus, Semiring};

/// The largest scores of an open position.
struct Maxima {
    /// The largest score of each class of the support.
    scores: Vec<f32>,
    /// The logarithm of the largest weight of each label of the support.
    labels: Vec<MaxPlus>,
}

/// [`Posterior::map`].
pub(super) fn map<G: Graph>(posterior: &Posterior<G>) -> Vec<Token> {
    let graph = posterior.problem.automaton;
    let places: Vec<Place> = (0..posterior.open.len()).filter_map(|pos| posterior.place(pos)).collect();
    let work = places.len() * graph.vocab_len();
    let best = parallel::map(places, work, |place| maxima(posterior, place));
    let values = completions(posterior, &best);

    let mut state = graph.start();
    let mut text = Vec::with_capacity(posterior.open.len());
    for (pos, decided) in posterior.problem.decided.iter().enumerate() {
        let next = posterior.layers.layer(pos + 1);
        let values = &values[pos + 1];
        let (token, to) = match posterior.place(pos) {
            Some(place) => {
                let maxima = &best[place.open];
                let ways = graph.edges(state).iter().filter_map(|edge| {
                    let label = place.support.labels.binary_search(&edge.label).ok()?;
                    Some((maxima.labels[label].times(values[next.place(edge.target)?]), label, edge.target))
                });
                let ways: Vec<_> = ways.collect();
                let largest = ways.iter().fold(MaxPlus::ZERO, |best, &(value, ..)| best.plus(value));
                let best_ways = ways.into_iter().filter(|&(value, ..)| value == largest);
                let chosen = best_ways.map(|(_, label, to)| (likeliest(posterior, place, maxima, label), to)).min();
                debug_assert!(chosen.is_some(), "a feasible state has an edge into the next layer");
                chosen.unwrap_or((Token::MAX, state))
            }
            None => {
                debug_assert!(decided.is_some(), "a position without a support is decided");
                let token = decided.unwrap_or(Token::MAX);
                let to = graph.class_of(token).and_then(|class| graph.next(state, class));
                debug_assert!(to.is_some(), "the decided token follows every state of the most probable text");
                (token, to.unwrap_or(state))
            }
        };
        text.push(token);
        state = to;
    }
    MaxPlus::pool(&posterior.tables).keep(values);
    text
}

/// The backward pass of max-product: for each state of each gap the logarithm of the weight of its best completion.
fn completions<G: Graph>(posterior: &Posterior<G>, best: &[Maxima]) -> Vec<Vec<MaxPlus>> {
    let graph = posterior.problem.automaton;
    let mut field = Field::new(graph, &posterior.tables);
    let last = posterior.problem.decided.len();
    let mut values = vec![vec![MaxPlus(0.0); posterior.layers.layer(last).len()]];
    field.put(posterior.layers.layer(last), &values[0]);
    for (pos, decided) in posterior.problem.decided.iter().enumerate().rev() {
        let (here, next, from) =
            (posterior.layers.layer(pos), posterior.layers.layer(pos + 1), &values[last - 1 - pos]);
        let step = posterior.place(pos).and_then(|place| {
            field.weigh(place.support, best[place.open].labels.iter().copied().map(Some))?;
            field.advance(Way::Backward, here)
        });
        let before = match (step, decided.and_then(|token| graph.class_of(token))) {
            (Some((before, _)), _) => before,
            (None, Some(class)) => {
                let after = |q| graph.next(q, class).and_then(|to| next.place(to));
                here.iter().map(|q| after(q).map_or(MaxPlus::ZERO, |to| from[to])).collect()
            }
            (None, None) => vec![MaxPlus::ZERO; here.len()],
        };
        if posterior.place(pos).is_none() {
            field.put(here, &before);
        }
        values.push(before);
    }
    values.reverse();
    values
}

fn maxima<G: Graph>(posterior: &Posterior<G>, place: Place) -> Maxima {
    let (graph, row, support) = (posterior.problem.automaton, &posterior.rows[place.open], place.support);
    let mut buffer = Vec::new();
    let shapes = row.shapes((graph, &posterior.tables, support), None).into_iter().enumerate();
    let score = |(class, shape): (usize, Option<crate::inference::simd::Shape>)| match shape {
        Some(shape) => shape.best[0],
        None => row.scores(support.members(graph, class), &mut buffer).largest,
    };
    let scores: Vec<f32> = shapes.map(score).collect();
    let logs = scores.iter().map(|&score| MaxPlus(row.log(score)));
    let labels = label_sums(graph, &posterior.tables, support, logs);
    Maxima { scores, labels }
}

/// The likeliest token of a label of the support: the lowest one of several.
fn likeliest<G: Graph>(posterior: &Posterior<G>, place: Place, maxima: &Maxima, label: usize) -> Token {
    let (graph, row, support) = (posterior.problem.automaton, &posterior.rows[place.open], place.support);
    let classes = graph.label(support.labels[label]).iter().filter_map(|&class| support.place(class));
    let likeliest = classes.filter(|&class| row.log(maxima.scores[class]) == maxima.labels[label].0);
    let tokens = likeliest.flat_map(|class| row.with_score((graph, support), class, maxima.scores[class], 1));
    let lowest = tokens.min();
    debug_assert!(lowest.is_some(), "the maximum of a label is the score of one of its tokens");
    lowest.unwrap_or(Token::MAX)
}
