//! The loop: canvas → predict → guide → project → choose → commit. It knows no plugin by name.

use crate::{
    CanvasView, Constraint, Denoiser, Ending, Error, Event, Guide, Model, Observer, Output, Policy, Result, Scores,
    Settings, Token,
    constraints::{Length, Unit},
    engine::plan::Plan,
    layout,
    models::Session,
    policies,
    sample::{Prediction, Sample},
    spec::{GuideFactory, Spec},
};
use rayon::prelude::*;
use std::{collections::HashMap, ops::ControlFlow, sync::Arc, time::Instant};

type PolicyFactory = Arc<dyn Fn() -> Result<Box<dyn Policy>> + Send + Sync>;

/// Writes texts that satisfy constraints, with a denoiser's help.
///
/// ```no_run
/// # fn main() -> stencil_lm::Result<()> {
/// use stencil_lm::{Model, Sampler, spec::Spec};
/// let model = Model::bundled()?;
/// let spec = Spec::new().regex(r"[A-Z][a-z ]+\.")?.contains(["river"])?;
/// let outputs = Sampler::new(&model).spec(&spec).count(3).run()?;
/// # Ok(()) }
/// ```
pub struct Sampler<'a> {
    model: &'a Model,
    constraints: Vec<Arc<dyn Constraint>>,
    guides: Vec<GuideFactory>,
    settings: Settings,
    policy: Option<PolicyFactory>,
    observers: Vec<Box<dyn Observer + 'a>>,
    prompt: String,
    system: Option<String>,
    raw: bool,
    count: usize,
}

impl<'a> Sampler<'a> {
    pub fn new(model: &'a Model) -> Self {
        Self {
            model,
            constraints: Vec::new(),
            guides: Vec::new(),
            settings: Settings::default(),
            policy: None,
            observers: Vec::new(),
            prompt: String::new(),
            system: None,
            raw: false,
            count: 1,
        }
    }
    /// Everything a constraint file says. Settings given before win over the file's.
    pub fn spec(mut self, spec: &Spec) -> Self {
        self.constraints.extend(spec.constraints.iter().cloned());
        self.guides.extend(spec.guides.iter().cloned());
        self.settings = self.settings.or(spec.settings.clone());
        self
    }
    /// One more hard constraint; all hold at once.
    pub fn constraint(mut self, constraint: impl Constraint + 'static) -> Self {
        self.constraints.push(Arc::new(constraint));
        self
    }
    /// One more guide; `make` is called once per sample.
    pub fn guide<G: Guide + 'static>(mut self, make: impl Fn(&Model) -> Result<G> + Send + Sync + 'static) -> Self {
        self.guides.push(Arc::new(move |model| Ok(Box::new(make(model)?))));
        self
    }
    /// A policy of your own instead of a named one; `make` is called once per sample.
    pub fn policy<P: Policy + 'static>(mut self, make: impl Fn() -> P + Send + Sync + 'static) -> Self {
        self.policy = Some(Arc::new(move || Ok(Box::new(make()))));
        self
    }
    /// How to sample; what is given here wins over what was given before.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings.or(self.settings);
        self
    }
    /// Text before the answer: read by the model, not part of the output, not constrained.
    pub fn prompt(mut self, prompt: impl Into<String>) -> Self {
        self.prompt = prompt.into();
        self
    }
    /// What the model is told before the prompt; for models with a chat template.
    pub fn system(mut self, system: impl Into<String>) -> Self {
        self.system = Some(system.into());
        self
    }
    /// Gives the prompt as it stands, whatever chat template the model has.
    pub fn raw(mut self, raw: bool) -> Self {
        self.raw = raw;
        self
    }
    /// How many samples to draw, as one batch. Sample i has seed `seed + i` and is what it would be alone.
    pub fn count(mut self, count: usize) -> Self {
        self.count = count;
        self
    }
    pub fn observer(mut self, observer: impl Observer + 'a) -> Self {
        self.observers.push(Box::new(observer));
        self
    }

    /// Draws the samples.
    ///
    /// # Errors
    /// Contradictory constraints or too few positions (`is_unsatisfiable`), settings out of range, a failing model
    /// or guide, or an observer that stopped the run (`is_interrupted`). Never a dead end: what is satisfiable at the
    /// first step is finished.
    pub fn run(mut self) -> Result<Vec<Output>> {
        let started = Instant::now();
        check_settings(&self.settings)?;
        let slots = self.constraints.iter().any(|c| c.scaffold().is_some());
        if let Some((policy, temperature)) = self.model.denoiser().manner().templates.filter(|_| slots) {
            let usual = Settings { policy: Some(policy.into()), temperature: Some(temperature), ..Settings::default() };
            self.settings = std::mem::take(&mut self.settings).or(usual);
        }
        let denoiser = self.model.denoiser();
        check_cache(&self.settings, denoiser)?;
        if self.settings.ending == Some(Ending::Never) {
            let len = self.settings.len.ok_or_else(|| {
                Error::input("a text that never ends needs a number of positions").help("give `len`, or --len TOKENS")
            })?;
            self.constraints.push(Arc::new(Length::new(Unit::Tokens, len, len)?));
        }
        let prompt = self.model.prompt_tokens(self.system.as_deref(), &self.prompt, self.raw)?;
        let plan = Plan::compile(&self.constraints, denoiser.vocab())?;
        let compiled = started.elapsed();

        let mut samples = self.start(&plan, prompt)?;
        for sample in &mut samples {
            sample.begin(&plan, &self.settings, compiled)?;
        }
        for sample in &samples {
            self.emit(&sample.start_event(denoiser))?;
        }
        while samples.iter().any(Sample::is_open) {
            let mut open: Vec<&mut Sample> = samples.iter_mut().filter(|s| s.is_open()).collect();
            let predictions = predict(self.model, &self.settings, &mut open)?;
            let settings = &self.settings;
            open.par_iter_mut()
                .zip(predictions)
                .try_for_each(|(sample, scores)| sample.refine(denoiser, &plan, settings, scores))?;
            for sample in &open {
                self.emit(&sample.step_event(denoiser))?;
            }
        }
        let outputs: Vec<Output> =
            samples.into_iter().map(|s| s.finish(denoiser, &self.constraints, started.elapsed())).collect();
        for (sample, output) in outputs.iter().enumerate() {
            self.emit(&Event::End { sample, text: &output.text, verified: output.report.verified })?;
        }
        Ok(outputs)
    }

    /// The samples with their canvases, before the first step.
    fn start(&self, plan: &Plan, prompt: Vec<Token>) -> Result<Vec<Sample>> {
        let base = self.settings.seed.unwrap_or(0);
        let seeds: Vec<u64> = (0..self.count as u64).map(|i| base.wrapping_add(i)).collect();
        let drafts = layout::canvases(self.model, plan, &self.constraints, &self.settings, prompt, &seeds)?;
        let manner = self.model.denoiser().manner();
        let make_policy = || match &self.policy {
            Some(make) => make(),
            None => policies::by_name(&self.settings, manner.policy),
        };
        let mut samples = Vec::new();
        for (index, (seed, draft)) in seeds.into_iter().zip(drafts).enumerate() {
            let guides = self.guides.iter().map(|make| make(self.model)).collect::<Result<_>>()?;
            samples.push(Sample::new((index, seed), draft, &self.settings, &manner, make_policy()?, guides)?);
        }
        Ok(samples)
    }

    fn emit(&mut self, event: &Event) -> Result<()> {
        let mut stop = false;
        for observer in &mut self.observers {
            stop |= observer.on_step(event) == ControlFlow::Break(());
        }
        if stop { Err(Error::interrupted("stopped by an observer")) } else { Ok(()) }
    }
}

/// One batched forward for everything that the open samples want to see; equal views are predicted once, unless the
/// model keeps something of its own for each sample.
fn predict(model: &Model, settings: &Settings, open: &mut [&mut Sample]) -> Result<Vec<Prediction>> {
    let denoiser = model.denoiser();
    let keeps = denoiser.manner().keeps || settings.cache.is_some();
    let mut batch: Vec<CanvasView> = Vec::new();
    let mut index: HashMap<CanvasView, usize> = HashMap::new();
    let (mut own_views, mut wanted) = (Vec::new(), Vec::new());
    for sample in open.iter_mut() {
        let (own, extra) = sample.look(denoiser)?;
        let mut place = |view: CanvasView| {
            *index.entry(view).or_insert_with_key(|view| {
                batch.push(view.clone());
                batch.len() - 1
            })
        };
        let place_own = (!keeps).then(|| place(own.clone()));
        own_views.push(own);
        let places: Vec<Vec<usize>> =
            extra.into_iter().map(|views| views.into_iter().map(&mut place).collect()).collect();
        wanted.push((place_own, places));
    }
    let scores = forward(denoiser, &batch)?;
    let mut kept = Vec::new();
    if keeps {
        let mut sessions: Vec<&mut Session> = open.iter_mut().map(|sample| &mut sample.session).collect();
        for (views, sessions) in own_views.chunks(BATCH).zip(sessions.chunks_mut(BATCH)) {
            let scores = denoiser.resume(views, sessions)?;
            check_scores(denoiser, views, &scores)?;
            kept.extend(scores);
        }
    }
    let mut kept = kept.into_iter();
    let pick = |places: &Vec<usize>| places.iter().map(|&i| scores[i].clone()).collect();
    let prediction = |(own, extra): &(Option<usize>, Vec<Vec<usize>>)| {
        let own = own.map(|i| scores[i].clone()).or_else(|| kept.next());
        let own = own.ok_or_else(|| Error::model(format!("the denoiser {} left out a view", denoiser.name())))?;
        Ok(Prediction { own, extra: extra.iter().map(pick).collect() })
    };
    wanted.iter().map(prediction).collect()
}

/// Most views in one forward: bounds the memory of a step.
const BATCH: usize = 64;

/// Predicts, and holds the denoiser to its contract.
pub(crate) fn forward(denoiser: &dyn Denoiser, views: &[CanvasView]) -> Result<Vec<Scores>> {
    let mut scores = Vec::with_capacity(views.len());
    for chunk in views.chunks(BATCH) {
        scores.extend(denoiser.predict(chunk)?);
    }
    check_scores(denoiser, views, &scores)?;
    Ok(scores)
}

fn check_scores(denoiser: &dyn Denoiser, views: &[CanvasView], scores: &[Scores]) -> Result<()> {
    let fits = |(s, v): (&Scores, &CanvasView)| s.len() == v.tokens.len() && s.vocab() == denoiser.vocab().len();
    if scores.len() != views.len() || !scores.iter().zip(views).all(fits) {
        return Err(Error::model(format!("the denoiser {} answered with scores of the wrong shape", denoiser.name()))
            .help("one table per view, one row per position, one column per token"));
    }
    Ok(())
}

fn check_cache(settings: &Settings, denoiser: &dyn Denoiser) -> Result<()> {
    match settings.cache.is_some() && !denoiser.manner().caches {
        false => Ok(()),
        true => Err(Error::input(format!("{} has no approximate cache", denoiser.name()))
            .help("caches are for pretrained bidirectional models; leave out `cache`")),
    }
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
    if let Some(t) = temperature.filter(|t| !(0.0..=100.0).contains(t)) {
        return bad(format!("`temperature` must lie between 0 and 100, not {t}"), "0 takes the most probable text");
    }
    if *top_k == Some(0) {
        return bad("`top_k` must be at least 1".into(), "leave it out to keep every token");
    }
    if let Some(p) = top_p.filter(|p| !(*p > 0.0 && *p <= 1.0)) {
        return bad(format!("`top_p` must lie above 0 and up to 1, not {p}"), "leave it out to keep every token");
    }
    Ok(())
}
