//! A request, resolved once: constraints are compiled, defaults chosen and slot lengths found. Lanes are made from it.

use crate::{
    Constraint, Ending, Error, GuideFactory, Lane, Model, PolicyFactory, PotentialFactory, Result, Settings,
    constraints::{Length, Unit},
    engine::plan::CompiledConstraints,
    inference::Options,
    models::SamplingDefaults,
    slot_lengths::SlotLengths,
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// A request, compiled for a model. One job makes any number of lanes, each with a seed of its own; a
/// [`Runner`](crate::Runner) drives them.
///
/// ```
/// use stencil_lm::{Model, Runner};
///
/// # fn main() -> stencil_lm::Result<()> {
/// let model = Model::bundled()?;
/// let job = model.fill("The {{animal:1-2}} is {{size|small|large}}.")?.job()?;
/// let mut run = Runner::new(&model);
/// let id = run.submit(job.lane(0)?)?;
/// while let Some(records) = run.step()? {
///     assert!(records.iter().all(|record| record.sample() == id.index()));
/// }
/// assert!(run.take(id)?.report.verified);
/// # Ok(()) }
/// ```
pub struct Job {
    pub(crate) model: Model,
    pub(crate) constraints: Vec<Arc<dyn Constraint>>,
    pub(crate) plan: CompiledConstraints,
    pub(crate) settings: Settings,
    pub(crate) defaults: SamplingDefaults,
    pub(crate) guides: Vec<GuideFactory>,
    pub(crate) potentials: Vec<PotentialFactory>,
    pub(crate) policy: PolicyFactory,
    pub(crate) lengths: SlotLengths,
    /// Whether the model receives the constrained marginals of the previous step.
    pub(crate) feeds_back: bool,
    pub(crate) compile_time: Duration,
    origins: Vec<(&'static str, Origin)>,
}

/// The source of a setting's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The request.
    Request,
    /// The model's default for templates.
    Template,
    /// The model's default.
    Model,
}

/// The parts of a request.
pub(crate) struct Parts {
    pub constraints: Vec<Arc<dyn Constraint>>,
    pub guides: Vec<GuideFactory>,
    pub potentials: Vec<PotentialFactory>,
    pub policy: Option<PolicyFactory>,
    pub settings: Settings,
    pub prompt: String,
    pub system: Option<String>,
    pub raw: bool,
}

impl Job {
    /// # Errors
    /// Contradictory constraints or too few positions (`is_unsatisfiable`), settings out of range, or a failing model.
    pub(crate) fn compile(model: &Model, parts: Parts) -> Result<Arc<Self>> {
        let started = Instant::now();
        let Parts { mut constraints, guides, potentials, policy, settings, prompt, system, raw } = parts;
        check_settings(&settings)?;
        let denoiser = model.denoiser();
        let defaults = denoiser.defaults();
        let templated = constraints.iter().any(|c| c.shape().scaffold().is_some());
        let (settings, usual, origins) = resolve(settings, &defaults, templated, policy.is_some());
        let policy = PolicyFactory::resolve(policy.as_ref(), &settings, usual)?;
        if settings.cache.is_some() && !denoiser.uses().caches {
            return Err(Error::input(format!("{} has no approximate cache", denoiser.name()))
                .help("caches are for pretrained bidirectional models; leave out `cache`"));
        }
        if settings.ending == Some(Ending::Never) {
            let len = settings.len.ok_or_else(|| {
                Error::input("a text that never ends needs a number of positions").help("give `len`, or --len TOKENS")
            })?;
            constraints.push(Arc::new(Length::new(Unit::Tokens, len, len)?));
        }
        let prompt = model.prompt_tokens(system.as_deref(), &prompt, raw)?;
        let plan = CompiledConstraints::compile(&constraints, denoiser.vocab())?;
        let compile_time = started.elapsed();
        let lengths = SlotLengths::find(model, &plan, &constraints, &settings, prompt.into())?;
        // Without constraints the marginals are the model's own, which it knows already.
        let feeds_back = denoiser.uses().feedback && !constraints.is_empty();
        let model = model.clone();
        let job = Self {
            model,
            constraints,
            plan,
            settings,
            defaults,
            guides,
            potentials,
            policy,
            lengths,
            feeds_back,
            compile_time,
            origins,
        };
        Ok(Arc::new(job))
    }

    /// Makes a lane with this seed. The lane has taken no step yet.
    ///
    /// # Errors
    /// Errors of the factories of guides, policies and potentials, and errors of inference.
    pub fn lane(self: &Arc<Self>, seed: u64) -> Result<Lane> {
        Lane::new(self.clone(), seed)
    }

    /// The model for which the job is compiled.
    pub fn model(&self) -> &Model {
        &self.model
    }
    /// The settings, including those that the model's defaults decided.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }
    /// The sources of `policy` and `temperature`.
    pub fn origins(&self) -> &[(&'static str, Origin)] {
        &self.origins
    }
}

/// Fills in the settings that a request leaves to the model's defaults. Returns the settings, the policy where the
/// request names none, and the source of each value.
fn resolve(
    asked: Settings,
    defaults: &SamplingDefaults,
    templated: bool,
    own_policy: bool,
) -> (Settings, &'static str, Vec<(&'static str, Origin)>) {
    let habit = defaults.templates.filter(|_| templated);
    let origin = |given: bool| match (given, habit) {
        (true, _) => Origin::Request,
        (false, Some(_)) => Origin::Template,
        (false, None) => Origin::Model,
    };
    let origins = vec![
        ("policy", origin(own_policy || asked.policy.is_some())),
        ("temperature", origin(asked.temperature.is_some())),
    ];
    let temperature = asked.temperature.or(habit.map(|(_, temperature)| temperature));
    let usual = habit.map_or(defaults.policy, |(policy, _)| policy);
    (Settings { temperature, ..asked }, usual, origins)
}

fn check_settings(settings: &Settings) -> Result<()> {
    let Settings { steps, len, temperature, top_k, top_p, block_length, .. } = settings;
    let bad = |what: String, help: &str| Err(Error::input(what).help(help));
    if *steps == Some(0) {
        return bad("`steps` must be at least 1".into(), "each step is one forward; leave it out for one per position");
    }
    if *len == Some(0) {
        return bad("`len` must be at least 1".into(), "it is the number of tokens there is room for");
    }
    if *block_length == Some(0) {
        return bad("`block_length` must be at least 1".into(), "leave it out to write all positions together");
    }
    let temperature = temperature.unwrap_or(Options::default().temperature);
    Options { temperature, top_k: *top_k, top_p: *top_p, witness: None }.check()
}
