//! One text in the making: its canvas, its hooks, and what a step does to them.

use crate::{
    Candidate, Canvas, CanvasView, Cell, Constraint, Denoiser, Error, Event, Guide, Output, Policy, Pos, Proposal,
    Report, Result, Scores, Settings, Step, Token, Verdict,
    inference::{self, Options},
    layout::Draft,
    plan::{Plan, lost},
};
use std::time::{Duration, Instant};

pub(crate) struct Sample {
    index: usize,
    seed: u64,
    canvas: Canvas,
    policy: Box<dyn Policy>,
    guides: Vec<Box<dyn Guide>>,
    /// Steps planned; the last one commits everything, so no policy can go on for ever.
    budget: usize,
    /// Steps taken.
    taken: usize,
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
    pub fn new(index: usize, seed: u64, draft: Draft, policy: Box<dyn Policy>, guides: Vec<Box<dyn Guide>>) -> Self {
        Self {
            index,
            seed,
            canvas: draft.canvas,
            policy,
            guides,
            budget: 1,
            taken: 0,
            nfe: draft.nfe,
            forced: 0,
            log_z: None,
            exact: true,
            witness: None,
            constraint_time: draft.constraint_time,
            last: LastStep::default(),
        }
    }

    /// Before the first step: fixes what only one token can fill, and plans the steps.
    pub fn begin(&mut self, plan: &Plan, settings: &Settings, compile_time: Duration) -> Result<()> {
        self.constraint_time += compile_time;
        for pos in self.settle(plan)? {
            if let Some(token) = self.canvas.cell(pos).token() {
                self.canvas.set(pos, Cell::Fixed(token));
            }
        }
        self.budget = settings.steps.unwrap_or_else(|| self.canvas.undecided().count()).max(1);
        Ok(())
    }

    pub fn is_open(&self) -> bool {
        self.canvas.undecided().next().is_some()
    }

    /// Takes positions back where the policy wants to, and says what must be predicted: the canvas first, then the
    /// views of each guide.
    pub fn look(&mut self, denoiser: &dyn Denoiser) -> Result<(CanvasView, Vec<Vec<CanvasView>>)> {
        let step = step(self.taken, self.budget, self.seed, &self.canvas, denoiser);
        let reopened = if self.taken + 1 < self.budget { self.policy.reopen(&step) } else { Vec::new() };
        self.last.reopened.clear();
        for pos in reopened {
            match self.canvas.cells().get(pos) {
                Some(Cell::Held { .. }) => self.last.reopened.push(pos),
                other => {
                    return Err(Error::input(format!("the policy reopens position {pos}, which is {other:?}"))
                        .help("only held positions can be reopened"));
                }
            }
        }
        for &pos in &self.last.reopened {
            self.canvas.set(pos, Cell::Open);
        }
        let step = crate::sample::step(self.taken, self.budget, self.seed, &self.canvas, denoiser);
        let own = self.canvas.view();
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

    /// One step: guides, exact projection, joint draw, choice, commit.
    pub fn refine(
        &mut self,
        denoiser: &dyn Denoiser,
        plan: &Plan,
        settings: &Settings,
        prediction: Prediction,
    ) -> Result<()> {
        let Prediction { own: mut scores, extra } = prediction;
        let step = step(self.taken, self.budget, self.seed, &self.canvas, denoiser);
        for (guide, extra) in self.guides.iter_mut().zip(&extra) {
            guide.guide(&step, &mut scores, extra)?;
        }
        if !self.guides.is_empty() && scores.values().iter().any(|s| s.is_nan() || *s == f32::INFINITY) {
            return Err(Error::input("a guide added energies that are not finite")
                .help("guides move probability, only constraints forbid"));
        }

        let started = Instant::now();
        let decided = self.canvas.decided();
        let region = plan.region(&decided, self.witness.as_deref())?.ok_or_else(lost)?;
        let reach = region.reach()?.ok_or_else(lost)?;
        let temperature = settings.temperature.unwrap_or(DEFAULT_TEMPERATURE);
        let options = Options {
            temperature: if temperature == 0.0 { 1.0 } else { temperature },
            top_k: settings.top_k,
            top_p: settings.top_p,
            ..Options::default()
        };
        let posterior = inference::infer(&reach, &scores, &options)?;
        let draw = if temperature == 0.0 { posterior.map() } else { posterior.sample(&mut step.rng(0xd4a3)) };
        let proposal = Proposal { candidates: posterior.candidates(&draw) };
        self.constraint_time += started.elapsed();

        let commit = match self.taken + 1 >= self.budget {
            true => proposal.candidates.iter().map(|c| c.pos).collect(),
            false => chosen(self.policy.choose(&step, &proposal)?.commit, &proposal)?,
        };
        for &pos in &commit {
            self.canvas.set(pos, Cell::Held { token: draw[pos], step: self.taken });
        }
        self.witness = Some(draw);
        self.log_z.get_or_insert(posterior.log_z());
        self.exact &= region.exact();
        self.last.log_z = posterior.log_z();
        self.last.candidates = proposal.candidates;
        self.last.committed = commit;
        let started = Instant::now();
        let forced = self.settle(plan)?;
        self.last.committed.extend(forced);
        self.constraint_time += started.elapsed();
        self.taken += 1;
        Ok(())
    }

    /// Writes every position where the constraint leaves one token: no forward needed. Returns those positions.
    fn settle(&mut self, plan: &Plan) -> Result<Vec<Pos>> {
        if !self.is_open() {
            return Ok(Vec::new());
        }
        let decided = self.canvas.decided();
        let region = plan.region(&decided, self.witness.as_deref())?.ok_or_else(lost)?;
        // What is forced among some texts need not be forced among all.
        let forced = if region.exact() { region.reach()?.ok_or_else(lost)?.forced() } else { Vec::new() };
        for &(pos, token) in &forced {
            self.canvas.set(pos, Cell::Held { token, step: self.taken });
        }
        self.forced += forced.len();
        Ok(forced.into_iter().map(|(pos, _)| pos).collect())
    }

    pub fn start_event<'a>(&'a self, denoiser: &'a dyn Denoiser) -> Event<'a> {
        Event::Start { sample: self.index, seed: self.seed, canvas: &self.canvas, vocab: denoiser.vocab() }
    }

    pub fn step_event<'a>(&'a self, denoiser: &'a dyn Denoiser) -> Event<'a> {
        Event::Step {
            sample: self.index,
            index: self.taken.saturating_sub(1),
            budget: self.budget,
            canvas: &self.canvas,
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
        let written = self.canvas.cells().iter().filter_map(|c| c.token());
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
                exact: self.exact,
                log_z: self.log_z.unwrap_or(0.0),
                tokens: tokens.len(),
                steps: self.taken,
                nfe: self.nfe,
                forced: self.forced,
                seed: self.seed,
                model: denoiser.name().to_string(),
                elapsed_ms: elapsed.as_secs_f64() * 1e3,
                constraint_ms: self.constraint_time.as_secs_f64() * 1e3,
            },
            text,
        }
    }
}

/// Where no temperature is given.
pub(crate) const DEFAULT_TEMPERATURE: f32 = 0.7;

fn step<'a>(index: usize, budget: usize, seed: u64, canvas: &'a Canvas, denoiser: &'a dyn Denoiser) -> Step<'a> {
    Step { index, budget, canvas, vocab: denoiser.vocab(), seed }
}

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
