//! The engine for runtimes that bring their own model and their own loop.
//!
//! A constraint, logits and the decided positions go in; projected logits, texts and log Z come out. No tensor library
//! is needed: logits are slices. [`Engine`] and [`Compiled`] are `Send + Sync` and cheap to clone; one of each serves
//! any number of threads.
//!
//! ```
//! use stencil_engine::{Engine, Logits, Options, Vocab};
//!
//! # fn main() -> stencil_engine::Result<()> {
//! // Every byte is a token; token 256 ends the text.
//! let tokens = (0..=255).map(|byte| Some(vec![byte])).chain([None]).collect();
//! let engine = Engine::new(Vocab::from_bytes(tokens, Some(256), None)?);
//! let date = engine.regex("[0-9]{4}-[0-9]{2}")?;
//!
//! // Eight positions of which the model knows nothing, but the third is a 2.
//! let logits = vec![0.0f32; 8 * 257];
//! let mut decided = vec![None; 8];
//! decided[2] = Some(u32::from(b'2'));
//! let (text, log_z) = date.project(Logits::F32(&logits), &decided, &Options::default(), |projection| {
//!     (projection.sample(7), projection.log_z())
//! })?;
//! let text = String::from_utf8_lossy(&engine.vocab().decode(&text)).into_owned();
//! assert!(text.len() == 7 && &text[2..3] == "2" && &text[4..5] == "-");
//! // Five of the digits are left open; the hyphen and the end stand for themselves.
//! assert!((log_z? - (1e5f64.ln() - 7.0 * 257f64.ln())).abs() < 1e-4);
//! # Ok(()) }
//! ```

mod projection;

pub use crate::inference::{Logits, Options};
pub use projection::Projection;

use crate::automata::TokenAutomaton;
use crate::constraints::Regex;
use crate::inference::simd::{Scale, Simd};
use crate::plan::CompiledConstraints;
use crate::{Constraint, Error, Pos, Result, Token, Vocab, inference};
use std::sync::Arc;

/// A vocabulary, ready to compile constraints for.
#[derive(Debug, Clone)]
pub struct Engine {
    vocab: Arc<Vocab>,
}

impl Engine {
    /// For the vocabulary of a model.
    pub fn new(vocab: Vocab) -> Self {
        Self { vocab: Arc::new(vocab) }
    }

    /// Reads a `tokenizer.json`. `size` is the width of a row of the model's logits, where it is more than the
    /// tokenizer's tokens. The token that ends a text is found by its usual names (`<|endoftext|>`, `</s>`, …).
    ///
    /// # Errors
    /// A file that cannot be read, a `size` that is too small, a tokenizer without such a token.
    #[cfg(feature = "tokenizers")]
    pub fn from_file(path: &std::path::Path, size: Option<usize>) -> Result<Self> {
        Ok(Self::new(crate::vocab::read_tokenizer(path, size)?))
    }

    /// The vocabulary.
    pub fn vocab(&self) -> &Vocab {
        &self.vocab
    }

    /// The texts that match as a whole.
    ///
    /// # Errors
    /// Those of [`compile`](Self::compile), and an expression that cannot be parsed.
    pub fn regex(&self, pattern: &str) -> Result<Compiled> {
        self.compile(&[Arc::new(Regex::new(pattern)?)])
    }

    /// The texts that satisfy all constraints. The latest automata are kept in memory: the same request again costs a
    /// look-up.
    ///
    /// # Errors
    /// Constraints that contradict each other, or that are too large.
    pub fn compile(&self, constraints: &[Arc<dyn Constraint>]) -> Result<Compiled> {
        Ok(Compiled {
            plan: Arc::new(CompiledConstraints::compile(constraints, &self.vocab)?),
            vocab: self.vocab.clone(),
        })
    }
}

/// A constraint over a vocabulary.
#[derive(Clone)]
pub struct Compiled {
    plan: Arc<CompiledConstraints>,
    vocab: Arc<Vocab>,
}

/// One sequence of a batch.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    /// The constraint of the sequence.
    pub constraint: &'a Compiled,
    /// L × V, row-major; rows of decided positions are not read.
    pub logits: Logits<'a>,
    /// The token of each of the L positions, where it is decided.
    pub decided: &'a [Option<Token>],
    /// How to read the logits.
    pub options: Options<'a>,
}

impl Compiled {
    /// The automaton; `None` of a recursive grammar, which has one for each canvas.
    pub fn automaton(&self) -> Option<&TokenAutomaton> {
        self.plan.automaton()
    }

    /// Fewest tokens of a text.
    pub fn shortest(&self) -> usize {
        self.plan.shortest
    }

    /// Undecided positions at which one token is left, with that token: they need no forward.
    ///
    /// # Errors
    /// Where no text fits (`is_unsatisfiable`), or the canvas is too large.
    pub fn forced(&self, decided: &[Option<Token>]) -> Result<Vec<(Pos, Token)>> {
        let unfit = || self.plan.unfit(decided, &self.vocab);
        let region = self.plan.region(decided, None)?.ok_or_else(unfit)?;
        Ok(region.feasible()?.ok_or_else(unfit)?.forced())
    }

    /// Conditions the distribution of the logits on the texts that fit, and calls `read` with it. Answers that `read`
    /// does not ask for are not computed.
    ///
    /// # Errors
    /// Where no text fits (`is_unsatisfiable`); where the logits have another size than L × V, or one that is read is
    /// NaN or +∞ (only legal ones are read where few are legal); where an option is out of range.
    pub fn project<R>(
        &self,
        logits: Logits,
        decided: &[Option<Token>],
        options: &Options,
        read: impl FnOnce(&Projection) -> R,
    ) -> Result<R> {
        let unfit = || self.plan.unfit(decided, &self.vocab);
        let region = self.plan.region(decided, options.witness)?.ok_or_else(unfit)?;
        let feasible = region.feasible()?.ok_or_else(unfit)?;
        let posterior = inference::infer(&feasible, logits, options)?;
        Ok(read(&Projection { posterior, exact: region.exact() }))
    }

    /// [`project`](Self::project) of many sequences, each with a constraint of its own, in parallel. Answers are in
    /// order and do not depend on the number of threads.
    pub fn project_batch<R: Send>(
        batch: &[Query],
        read: impl Fn(usize, &Projection) -> R + Send + Sync,
    ) -> Vec<Result<R>> {
        inference::parallel::each(batch, |i, query| {
            query.constraint.project(query.logits, query.decided, &query.options, |projection| read(i, projection))
        })
    }

    /// The vocabulary it was compiled for.
    pub fn vocab(&self) -> &Vocab {
        &self.vocab
    }
}

impl std::fmt::Debug for Compiled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.automaton() {
            Some(automaton) => write!(f, "Compiled({automaton:?})"),
            None => write!(f, "Compiled(pushdown)"),
        }
    }
}

/// The softmax of a row, as every sampler computes it, constrained or not.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Softmax {
    /// The likeliest token; the lowest of several.
    pub token: Token,
    /// Its logit.
    pub largest: f32,
    /// Logarithm of the sum of the exponentials of all logits over the temperature.
    pub log_sum: f64,
}

/// The largest logit and the sum of exponentials, in one pass over a row: the baseline of the projection's cost.
///
/// # Errors
/// An empty row, NaN or +∞ in it, or a temperature that [`infer`](inference::infer) would refuse.
pub fn softmax(row: &[f32], temperature: f32) -> Result<Softmax> {
    inference::check_temperature(temperature)?;
    let peak = Simd::best().softmax(row, Scale::new(1.0 / temperature as f64));
    if row.is_empty() || peak.sum.is_nan() || peak.value == f32::INFINITY {
        return Err(Error::model("the row is empty, or holds NaN or +∞"));
    }
    let log_sum = peak.value as f64 / temperature as f64 + peak.sum.ln();
    Ok(Softmax { token: peak.index as Token, largest: peak.value, log_sum })
}
