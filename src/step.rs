//! The step of a lane at which a hook is called.

use crate::{Canvas, Pos, Vocab, models::Process, random::rng};
use rand_chacha::ChaCha8Rng;
use std::ops::Range;

/// The step of a lane at which a hook is called.
#[derive(Debug)]
#[non_exhaustive]
pub struct Step<'a> {
    /// Zero-based number of this refinement step in its block.
    pub index: usize,
    /// Steps planned for the block.
    pub budget: usize,
    /// The positions of the current block; all positions where the text is not written block by block.
    pub block: Range<Pos>,
    /// Positions of a whole block, including those that belong to the prompt.
    pub block_size: usize,
    /// The diffusion process of the model. In a process that [revises](Process::revises), committed tokens may change
    /// until the block's last step.
    pub process: Process,
    /// Steps taken before this one, over all blocks.
    pub taken: usize,
    /// The canvas of the lane.
    pub canvas: &'a Canvas,
    /// The vocabulary of the model.
    pub vocab: &'a Vocab,
    /// The seed of the lane.
    pub seed: u64,
}

impl<'a> Step<'a> {
    /// A step for tests of policies and guides: the first step of a masked model that writes the whole canvas, one step
    /// per position. The fields and the methods below change it.
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
    /// The same step as number `index` of `budget`, counted from 0. Steps before the block are not counted.
    pub fn at(self, index: usize, budget: usize) -> Self {
        Self { index, budget, taken: index, ..self }
    }
    /// The same step in a block of these positions.
    pub fn in_block(self, block: Range<Pos>) -> Self {
        Self { block_size: block.len(), block, ..self }
    }
    /// The same step with another seed.
    pub fn seeded(self, seed: u64) -> Self {
        Self { seed, ..self }
    }
    /// The same step in another process.
    pub fn of_process(self, process: Process) -> Self {
        Self { process, ..self }
    }
    /// The random number generator of this step and `purpose`. The same lane, step and purpose give the same numbers.
    /// The generator's type is named in the signature, since the numbers must be the same in every version.
    pub fn rng(&self, purpose: u64) -> ChaCha8Rng {
        rng(self.seed, self.taken as u64, purpose)
    }
    /// The number of steps left, including this one; at least 1.
    pub fn left(&self) -> usize {
        self.budget.saturating_sub(self.index).max(1)
    }
}
