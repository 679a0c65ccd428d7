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
    /// The first of one step on a canvas of one block, of a masked model: for tests of guides and policies. Fields can be
    /// changed.
    ///
    /// ```
    /// use stencil_lm::{Canvas, Cell, Step, Vocab};
    /// let vocab = Vocab::from_bytes(vec![Some(b"a".to_vec()), None], Some(1), None)?;
    /// let canvas = Canvas::of([Cell::Fixed(0), Cell::Open]);
    /// let mut step = Step::new(&canvas, &vocab);
    /// step.budget = 4;
    /// assert_eq!(step.left(), 4);
    /// # Ok::<(), stencil_lm::Error>(())
    /// ```
    pub fn new(canvas: &'a Canvas, vocab: &'a Vocab) -> Self {
        let len = canvas.len();
        let process = Process::Masked;
        Self { index: 0, budget: 1, block: 0..len, block_size: len, process, taken: 0, canvas, vocab, seed: 0 }
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
