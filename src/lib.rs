//! Stencil lays a stencil over a diffusion language model: what the text must be is fixed, the model writes the rest.
#![forbid(unsafe_code)]

pub mod automata;
mod canvas;
pub mod constraints;
mod error;
pub mod guides;
pub mod inference;
pub mod models;
pub mod policies;
mod sampler;
mod scores;
mod settings;
pub mod spec;
pub mod train;
mod vocab;

pub use automata::Language;
pub use canvas::{Canvas, CanvasView, Cell, Pos};
pub use constraints::{CompileCx, Constraint, Verdict};
pub use error::{Error, ErrorKind, Result, Source};
pub use guides::Guide;
pub use models::{Denoiser, Model};
pub use policies::{Candidate, Moves, Policy, Proposal};
pub use sampler::{Event, Observer, Step};
pub use scores::Scores;
pub use settings::{Layout, Settings};
pub use vocab::{Token, Vocab};
