//! Token editing: the policy replaces tokens that are already written.

use super::{Job, Lane, step_inference::StepInference};
use crate::{Cell, Error, Pos, Proposal, Result, Token, engine::plan::lost};
use std::collections::HashSet;

impl Lane {
    /// The held positions of the block, if the policy edits tokens at this step.
    pub(super) fn editable(&self) -> Vec<Pos> {
        if !self.policy.edits(&self.progress.step(self.job.model.denoiser())) {
            return Vec::new();
        }
        self.progress
            .blocks
            .range()
            .filter(|&pos| matches!(self.progress.canvas.cell(pos), Cell::Held { .. }))
            .collect()
    }

    /// Draws new tokens for the editable positions, given all other positions, and replaces the tokens that the policy
    /// chooses. The other editable positions keep their tokens where those still fit; where not, they are opened.
    pub(super) fn edit(&mut self, job: &Job, inference: &StepInference, editable: &[Pos]) -> Result<()> {
        let plan = &job.plan;
        let old: Vec<Option<Token>> = self.progress.canvas.decided();
        let mut rest = old.clone();
        editable.iter().for_each(|&pos| rest[pos] = None);
        let region = plan.region(&rest, self.witness.as_deref())?.ok_or_else(lost)?;
        let feasible = region.feasible()?.ok_or_else(lost)?;
        let scored = inference.scored(&feasible);
        let posterior = inference.posterior(&scored)?;
        let step = self.progress.step(job.model.denoiser());
        let text = inference.draw(&posterior, &step, 0xed17);
        let mut candidates = posterior.candidates_at(editable, &text);
        candidates.retain(|c| old[c.pos] != Some(c.token));
        let proposal = Proposal { candidates, text, answers: Vec::new() };
        let mut seen = HashSet::new();
        let chosen: Vec<Pos> =
            self.policy.edit(&step, &proposal)?.into_iter().filter(|&pos| seen.insert(pos)).collect();
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
            let cell = decided[pos].map_or(Cell::Open, |token| Cell::Held { token, step: self.progress.taken });
            if decided[pos] != old[pos] {
                self.progress.canvas.set(pos, cell);
            }
        }
        self.exact &= region.exact();
        self.last.reopened.extend(kept.into_iter().filter(|&pos| decided[pos].is_none()));
        self.last.committed.extend(chosen);
        self.witness = None;
        Ok(())
    }
}
