//! What hooks are shown: where a sample stands, and the events of a run.

use crate::{Candidate, Canvas, Pos, Vocab};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::ops::{ControlFlow, Range};

/// Where a sample stands when a hook is called.
#[derive(Debug)]
#[non_exhaustive]
pub struct Step<'a> {
    /// Zero-based number of this refinement step in its block.
    pub index: usize,
    /// Steps planned for the block.
    pub budget: usize,
    /// The positions being written: all, unless the text is written block by block.
    pub block: Range<Pos>,
    /// Positions of a whole block, those that belong to the prompt included.
    pub block_size: usize,
    /// Whether the process is a uniform-state one: what is committed before a block's last step may still change.
    pub revises: bool,
    /// Steps taken before this one, over all blocks.
    pub taken: usize,
    pub canvas: &'a Canvas,
    pub vocab: &'a Vocab,
    /// Seed of this sample.
    pub seed: u64,
}

impl Step<'_> {
    /// Random numbers of this step. The same `purpose` at the same step of the same sample gives the same numbers.
    pub fn rng(&self, purpose: u64) -> ChaCha8Rng {
        let mut key = [0u8; 32];
        key[..8].copy_from_slice(&self.seed.to_le_bytes());
        key[8..16].copy_from_slice(&(self.taken as u64).to_le_bytes());
        key[16..24].copy_from_slice(&purpose.to_le_bytes());
        ChaCha8Rng::from_seed(key)
    }
    /// Steps left, this one included; at least one.
    pub fn left(&self) -> usize {
        self.budget.saturating_sub(self.index).max(1)
    }
}

/// What observers see.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Before the first step of a sample.
    Start { sample: usize, seed: u64, canvas: &'a Canvas, vocab: &'a Vocab },
    /// After a step: the canvas as it now is.
    Step {
        sample: usize,
        index: usize,
        budget: usize,
        canvas: &'a Canvas,
        vocab: &'a Vocab,
        /// Positions written in this step, by the policy or because only one token was left.
        committed: &'a [Pos],
        reopened: &'a [Pos],
        candidates: &'a [Candidate],
        /// log of the model's mass on the constraint at this step, in nats.
        log_z: f64,
        exact: bool,
        /// Forwards of the denoiser that this sample needed so far.
        nfe: usize,
    },
    /// The text is complete.
    End { sample: usize, text: &'a str, verified: bool },
}

/// Reads every step and may stop the run. Closures `FnMut(&Event) -> ControlFlow<()>` are observers.
pub trait Observer: Send {
    fn on_step(&mut self, event: &Event) -> ControlFlow<()>;
}

impl<F: FnMut(&Event) -> ControlFlow<()> + Send> Observer for F {
    fn on_step(&mut self, event: &Event) -> ControlFlow<()> {
        self(event)
    }
}
