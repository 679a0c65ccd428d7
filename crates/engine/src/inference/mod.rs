//! Exact inference over a token automaton: feasibility, marginals, joint samples, MAP, log Z.
//!
//! [`feasible`] finds the states of a regular constraint that lie on a text which fits the canvas, one layer for each
//! gap between positions; [`infer`] conditions scores on those texts. Both stages run over any [`Graph`]: a caller with
//! layers of its own, such as the configurations of a pushdown automaton within a budget, implements the trait and
//! passes the layers to [`Feasible::from_layers`]. Everything after that is the same.

mod cache;
mod candidate;
mod feasible;
mod graph;
mod layer;
mod layers;
mod logits;
mod map;
mod messages;
mod number;
pub(crate) mod parallel;
mod partial_sums;
mod pool;
mod posterior;
mod row;
mod sample;
pub(crate) mod simd;
mod support;
mod tables;
#[cfg(test)]
mod tests;
mod truncate;

pub use candidate::Candidate;
pub use feasible::{Feasible, Problem, feasible};
pub use graph::Graph;
pub use logits::Logits;
pub use posterior::Posterior;
pub use tables::Tables;

use crate::automata::Class;
use crate::{Error, Result, Token};
use layers::Layers;
use messages::{Messages, label_masses};
use number::Message;
use posterior::Solved;
use row::{Mass, Row};
use std::sync::{Arc, OnceLock};
/// How scores are read: temperature and truncation.
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

impl Options<'_> {
    /// Highest temperature.
    pub const MAX_TEMPERATURE: f32 = 100.0;

    /// Looks at the numbers, whatever the scores. Temperature 0 passes: whoever reads scores answers it with the most
    /// probable text.
    ///
    /// # Errors
    /// A temperature, `top_k` or `top_p` out of range.
    pub fn check(&self) -> Result<()> {
        let bad = |what: String, help: &str| Err(Error::input(what).help(help));
        let Self { temperature, top_k, top_p, .. } = *self;
        if !(0.0..=Self::MAX_TEMPERATURE).contains(&temperature) {
            let most = Self::MAX_TEMPERATURE;
            return bad(
                format!("`temperature` must lie between 0 and {most}, not {temperature}"),
                "0 takes the most probable text",
            );
        }
        if top_k == Some(0) {
            return bad("`top_k` must be at least 1".into(), "leave it out to keep every token");
        }
        if let Some(p) = top_p.filter(|p| !(*p > 0.0 && *p <= 1.0)) {
            return bad(format!("`top_p` must lie above 0 and up to 1, not {p}"), "leave it out to keep every token");
        }
        Ok(())
    }
}

/// As [`Options::check`], but 0 is refused: scores are divided by the temperature.
pub(crate) fn check_temperature(temperature: f32) -> Result<()> {
    Options { temperature, ..Options::default() }.check()?;
    if temperature > 0.0 {
        return Ok(());
    }
    Err(Error::input("scores cannot be divided by temperature 0").help("for temperature 0 ask for `Posterior::map`"))
}

/// Conditions the distribution of the scores on the texts that fit.
///
/// `scores` has one row per position. Rows of decided positions are not read, and of the other rows only the legal
/// scores, unless these are a large part of the row. A score of −∞, or one more than 1e9 below the row's largest,
/// counts as 1e9 below it: only the constraint forbids.
///
/// # Truncation
/// `top_k` and `top_p` look at the *constrained* marginals, so they choose among legal tokens only, and they always
/// keep the tokens of one whole text that fits. Then all answers are computed anew for what is left. A truncated
/// position can therefore never be left without a legal token.
///
/// # Errors
/// When the scores do not fit the canvas or the vocabulary, or one that is read is NaN or +∞; when an option is out of
/// range.
pub fn infer<'a, G: Graph>(
    feasible: &Feasible<'a, G>,
    scores: impl Into<Logits<'a>>,
    options: &Options,
) -> Result<Posterior<'a, G>> {
    let (problem, scores) = (*feasible.problem(), scores.into());
    check(feasible, scores, options)?;
    let mut undecided = Vec::new();
    let mut open = Vec::with_capacity(feasible.len());
    for (pos, support) in feasible.layers.supports.iter().enumerate() {
        open.push(support.is_some().then_some(undecided.len()));
        undecided.extend(support.iter().map(|support| (pos, support.clone())));
    }
    let graph = problem.automaton;
    let read = |(pos, support): (usize, Arc<_>)| {
        let logits = scores.row(pos, graph.vocab_len());
        Row::read(logits, (graph, &*feasible.tables, &*support), options.temperature, pos)
    };
    let work = undecided.len() * graph.vocab_len();
    let read: Result<Vec<(Row, Vec<Mass>)>> = parallel::map(undecided, work, read).into_iter().collect();
    let (rows, masses): (Vec<Row>, Vec<Vec<Mass>>) = read?.into_iter().unzip();
    let messages = solve(&problem, &feasible.tables, &feasible.layers, &masses)?;
    let full = Posterior {
        problem,
        layers: feasible.layers.clone(),
        tables: feasible.tables.clone(),
        classes: masses.iter().map(|_| OnceLock::new()).collect(),
        open,
        log_sum: messages.log_sum(),
        rows,
        masses,
        messages,
    };
    if options.top_k.is_none() && options.top_p.is_none() {
        return Ok(full);
    }
    truncate::truncate(full, options)
}

/// Most states, over all gaps. Each takes up to 36 bytes; 20 unless scores are far apart; 12 where there are [`MANY`].
const MOST_MESSAGES: usize = 24 << 20;

fn check<G: Graph>(feasible: &Feasible<G>, scores: Logits, options: &Options) -> Result<()> {
    let (len, vocab) = (feasible.len(), feasible.problem.automaton.vocab_len());
    if scores.len() != len * vocab {
        return Err(Error::model(format!("{} scores for {len} positions × {vocab} tokens", scores.len())));
    }
    options.check()?;
    check_temperature(options.temperature)?;
    if feasible.layers.len() > MOST_MESSAGES {
        return Err(Error::too_large(format!(
            "the constraints, with {} states, are too large for a canvas of {len} positions",
            feasible.problem.automaton.states()
        ))
        .help("use fewer positions, or narrow the ranges of repetitions and lengths"));
    }
    if options.witness.is_some_and(|witness| !feasible.contains(witness)) {
        return Err(Error::model("the witness is not a text that fits the canvas"));
    }
    Ok(())
}

/// Number of states, over all gaps, from which on single precision is tried first.
const MANY: usize = 1 << 19;

/// Runs the passes in the first number type that suffices.
fn solve<G: Graph>(
    problem: &Problem<G>,
    tables: &Arc<Tables>,
    layers: &Layers,
    masses: &[Vec<Mass>],
) -> Result<Solved> {
    if layers.len() >= MANY
        && let Some(messages) = pass(problem, tables, layers, masses)
    {
        return Ok(Solved::Single(messages));
    }
    if let Some(messages) = pass(problem, tables, layers, masses) {
        return Ok(Solved::Plain(messages));
    }
    let messages = pass(problem, tables, layers, masses).ok_or_else(|| Error::model("the scores are out of range"))?;
    Ok(Solved::Wide(messages))
}

fn pass<M: Message, G: Graph>(
    problem: &Problem<G>,
    tables: &Arc<Tables>,
    layers: &Layers,
    masses: &[Vec<Mass>],
) -> Option<Messages<M>> {
    let graph = problem.automaton;
    let class = |token: &Option<Token>| token.and_then(|token| graph.class_of(token));
    let decided: Vec<Option<Class>> = problem.decided.iter().map(class).collect();
    let open = layers.supports.iter().flatten().zip(masses);
    let labels = open.map(|(support, masses)| label_masses(graph, tables, support, masses)).collect();
    Messages::pass(graph, tables, layers, &decided, labels)
}
