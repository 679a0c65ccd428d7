//! Stencil lays a stencil over a diffusion language model: what the text must be is fixed, the model writes the rest.
//!
//! ```text
//!  template / prompt / constraint file
//!         │ spec          parse, with spans
//!         ▼
//!    Job (compiled once)
//!         ▼
//!    Lane ─── ask ──► Denoiser (one batch for all lanes) ──► Scores (positions × tokens)
//!      ▲  canvas, hooks, state                                  │ guides      soft: add finite energies
//!      │                                                        ▼
//!      │                                                  inference         hard: one automaton, exact
//!      │                                                        │           → joint draw, marginals, log Z
//!      └──── commit / reopen ◄── policy ◄───────────────────────┘
//!      population: weigh, copy, drop lanes            records of every step
//!         ▼
//!    decode → verify (code that constrains nothing) → Output { text, slots, report }
//! ```
//!
//! Every output satisfies every hard constraint, within the positions there are: at each step one text is drawn jointly
//! from the exact constrained distribution of that step, and only parts of it are committed, so the rest can always be
//! completed.
//!
//! ```no_run
//! use stencil_lm::{Model, Result};
//!
//! fn main() -> Result<()> {
//!     let model = Model::bundled()?;
//!     let output = model
//!         .fill("The {{animal:1-2}} is a {{size|small|large}} animal that {{does:2-6}}.")?
//!         .topic("animal", 2.0)
//!         .seed(0)
//!         .run()?;
//!     println!("{}", output.text);
//!     Ok(())
//! }
//! ```
//!
//! Read [`Runner`] first; each stage is a module in the order of the picture. Plugins are traits: [`Constraint`],
//! [`Guide`], [`Policy`], [`Observer`], [`Denoiser`], [`Population`], [`Potential`], and [`spec::Kind`] for what
//! constraint files may name. The engine alone, for runtimes that bring their own model, is [`engine`].
//!
//! # Features
//! - `cli` (default): the program `stencil`. Without it, a library pays for no command line.
//! - `bundled` (default): the small model that comes along.
//! - `cuda`, `metal`: pretrained checkpoints on a GPU.

mod ask;
mod canvas;
pub mod eval;
pub mod guides;
mod kernels;
mod lane;
pub mod models;
pub mod policies;
mod population;
mod random;
mod record;
mod report;
mod request;
mod runner;
mod settings;
mod slot_lengths;
pub mod spec;
mod step;
pub mod train;
mod typed;

pub use ask::{Answer, Ask};
pub use canvas::{Canvas, CanvasView, Cell};
pub use guides::{Energies, Guide, GuideFactory};
pub use lane::{Job, Lane, Origin};
pub use models::{Denoiser, Model};
pub use policies::{Moves, Policy, PolicyFactory, Proposal};
pub use population::{LaneView, Population, Potential, PotentialFactory};
pub use record::{CandidateRecord, CellRecord, CellState, Interrupted, Observer, Partial, Record, Written};
pub use report::{Output, Report};
pub use request::{Many, One, Request, Sampler};
pub use runner::{LaneId, Runner};
pub use settings::{Ending, Layout, Settings};
pub use step::Step;

/// The engine alone, for other runtimes.
pub use stencil_engine as engine;
pub use stencil_engine::{
    Candidate, Check, CompileCx, Constraint, Error, ErrorKind, Language, Pos, Result, Scores, Source, Token, Verdict,
    Vocab,
};
pub use stencil_engine::{automata, check, constraints, grammar, inference, language, schema, util};

/// The documents' examples compile.
#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../README.md")]
    mod readme {}
    #[doc = include_str!("../docs/guide.md")]
    mod guide {}
}
