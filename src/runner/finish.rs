//! The ends of lanes: verified texts, errors, and lanes that leave the runner before their end.

use super::{LaneId, Runner, Slot};
use crate::{Error, Output, Partial, Record, Result};

/// Whether a lane has ended, and with what.
pub(super) enum End {
    Open,
    Finished(Box<Output>),
    Failed(Error),
}

impl Runner {
    /// Verifies the texts of lanes that are complete. A lane of a population waits until all lanes of the population are
    /// complete.
    pub(super) fn finish(&mut self) -> Vec<Record> {
        let open_groups: Vec<usize> = self
            .lanes
            .values()
            .filter(|slot| matches!(slot.end, End::Open) && slot.lane.is_open())
            .filter_map(|slot| slot.group)
            .collect();
        let mut records = Vec::new();
        for (id, slot) in &mut self.lanes {
            let waits = slot.group.is_some_and(|group| open_groups.contains(&group));
            if matches!(slot.end, End::Open) && !slot.lane.is_open() && !waits {
                let output = slot.lane.finish();
                let (text, verified) = (output.text.clone(), output.report.verified);
                records.push(Record::End { sample: id.0, text, verified });
                slot.end = End::Finished(Box::new(output));
            }
        }
        records
    }

    pub(super) fn fail(&mut self, id: LaneId, error: Error) {
        if let Some(slot) = self.lanes.get_mut(&id) {
            slot.end = End::Failed(error);
        }
    }

    /// The output of a complete lane. The lane leaves the runner.
    ///
    /// # Errors
    /// The error that ended the lane; an unknown lane; a lane that is not complete, which stays in the runner.
    pub fn take(&mut self, id: LaneId) -> Result<Output> {
        match self.lanes.get(&id).map(|slot| &slot.end) {
            None => return Err(unknown(id)),
            Some(End::Open) => {
                return Err(Error::input(format!("lane {} is still being written", id.0))
                    .help("step the runner until it is complete, or cancel the lane"));
            }
            Some(_) => {}
        }
        match self.remove(id)?.end {
            End::Finished(output) => Ok(*output),
            End::Failed(error) => Err(error),
            End::Open => Err(unknown(id)),
        }
    }

    /// Removes a lane, whatever its state, and returns the part of its text that is written.
    ///
    /// # Errors
    /// An unknown lane.
    pub fn cancel(&mut self, id: LaneId) -> Result<Partial> {
        Ok(self.remove(id)?.lane.partial(id.0))
    }

    /// Submits a copy of a lane. The copy continues from the same state with random numbers of its own.
    ///
    /// # Errors
    /// An unknown lane.
    pub fn fork(&mut self, id: LaneId, seed: u64) -> Result<LaneId> {
        let copy = self.lanes.get(&id).ok_or_else(|| unknown(id))?.lane.fork(seed);
        self.submit(copy)
    }

    fn remove(&mut self, id: LaneId) -> Result<Slot> {
        let slot = self.lanes.remove(&id).ok_or_else(|| unknown(id))?;
        if let Some(group) = slot.group {
            self.leave_population(id, group);
        }
        Ok(slot)
    }
}

fn unknown(id: LaneId) -> Error {
    Error::input(format!("the runner has no lane {}", id.0)).help("a lane that was taken or cancelled is gone")
}
