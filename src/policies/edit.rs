use super::{Moves, Pace, Policy, Proposal, Threshold};
use crate::{Pos, Result, Step};

/// Token editing: commits as [`Threshold`] does, and overwrites what is written where another token is probable
/// enough; also after the block is full, until nothing changes.
///
/// Source: LLaDA2.1's own `generate`, with the defaults 0.95, 0.9 and 16.
#[derive(Debug, Clone, Copy)]
pub struct Edit {
    /// Probability from which on an open position is written.
    pub threshold: f32,
    /// Probability above which a written one is overwritten.
    pub editing: f32,
    /// Most steps after the block is full.
    pub post_steps: usize,
    /// The latest step that wrote open positions.
    wrote: Option<usize>,
    /// Steps since the block has been full, and whether the latest of them changed nothing.
    full: usize,
    settled: bool,
}

impl Edit {
    pub fn new(threshold: f32, editing: f32, post_steps: usize) -> Self {
        Self { threshold, editing, post_steps, wrote: None, full: 0, settled: false }
    }
}

impl Policy for Edit {
    fn choose(&mut self, step: &Step, proposal: &Proposal) -> Result<Moves> {
        (self.wrote, self.full, self.settled) = (Some(step.taken), 0, false);
        Threshold { threshold: self.threshold, pace: Pace::Even }.choose(step, proposal)
    }
    fn edits(&self, step: &Step) -> bool {
        let full = step.canvas.cells()[step.block.clone()].iter().all(|c| c.decided().is_some());
        !full || !self.settled && self.full < self.post_steps
    }
    fn edit(&mut self, step: &Step, proposal: &Proposal) -> Result<Vec<Pos>> {
        let sure = proposal.candidates.iter().filter(|c| c.prob > self.editing);
        let chosen: Vec<Pos> = sure.map(|c| c.pos).collect();
        if self.wrote != Some(step.taken) {
            self.full += 1;
            self.settled = chosen.is_empty();
        }
        Ok(chosen)
    }
}
