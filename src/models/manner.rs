//! How a model is meant to be sampled: facts that a model states and the engine follows.

use crate::{Pos, settings::Cache};
use std::{any::Any, ops::Range};

/// Facts about a model's process.
#[derive(Debug, Clone, PartialEq)]
pub struct Manner {
    /// Nothing is decided until a block is finished: positions that were not accepted are shown as random tokens, and
    /// accepted ones may still change (uniform-state). Otherwise an open position is shown as what the model takes for
    /// "not written yet".
    pub revises: bool,
    /// The model writes in blocks of its own, none of which sees a later one.
    pub blocks: Option<Blocks>,
    /// The model uses what it keeps in a [`Session`].
    pub keeps: bool,
    /// Approximate caches work with this model.
    pub caches: bool,
    /// Policy where none is asked for.
    pub policy: &'static str,
    /// Steps of a block where none are asked for; one for each open position if not given.
    pub steps: Option<usize>,
    /// Temperature at the first and after the last step of a block, where none is asked for.
    pub temperature: (f32, f32),
    /// Policy and temperature in templates, where they differ: slots between literals leave less to choose than free
    /// text does.
    pub templates: Option<(&'static str, f32)>,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            revises: false,
            blocks: None,
            keeps: false,
            caches: false,
            policy: "confidence",
            steps: None,
            temperature: (0.7, 0.7),
            templates: None,
        }
    }
}

/// The blocks of a model that sees no later block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocks {
    pub size: usize,
    /// Counted from the first token of the prompt; from the first of the answer otherwise.
    pub from_prompt: bool,
}

/// What belongs to one text in the making, from step to step.
#[derive(Default)]
pub struct Session {
    /// The positions being written.
    pub block: Range<Pos>,
    /// What may be reused within a block; none: everything is computed anew.
    pub cache: Option<Cache>,
    /// Temperature at which the latest prediction was read.
    pub temperature: f32,
    /// The denoiser's own.
    pub kept: Option<Box<dyn Any + Send>>,
}
