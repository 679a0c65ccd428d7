//! The request builder: `model.fill("The {{animal}} …")?.topic("animal", 2.0).seed(0).run()?`.

use crate::{
    Constraint, Error, Guide, Interrupted, Job, Model, Observer, Output, Policy, PolicyFactory, Population, Potential,
    Record, Result, Runner, Settings, Source,
    guides::{ClassifierFree, NaiveBayes},
    lane::Parts,
    models::Reader,
    spec::{Inputs, Spec},
};
use std::{marker::PhantomData, ops::ControlFlow, sync::Arc};

/// Marks a request for one text: [`Request::run`] returns an [`Output`].
pub struct One;
/// Marks a request for any number of texts: [`Sampler::run`] returns a list.
pub struct Many;

/// A request for any number of texts.
///
/// ```no_run
/// # fn main() -> stencil_lm::Result<()> {
/// use stencil_lm::{Model, Sampler, spec::Spec};
/// let model = Model::bundled()?;
/// let spec = Spec::new().regex(r"[A-Z][a-z ]+\.")?.contains(["river"])?;
/// let outputs = Sampler::new(&model).spec(&spec).count(3).run()?;
/// # Ok(()) }
/// ```
pub type Sampler<'a> = Request<'a, Many>;

/// A request to a model. Every method adds to the request; `run` does the work.
///
/// [`job`](Self::job) compiles the request for a [`Runner`] that the caller steps.
pub struct Request<'a, Wanted = One> {
    model: &'a Model,
    spec: Spec,
    /// Settings given in code; they override the settings of constraint files.
    settings: Settings,
    policy: Option<PolicyFactory>,
    population: Option<Box<dyn Population>>,
    readers: Vec<(String, Arc<dyn Reader>)>,
    observers: Vec<Box<dyn Observer + 'a>>,
    prompt: String,
    system: Option<String>,
    raw: bool,
    count: usize,
    /// Number of the first sample in records.
    first: usize,
    /// The first error of a builder method; `run` returns it.
    failure: Option<Error>,
    wanted: PhantomData<Wanted>,
}

impl Model {
    /// Fills the slots of a template.
    ///
    /// ```no_run
    /// # fn main() -> stencil_lm::Result<()> {
    /// use stencil_lm::Model;
    /// let output = Model::bundled()?
    ///     .fill("The {{animal:1-2}} is a {{size|small|large}} animal.")?
    ///     .topic("animal", 2.0)
    ///     .seed(0)
    ///     .run()?;
    /// println!("{} ({})", output.text, output.slot("size").unwrap_or_default());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// A template that cannot be parsed; the error has the position.
    pub fn fill(&self, template: &str) -> Result<Request<'_>> {
        let spec = Spec::new().template(&Source::new("template", template), &Inputs::default())?;
        Ok(self.write().spec(&spec))
    }

    /// Writes a free text; constraints can be added to the request.
    pub fn write(&self) -> Request<'_> {
        Request::of(self)
    }
}

impl<'a> Sampler<'a> {
    /// A request for texts of a model; for one text unless [`count`](Self::count) sets another number.
    pub fn new(model: &'a Model) -> Self {
        Self::of(model)
    }

    /// Draws the samples.
    ///
    /// # Errors
    /// Contradictory constraints or too few positions (`is_unsatisfiable`), settings out of range, a failing model or
    /// guide, or an observer that stopped the run (`is_interrupted`; [`Interrupted::of`] has the texts so far). A run
    /// never reaches a dead end: a request that is satisfiable at the first step is finished.
    pub fn run(self) -> Result<Vec<Output>> {
        self.draw()
    }
}

impl Request<'_> {
    /// Writes one text.
    ///
    /// # Errors
    /// As [`Sampler::run`].
    pub fn run(self) -> Result<Output> {
        self.draw()?.pop().ok_or_else(|| Error::model("the sampler returned nothing"))
    }

    /// Writes `count` texts as one batch.
    ///
    /// # Errors
    /// As [`Sampler::run`].
    pub fn samples(self, count: usize) -> Result<Vec<Output>> {
        self.count(count).run()
    }
}

impl<'a, Wanted> Request<'a, Wanted> {
    fn of(model: &'a Model) -> Self {
        Self {
            model,
            spec: Spec::new(),
            settings: Settings::default(),
            policy: None,
            population: None,
            readers: Vec::new(),
            observers: Vec::new(),
            prompt: String::new(),
            system: None,
            raw: false,
            count: 1,
            first: 0,
            failure: None,
            wanted: PhantomData,
        }
    }

    /// Adds everything in a constraint file or a built [`Spec`]. Settings given in code override its settings. Two
    /// specs that give the same setting different values are an error of `run`.
    pub fn spec(mut self, spec: &Spec) -> Self {
        match std::mem::take(&mut self.spec).merge(spec.clone()) {
            Ok(spec) => self.spec = spec,
            Err(error) => {
                self.failure.get_or_insert(error);
            }
        }
        self
    }
    /// Adds a hard constraint. All constraints hold at once. The built-in ones are in
    /// [`constraints`](crate::constraints).
    pub fn constraint(mut self, constraint: impl Constraint + 'static) -> Self {
        self.spec = self.spec.constraint(constraint);
        self
    }
    /// Adds a guide; `make` is called once per sample.
    pub fn guide<G: Guide + 'static>(mut self, make: impl Fn(&Model) -> Result<G> + Send + Sync + 'static) -> Self {
        self.spec.guides.push(Arc::new(move |model| Ok(Box::new(make(model)?))));
        self
    }
    /// Guides towards a topic of the model's label statistics; a negative scale guides away from it.
    pub fn topic(self, label: impl Into<String>, scale: f32) -> Self {
        let label = label.into();
        self.guide(move |model| {
            let topics = model.topics().ok_or_else(|| Error::input("the model comes without topic statistics"))?;
            NaiveBayes::new(topics.clone(), &label, scale)
        })
    }
    /// Adds classifier-free guidance towards a condition that the model was trained with.
    pub fn cfg(self, label: impl Into<String>, scale: f32) -> Self {
        let label = label.into();
        self.guide(move |model| ClassifierFree::new(model.denoiser(), &label, scale))
    }
    /// Sets the policy by its name.
    pub fn policy(mut self, name: impl Into<String>) -> Self {
        self.settings.policy = Some(name.into());
        self
    }
    /// Sets a policy of your own; `make` is called once per sample. Settings must then name no policy and no policy
    /// option.
    pub fn policy_with<P: Policy + 'static>(mut self, make: impl Fn() -> P + Send + Sync + 'static) -> Self {
        self.policy = Some(PolicyFactory::new(make));
        self
    }
    /// Adds a potential, which weighs the drafts of a [population](Self::population); `make` is called once per sample.
    pub fn potential<P: Potential + 'static>(
        mut self,
        make: impl Fn(&Model) -> Result<P> + Send + Sync + 'static,
    ) -> Self {
        self.spec.potentials.push(Arc::new(move |model| Ok(Box::new(make(model)?))));
        self
    }
    /// Sets a population, which weighs the samples against each other after every step.
    pub fn population(mut self, population: impl Population + 'static) -> Self {
        self.population = Some(Box::new(population));
        self
    }
    /// Adds a second model that reads texts, under the name by which hooks ask for it.
    pub fn reader(mut self, name: impl Into<String>, reader: Arc<dyn Reader>) -> Self {
        self.readers.push((name.into(), reader));
        self
    }
    /// Adds settings. They override settings given before.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings.or(self.settings);
        self
    }
    /// Sets the seed. The same seed gives the same text.
    pub fn seed(mut self, seed: u64) -> Self {
        self.settings.seed = Some(seed);
        self
    }
    /// Sets the temperature; 0 takes the most probable text of each step.
    pub fn temperature(mut self, temperature: f32) -> Self {
        self.settings.temperature = Some(temperature);
        self
    }
    /// Keeps the likeliest legal tokens of each position that hold this share of its probability.
    pub fn top_p(mut self, share: f32) -> Self {
        self.settings.top_p = Some(share);
        self
    }
    /// Keeps the k likeliest legal tokens of each position.
    pub fn top_k(mut self, k: usize) -> Self {
        self.settings.top_k = Some(k);
        self
    }
    /// Sets the number of refinement steps, each of which is one forward.
    pub fn steps(mut self, steps: usize) -> Self {
        self.settings.steps = Some(steps);
        self
    }
    /// Sets the number of positions (tokens) for the text.
    pub fn len(mut self, len: usize) -> Self {
        self.settings.len = Some(len);
        self
    }
    /// Sets the prompt: the model reads it before the answer. The prompt is not constrained and is no part of the
    /// output.
    pub fn prompt(mut self, prompt: impl Into<String>) -> Self {
        self.prompt = prompt.into();
        self
    }
    /// Sets the system message before the prompt, for models with a chat template.
    pub fn system(mut self, system: impl Into<String>) -> Self {
        self.system = Some(system.into());
        self
    }
    /// Uses the prompt verbatim, without the model's chat template.
    pub fn raw(mut self, raw: bool) -> Self {
        self.raw = raw;
        self
    }
    /// Sets the number of samples, which are drawn as one batch. Sample i has seed `seed + i` and the text that it
    /// would have alone.
    pub fn count(self, count: usize) -> Sampler<'a> {
        let Self {
            model,
            spec,
            settings,
            policy,
            population,
            readers,
            observers,
            prompt,
            system,
            raw,
            first,
            failure,
            ..
        } = self;
        Request {
            model,
            spec,
            settings,
            policy,
            population,
            readers,
            observers,
            prompt,
            system,
            raw,
            count,
            first,
            failure,
            wanted: PhantomData,
        }
    }
    /// Numbers samples from `first` on in records, for a request that is drawn in several runs.
    pub fn numbered_from(mut self, first: usize) -> Self {
        self.first = first;
        self
    }
    /// Adds an observer, which reads every record and may stop the run.
    pub fn observer(mut self, observer: impl Observer + 'a) -> Self {
        self.observers.push(Box::new(observer));
        self
    }

    /// The model of the request.
    pub fn model(&self) -> &'a Model {
        self.model
    }

    /// Compiles constraints, guides, policy, potentials, settings and prompt for a [`Runner`] that the caller steps.
    /// The caller provides observers, the population, readers and the number of samples.
    ///
    /// # Errors
    /// The errors of [`Sampler::run`] before the first step.
    pub fn job(self) -> Result<Arc<Job>> {
        match self.failure {
            Some(error) => Err(error),
            None => {
                let spec = self.spec.with_settings(self.settings);
                let parts = Parts {
                    constraints: spec.constraints,
                    guides: spec.guides,
                    potentials: spec.potentials,
                    policy: PolicyFactory::only(self.policy, spec.policy)?,
                    settings: spec.settings,
                    prompt: self.prompt,
                    system: self.system,
                    raw: self.raw,
                };
                Job::compile(self.model, parts)
            }
        }
    }

    fn draw(mut self) -> Result<Vec<Output>> {
        let mut observers = std::mem::take(&mut self.observers);
        let (population, readers) = (self.population.take(), std::mem::take(&mut self.readers));
        let (model, count, first) = (self.model, self.count as u64, self.first);
        let job = self.job()?;
        let seed = job.settings().seed.unwrap_or(0);
        let lanes = (0..count).map(|i| job.lane(seed.wrapping_add(i))).collect::<Result<Vec<_>>>()?;
        let mut run = readers
            .into_iter()
            .try_fold(Runner::new(model).numbered_from(first), |run, (name, reader)| run.with_reader(name, reader))?;
        let ids = match population {
            Some(population) => run.submit_population(lanes, population)?,
            None => lanes.into_iter().map(|lane| run.submit(lane)).collect::<Result<_>>()?,
        };
        // Observers receive the end records together, when all texts are complete.
        let mut ends = Vec::new();
        while let Some(records) = run.step()? {
            let mut stop = false;
            for record in records {
                match record {
                    Record::End { .. } => ends.push(record),
                    Record::Failed { sample, .. } => {
                        tell(&mut observers, &record);
                        return Err(run.take(ids[sample - first]).err().unwrap_or_else(lost));
                    }
                    record => stop |= tell(&mut observers, &record),
                }
            }
            if stop {
                return Err(interrupted(&mut run));
            }
        }
        ends.sort_by_key(Record::sample);
        for record in &ends {
            if tell(&mut observers, record) {
                return Err(interrupted(&mut run));
            }
        }
        ids.into_iter().map(|id| run.take(id)).collect()
    }
}

/// Passes a record to every observer. Returns whether one of them stops the run.
fn tell(observers: &mut [Box<dyn Observer + '_>], record: &Record) -> bool {
    observers.iter_mut().fold(false, |stop, observer| stop | (observer.on_step(record) == ControlFlow::Break(())))
}

/// The error of an interrupted run, with the partial texts.
fn interrupted(run: &mut Runner) -> Error {
    let ids: Vec<_> = run.lanes().collect();
    let partial = ids.into_iter().filter_map(|id| run.cancel(id).ok()).collect();
    Error::interrupted("stopped by an observer").because(Interrupted { partial })
}

fn lost() -> Error {
    Error::model("a lane failed without a reason")
}
