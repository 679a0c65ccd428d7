//! The records of a lane, and the view of a lane that populations receive.

use super::Lane;
use crate::{
    LaneView, Record,
    record::{CandidateRecord, CellRecord, Written},
};

impl Lane {
    /// The view of the lane that a population receives.
    pub(crate) fn lane_view(&self, index: usize) -> LaneView<'_> {
        LaneView {
            index,
            seed: self.progress.seed,
            canvas: &self.progress.canvas,
            steps: self.progress.taken,
            first_log_z: self.log_z,
            log_z: self.last.log_z,
            log_potential: self.last.log_potential,
            draft: &self.last.text,
            is_open: self.is_open(),
        }
    }

    pub(crate) fn start_record(&self, sample: usize) -> Record {
        let vocab = self.denoiser().vocab();
        let prompt = self.progress.canvas.prompt().iter().map(|&token| Written::new(token, vocab)).collect();
        let cells = CellRecord::all(&self.progress.canvas, vocab);
        Record::Start { sample, seed: self.progress.seed, prompt, cells }
    }

    pub(crate) fn step_record(&self, sample: usize) -> Record {
        let vocab = self.denoiser().vocab();
        let candidates = self.last.candidates.iter().map(|candidate| CandidateRecord::new(candidate, vocab)).collect();
        Record::Step {
            sample,
            index: self.progress.taken.saturating_sub(1),
            budget: self.progress.planned(),
            log_z: self.last.log_z,
            exact: self.exact,
            nfe: self.nfe,
            committed: self.last.committed.clone(),
            reopened: self.last.reopened.clone(),
            cells: CellRecord::all(&self.progress.canvas, vocab),
            candidates,
            ancestor: None,
        }
    }
}
