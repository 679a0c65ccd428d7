//! The runner: a sampling loop that one steps. A step looks, predicts, guides, projects, chooses, commits and weighs.
//! The runner knows no plugin by name.

mod batch;
mod finish;
mod open;
mod population;

use crate::{Error, Lane, Model, Record, Result, models::Reader};
use batch::Batch;
use finish::End;
use open::{OpenLanes, Readers};
use population::Group;
use std::{collections::BTreeMap, sync::Arc};

/// Drives a batch of lanes: each step is one batched forward for all open lanes. Lanes join and leave between steps, and
/// a lane writes the same text alone and in a batch.
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
    readers: Readers,
    lanes: BTreeMap<LaneId, Slot>,
    populations: BTreeMap<usize, Group>,
    next: usize,
    forwards: usize,
}

/// The name of a lane in its runner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneId(usize);

impl LaneId {
    /// The number of the lane in records (`sample`).
    pub fn index(self) -> usize {
        self.0
    }
}

/// A lane and its state in the runner.
struct Slot {
    lane: Lane,
    /// Whether the lane's start record has been returned.
    started: bool,
    end: End,
    /// The population of the lane: a key of [`Runner::populations`].
    group: Option<usize>,
}

impl Runner {
    /// A runner without lanes.
    pub fn new(model: &Model) -> Self {
        Self {
            model: model.clone(),
            readers: Readers::new(),
            lanes: BTreeMap::new(),
            populations: BTreeMap::new(),
            next: 0,
            forwards: 0,
        }
    }

    /// Numbers the lanes to come from `first` on, or from the number behind the lanes that are there.
    pub fn numbered_from(mut self, first: usize) -> Self {
        self.next = self.next.max(first);
        self
    }

    /// Adds a second model that reads texts, under the name by which [`Ask::Text`](crate::Ask::Text) asks for it.
    ///
    /// # Errors
    /// A reader whose tokens differ from the model's.
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

    /// Adds a lane. The lane takes part from the next step on.
    ///
    /// # Errors
    /// A lane of another model.
    pub fn submit(&mut self, lane: Lane) -> Result<LaneId> {
        self.fits(&lane)?;
        let id = LaneId(self.next);
        self.next = self.next.saturating_add(1);
        self.lanes.insert(id, Slot { lane, started: false, end: End::Open, group: None });
        Ok(id)
    }

    /// Requires a lane of the runner's model.
    fn fits(&self, lane: &Lane) -> Result<()> {
        if self.model.is_same(lane.job().model()) {
            return Ok(());
        }
        Err(Error::input("the lane was made for another model than the runner's"))
    }

    /// Advances every open lane by one step. A lane's first record is its start, returned before the model predicts
    /// anything for the lane. Returns `None` when no lane is open.
    ///
    /// A lane that fails has a [`Record::Failed`] and leaves the other lanes alone; [`take`](Self::take) returns its error.
    /// A failing model or reader fails every lane of the step.
    ///
    /// # Errors
    /// None at present.
    pub fn step(&mut self) -> Result<Option<Vec<Record>>> {
        let starts = self.start();
        if !starts.is_empty() {
            return Ok(Some(starts));
        }
        let Self { model, readers, lanes, forwards, .. } = self;
        let mut open = OpenLanes::of(lanes);
        if open.lanes.is_empty() {
            return Ok(None);
        }
        let stepped = open.ids();
        if let Err(error) = advance(model, readers, &mut open, forwards) {
            open.fail(&error);
        }
        let OpenLanes { lanes, failed } = open;
        let mut records: BTreeMap<LaneId, Record> =
            lanes.iter().map(|(id, lane)| (*id, lane.step_record(id.0))).collect();
        for (id, error) in failed {
            records.insert(id, Record::Failed { sample: id.0, error: error.report() });
            self.fail(id, error);
        }
        self.resample(&stepped, &mut records);
        let mut records: Vec<Record> = records.into_values().collect();
        records.extend(self.finish());
        Ok(Some(records))
    }

    /// The start records of the lanes added since the last step, and the end records of those that came complete.
    fn start(&mut self) -> Vec<Record> {
        let mut records = Vec::new();
        for (id, slot) in self.lanes.iter_mut().filter(|(_, slot)| !slot.started) {
            slot.started = true;
            records.push(slot.lane.start_record(id.0));
        }
        // A lane that was cancelled may have been the last one that others waited for.
        records.extend(self.finish());
        records
    }

    /// The lanes in the runner, in the order in which they were added.
    pub fn lanes(&self) -> impl Iterator<Item = LaneId> {
        self.lanes.keys().copied()
    }
    /// The number of forwards of the model and the readers so far, for all lanes together. Equal questions of one step
    /// are one forward.
    pub fn forwards(&self) -> usize {
        self.forwards
    }
}

/// One step of the open lanes: questions, predictions, draws, choices, weights.
///
/// # Errors
/// A failing model or reader.
fn advance(model: &Model, readers: &Readers, open: &mut OpenLanes, forwards: &mut usize) -> Result<()> {
    let asks = open.questions(model, readers, |lane| lane.begin_step());
    let mut batch = Batch::new(model, readers);
    let (scores, answers) = batch.predict(&mut open.lanes, asks)?;
    *forwards += batch.forwards();
    let inputs = scores.into_iter().zip(answers).collect();
    open.in_parallel(inputs, |lane, (scores, answers)| lane.propose(scores, &answers));

    let asks = open.questions(model, readers, |lane| Ok(vec![lane.policy_asks().to_vec()]));
    let mut batch = Batch::new(model, readers);
    let answers = batch.answer(&mut open.lanes, asks)?;
    *forwards += batch.forwards();
    open.in_parallel(answers, |lane, answers| lane.choose(answers.into_iter().flatten().collect()));

    let asks = open.questions(model, readers, |lane| Ok(lane.potential_asks()));
    let mut batch = Batch::new(model, readers);
    let answers = batch.answer(&mut open.lanes, asks)?;
    *forwards += batch.forwards();
    open.in_turn(answers, |lane, answers| lane.weigh(answers));
    Ok(())
}
