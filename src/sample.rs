//! One text in the making: its canvas, its hooks, and what a step does to them.

mod edit;
mod reading;

use crate::{
    Candidate, Canvas, CanvasView, Cell, Constraint, Denoiser, Error, Event, Guide, Moves, Output, Policy, Pos,
    Proposal, Report, Result, Scores, Settings, Step, Token, Verdict,
    blocks::Blocks,
    engine::plan::{Plan, lost},
    layout::Draft,
    models::{Manner, Session},
    settings::Ending,
};
use rand::Rng;
use reading::Reading;
use std::time::{Duration, Instant};

pub(crate) struct Sample {
    index: usize,
    writing: Writing,
    policy: Box<dyn Policy>,
    guides: Vec<Box<dyn Guide>>,
    /// What the denoiser keeps of this text.
    pub session: Session,
    nfe: usize,
    forced: usize,
    log_z: Option<f64>,
    /// No step left out texts that fit.
    exact: bool,
    /// The latest draw: the rest of it completes what has been committed of it.
    witness: Option<Vec<Token>>,
    constraint_time: Duration,
    last: LastStep,
}

/// How far the text has come: what hooks are shown of a sample.
struct Writing {
    seed: u64,
    canvas: Canvas,
    manner: Manner,
    /// The last step of a block commits all of it, so no policy can go on for ever.
    blocks: Blocks,
    /// Steps taken.
    taken: usize,
}

impl Writing {
    fn step<'a>(&'a self, denoiser: &'a dyn Denoiser) -> Step<'a> {
        Step {
            index: self.blocks.index,
            budget: self.blocks.budget,
            block: self.blocks.range(),
            block_size: self.blocks.size(),
            revises: self.manner.revises,
            taken: self.taken,
            canvas: &self.canvas,
            vocab: denoiser.vocab(),
            seed: self.seed,
        }
    }
    /// Whether no position of the block is open.
    fn is_full(&self) -> bool {
        self.canvas.cells()[self.blocks.range()].iter().all(|c| c.decided().is_some())
    }
}

/// What the latest step did, for the observers.
#[derive(Default)]
struct LastStep {
    committed: Vec<Pos>,
    reopened: Vec<Pos>,
    candidates: Vec<Candidate>,
    log_z: f64,
}

/// What the denoiser said: about the canvas, and about the views of each guide.
pub(crate) struct Prediction {
    pub own: Scores,
    pub extra: Vec<Vec<Scores>>,
}

impl Sample {
    /// # Errors
    /// A block length that the model's own blocks do not allow.
    pub fn new(
        (index, seed): (usize, u64),
        draft: Draft,
        settings: &Settings,
        manner: &Manner,
        policy: Box<dyn Policy>,
        guides: Vec<Box<dyn Guide>>,
    ) -> Result<Self> {
        let blocks = Blocks::new(&draft.canvas, settings, manner)?;
        Ok(Self {
            index,
            writing: Writing { seed, canvas: draft.canvas, manner: manner.clone(), blocks, taken: 0 },
            session: Session { cache: settings.cache, ..Session::default() },
            policy,
            guides,
            nfe: draft.nfe,
            forced: 0,
            log_z: None,
            exact: true,
            witness: None,
            constraint_time: draft.constraint_time,
            last: LastStep::default(),
        })
    }

    /// Before the first step: fixes what only one token can fill, and plans the steps.
    ///
    /// # Errors
    /// Those of inference.
    pub fn begin(&mut self, plan: &Plan, settings: &Settings, compile_time: Duration) -> Result<()> {
        self.constraint_time += compile_time;
        for pos in self.settle(plan)? {
            if let Some(token) = self.writing.canvas.cell(pos).token() {
                self.writing.canvas.set(pos, Cell::Fixed(token));
            }
        }
        self.writing.blocks = Blocks::new(&self.writing.canvas, settings, &self.writing.manner)?;
        Ok(())
    }

    pub fn is_open(&self) -> bool {
        !self.writing.blocks.done()
    }

    /// Takes positions back where the policy wants to, and says what must be predicted: the canvas first, then the
    /// views of each guide.
    pub fn look(&mut self, denoiser: &dyn Denoiser) -> Result<(CanvasView, Vec<Vec<CanvasView>>)> {
        self.writing.canvas.set_horizon(self.writing.blocks.horizon(self.writing.canvas.len()));
        self.session.block = self.writing.blocks.range();
        let step = self.writing.step(denoiser);
        let reopened = if self.writing.blocks.last() { Vec::new() } else { self.policy.reopen(&step) };
        for &pos in &reopened {
            if !matches!(self.writing.canvas.cells().get(pos), Some(Cell::Held { .. }))
                || !self.writing.blocks.range().contains(&pos)
            {
                return Err(Error::input(format!("the policy reopens position {pos}"))
                    .help("only positions of the present block that are held can be reopened"));
            }
        }
        for &pos in &reopened {
            self.writing.canvas.set(pos, Cell::Open);
        }
        self.last.reopened = reopened;
        if self.writing.manner.revises {
            self.draw_noise(denoiser);
        }
        let step = self.writing.step(denoiser);
        let own = self.writing.canvas.view();
        let extra: Vec<Vec<CanvasView>> = self.guides.iter_mut().map(|guide| guide.views(&step)).collect();
        let mut distinct: Vec<&CanvasView> = vec![&own];
        for view in extra.iter().flatten() {
            if !distinct.contains(&view) {
                distinct.push(view);
            }
        }
        self.nfe += distinct.len();
        Ok((own, extra))
    }

    /// Random tokens where nothing is accepted: a uniform-state model is shown them.
    fn draw_noise(&mut self, denoiser: &dyn Denoiser) {
        let mut rng = self.writing.step(denoiser).rng(0x0e01);
        for pos in self.writing.blocks.range() {
            let token = rng.random_range(0..denoiser.vocab().len() as Token);
            if self.writing.canvas.cell(pos) == Cell::Open {
                self.writing.canvas.set(pos, Cell::Draft { token });
            }
        }
    }

    /// One step: guides, exact projection, joint draw, choice, commit.
    pub fn refine(
        &mut self,
        denoiser: &dyn Denoiser,
        plan: &Plan,
        settings: &Settings,
        prediction: Prediction,
    ) -> Result<()> {
        let Prediction { own: mut scores, extra } = prediction;
        let step = self.writing.step(denoiser);
        for (guide, extra) in self.guides.iter_mut().zip(&extra) {
            guide.guide(&step, &mut scores, extra)?;
        }
        if !self.guides.is_empty() && scores.values().iter().any(|s| s.is_nan() || *s == f32::INFINITY) {
            return Err(Error::input("a guide added energies that are not finite")
                .help("guides move probability, only constraints forbid"));
        }
        let reading = Reading { scores: &scores, settings, temperature: self.temperature(settings) };
        self.session.temperature = if reading.temperature == 0.0 { 1.0 } else { reading.temperature };
        self.last.committed.clear();
        self.last.candidates.clear();
        let editable = self.editable(denoiser);
        if !self.writing.is_full() {
            self.write(denoiser, plan, &reading)?;
        }
        if !editable.is_empty() {
            self.edit(denoiser, plan, &reading, &editable)?;
        }
        let started = Instant::now();
        let forced = self.settle(plan)?;
        self.last.committed.extend(forced);
        self.constraint_time += started.elapsed();
        self.writing.taken += 1;
        self.writing.blocks.index += 1;
        let too_long = self.writing.blocks.index >= self.writing.blocks.budget + MOST_EDITS;
        if self.writing.is_full() && (too_long || self.editable(denoiser).is_empty()) {
            let Writing { blocks, canvas, .. } = &mut self.writing;
            blocks.advance(canvas);
        }
        Ok(())
    }

    /// What was asked for, or what the model is used to: it may change while a block is written.
    fn temperature(&self, settings: &Settings) -> f32 {
        let (first, last) = self.writing.manner.temperature;
        let left = self.writing.blocks.budget.saturating_sub(self.writing.blocks.index) as f32
            / self.writing.blocks.budget as f32;
        settings.temperature.unwrap_or(last + (first - last) * left)
    }

    /// Draws a text for all that is open, and writes what the policy chooses of the block's part of it.
    fn write(&mut self, denoiser: &dyn Denoiser, plan: &Plan, reading: &Reading) -> Result<()> {
        let started = Instant::now();
        let decided = self.writing.canvas.decided();
        let region = plan.region(&decided, self.witness.as_deref())?.ok_or_else(lost)?;
        let reach = region.reach()?.ok_or_else(lost)?;
        let near = reading.near(&reach);
        let posterior = reading.posterior(&near)?;
        let step = self.writing.step(denoiser);
        let mut text = reading.draw(&posterior, &step, 0xd4a3);
        let block: Vec<Pos> =
            self.writing.canvas.undecided().filter(|pos| self.writing.blocks.range().contains(pos)).collect();
        let mut candidates = posterior.candidates_at(&block, &text);
        let in_text = |c: &Candidate| !step.vocab.is_tail(c.token);
        if reading.settings.ending == Some(Ending::Last) && candidates.iter().any(in_text) {
            candidates.retain(in_text);
        }
        let proposal = Proposal { candidates };
        self.constraint_time += started.elapsed();

        let moves = match self.writing.blocks.last() {
            true => Moves::all(),
            false => self.policy.choose(&step, &proposal)?,
        };
        let commit = if moves.done { block.clone() } else { chosen(moves.commit, &proposal)? };
        if self.writing.manner.revises && !moves.done {
            // Nothing is decided yet: what was accepted is shown, the rest will be shown as noise.
            block.iter().for_each(|&pos| self.writing.canvas.set(pos, Cell::Open));
            commit.iter().for_each(|&pos| self.writing.canvas.set(pos, Cell::Draft { token: text[pos] }));
        } else {
            if self.writing.manner.revises {
                // What a finished block holds is the likeliest text, not a random one.
                text = posterior.map();
            }
            commit.iter().for_each(|&pos| {
                self.writing.canvas.set(pos, Cell::Held { token: text[pos], step: self.writing.taken })
            });
            self.witness = if text.len() < reach.len() { reach.completed(&text) } else { Some(text) };
        }
        let log_z = posterior.log_z();
        self.log_z.get_or_insert(log_z);
        self.exact &= region.exact();
        self.last.log_z = log_z;
        self.last.candidates = proposal.candidates;
        self.last.committed = commit;
        Ok(())
    }

    /// Writes every position where the constraint leaves one token: no forward needed. Returns those positions.
    fn settle(&mut self, plan: &Plan) -> Result<Vec<Pos>> {
        if self.writing.canvas.cells().iter().all(|c| c.decided().is_some()) {
            return Ok(Vec::new());
        }
        let decided = self.writing.canvas.decided();
        let region = plan.region(&decided, self.witness.as_deref())?.ok_or_else(lost)?;
        // What is forced among some texts need not be forced among all.
        let forced = if region.exact() { region.reach()?.ok_or_else(lost)?.forced() } else { Vec::new() };
        for &(pos, token) in &forced {
            self.writing.canvas.set(pos, Cell::Held { token, step: self.writing.taken });
        }
        self.forced += forced.len();
        Ok(forced.into_iter().map(|(pos, _)| pos).collect())
    }

    /// Steps of the whole text as far as they are planned.
    fn planned(&self) -> usize {
        self.writing.taken + self.writing.blocks.budget.saturating_sub(self.writing.blocks.index)
    }

    pub fn start_event<'a>(&'a self, denoiser: &'a dyn Denoiser) -> Event<'a> {
        Event::Start {
            sample: self.index,
            seed: self.writing.seed,
            canvas: &self.writing.canvas,
            vocab: denoiser.vocab(),
        }
    }

    pub fn step_event<'a>(&'a self, denoiser: &'a dyn Denoiser) -> Event<'a> {
        Event::Step {
            sample: self.index,
            index: self.writing.taken.saturating_sub(1),
            budget: self.planned(),
            canvas: &self.writing.canvas,
            vocab: denoiser.vocab(),
            committed: &self.last.committed,
            reopened: &self.last.reopened,
            candidates: &self.last.candidates,
            log_z: self.last.log_z,
            exact: self.exact,
            nfe: self.nfe,
        }
    }

    /// Decodes and verifies.
    pub fn finish(
        self,
        denoiser: &dyn Denoiser,
        constraints: &[std::sync::Arc<dyn Constraint>],
        elapsed: Duration,
    ) -> Output {
        let vocab = denoiser.vocab();
        let written = self.writing.canvas.cells().iter().filter_map(|c| c.token());
        let tokens: Vec<&[u8]> = written.filter_map(|t| vocab.bytes(t)).collect();
        let (text, mut verdict) = match String::from_utf8(tokens.concat()) {
            Ok(text) => (text, Verdict::Accept),
            Err(e) => {
                let at = e.utf8_error().valid_up_to();
                let why = "the text is not valid UTF-8".to_string();
                (String::from_utf8_lossy(e.as_bytes()).into_owned(), Verdict::Reject { at, why })
            }
        };
        for constraint in constraints {
            verdict = verdict.and(|| constraint.check_tokens(&text, &tokens));
        }
        let rejected = match verdict {
            Verdict::Accept => None,
            Verdict::Reject { at, why } => Some(format!("at byte {at}: {why}")),
            Verdict::Unknown { why } => Some(why),
        };
        Output {
            slots: constraints.iter().flat_map(|c| c.slots(&text)).collect(),
            report: Report {
                verified: rejected.is_none(),
                rejected,
                left: constraints.iter().flat_map(|c| c.left()).collect(),
                exact: self.exact,
                log_z: self.log_z.unwrap_or(0.0),
                tokens: tokens.len(),
                steps: self.writing.taken,
                nfe: self.nfe,
                forced: self.forced,
                seed: self.writing.seed,
                model: denoiser.name().to_string(),
                elapsed_ms: elapsed.as_secs_f64() * 1e3,
                constraint_ms: self.constraint_time.as_secs_f64() * 1e3,
            },
            text,
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
        return Err(Error::input(format!("the policy commits position {stray}, which is not open"))
            .help("choose among the proposal's candidates"));
    }
    if commit.is_empty() {
        commit.extend(proposal.ranked(|c| c.prob).first().map(|c| c.pos));
    }
    Ok(commit)
}
