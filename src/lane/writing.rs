//! How far a lane has come: what hooks are shown of it.

use super::{Job, blocks::Blocks};
use crate::{Canvas, Cell, Error, Pos, Result, Step, models::Denoiser, models::Process};

/// How far a lane has come.
#[derive(Clone)]
pub(super) struct Writing {
    pub seed: u64,
    pub canvas: Canvas,
    pub process: Process,
    /// The last step of a block commits all of it, so no policy can go on for ever.
    pub blocks: Blocks,
    /// Steps taken.
    pub taken: usize,
}

impl Writing {
    /// # Errors
    /// A block length that the model's own blocks do not allow.
    pub fn new(job: &Job, seed: u64, canvas: Canvas) -> Result<Self> {
        let blocks = Blocks::new(&canvas, &job.settings, &job.defaults)?;
        Ok(Self { seed, canvas, process: job.model.denoiser().process(), blocks, taken: 0 })
    }

    /// Plans the steps of the canvas as it now is.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn plan_blocks(&mut self, job: &Job) -> Result<()> {
        self.blocks = Blocks::new(&self.canvas, &job.settings, &job.defaults)?;
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

    /// Brings what the present block sees into play.
    pub fn see(&mut self) {
        self.canvas.set_horizon(self.blocks.horizon(self.canvas.len()));
    }

    /// Opens held positions again.
    ///
    /// # Errors
    /// A position that is not held, or not of the present block.
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

    /// Whether no position of the block is open.
    pub fn is_full(&self) -> bool {
        self.canvas.cells()[self.blocks.range()].iter().all(|c| c.decided().is_some())
    }
    /// Positions of the block that are not decided.
    pub fn open_in_block(&self) -> Vec<Pos> {
        self.canvas.undecided().filter(|pos| self.blocks.range().contains(pos)).collect()
    }
    /// Steps of the whole text as far as they are planned.
    pub fn planned(&self) -> usize {
        self.taken + self.blocks.budget.saturating_sub(self.blocks.index)
    }
}
