//! Exact inference over a token automaton: feasibility, marginals, joint samples, MAP, log Z.
//!
//! [`reach`] finds the states of a regular constraint that lie on a text which fits the canvas, one layer for each gap
//! between positions; [`infer`] conditions scores on those texts. Both stages run over any [`Graph`]: who has layers of
//! their own, say the configurations of a pushdown automaton kept within a budget, implements the trait and hands the
//! layers to [`Reach::from_layers`]. Everything after that is the same.

mod exp;
mod graph;
mod map;
mod messages;
mod number;
mod parallel;
mod posterior;
mod reach;
mod rows;
mod sample;
#[cfg(test)]
mod tests;
mod truncate;

pub use graph::Graph;
pub use posterior::Posterior;
pub use reach::{Problem, Reach, reach};

use crate::{Error, Result, Scores, Token};
use messages::Messages;
use posterior::Solved;
use reach::{Choice, Layers};
use rows::{ClassMass, Row, Support};

/// How to read the scores.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options<'a> {
    /// Scores are divided by it: 1 leaves them as they are. For temperature 0 ask for [`Posterior::map`].
    pub temperature: f32,
    /// Keep the k likeliest legal tokens of each position.
    pub top_k: Option<usize>,
    /// Keep the likeliest legal tokens of each position that hold this much probability, after `top_k`.
    pub top_p: Option<f32>,
    /// A text that fits the canvas, one token per position; truncation keeps its tokens. The most probable text if
    /// not given.
    pub witness: Option<&'a [Token]>,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self { temperature: 1.0, top_k: None, top_p: None, witness: None }
    }
}

/// Conditions the distribution of the scores on the texts that fit.
///
/// `scores` has one row per position; rows of decided positions are not read. A score of −∞, or one more than 1e9
/// below its row's largest, counts as 1e9 below it: only the constraint forbids.
///
/// # Truncation
/// `top_k` and `top_p` look at the *constrained* marginals, so they choose among legal tokens only, and they always
/// keep the tokens of one whole text that fits. Then all answers are computed anew for what is left. A truncated
/// position can therefore never be left without a legal token.
///
/// # Errors
/// When the scores do not fit the canvas or the vocabulary, or an option is out of range.
pub fn infer<'a, G: Graph>(reach: &Reach<'a, G>, scores: &'a Scores, options: &Options) -> Result<Posterior<'a, G>> {
    let problem = *reach.problem();
    check(reach, scores, options)?;
    let mut rows = Vec::new();
    let mut open = Vec::with_capacity(problem.decided.len());
    for (pos, decided) in problem.decided.iter().enumerate() {
        open.push(decided.is_none().then_some(rows.len()));
        if decided.is_none() {
            rows.push(Row::new(scores, pos, options.temperature)?);
        }
    }
    let supports: Vec<Support> = rows.iter().map(|_| Support::Full).collect();
    let choices = reach::choices(&problem).unwrap_or_default();
    let (messages, log_total) = solve(&problem, &reach.layers, &choices, &rows, &supports)?;
    let log_z = (messages.log_sum() - log_total).min(0.0);
    let full = Posterior { problem, layers: reach.layers.clone(), open, rows, supports, messages, log_z };
    if options.top_k.is_none() && options.top_p.is_none() {
        return Ok(full);
    }
    truncate::truncate(full, options)
}

/// States of all gaps together; each takes up to 20 bytes.
const MOST_MESSAGES: usize = 32 << 20;

fn check<G: Graph>(reach: &Reach<G>, scores: &Scores, options: &Options) -> Result<()> {
    let (len, vocab) = (reach.len(), reach.problem.automaton.vocab_len());
    if scores.vocab() != vocab || scores.len() != len {
        let (rows, width) = (scores.len(), scores.vocab());
        return Err(Error::model(format!("{rows} rows of {width} scores for {len} positions and {vocab} tokens")));
    }
    if !(options.temperature > 0.0 && options.temperature.is_finite()) {
        return Err(Error::input(format!("temperature {} is not a positive number", options.temperature)));
    }
    if reach.layers.len() > MOST_MESSAGES {
        return Err(Error::too_large(format!(
            "the constraints, with {} states, are too large for a canvas of {len} positions",
            reach.problem.automaton.states()
        ))
        .help("use fewer positions, or narrow the ranges of repetitions and lengths"));
    }
    if options.top_k == Some(0) {
        return Err(Error::input("top_k 0 leaves no token").help("use 1 or more"));
    }
    if options.top_p.is_some_and(|p| !(p > 0.0 && p <= 1.0)) {
        return Err(Error::input("top_p must be more than 0 and at most 1"));
    }
    if options.witness.is_some_and(|witness| !reach.contains(witness)) {
        return Err(Error::model("the witness is not a text that fits the canvas"));
    }
    Ok(())
}

/// Messages, and the logarithm of the total weight of all texts, fitting or not.
fn solve<G: Graph>(
    problem: &Problem<G>,
    layers: &Layers,
    choices: &[Choice],
    rows: &[Row],
    supports: &[Support],
) -> Result<(Solved, f64)> {
    let (mass, log_total) = masses(problem, rows, supports);
    if let Some(messages) = Messages::pass(problem.automaton, layers, choices, mass) {
        return Ok((Solved::Plain(messages), log_total));
    }
    let (mass, log_total) = masses(problem, rows, supports);
    let messages = Messages::pass(problem.automaton, layers, choices, mass);
    let messages = messages.ok_or_else(|| Error::model("the scores are out of range"))?;
    Ok((Solved::Wide(messages), log_total))
}

/// Class masses of all open positions, row-major, and the logarithm of the product of the rows' totals.
fn masses<N: ClassMass, G: Graph>(problem: &Problem<G>, rows: &[Row], supports: &[Support]) -> (Vec<N>, f64) {
    let classes = problem.automaton.classes();
    let items = rows.iter().zip(supports).collect();
    let each = |(row, support)| {
        let mut masses = vec![N::ZERO; classes];
        let total = N::sum_classes(problem.automaton, row, support, &mut masses);
        (masses, total)
    };
    let (masses, totals): (Vec<Vec<N>>, Vec<f64>) =
        parallel::map(items, rows.len() * problem.automaton.vocab_len(), each).into_iter().unzip();
    (masses.concat(), totals.iter().sum())
}
