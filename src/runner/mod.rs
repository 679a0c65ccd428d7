//! The loop as a machine that one steps: look → predict → guide → project → choose → commit. It knows no plugin by name.

mod batch;

use crate::{Ask, Error, Lane, Model, Output, Partial, Population, Record, Result, models::Reader};
use batch::Batch;
use rayon::prelude::*;
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// Drives lanes, all of them together: each step is one batched forward for everything that is open. Lanes join and
/// leave at any time, and each is what it would be alone.
///
/// ```
/// use stencil_lm::{Model, Runner};
///
/// # fn main() -> stencil_lm::Result<()> {
/// let model = Model::bundled()?;
/// let job = model.fill("A {{thing:1-2}} is used for {{use:1-4}}.")?.job()?;
/// let mut run = Runner::new(&model);
/// let first = run.submit(job.lane(0)?)?;
/// run.step()?; // its start
/// run.step()?; // its first step
/// let second = run.submit(job.lane(1)?)?; // joins the batch
/// let partial = run.cancel(first)?; // leaves it
/// assert!(partial.text.starts_with("A ") && partial.steps == 1);
/// while run.step()?.is_some() {}
/// assert!(run.take(second)?.report.verified);
/// # Ok(()) }
/// ```
pub struct Runner {
    model: Model,
    readers: HashMap<String, Arc<dyn Reader>>,
    lanes: BTreeMap<LaneId, Slot>,
    populations: BTreeMap<usize, Group>,
    next: usize,
    forwards: usize,
}

/// A lane of a runner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneId(usize);

impl LaneId {
    /// The number that records call it by.
    pub fn index(self) -> usize {
        self.0
    }
}

struct Slot {
    lane: Lane,
    /// Its start has been told.
    begun: bool,
    end: End,
    /// The population that it belongs to.
    group: Option<usize>,
}

/// How far a lane is from its end.
enum End {
    Open,
    Finished(Box<Output>),
    Failed(Error),
}

struct Group {
    members: Vec<LaneId>,
    population: Box<dyn Population>,
}

impl Runner {
    /// A runner without lanes.
    pub fn new(model: &Model) -> Self {
        Self {
            model: model.clone(),
            readers: HashMap::new(),
            lanes: BTreeMap::new(),
            populations: BTreeMap::new(),
            next: 0,
            forwards: 0,
        }
    }

    /// Counts lanes from `first` on.
    pub fn numbered_from(mut self, first: usize) -> Self {
        self.next = first;
        self
    }

    /// With a second model that reads texts, under a name by which [`Ask::Text`] asks for it.
    ///
    /// # Errors
    /// A reader whose tokens are not the model's.
    pub fn with_reader(mut self, name: impl Into<String>, reader: Arc<dyn Reader>) -> Result<Self> {
        let (name, own, its) = (name.into(), self.model.denoiser().vocab(), reader.vocab());
        if own.len() != its.len() || (0..own.len() as u32).any(|token| own.bytes(token) != its.bytes(token)) {
            return Err(Error::model(format!(
                "the reader {name:?} has other tokens than {}",
                self.model.denoiser().name()
            ))
            .help("a reader shares the tokenizer of the model it is used beside"));
        }
        self.readers.insert(name, reader);
        Ok(self)
    }

    /// Takes a lane in. It takes part from the next step on.
    ///
    /// # Errors
    /// A lane of another model.
    pub fn submit(&mut self, lane: Lane) -> Result<LaneId> {
        if !self.model.is_same(lane.job().model()) {
            return Err(Error::input("the lane was made for another model than the runner's"));
        }
        let id = LaneId(self.next);
        self.next += 1;
        self.lanes.insert(id, Slot { lane, begun: false, end: End::Open, group: None });
        Ok(id)
    }

    /// Takes lanes in that a population weighs against each other. Their texts are finished together.
    ///
    /// # Errors
    /// As [`submit`](Self::submit).
    pub fn submit_population(
        &mut self,
        lanes: impl IntoIterator<Item = Lane>,
        population: impl Population + 'static,
    ) -> Result<Vec<LaneId>> {
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

    /// One step of every open lane. The first records of a lane are its start, before anything is predicted for it.
    /// `None` when no lane is open.
    ///
    /// # Errors
    /// A failing model or reader, which concerns all lanes; they stay as they were before the step's choices. What goes
    /// wrong in one lane ([`Record::Failed`]) leaves the others alone.
    pub fn step(&mut self) -> Result<Option<Vec<Record>>> {
        let starts = self.begin();
        if !starts.is_empty() {
            return Ok(Some(starts));
        }
        let mut open: Vec<(LaneId, &mut Lane)> = self
            .lanes
            .iter_mut()
            .filter(|(_, slot)| matches!(slot.end, End::Open) && slot.lane.is_open())
            .map(|(&id, slot)| (id, &mut slot.lane))
            .collect();
        if open.is_empty() {
            return Ok(None);
        }
        let mut failed: Vec<(LaneId, Error)> = Vec::new();
        let stepped: Vec<LaneId> = open.iter().map(|(id, _)| *id).collect();

        let looks = open.iter_mut().map(|(_, lane)| known(&self.readers, lane.look()?)).collect();
        let looks = keep(&mut open, looks, &mut failed);
        let mut batch = Batch::new(&self.model, &self.readers);
        let (own, answers) = batch.predict(&mut open, looks)?;
        self.forwards += batch.forwards();

        let mut jobs: Vec<_> = open.iter_mut().zip(own).zip(answers).collect();
        let proposals: Vec<Result<()>> =
            jobs.par_iter_mut().map(|(((_, lane), own), answers)| lane.propose(own.clone(), answers)).collect();
        drop(jobs);
        keep(&mut open, proposals, &mut failed);

        let asks = open.iter().map(|(_, lane)| known(&self.readers, vec![lane.asks().to_vec()])).collect();
        let asks = keep(&mut open, asks, &mut failed);
        let mut batch = Batch::new(&self.model, &self.readers);
        let answers = batch.answer(&mut open, asks)?;
        self.forwards += batch.forwards();
        let mut jobs: Vec<_> = open.iter_mut().zip(answers).collect();
        let chosen: Vec<Result<()>> = jobs
            .par_iter_mut()
            .map(|((_, lane), answers)| lane.choose(std::mem::take(answers).into_iter().flatten().collect()))
            .collect();
        drop(jobs);
        keep(&mut open, chosen, &mut failed);

        let asks = open.iter_mut().map(|(_, lane)| known(&self.readers, lane.potential_asks())).collect();
        let asks = keep(&mut open, asks, &mut failed);
        let mut batch = Batch::new(&self.model, &self.readers);
        let answers = batch.answer(&mut open, asks)?;
        self.forwards += batch.forwards();
        let weighed = open.iter_mut().zip(&answers).map(|((_, lane), answers)| lane.weigh(answers)).collect();
        keep(&mut open, weighed, &mut failed);

        let mut records: BTreeMap<LaneId, Record> =
            open.iter().map(|(id, lane)| (*id, lane.step_record(id.0))).collect();
        drop(open);
        for (id, error) in failed {
            records.insert(id, Record::Failed { sample: id.0, error: error.report() });
            self.fail(id, error);
        }
        self.resample(&stepped, &mut records);
        let mut records: Vec<Record> = records.into_values().collect();
        records.extend(self.finish());
        Ok(Some(records))
    }

    /// The starts of lanes that have come since the last step, and the ends of those that were complete when they came.
    fn begin(&mut self) -> Vec<Record> {
        let mut records = Vec::new();
        for (id, slot) in self.lanes.iter_mut().filter(|(_, slot)| !slot.begun) {
            slot.begun = true;
            records.push(slot.lane.start_record(id.0));
        }
        if !records.is_empty() {
            records.extend(self.finish());
        }
        records
    }

    /// Lets the populations of lanes that took a step decide which lanes go on.
    fn resample(&mut self, stepped: &[LaneId], records: &mut BTreeMap<LaneId, Record>) {
        for group in self.populations.values_mut() {
            let members: Vec<LaneId> = group.members.iter().copied().filter(|id| self.lanes.contains_key(id)).collect();
            let whole = members.iter().all(|id| matches!(self.lanes[id].end, End::Open));
            if !whole || !members.iter().any(|id| stepped.contains(id)) {
                continue;
            }
            let views = members.iter().enumerate().map(|(i, id)| self.lanes[id].lane.lane_view(i)).collect::<Vec<_>>();
            let chosen = group.population.resample(&views).and_then(|chosen| {
                match chosen.len() == members.len() && chosen.iter().all(|&lane| lane < members.len()) {
                    true => Ok(chosen),
                    false => Err(Error::input(format!("a population of {} lanes answered {chosen:?}", members.len()))
                        .help("one index of a lane for each lane")),
                }
            });
            let chosen = match chosen {
                Ok(chosen) => chosen,
                Err(error) => {
                    for id in &members {
                        records.insert(*id, Record::Failed { sample: id.0, error: error.report() });
                        if let Some(slot) = self.lanes.get_mut(id) {
                            slot.end = End::Failed(Error::new(error.kind(), error.message()));
                        }
                    }
                    continue;
                }
            };
            let copies: Vec<(LaneId, LaneId, Lane)> = members
                .iter()
                .zip(chosen)
                .filter(|(id, from)| **id != members[*from])
                .map(|(&id, from)| {
                    (id, members[from], self.lanes[&members[from]].lane.fork(self.lanes[&id].lane.seed()))
                })
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

    /// Verifies the texts of lanes that are complete, those of a population together.
    fn finish(&mut self) -> Vec<Record> {
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

    fn fail(&mut self, id: LaneId, error: Error) {
        if let Some(slot) = self.lanes.get_mut(&id) {
            slot.end = End::Failed(error);
        }
    }

    /// The text of a lane that is complete; the lane leaves the runner.
    ///
    /// # Errors
    /// What went wrong in the lane; a lane that is not there or not complete.
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

    /// Takes a lane out, whatever its state, with what is written of its text.
    ///
    /// # Errors
    /// A lane that is not there.
    pub fn cancel(&mut self, id: LaneId) -> Result<Partial> {
        Ok(self.remove(id)?.lane.partial(id.0))
    }

    /// A copy of a lane, which goes on with random numbers of its own.
    ///
    /// # Errors
    /// A lane that is not there.
    pub fn fork(&mut self, id: LaneId, seed: u64) -> Result<LaneId> {
        let copy = self.lanes.get(&id).ok_or_else(|| unknown(id))?.lane.fork(seed);
        self.submit(copy)
    }

    /// The lanes, in the order in which they came.
    pub fn lanes(&self) -> impl Iterator<Item = LaneId> {
        self.lanes.keys().copied()
    }
    /// Questions put to the model and the readers so far, by all lanes together; equal ones of a step count once.
    pub fn forwards(&self) -> usize {
        self.forwards
    }

    fn remove(&mut self, id: LaneId) -> Result<Slot> {
        let slot = self.lanes.remove(&id).ok_or_else(|| unknown(id))?;
        if let Some(group) = slot.group {
            let empty = self.populations.get_mut(&group).is_some_and(|group| {
                group.members.retain(|member| *member != id);
                group.members.is_empty()
            });
            if empty {
                self.populations.remove(&group);
            }
        }
        Ok(slot)
    }
}

fn unknown(id: LaneId) -> Error {
    Error::input(format!("the runner has no lane {}", id.0)).help("a lane that was taken or cancelled is gone")
}

/// Questions of a lane's hooks, if every reader that they name is there.
fn known(readers: &HashMap<String, Arc<dyn Reader>>, asks: Vec<Vec<Ask>>) -> Result<Vec<Vec<Ask>>> {
    let unknown = asks.iter().flatten().find_map(|ask| match ask {
        Ask::Text { reader, .. } if !readers.contains_key(reader) => Some(reader),
        _ => None,
    });
    let Some(reader) = unknown else { return Ok(asks) };
    let error = Error::input(format!("a hook asks for a reader {reader:?}, but there is none"));
    let names: Vec<&str> = readers.keys().map(String::as_str).collect();
    Err(match names.is_empty() {
        true => error.help("give the runner one, under that name"),
        false => error.help(format!("readers: {}", names.join(", "))),
    })
}

/// Drops the lanes that failed, and returns the results of the others.
fn keep<T>(open: &mut Vec<(LaneId, &mut Lane)>, results: Vec<Result<T>>, failed: &mut Vec<(LaneId, Error)>) -> Vec<T> {
    let mut kept = Vec::with_capacity(results.len());
    let mut results = results.into_iter();
    open.retain(|(id, _)| match results.next() {
        Some(Ok(value)) => {
            kept.push(value);
            true
        }
        Some(Err(error)) => {
            failed.push((*id, error));
            false
        }
        None => false,
    });
    kept
}
