//! Exact inference over a token automaton: feasibility, marginals, joint samples, MAP, log Z.

mod map;
mod messages;
mod number;
mod posterior;
mod reach;
mod rows;

pub use posterior::Posterior;
pub use reach::{Problem, Reach, reach};

use crate::automata::Class;
use crate::{Error, Result, Scores, Token};
use messages::Messages;
use posterior::Solved;
use rayon::prelude::*;
use reach::{Choice, Layers};
use rows::{ClassMass, Kept, Row, Support};

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
pub fn infer<'a>(reach: &Reach<'a>, scores: &'a Scores, options: &Options) -> Result<Posterior<'a>> {
    let problem = *reach.problem();
    check(&problem, scores, options)?;
    let mut rows = Vec::new();
    let open = problem.decided.iter().enumerate().map(|(pos, decided)| {
        decided.is_none().then(|| {
            rows.push(Row::new(scores, pos, options.temperature));
            rows.len() - 1
        })
    });
    let open: Vec<Option<usize>> = open.collect();
    let supports: Vec<Support> = rows.iter().map(|_| Support::Full(problem.automaton)).collect();
    let choices = reach::choices(&problem).unwrap_or_default();
    let (messages, log_total) = solve(&problem, &reach.layers, &choices, &rows, &supports)?;
    let log_z = (messages.log_sum() - log_total).min(0.0);
    let full = Posterior { problem, layers: reach.layers.clone(), open, rows, supports, messages, log_z };
    if options.top_k.is_none() && options.top_p.is_none() {
        return Ok(full);
    }
    truncate(full, options)
}

fn check(problem: &Problem, scores: &Scores, options: &Options) -> Result<()> {
    let (len, vocab) = (problem.decided.len(), problem.automaton.vocab_len());
    if scores.vocab() != vocab || scores.len() != len {
        let (rows, width) = (scores.len(), scores.vocab());
        return Err(Error::model(format!("{rows} rows of {width} scores for {len} positions and {vocab} tokens")));
    }
    if !(options.temperature > 0.0 && options.temperature.is_finite()) {
        return Err(Error::input(format!("temperature {} is not a positive number", options.temperature)));
    }
    if options.top_k == Some(0) {
        return Err(Error::input("top_k 0 leaves no token").help("use 1 or more"));
    }
    if options.top_p.is_some_and(|p| !(p > 0.0 && p <= 1.0)) {
        return Err(Error::input("top_p must be more than 0 and at most 1"));
    }
    Ok(())
}

/// Messages, and the logarithm of the total weight of all texts, fitting or not.
fn solve(
    problem: &Problem,
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
fn masses<N: ClassMass>(problem: &Problem, rows: &[Row], supports: &[Support]) -> (Vec<N>, f64) {
    /// Below this many scores threads cost more than they save.
    const WORTH_THREADS: usize = 1 << 17;
    let classes = problem.automaton.classes().max(1);
    let mut masses = vec![N::ZERO; rows.len() * classes];
    let each = |weights: &mut Vec<f64>, ((row, support), masses): ((&Row, &Support), &mut [N])| {
        N::sum_classes(row, support, weights, masses)
    };
    let totals: Vec<f64> = if rows.len() * problem.automaton.vocab_len() >= WORTH_THREADS {
        (rows.par_iter().zip(supports)).zip(masses.par_chunks_mut(classes)).map_init(Vec::new, each).collect()
    } else {
        let mut weights = Vec::new();
        (rows.iter().zip(supports)).zip(masses.chunks_mut(classes)).map(|item| each(&mut weights, item)).collect()
    };
    (masses, totals.iter().sum())
}

/// Restricts each position to the likeliest legal tokens and those of a witness, and solves again.
fn truncate<'a>(full: Posterior<'a>, options: &Options) -> Result<Posterior<'a>> {
    let automaton = full.problem.automaton;
    let witness = match options.witness {
        Some(witness) if witness.len() == full.open.len() => witness.to_vec(),
        Some(_) => return Err(Error::model("the witness does not have one token for each position")),
        None => full.map(),
    };
    let mut supports = Vec::new();
    for (pos, open) in full.open.iter().enumerate() {
        let Some(open) = open else { continue };
        let mut kept = likeliest(full.candidates(*open), options);
        let token = witness[pos];
        kept.extend(automaton.class_of(token).map(|class| (class, token)));
        supports.push(Support::Kept(Kept::new(kept)));
    }
    let mut cut = Posterior { supports, ..full };
    let choices = cut.choices();
    let layers = Layers::new(automaton, &choices, cut.problem.tokens)
        .ok_or_else(|| Error::model("the witness is not a text that fits the canvas"))?;
    let (messages, _) = solve(&cut.problem, &layers, &choices, &cut.rows, &cut.supports)?;
    drop(choices);
    cut.layers = layers;
    cut.messages = messages;
    Ok(cut)
}

/// The likeliest candidates; of equally likely ones the lower token first.
fn likeliest(mut candidates: Vec<(f64, Token, Class)>, options: &Options) -> Vec<(Class, Token)> {
    candidates.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    candidates.truncate(options.top_k.unwrap_or(usize::MAX));
    if let Some(top_p) = options.top_p {
        let enough = candidates.iter().map(|c| c.0).sum::<f64>() * top_p as f64;
        let mut held = 0.0;
        let count = candidates.iter().position(|c| {
            held += c.0;
            held >= enough
        });
        candidates.truncate(count.map_or(usize::MAX, |last| last + 1));
    }
    candidates.into_iter().map(|(_, token, class)| (class, token)).collect()
}
