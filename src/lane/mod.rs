//! One text in the making: its canvas, its hooks, and what a step does to them.

mod blocks;
mod edit;
mod finish;
mod job;
mod reading;
mod writing;

pub(crate) use job::Parts;
pub use job::{Job, Origin};

use crate::{
    Answer, Ask, Candidate, CanvasView, Cell, Guide, LaneView, Moves, Policy, Pos, Potential, Proposal, Record, Result,
    Scores, Token,
    engine::plan::lost,
    guides::Energies,
    models::{Clock, Denoiser, DenoiserState, Marginals, Process},
    record::{CandidateRecord, CellRecord, Written},
};
use rand::Rng;
use reading::Reading;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use writing::Writing;

/// One text in the making. A [`Job`] makes lanes, a [`Runner`](crate::Runner) drives them.
pub struct Lane {
    job: Arc<Job>,
    writing: Writing,
    policy: Box<dyn Policy>,
    guides: Vec<Box<dyn Guide>>,
    potentials: Vec<Box<dyn Potential>>,
    /// What the denoiser keeps of this text.
    pub(crate) state: DenoiserState,
    /// The constrained distribution of the latest step, where the model uses it.
    feedback: Option<Arc<Marginals>>,
    nfe: usize,
    forced: usize,
    log_z: Option<f64>,
    /// No step left out texts that fit.
    exact: bool,
    /// A text that fits: the rest of it completes what has been committed of it.
    witness: Option<Vec<Token>>,
    constraint_time: Duration,
    started: Instant,
    last: LastStep,
    /// What the step in progress has found, until its policy has chosen.
    pending: Option<Pending>,
}

/// What the latest step did.
#[derive(Clone, Default)]
struct LastStep {
    committed: Vec<Pos>,
    reopened: Vec<Pos>,
    candidates: Vec<Candidate>,
    /// The whole text that was drawn.
    text: Vec<Token>,
    log_z: f64,
    log_potential: f64,
}

/// A step between its draw and its policy's choice.
struct Pending {
    scores: Arc<Scores>,
    temperature: f32,
    /// Written positions that the policy wants to look at again.
    editable: Vec<Pos>,
    drawn: Option<Drawn>,
}

/// A text that was drawn for all that is open, and what may become of it.
struct Drawn {
    proposal: Proposal,
    asks: Vec<Ask>,
    /// What the policy chose, unless it asks something first.
    moves: Option<Moves>,
    /// What is committed where the block is finished: the likeliest text in a process that revises, the drawn one
    /// otherwise.
    last: Option<Vec<Token>>,
    /// A text that fits the whole canvas and agrees with what may be committed.
    witness: Option<Vec<Token>>,
    log_z: f64,
    exact: bool,
}

impl Lane {
    /// A lane before its first step: what only one token can fill is fixed, and the steps are planned.
    ///
    /// # Errors
    /// Those of inference, and of the factories of guides, policies and potentials.
    pub(crate) fn new(job: Arc<Job>, seed: u64) -> Result<Self> {
        let canvas = job.lengths.canvas(seed);
        let mut lane = Self {
            writing: Writing::new(&job, seed, canvas)?,
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
        for pos in lane.settle()? {
            if let Some(token) = lane.writing.canvas.cell(pos).token() {
                lane.writing.canvas.set(pos, Cell::Fixed(token));
            }
        }
        lane.writing.plan_blocks(&lane.job)?;
        Ok(lane)
    }

    /// A copy that goes on with random numbers of its own.
    pub fn fork(&self, seed: u64) -> Self {
        Self {
            job: self.job.clone(),
            writing: Writing { seed, ..self.writing.clone() },
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

    /// What it is a lane of.
    pub fn job(&self) -> &Arc<Job> {
        &self.job
    }
    /// Its seed.
    pub fn seed(&self) -> u64 {
        self.writing.seed
    }
    /// Whether something is left to write.
    pub fn is_open(&self) -> bool {
        !self.writing.blocks.done()
    }
    /// What a population sees of it.
    pub(crate) fn lane_view(&self, index: usize) -> LaneView<'_> {
        LaneView {
            index,
            seed: self.writing.seed,
            canvas: &self.writing.canvas,
            steps: self.writing.taken,
            first_log_z: self.log_z,
            log_z: self.last.log_z,
            log_potential: self.last.log_potential,
            draft: &self.last.text,
            is_open: self.is_open(),
        }
    }

    fn denoiser(&self) -> &dyn Denoiser {
        self.job.model.denoiser()
    }

    /// Takes positions back where the policy wants to, and says what the guides ask.
    pub(crate) fn look(&mut self) -> Result<Vec<Vec<Ask>>> {
        let job = self.job.clone();
        let denoiser = job.model.denoiser();
        self.writing.see();
        self.state.block = self.writing.blocks.range();
        let step = self.writing.step(denoiser);
        let reopened = if self.writing.blocks.last() { Vec::new() } else { self.policy.reopen(&step) };
        self.writing.reopen(&reopened)?;
        self.last.reopened = reopened;
        if self.writing.process == Process::Uniform {
            self.draw_noise();
        }
        let step = self.writing.step(denoiser);
        Ok(self.guides.iter_mut().map(|guide| guide.ask(&step)).collect())
    }

    /// What the denoiser is shown of the canvas.
    pub(crate) fn view(&self) -> CanvasView {
        self.writing.canvas.view()
    }
    /// Where the lane stands, for the denoiser.
    pub(crate) fn clock(&self) -> Clock {
        let Writing { blocks, taken, seed, .. } = &self.writing;
        Clock { index: blocks.index, budget: blocks.budget, taken: *taken, seed: *seed }
    }
    pub(crate) fn feedback(&self) -> Option<Arc<Marginals>> {
        self.feedback.clone()
    }
    /// Counts forwards that were needed for this lane.
    pub(crate) fn count(&mut self, forwards: usize) {
        self.nfe += forwards;
    }

    /// Random tokens where nothing is accepted: a uniform-state model is shown them.
    fn draw_noise(&mut self) {
        let size = self.denoiser().vocab().len() as Token;
        let mut rng = self.writing.step(self.job.model.denoiser()).rng(0x0e01);
        for pos in self.writing.blocks.range() {
            let token = rng.random_range(0..size);
            if self.writing.canvas.cell(pos) == Cell::Open {
                self.writing.canvas.set(pos, Cell::Draft { token });
            }
        }
    }

    /// The first half of a step: guides, exact projection, joint draw. What the policy asks is left pending.
    pub(crate) fn propose(&mut self, mut scores: Arc<Scores>, answers: &[Vec<Answer>]) -> Result<()> {
        let job = self.job.clone();
        let step = self.writing.step(job.model.denoiser());
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
        let reading = Reading { scores: &scores, settings: &job.settings, temperature };
        let drawn = if self.writing.is_full() { None } else { Some(self.draw(&job, &reading)?) };
        self.pending = Some(Pending { scores, temperature, editable, drawn });
        Ok(())
    }

    /// What the policy asks before it chooses.
    pub(crate) fn asks(&self) -> &[Ask] {
        self.pending.as_ref().and_then(|pending| pending.drawn.as_ref()).map_or(&[], |drawn| &drawn.asks)
    }

    /// The second half of a step: choice, commit, edits, and what is forced by them.
    pub(crate) fn choose(&mut self, answers: Vec<Answer>) -> Result<()> {
        let Some(Pending { scores, temperature, editable, drawn }) = self.pending.take() else { return Ok(()) };
        let job = self.job.clone();
        if let Some(drawn) = drawn {
            self.commit(&job, drawn, answers)?;
        }
        if !editable.is_empty() {
            let reading = Reading { scores: &scores, settings: &job.settings, temperature };
            self.edit(&job, &reading, &editable)?;
        }
        let started = Instant::now();
        let forced = self.settle()?;
        self.last.committed.extend(forced);
        self.constraint_time += started.elapsed();
        self.writing.taken += 1;
        self.writing.blocks.index += 1;
        let too_long = self.writing.blocks.index >= self.writing.blocks.budget + MOST_EDITS;
        if self.writing.is_full() && (too_long || self.editable().is_empty()) {
            let Writing { blocks, canvas, .. } = &mut self.writing;
            blocks.advance(canvas);
            self.feedback = None;
        }
        Ok(())
    }

    /// What was asked for, or what the model is used to: it may change while a block is written.
    fn temperature(&self) -> f32 {
        let (first, last) = self.job.defaults.temperature;
        let left = self.writing.blocks.budget.saturating_sub(self.writing.blocks.index) as f32
            / self.writing.blocks.budget as f32;
        self.job.settings.temperature.unwrap_or(last + (first - last) * left)
    }

    /// Draws a text for all that is open, and lets the policy choose of the block's part of it unless it asks first.
    fn draw(&mut self, job: &Job, reading: &Reading) -> Result<Drawn> {
        let started = Instant::now();
        let decided = self.writing.canvas.decided();
        let region = job.plan.region(&decided, self.witness.as_deref())?.ok_or_else(lost)?;
        let reach = region.feasible()?.ok_or_else(lost)?;
        let near = reading.near(&reach);
        let posterior = reading.posterior(&near)?;
        let step = self.writing.step(job.model.denoiser());
        let text = reading.draw(&posterior, &step, 0xd4a3);
        let candidates = reading.candidates(&posterior, &step, &self.writing.open_in_block(), &text);
        let proposal = Proposal { candidates, text, answers: Vec::new() };
        self.constraint_time += started.elapsed();

        let last = self.writing.blocks.last();
        let asks = if last { Vec::new() } else { self.policy.ask(&step, &proposal) };
        let moves = match (last, asks.is_empty()) {
            (true, _) => Some(Moves::all()),
            (false, true) => Some(self.policy.choose(&step, &proposal)?),
            (false, false) => None,
        };

        let started = Instant::now();
        let (revises, may_finish) = (self.writing.process.revises(), moves.as_ref().is_none_or(|moves| moves.done));
        // What a finished block holds is the likeliest text, not a random one.
        let likeliest = (revises && may_finish).then(|| posterior.map());
        let committed = if revises { likeliest.as_ref() } else { Some(&proposal.text) };
        let whole =
            |text: &Vec<Token>| if text.len() < reach.len() { reach.completed(text) } else { Some(text.clone()) };
        let witness = committed.and_then(whole);
        let log_z = posterior.log_z();
        let finished = moves.as_ref().is_some_and(|moves| moves.done);
        self.feedback = if job.feeds_back && !finished { Some(Arc::new(reading.marginals(&posterior))) } else { None };
        self.constraint_time += started.elapsed();
        Ok(Drawn { proposal, asks, moves, last: likeliest, witness, log_z, exact: region.exact() })
    }

    /// Writes what the policy chooses.
    fn commit(&mut self, job: &Job, drawn: Drawn, answers: Vec<Answer>) -> Result<()> {
        let Drawn { mut proposal, asks: _, moves, last, witness, log_z, exact } = drawn;
        proposal.answers = answers;
        let moves = match moves {
            Some(moves) => moves,
            None => self.policy.choose(&self.writing.step(job.model.denoiser()), &proposal)?,
        };
        let block = self.writing.open_in_block();
        let commit = if moves.done { block.clone() } else { chosen(moves.commit, &proposal)? };
        let canvas = &mut self.writing.canvas;
        if self.writing.process.revises() && !moves.done {
            // Nothing is decided yet. What was accepted is shown; the rest will be shown as noise, or is a latent.
            block.iter().for_each(|&pos| canvas.set(pos, Cell::Open));
            if self.writing.process == Process::Uniform {
                commit.iter().for_each(|&pos| canvas.set(pos, Cell::Draft { token: proposal.text[pos] }));
            }
        } else {
            let text = last.as_ref().unwrap_or(&proposal.text);
            let step = self.writing.taken;
            commit.iter().for_each(|&pos| canvas.set(pos, Cell::Held { token: text[pos], step }));
            self.witness = witness;
        }
        self.log_z.get_or_insert(log_z);
        self.exact &= exact;
        self.last.log_z = log_z;
        self.last.candidates = proposal.candidates;
        self.last.text = last.filter(|_| moves.done).unwrap_or(proposal.text);
        self.last.committed = commit;
        Ok(())
    }

    /// Writes every position where the constraint leaves one token: no forward needed. Returns those positions.
    fn settle(&mut self) -> Result<Vec<Pos>> {
        if self.writing.canvas.cells().iter().all(|c| c.decided().is_some()) {
            return Ok(Vec::new());
        }
        let decided = self.writing.canvas.decided();
        let region = self.job.plan.region(&decided, self.witness.as_deref())?.ok_or_else(lost)?;
        // What is forced among some texts need not be forced among all.
        let forced = if region.exact() { region.feasible()?.ok_or_else(lost)?.forced() } else { Vec::new() };
        for &(pos, token) in &forced {
            self.writing.canvas.set(pos, Cell::Held { token, step: self.writing.taken });
        }
        self.forced += forced.len();
        Ok(forced.into_iter().map(|(pos, _)| pos).collect())
    }

    /// What the potentials ask about the latest draft.
    pub(crate) fn potential_asks(&mut self) -> Vec<Vec<Ask>> {
        let step = self.writing.step(self.job.model.denoiser());
        self.potentials.iter_mut().map(|potential| potential.ask(&step, &self.last.text)).collect()
    }

    /// Weighs the latest draft.
    pub(crate) fn weigh(&mut self, answers: &[Vec<Answer>]) -> Result<()> {
        let step = self.writing.step(self.job.model.denoiser());
        self.last.log_potential = 0.0;
        for (potential, answers) in self.potentials.iter_mut().zip(answers) {
            self.last.log_potential += potential.log_weight(&step, &self.last.text, answers)?;
        }
        Ok(())
    }

    pub(crate) fn start_record(&self, sample: usize) -> Record {
        let vocab = self.denoiser().vocab();
        let prompt = self.writing.canvas.prompt().iter().map(|&token| Written::new(token, vocab)).collect();
        let cells = CellRecord::all(&self.writing.canvas, vocab);
        Record::Start { sample, seed: self.writing.seed, prompt, cells }
    }

    pub(crate) fn step_record(&self, sample: usize) -> Record {
        let vocab = self.denoiser().vocab();
        let candidates = self.last.candidates.iter().map(|candidate| CandidateRecord::new(candidate, vocab)).collect();
        Record::Step {
            sample,
            index: self.writing.taken.saturating_sub(1),
            budget: self.writing.planned(),
            log_z: self.last.log_z,
            exact: self.exact,
            nfe: self.nfe,
            committed: self.last.committed.clone(),
            reopened: self.last.reopened.clone(),
            cells: CellRecord::all(&self.writing.canvas, vocab),
            candidates,
            ancestor: None,
        }
    }
}

/// Most steps after a block is full in which it is looked over again.
const MOST_EDITS: usize = 64;

/// Checks the policy's choice: only candidates, each once; where it chose none, the most probable one.
fn chosen(mut commit: Vec<Pos>, proposal: &Proposal) -> Result<Vec<Pos>> {
    commit.sort_unstable();
    commit.dedup();
    if let Some(stray) = commit.iter().find(|&&pos| proposal.candidates.binary_search_by_key(&pos, |c| c.pos).is_err())
    {
        return Err(crate::Error::input(format!("the policy commits position {stray}, which is not open"))
            .help("choose among the proposal's candidates"));
    }
    if commit.is_empty() {
        commit.extend(proposal.ranked(|c| c.prob).first().map(|c| c.pos));
    }
    Ok(commit)
}
