//! Truncation: fewer tokens at each position, never none.

use super::graph::Graph;
use super::layers::Choice;
use super::posterior::Place;
use super::support::Support;
use super::{Options, Posterior, parallel, solve};
use crate::automata::Class;
use crate::{Error, Result, Token};
use std::{
    cmp::Ordering,
    sync::{Arc, OnceLock},
};

/// Restricts each position to the likeliest legal tokens and those of a witness, and solves again.
pub(super) fn truncate<'a, G: Graph>(full: Posterior<'a, G>, options: &Options) -> Result<Posterior<'a, G>> {
    let graph = full.problem.automaton;
    let witness = options.witness.map_or_else(|| full.map(), <[Token]>::to_vec);
    let places: Vec<(Place, Token)> =
        witness.into_iter().enumerate().filter_map(|(pos, token)| Some((full.place(pos)?, token))).collect();
    let keep = |(place, token): (Place, Token)| {
        let mut kept = likeliest(full.probabilities(place), options);
        kept.extend(graph.class_of(token).map(|class| (class, token)));
        let support = place.support.restricted(graph, kept);
        let (row, mut buffer) = (&full.rows[place.open], Vec::new());
        let mass = |place| row.mass_of(support.members(graph, place), &mut buffer);
        let masses = (0..support.classes.len()).map(mass).collect();
        (Arc::new(support), masses)
    };
    let work = places.len() * graph.vocab_len();
    let (supports, masses): (Vec<Arc<Support>>, Vec<_>) = parallel::map(places, work, keep).into_iter().unzip();
    let mut supports = supports.into_iter();
    let choice = |token: &Option<Token>| match token {
        Some(token) => graph.class_of(*token).map(Choice::One),
        None => supports.next().map(Choice::Kept),
    };
    let choices: Option<Vec<Choice>> = full.problem.decided.iter().map(choice).collect();
    let layers = choices.and_then(|choices| full.layers.restricted(graph, &choices));
    let layers = layers.ok_or_else(|| Error::model("the witness is not a text that fits the canvas"))?;
    let messages = solve(&full.problem, &full.tables, &layers, &masses)?;
    let classes = masses.iter().map(|_| OnceLock::new()).collect();
    Ok(Posterior { layers: Arc::new(layers), masses, messages, classes, ..full })
}

type Weighed = (f64, Token, Class);

/// Likelier first; of equally likely ones the lower token.
fn order(a: &Weighed, b: &Weighed) -> Ordering {
    b.0.total_cmp(&a.0).then(a.1.cmp(&b.1))
}

fn likeliest(mut tokens: Vec<Weighed>, options: &Options) -> Vec<(Class, Token)> {
    if let Some(k) = options.top_k.filter(|&k| k < tokens.len()) {
        tokens.select_nth_unstable_by(k, order);
        tokens.truncate(k);
    }
    if let Some(top_p) = options.top_p {
        let count = nucleus(&mut tokens, top_p as f64);
        tokens.truncate(count);
    }
    tokens.into_iter().map(|(_, token, class)| (class, token)).collect()
}

/// Moves to the front the fewest, likeliest tokens that hold the share `top_p` of the probability; returns how many.
fn nucleus(tokens: &mut [Weighed], top_p: f64) -> usize {
    let enough = tokens.iter().map(|t| t.0).sum::<f64>() * top_p;
    let (mut sorted, mut held) = (0, 0.0);
    // Most nuclei are small: sort no more than needed, in growing pieces.
    while sorted < tokens.len() {
        let rest = &mut tokens[sorted..];
        let piece = (3 * sorted).max(64).min(rest.len());
        if piece < rest.len() {
            rest.select_nth_unstable_by(piece, order);
        }
        rest[..piece].sort_unstable_by(order);
        for token in &rest[..piece] {
            held += token.0;
            sorted += 1;
            if held >= enough {
                return sorted;
            }
        }
    }
    tokens.len()
}
