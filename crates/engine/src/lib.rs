//! Exact inference over token automata: the distribution of a language model, conditioned on what the text must satisfy.
//!
//! A constraint, logits and the decided positions go in; projected logits, jointly drawn texts, marginals and log Z come
//! out. This is the engine of Stencil without its sampler and its models: [`Engine`] is the door for runtimes that bring
//! their own.
//!
//! ```text
//!  constraints → language → automata, grammar → inference
//!      schema ──────┘          over a vocabulary    scores in, answers out
//!      check     whether a finished text satisfies them, without any of the above but the language
//! ```
//! Folders depend on those to their right only.
//!
//! # Features
//! - `tokenizers` (default): vocabularies from a `tokenizer.json`, kept on disk once read.
//! - `rayon` (default): threads for large vocabularies and for batches. The answers are the same without.
//! - `verify` (default): texts under a JSON Schema are checked by another implementation.
//! - `schemars`: JSON Schemas of what templates and settings may hold.

pub mod automata;
pub mod check;
pub mod constraints;
pub mod cpu;
mod error;
pub mod grammar;
pub mod inference;
pub mod language;
pub mod plan;
mod runtime;
pub mod schema;
mod scores;
pub mod util;
mod vocab;

pub use check::{Check, Verdict};
pub use constraints::{CompileCx, Constraint};
pub use error::{Error, ErrorKind, Result, Source};
pub use inference::{Candidate, Logits, Options};
pub use language::Language;
pub use runtime::{Compiled, Engine, Projection, Query, Softmax, softmax};
pub use scores::{Pos, Scores};
pub use vocab::{Token, Vocab};

/// The examples of the README, run as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
