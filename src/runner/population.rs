//! Populations of a runner: lanes that are weighed against each other after each step.

use super::{LaneId, Runner, finish::End};
use crate::{Error, Lane, Population, Record, Result};
use std::collections::BTreeMap;

/// A population and its lanes.
pub(super) struct Group {
    members: Vec<LaneId>,
    population: Box<dyn Population>,
}

impl Runner {
    /// Submits lanes that a population weighs against each other. The lanes of a population finish together.
    ///
    /// # Errors
    /// As [`submit`](Self::submit).
    pub fn submit_population(
        &mut self,
        lanes: impl IntoIterator<Item = Lane>,
        population: impl Population + 'static,
    ) -> Result<Vec<LaneId>> {
        let lanes: Vec<Lane> = lanes.into_iter().collect();
        lanes.iter().try_for_each(|lane| self.fits(lane))?;
        let members = lanes.into_iter().map(|lane| self.submit(lane)).collect::<Result<Vec<_>>>()?;
        let Some(first) = members.first() else { return Ok(members) };
        for id in &members {
            if let Some(slot) = self.lanes.get_mut(id) {
                slot.group = Some(first.0);
            }
        }
        self.populations.insert(first.0, Group { members: members.clone(), population: Box::new(population) });
        Ok(members)
    }

    /// Removes a lane from its population, and the population with its last lane.
    pub(super) fn leave_population(&mut self, id: LaneId, group: usize) {
        let Some(Group { members, .. }) = self.populations.get_mut(&group) else { return };
        members.retain(|member| *member != id);
        if members.is_empty() {
            self.populations.remove(&group);
        }
    }

    /// Asks each population whose lanes took a step which lanes go on, and replaces the others by copies.
    pub(super) fn resample(&mut self, stepped: &[LaneId], records: &mut BTreeMap<LaneId, Record>) {
        for group in self.populations.values_mut() {
            // A lane that failed has left the population; the others go on without it.
            let open = |id: &LaneId| self.lanes.get(id).is_some_and(|slot| matches!(slot.end, End::Open));
            let members: Vec<LaneId> = group.members.iter().copied().filter(open).collect();
            if !members.iter().any(|id| stepped.contains(id)) {
                continue;
            }
            let views = members.iter().enumerate().map(|(i, id)| self.lanes[id].lane.lane_view(i)).collect::<Vec<_>>();
            let chosen = group.population.resample(&views).and_then(|chosen| check(chosen, members.len()));
            let chosen = match chosen {
                Ok(chosen) => chosen,
                Err(error) => {
                    for id in &members {
                        records.insert(*id, Record::Failed { sample: id.0, error: error.report() });
                        if let Some(slot) = self.lanes.get_mut(id) {
                            slot.end = End::Failed(error.clone());
                        }
                    }
                    continue;
                }
            };
            // All copies are made before the first lane is replaced: a lane may be both copied and replaced.
            let copies: Vec<(LaneId, LaneId, Lane)> = members
                .iter()
                .zip(chosen)
                .map(|(&id, from)| (id, members[from]))
                .filter(|(id, from)| id != from)
                .map(|(id, from)| (id, from, self.lanes[&from].lane.fork(self.lanes[&id].lane.seed())))
                .collect();
            for (id, from, lane) in copies {
                if let Some(Record::Step { ancestor, .. }) = records.get_mut(&id) {
                    *ancestor = Some(from.0);
                }
                if let Some(slot) = self.lanes.get_mut(&id) {
                    slot.lane = lane;
                }
            }
        }
    }
}

/// Requires one index of a lane for each lane.
fn check(chosen: Vec<usize>, lanes: usize) -> Result<Vec<usize>> {
    if chosen.len() == lanes && chosen.iter().all(|&lane| lane < lanes) {
        return Ok(chosen);
    }
    Err(Error::input(format!("a population of {lanes} lanes answered {chosen:?}"))
        .help("one index of a lane for each lane"))
}
