//! Token editing: written positions of a block whose tokens a policy replaces.

use super::{Job, Lane, reading::Reading};
use crate::{Cell, Error, Pos, Proposal, Result, Token, engine::plan::lost};

impl Lane {
    /// Positions of the block that are written and that the policy wants to look at again.
    pub(super) fn editable(&self) -> Vec<Pos> {
        if !self.policy.edits(&self.writing.step(self.job.model.denoiser())) {
            return Vec::new();
        }
        self.writing.blocks.range().filter(|&pos| matches!(self.writing.canvas.cell(pos), Cell::Held { .. })).collect()
    }

    /// Draws the editable positions anew, given everything else, and replaces those that the policy chooses. What it
    /// does not choose keeps its token where that still fits; elsewhere the position is open again.
    pub(super) fn edit(&mut self, job: &Job, reading: &Reading, editable: &[Pos]) -> Result<()> {
        let plan = &job.plan;
        let old: Vec<Option<Token>> = self.writing.canvas.decided();
        let mut rest = old.clone();
        editable.iter().for_each(|&pos| rest[pos] = None);
        let region = plan.region(&rest, self.witness.as_deref())?.ok_or_else(lost)?;
        let reach = region.feasible()?.ok_or_else(lost)?;
        let near = reading.near(&reach);
        let posterior = reading.posterior(&near)?;
        let step = self.writing.step(job.model.denoiser());
        let text = reading.draw(&posterior, &step, 0xed17);
        let mut candidates = posterior.candidates_at(editable, &text);
        candidates.retain(|c| old[c.pos] != Some(c.token));
        let proposal = Proposal { candidates, text, answers: Vec::new() };
        let chosen = self.policy.edit(&step, &proposal)?;
        let Proposal { candidates, text, .. } = proposal;
        if let Some(stray) = chosen.iter().find(|&&pos| candidates.iter().all(|c| c.pos != pos)) {
            return Err(Error::input(format!("the policy edits position {stray}, which was not proposed")));
        }
        if chosen.is_empty() {
            return Ok(());
        }
        let mut decided = rest.clone();
        chosen.iter().for_each(|&pos| decided[pos] = Some(text[pos]));
        let kept: Vec<Pos> = editable.iter().copied().filter(|pos| !chosen.contains(pos)).collect();
        let mut all = decided.clone();
        kept.iter().for_each(|&pos| all[pos] = old[pos]);
        if plan.fits(&all)? {
            decided = all;
        } else {
            for &pos in &kept {
                decided[pos] = old[pos];
                if !plan.fits(&decided)? {
                    decided[pos] = None;
                }
            }
        }
        for &pos in editable {
            let cell = decided[pos].map_or(Cell::Open, |token| Cell::Held { token, step: self.writing.taken });
            if decided[pos] != old[pos] {
                self.writing.canvas.set(pos, cell);
            }
        }
        self.exact &= region.exact();
        self.last.reopened.extend(kept.into_iter().filter(|&pos| decided[pos].is_none()));
        self.last.committed.extend(chosen);
        self.witness = None;
        Ok(())
    }
}
