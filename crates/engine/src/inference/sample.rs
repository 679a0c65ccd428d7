//! Joint samples: the path of classes first, then a token inside each class.

use super::graph::Graph;
use super::messages::Messages;
use super::number::{Message, Number};
use super::parallel;
use super::posterior::{Place, Posterior, Solved};
use crate::Token;
use crate::inference::simd::Semiring;
use rand::Rng;

/// A position of a sample whose token has not been picked yet.
enum Drawn<'p> {
    Decided(Token),
    /// Open position, place of the class in its support, and the uniform number that picks the token.
    Class(Place<'p>, usize, f64),
}

/// Number of tokens that are weighed at a time.
const BLOCK: usize = 1024;

/// [`Posterior::sample`].
pub(super) fn sample<G: Graph>(posterior: &Posterior<G>, rng: &mut impl Rng) -> Vec<Token> {
    let path = match &posterior.messages {
        Solved::Single(messages) => draw_path(posterior, messages, rng),
        Solved::Plain(messages) => draw_path(posterior, messages, rng),
        Solved::Wide(messages) => draw_path(posterior, messages, rng),
    };
    let token = |drawn: Drawn| match drawn {
        Drawn::Decided(token) => token,
        Drawn::Class(place, class, uniform) => draw_token(posterior, place, class, uniform),
    };
    let work = posterior.rows.len() * posterior.problem.automaton.vocab_len();
    parallel::map(path, work, token)
}

fn draw_path<'p, M: Message, G: Graph>(
    posterior: &'p Posterior<G>,
    messages: &Messages<M>,
    rng: &mut impl Rng,
) -> Vec<Drawn<'p>> {
    let graph = posterior.problem.automaton;
    let zero = M::Number::ZERO;
    let mut state = graph.start();
    let mut path = Vec::with_capacity(posterior.open.len());
    for pos in 0..posterior.open.len() {
        let Some(place) = posterior.place(pos) else {
            debug_assert!(posterior.problem.decided[pos].is_some(), "a position without a support is decided");
            let Some(token) = posterior.problem.decided[pos] else { continue };
            path.push(Drawn::Decided(token));
            let next = graph.class_of(token).and_then(|class| graph.next(state, class));
            debug_assert!(next.is_some(), "the decided token follows every state of a drawn text");
            state = next.unwrap_or(state);
            continue;
        };
        let next = posterior.layers.layer(pos + 1);
        let backward = &messages.backward[pos + 1];
        let after = |to: u32| next.place(to).map_or(zero, |i| backward[i].number());
        let (labels, masses) = (&messages.labels[place.open], &posterior.masses[place.open]);
        let edges = graph.edges(state);
        let edge = pick(rng.random(), edges, |edge| match place.support.labels.binary_search(&edge.label) {
            Ok(label) => labels[label].times(after(edge.target)),
            Err(_) => zero,
        });
        // Truncation may have left only some of the label's classes.
        let label = graph.label(edges[edge].label).iter().filter_map(|&class| place.support.place(class));
        let label: Vec<usize> = label.collect();
        let class = label[pick(rng.random(), &label, |&class| masses[class].number::<M::Number>())];
        path.push(Drawn::Class(place, class, rng.random()));
        state = edges[edge].target;
    }
    path
}

fn draw_token<G: Graph>(posterior: &Posterior<G>, place: Place, class: usize, uniform: f64) -> Token {
    let members = place.support.members(posterior.problem.automaton, class);
    if let &[token] = members {
        return token;
    }
    // The mass of the class is known: the drawn share of it is reduced block by block until it ends within one.
    let (row, mass) = (&posterior.rows[place.open], posterior.masses[place.open][class]);
    let mut buffer = Vec::new();
    let unit = row.unit(mass, members, &mut buffer);
    let (mut rest, mut last) = (uniform * mass.sum(), members);
    for block in members.chunks(BLOCK) {
        let sum = row.weight(&unit, block, &mut buffer);
        if sum > 0.0 {
            last = block;
        }
        if rest < sum {
            break;
        }
        rest -= sum;
    }
    let mut weights = Vec::new();
    row.weight(&unit, last, &mut buffer);
    row.weigh(&unit, &mut buffer, &mut weights);
    last[pick_rest(rest, weights.iter().map(|&w| w as f64))]
}

/// Index of an item drawn in proportion to its weight. At least one weight is positive, and no other is drawn.
fn pick<T, N: Number>(uniform: f64, items: &[T], weight: impl Fn(&T) -> N) -> usize {
    let weights: Vec<N> = items.iter().map(weight).collect();
    let total = weights.iter().fold(N::ZERO, |sum, &w| sum.plus(w));
    pick_rest(uniform, weights.iter().map(|weight| weight.over(total)))
}

/// Index of the weight at which the sum exceeds `rest`; the last positive one where rounding leaves none.
fn pick_rest(mut rest: f64, weights: impl Iterator<Item = f64>) -> usize {
    let mut last = 0;
    for (i, weight) in weights.enumerate() {
        if weight > 0.0 {
            last = i;
            rest -= weight;
            if rest < 0.0 {
                break;
            }
        }
    }
    last
}
