//! Where a lane stands when a hook is called.

use crate::{Canvas, Pos, Vocab, models::Process, random::rng};
use rand_chacha::ChaCha8Rng;
use std::ops::Range;

/// Where a lane stands when a hook is called.
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
    /// What an open position is in the model's process: where it [revises](Process::revises), what is committed before a
    /// block's last step may still change.
    pub process: Process,
    /// Steps taken before this one, over all blocks.
    pub taken: usize,
    /// What has been written.
    pub canvas: &'a Canvas,
    /// What tokens write.
    pub vocab: &'a Vocab,
    /// Seed of this lane.
    pub seed: u64,
}

impl<'a> Step<'a> {
    /// The first of as many steps as the canvas has positions, all of which are written together, of a masked model: for
    /// tests of policies and guides. Fields and the methods below change what else a hook may look at.
    ///
    /// ```
    /// use stencil_lm::{Canvas, Step, Vocab};
    /// let vocab = Vocab::from_bytes(vec![Some(b"a".to_vec()), None], Some(1), None)?;
    /// let canvas = Canvas::open(8);
    /// let step = Step::new(&canvas, &vocab).at(1, 4).in_block(0..4);
    /// assert_eq!((step.left(), step.block_size), (3, 4));
    /// # Ok::<(), stencil_lm::Error>(())
    /// ```
    pub fn new(canvas: &'a Canvas, vocab: &'a Vocab) -> Self {
        let (len, process) = (canvas.len(), Process::Masked);
        let (index, taken, seed) = (0, 0, 0);
        Self { index, budget: len.max(1), block: 0..len, block_size: len, process, taken, canvas, vocab, seed }
    }
    /// The same, as step `index` of `budget`, from 0; no step before its block is counted.
    pub fn at(self, index: usize, budget: usize) -> Self {
        Self { index, budget, taken: index, ..self }
    }
    /// The same, where these positions are written.
    pub fn in_block(self, block: Range<Pos>) -> Self {
        Self { block_size: block.len(), block, ..self }
    }
    /// The same, with the random numbers of this seed.
    pub fn seeded(self, seed: u64) -> Self {
        Self { seed, ..self }
    }
    /// The same, in another process.
    pub fn of_process(self, process: Process) -> Self {
        Self { process, ..self }
    }
    /// Random numbers of this step. The same `purpose` at the same step of the same lane gives the same numbers. The
    /// generator's type is named since numbers must be the same in every version.
    pub fn rng(&self, purpose: u64) -> ChaCha8Rng {
        rng(self.seed, self.taken as u64, purpose)
    }
    /// Steps left, this one included; at least one.
    pub fn left(&self) -> usize {
        self.budget.saturating_sub(self.index).max(1)
    }
}
