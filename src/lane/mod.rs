//! A lane: one text that is being written. A lane holds the canvas and the hooks, and knows the phases of a step.

mod block_schedule;
mod draft;
mod edit;
mod finish;
mod job;
mod progress;
mod records;
mod step_inference;

pub(crate) use job::Parts;
pub use job::{Job, Origin};

use crate::{
    Answer, Ask, Candidate, CanvasView, Cell, Guide, Policy, Pos, Potential, Result, Scores, Token,
    engine::plan::lost,
    guides::Energies,
    models::{Clock, Denoiser, DenoiserState, Marginals, Process},
};
use draft::Draft;
use progress::LaneProgress;
use rand::Rng;
use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};
use step_inference::StepInference;

/// One text that is being written. A [`Job`] makes lanes, and a [`Runner`](crate::Runner) drives them.
pub struct Lane {
    job: Arc<Job>,
    progress: LaneProgress,
    policy: Box<dyn Policy>,
    guides: Vec<Box<dyn Guide>>,
    potentials: Vec<Box<dyn Potential>>,
    /// The state that the denoiser keeps for this lane.
    pub(crate) state: DenoiserState,
    /// The constrained marginals of the latest step, where the model uses feedback.
    feedback: Option<Arc<Marginals>>,
    nfe: usize,
    forced: usize,
    log_z: Option<f64>,
    /// Whether every step so far drew from all feasible texts.
    exact: bool,
    /// The witness: a feasible text that completes the committed positions.
    witness: Option<Vec<Token>>,
    constraint_time: Duration,
    started: Instant,
    last: LastStep,
    /// The step in progress, between [`propose`](Self::propose) and [`choose`](Self::choose).
    pending: Option<PendingStep>,
}

/// The results of the latest step.
#[derive(Clone, Default)]
struct LastStep {
    committed: Vec<Pos>,
    reopened: Vec<Pos>,
    candidates: Vec<Candidate>,
    /// The whole text that the step drew.
    text: Vec<Token>,
    log_z: f64,
    log_potential: f64,
}

/// A step between its draw and the policy's choice.
struct PendingStep {
    scores: Arc<Scores>,
    temperature: f32,
    /// Held positions that the policy may edit.
    editable: Vec<Pos>,
    draft: Option<Draft>,
}

impl Lane {
    /// Makes a lane before its first step. Positions where only one token is feasible are fixed, and the steps are
    /// planned.
    ///
    /// # Errors
    /// Errors of inference, and of the factories of guides, policies and potentials.
    pub(crate) fn new(job: Arc<Job>, seed: u64) -> Result<Self> {
        let canvas = job.lengths.canvas(seed);
        let mut lane = Self {
            progress: LaneProgress::new(&job, seed, canvas)?,
            state: DenoiserState { cache: job.settings.cache, ..DenoiserState::default() },
            policy: job.policy.make()?,
            guides: job.guides.iter().map(|make| make(&job.model)).collect::<Result<_>>()?,
            potentials: job.potentials.iter().map(|make| make(&job.model)).collect::<Result<_>>()?,
            feedback: None,
            nfe: job.lengths.nfe,
            forced: 0,
            log_z: None,
            exact: true,
            witness: None,
            constraint_time: job.compile_time + job.lengths.time,
            started: Instant::now(),
            last: LastStep::default(),
            pending: None,
            job,
        };
        for pos in lane.commit_forced()? {
            if let Some(token) = lane.progress.canvas.cell(pos).token() {
                lane.progress.canvas.set(pos, Cell::Fixed(token));
            }
        }
        lane.progress.plan_blocks(&lane.job)?;
        Ok(lane)
    }

    /// A copy of the lane. The copy continues from the same state with random numbers of its own.
    pub fn fork(&self, seed: u64) -> Self {
        Self {
            job: self.job.clone(),
            progress: LaneProgress { seed, ..self.progress.clone() },
            policy: (*self.policy).fork(),
            guides: self.guides.iter().map(|guide| (**guide).fork()).collect(),
            potentials: self.potentials.iter().map(|potential| (**potential).fork()).collect(),
            state: self.state.fork(),
            feedback: self.feedback.clone(),
            nfe: self.nfe,
            forced: self.forced,
            log_z: self.log_z,
            exact: self.exact,
            witness: self.witness.clone(),
            constraint_time: self.constraint_time,
            started: self.started,
            last: self.last.clone(),
            pending: None,
        }
    }

    /// The job that made the lane.
    pub fn job(&self) -> &Arc<Job> {
        &self.job
    }
    /// The seed of the lane.
    pub fn seed(&self) -> u64 {
        self.progress.seed
    }
    /// Whether a block is left to write.
    pub fn is_open(&self) -> bool {
        !self.progress.blocks.done()
    }
    fn denoiser(&self) -> &dyn Denoiser {
        self.job.model.denoiser()
    }

    /// Begins a step: the policy may reopen positions, and a uniform process gets new noise. Returns the guides'
    /// questions.
    pub(crate) fn begin_step(&mut self) -> Result<Vec<Vec<Ask>>> {
        let job = self.job.clone();
        let denoiser = job.model.denoiser();
        self.progress.see();
        self.state.block = self.progress.blocks.range();
        let step = self.progress.step(denoiser);
        let named = if self.progress.blocks.last() { Vec::new() } else { self.policy.reopen(&step) };
        let mut seen = HashSet::new();
        let reopened: Vec<Pos> = named.into_iter().filter(|&pos| seen.insert(pos)).collect();
        self.progress.reopen(&reopened)?;
        self.last.reopened = reopened;
        if self.progress.process == Process::Uniform {
            self.draw_noise();
        }
        let step = self.progress.step(denoiser);
        Ok(self.guides.iter_mut().map(|guide| guide.ask(&step)).collect())
    }

    /// The denoiser's view of the canvas.
    pub(crate) fn view(&self) -> CanvasView {
        self.progress.canvas.view()
    }
    /// The number of the step, for the denoiser.
    pub(crate) fn clock(&self) -> Clock {
        let LaneProgress { blocks, taken, seed, .. } = &self.progress;
        Clock { index: blocks.index, budget: blocks.budget, taken: *taken, seed: *seed }
    }
    pub(crate) fn feedback(&self) -> Option<Arc<Marginals>> {
        self.feedback.clone()
    }
    /// Adds to the number of forwards of this lane.
    pub(crate) fn count(&mut self, forwards: usize) {
        self.nfe += forwards;
    }

    /// Writes a random token at each open position of the block: the noise of a uniform process.
    fn draw_noise(&mut self) {
        let size = self.denoiser().vocab().len() as Token;
        let mut rng = self.progress.step(self.job.model.denoiser()).rng(0x0e01);
        for pos in self.progress.blocks.range() {
            let token = rng.random_range(0..size);
            if self.progress.canvas.cell(pos) == Cell::Open {
                self.progress.canvas.set(pos, Cell::Draft { token });
            }
        }
    }

    /// The first half of a step: the guides add energies, the projection is exact, a text is drawn. The policy's
    /// questions wait in the pending step.
    pub(crate) fn propose(&mut self, mut scores: Arc<Scores>, answers: &[Vec<Answer>]) -> Result<()> {
        let job = self.job.clone();
        let step = self.progress.step(job.model.denoiser());
        let mut energies = Energies::new(&mut scores);
        for (guide, answers) in self.guides.iter_mut().zip(answers) {
            guide.guide(&step, &mut energies, answers)?;
        }
        energies.check()?;
        let temperature = self.temperature();
        self.state.temperature = if temperature == 0.0 { 1.0 } else { temperature };
        self.last.committed.clear();
        self.last.candidates.clear();
        let editable = self.editable();
        let inference = StepInference { scores: &scores, settings: &job.settings, temperature };
        let draft = if self.progress.is_full() { None } else { Some(self.draw(&job, &inference)?) };
        self.pending = Some(PendingStep { scores, temperature, editable, draft });
        Ok(())
    }

    /// The questions that the policy asks before it chooses.
    pub(crate) fn policy_asks(&self) -> &[Ask] {
        self.pending.as_ref().and_then(|pending| pending.draft.as_ref()).map_or(&[], |draft| &draft.asks)
    }

    /// The second half of a step: the policy chooses, positions are committed and edited, and forced positions are
    /// written.
    pub(crate) fn choose(&mut self, answers: Vec<Answer>) -> Result<()> {
        let Some(PendingStep { scores, temperature, editable, draft }) = self.pending.take() else { return Ok(()) };
        let job = self.job.clone();
        if let Some(draft) = draft {
            self.commit(&job, draft, answers)?;
        }
        if !editable.is_empty() {
            let inference = StepInference { scores: &scores, settings: &job.settings, temperature };
            self.edit(&job, &inference, &editable)?;
        }
        let started = Instant::now();
        let forced = self.commit_forced()?;
        self.last.committed.extend(forced);
        self.constraint_time += started.elapsed();
        self.progress.taken += 1;
        self.progress.blocks.index += 1;
        let too_long = self.progress.blocks.index >= self.progress.blocks.budget + MOST_EDITS;
        if self.progress.is_full() && (too_long || self.editable().is_empty()) {
            let LaneProgress { blocks, canvas, .. } = &mut self.progress;
            blocks.advance(canvas);
            self.feedback = None;
        }
        Ok(())
    }

    /// Writes every position where the constraints leave one token, without a forward. Returns those positions.
    fn commit_forced(&mut self) -> Result<Vec<Pos>> {
        if self.progress.canvas.cells().iter().all(|c| c.decided().is_some()) {
            return Ok(Vec::new());
        }
        let decided = self.progress.canvas.decided();
        let region = self.job.plan.region(&decided, self.witness.as_deref())?.ok_or_else(lost)?;
        // A token that is forced among some feasible texts need not be forced among all of them.
        let forced = if region.exact() { region.feasible()?.ok_or_else(lost)?.forced() } else { Vec::new() };
        for &(pos, token) in &forced {
            self.progress.canvas.set(pos, Cell::Held { token, step: self.progress.taken });
        }
        self.forced += forced.len();
        Ok(forced.into_iter().map(|(pos, _)| pos).collect())
    }

    /// The questions that the potentials ask about the latest draft.
    pub(crate) fn potential_asks(&mut self) -> Vec<Vec<Ask>> {
        let step = self.progress.step(self.job.model.denoiser());
        self.potentials.iter_mut().map(|potential| potential.ask(&step, &self.last.text)).collect()
    }

    /// Sums the log-weights that the potentials give the latest draft.
    pub(crate) fn weigh(&mut self, answers: &[Vec<Answer>]) -> Result<()> {
        let step = self.progress.step(self.job.model.denoiser());
        self.last.log_potential = 0.0;
        for (potential, answers) in self.potentials.iter_mut().zip(answers) {
            self.last.log_potential += potential.log_weight(&step, &self.last.text, answers)?;
        }
        Ok(())
    }
}

/// The maximum number of editing steps after a block is full.
const MOST_EDITS: usize = 64;
