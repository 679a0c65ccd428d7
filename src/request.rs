//! What is asked of a model: `model.fill("The {{animal}} …")?.topic("animal", 2.0).seed(0).run()?`.

use crate::{
    Constraint, Error, Guide, Interrupted, Job, Model, Observer, Output, Policy, PolicyFactory, Population, Potential,
    Record, Result, Runner, Settings, Source,
    guides::{ClassifierFree, NaiveBayes},
    lane::Parts,
    models::Reader,
    spec::{Inputs, Spec},
};
use std::{marker::PhantomData, ops::ControlFlow, sync::Arc};

/// One text is wanted: [`Request::run`] returns an [`Output`].
pub struct One;
/// Any number of texts is wanted: [`Sampler::run`] returns a list.
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

/// What is asked of a model. Every method adds; nothing is done before `run`.
///
/// [`job`](Self::job) compiles the same for a [`Runner`] that one drives oneself.
pub struct Request<'a, Wanted = One> {
    model: &'a Model,
    spec: Spec,
    /// What was given in code; it wins over what a constraint file says.
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
    /// The first thing that was asked for and cannot be.
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
    /// A template that cannot be read, with its place.
    pub fn fill(&self, template: &str) -> Result<Request<'_>> {
        let spec = Spec::new().template(&Source::new("template", template), &Inputs::default())?;
        Ok(self.write().spec(&spec))
    }

    /// Writes a text; constraints are added to the request.
    pub fn write(&self) -> Request<'_> {
        Request::of(self)
    }
}

impl<'a> Sampler<'a> {
    /// A request for texts of this model; one, unless [`count`](Self::count) says otherwise.
    pub fn new(model: &'a Model) -> Self {
        Self::of(model)
    }

    /// Draws the samples.
    ///
    /// # Errors
    /// Contradictory constraints or too few positions (`is_unsatisfiable`), settings out of range, a failing model
    /// or guide, or an observer that stopped the run (`is_interrupted`; [`Interrupted::of`] has the texts so far). Never a
    /// dead end: what is satisfiable at the first step is finished.
    pub fn run(self) -> Result<Vec<Output>> {
        self.draw()
    }
}

impl Request<'_> {
    /// Writes one text.
    ///
    /// # Errors
    /// Those of [`Sampler::run`].
    pub fn run(self) -> Result<Output> {
        self.draw()?.pop().ok_or_else(|| Error::model("the sampler returned nothing"))
    }

    /// Writes `count` texts as one batch.
    ///
    /// # Errors
    /// Those of [`Sampler::run`].
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

    /// Everything that a constraint file or a built [`Spec`] says. Settings that were given in code win over it; two
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
    /// One more hard constraint; all hold at once. The built-in ones are in [`constraints`](crate::constraints).
    pub fn constraint(mut self, constraint: impl Constraint + 'static) -> Self {
        self.spec = self.spec.constraint(constraint);
        self
    }
    /// One more guide; `make` is called once per sample.
    pub fn guide<G: Guide + 'static>(mut self, make: impl Fn(&Model) -> Result<G> + Send + Sync + 'static) -> Self {
        self.spec.guides.push(Arc::new(move |model| Ok(Box::new(make(model)?))));
        self
    }
    /// Pulls towards a topic of the model's label statistics; a negative scale pushes away.
    pub fn topic(self, label: impl Into<String>, scale: f32) -> Self {
        let label = label.into();
        self.guide(move |model| {
            let topics = model.topics().ok_or_else(|| Error::input("the model comes without topic statistics"))?;
            NaiveBayes::new(topics.clone(), &label, scale)
        })
    }
    /// Classifier-free guidance towards a condition the model knows.
    pub fn cfg(self, label: impl Into<String>, scale: f32) -> Self {
        let label = label.into();
        self.guide(move |model| ClassifierFree::new(model.denoiser(), &label, scale))
    }
    /// A policy by name.
    pub fn policy(mut self, name: impl Into<String>) -> Self {
        self.settings.policy = Some(name.into());
        self
    }
    /// A policy of your own; `make` is called once per sample. Settings must then name no policy and no option of one.
    pub fn policy_with<P: Policy + 'static>(mut self, make: impl Fn() -> P + Send + Sync + 'static) -> Self {
        self.policy = Some(PolicyFactory::new(make));
        self
    }
    /// One more potential, which weighs the drafts of a [population](Self::population); `make` is called once per sample.
    pub fn potential<P: Potential + 'static>(
        mut self,
        make: impl Fn(&Model) -> Result<P> + Send + Sync + 'static,
    ) -> Self {
        self.spec.potentials.push(Arc::new(move |model| Ok(Box::new(make(model)?))));
        self
    }
    /// Weighs the samples against each other after every step.
    pub fn population(mut self, population: impl Population + 'static) -> Self {
        self.population = Some(Box::new(population));
        self
    }
    /// A second model that reads texts, under a name by which hooks ask for it.
    pub fn reader(mut self, name: impl Into<String>, reader: Arc<dyn Reader>) -> Self {
        self.readers.push((name.into(), reader));
        self
    }
    /// How to sample; what is given here wins over what was given before.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings.or(self.settings);
        self
    }
    /// The same seed gives the same text.
    pub fn seed(mut self, seed: u64) -> Self {
        self.settings.seed = Some(seed);
        self
    }
    /// 0 takes the most probable text of each step.
    pub fn temperature(mut self, temperature: f32) -> Self {
        self.settings.temperature = Some(temperature);
        self
    }
    /// Only the likeliest legal tokens of each position that hold this much probability.
    pub fn top_p(mut self, share: f32) -> Self {
        self.settings.top_p = Some(share);
        self
    }
    /// Only the k likeliest legal tokens of each position.
    pub fn top_k(mut self, k: usize) -> Self {
        self.settings.top_k = Some(k);
        self
    }
    /// Refinement steps, one forward each.
    pub fn steps(mut self, steps: usize) -> Self {
        self.settings.steps = Some(steps);
        self
    }
    /// Positions (tokens) there are for the text.
    pub fn len(mut self, len: usize) -> Self {
        self.settings.len = Some(len);
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
    /// Counts samples from `first` on in what observers see: for a request that is drawn in several runs.
    pub fn numbered_from(mut self, first: usize) -> Self {
        self.first = first;
        self
    }
    /// Reads every step and may stop the run.
    pub fn observer(mut self, observer: impl Observer + 'a) -> Self {
        self.observers.push(Box::new(observer));
        self
    }

    /// The model that will write.
    pub fn model(&self) -> &'a Model {
        self.model
    }

    /// Compiles the request, for a [`Runner`] that one drives oneself: constraints, guides, policy and potentials,
    /// settings and prompt. Observers, the population, readers and the number of samples are the driver's affair.
    ///
    /// # Errors
    /// Those of [`Sampler::run`] before the first step.
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
        // The ends are told together, when all texts are complete.
        let mut ends = Vec::new();
        while let Some(records) = run.step()? {
            let mut stop = false;
            for record in records {
                match record {
                    Record::End { .. } => ends.push(record),
                    Record::Failed { sample, .. } => {
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

/// Tells every observer, and says whether one wants to stop.
fn tell(observers: &mut [Box<dyn Observer + '_>], record: &Record) -> bool {
    observers.iter_mut().fold(false, |stop, observer| stop | (observer.on_step(record) == ControlFlow::Break(())))
}

/// An error that keeps the texts as far as they are written.
fn interrupted(run: &mut Runner) -> Error {
    let ids: Vec<_> = run.lanes().collect();
    let partial = ids.into_iter().filter_map(|id| run.cancel(id).ok()).collect();
    Error::interrupted("stopped by an observer").because(Interrupted { partial })
}

fn lost() -> Error {
    Error::model("a lane failed without a reason")
}
