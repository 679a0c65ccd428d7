//! Exact inference over token automata: what a language model's distribution is, given that the text obeys something.
//!
//! A constraint, logits and what is decided go in; projected logits, jointly drawn texts, marginals and log Z come out.
//! This is the engine of Stencil without its sampler and its models: [`Engine`] is the door for runtimes that bring
//! their own.
//!
//! ```text
//!  constraints → language → automata, grammar → inference
//!      schema ──────┘          over a vocabulary    scores in, answers out
//! ```
//! Folders depend on those to their right only.
#![deny(unsafe_code, unsafe_op_in_unsafe_fn)]

pub mod automata;
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

pub use constraints::{CompileCx, Constraint, Verdict};
pub use error::{Error, ErrorKind, Result, Source};
pub use inference::{Candidate, Logits, Options};
pub use language::Language;
pub use runtime::{Compiled, Engine, Projection, Query, Softmax, softmax};
pub use scores::{Pos, Scores};
pub use vocab::{Token, Vocab};
