//! The progress of a lane, from which the hooks' [`Step`] is made.

use super::{Job, block_schedule::BlockSchedule};
use crate::{Canvas, Cell, Error, Pos, Result, Step, models::Denoiser, models::Process};

/// The canvas of a lane, and the block and step that are current.
#[derive(Clone)]
pub(super) struct LaneProgress {
    pub seed: u64,
    pub canvas: Canvas,
    pub process: Process,
    /// The last step of a block commits all of it, so no policy can go on for ever.
    pub blocks: BlockSchedule,
    /// Steps taken, over all blocks.
    pub taken: usize,
}

impl LaneProgress {
    /// # Errors
    /// As [`BlockSchedule::new`].
    pub fn new(job: &Job, seed: u64, canvas: Canvas) -> Result<Self> {
        let blocks = BlockSchedule::new(&canvas, &job.settings, &job.defaults)?;
        Ok(Self { seed, canvas, process: job.model.denoiser().process(), blocks, taken: 0 })
    }

    /// Plans blocks and steps anew for the present canvas.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn plan_blocks(&mut self, job: &Job) -> Result<()> {
        self.blocks = BlockSchedule::new(&self.canvas, &job.settings, &job.defaults)?;
        Ok(())
    }

    pub fn step<'a>(&'a self, denoiser: &'a dyn Denoiser) -> Step<'a> {
        Step {
            index: self.blocks.index,
            budget: self.blocks.budget,
            block: self.blocks.range(),
            block_size: self.blocks.size(),
            process: self.process,
            taken: self.taken,
            canvas: &self.canvas,
            vocab: denoiser.vocab(),
            seed: self.seed,
        }
    }

    /// Limits the canvas to the positions that the current block sees.
    pub fn see(&mut self) {
        self.canvas.set_horizon(self.blocks.horizon(self.canvas.len()));
    }

    /// Opens held positions.
    ///
    /// # Errors
    /// A position that is not held, or not in the current block.
    pub fn reopen(&mut self, positions: &[Pos]) -> Result<()> {
        for &pos in positions {
            if !matches!(self.canvas.cells().get(pos), Some(Cell::Held { .. })) || !self.blocks.range().contains(&pos) {
                return Err(Error::input(format!("the policy reopens position {pos}"))
                    .help("only positions of the present block that are held can be reopened"));
            }
        }
        positions.iter().for_each(|&pos| self.canvas.set(pos, Cell::Open));
        Ok(())
    }

    /// Whether every position of the block is decided.
    pub fn is_full(&self) -> bool {
        self.canvas.cells()[self.blocks.range()].iter().all(|c| c.decided().is_some())
    }
    /// The positions of the block that are not decided.
    pub fn open_in_block(&self) -> Vec<Pos> {
        self.canvas.undecided().filter(|pos| self.blocks.range().contains(pos)).collect()
    }
    /// The planned number of steps for the text, up to the end of the current block.
    pub fn planned(&self) -> usize {
        self.taken + self.blocks.budget.saturating_sub(self.blocks.index)
    }
}
