//! The short way to a text: `model.fill("The {{animal}} …")?.topic("animal", 2.0).seed(0).run()?`.

use crate::{
    Constraint, Error, Guide, Model, Observer, Output, Policy, Result, Sampler, Settings, Source,
    guides::{ClassifierFree, NaiveBayes},
    spec::{Inputs, Spec},
};

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
        Ok(self.write().spec(spec))
    }

    /// Writes a text; constraints are added to the request.
    pub fn write(&self) -> Request<'_> {
        Request { model: self, sampler: Sampler::new(self), settings: Settings::default() }
    }
}

/// What is asked of a model. Every method adds; nothing is done before [`run`](Request::run).
pub struct Request<'a> {
    model: &'a Model,
    sampler: Sampler<'a>,
    settings: Settings,
}

impl<'a> Request<'a> {
    /// Everything a constraint file or a built [`Spec`] says.
    pub fn spec(mut self, spec: Spec) -> Self {
        self.sampler = self.sampler.spec(&spec);
        self
    }
    /// A hard constraint: the built-in ones are in [`constraints`](crate::constraints).
    pub fn constraint(mut self, constraint: impl Constraint + 'static) -> Self {
        self.sampler = self.sampler.constraint(constraint);
        self
    }
    /// A guide of your own; `make` is called once per sample.
    pub fn guide<G: Guide + 'static>(mut self, make: impl Fn(&Model) -> Result<G> + Send + Sync + 'static) -> Self {
        self.sampler = self.sampler.guide(make);
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
    /// Text before the answer, read by the model and not part of the output.
    pub fn prompt(mut self, prompt: impl Into<String>) -> Self {
        self.sampler = self.sampler.prompt(prompt);
        self
    }
    pub fn seed(mut self, seed: u64) -> Self {
        self.settings.seed = Some(seed);
        self
    }
    /// 0 takes the most probable text of each step.
    pub fn temperature(mut self, temperature: f32) -> Self {
        self.settings.temperature = Some(temperature);
        self
    }
    pub fn steps(mut self, steps: usize) -> Self {
        self.settings.steps = Some(steps);
        self
    }
    /// Positions (tokens) there are for the text.
    pub fn len(mut self, len: usize) -> Self {
        self.settings.len = Some(len);
        self
    }
    /// A policy by name.
    pub fn policy(mut self, name: impl Into<String>) -> Self {
        self.settings.policy = Some(name.into());
        self
    }
    /// A policy of your own; `make` is called once per sample.
    pub fn policy_with<P: Policy + 'static>(mut self, make: impl Fn() -> P + Send + Sync + 'static) -> Self {
        self.sampler = self.sampler.policy(make);
        self
    }
    /// All settings at once; what is given here wins.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings.or(self.settings);
        self
    }
    pub fn observer(mut self, observer: impl Observer + 'a) -> Self {
        self.sampler = self.sampler.observer(observer);
        self
    }

    /// The model that will write.
    pub fn model(&self) -> &'a Model {
        self.model
    }

    /// Writes one text.
    ///
    /// # Errors
    /// Those of [`Sampler::run`].
    pub fn run(self) -> Result<Output> {
        self.samples(1)?.pop().ok_or_else(|| Error::model("the sampler returned nothing"))
    }

    /// Writes `count` texts as one batch.
    ///
    /// # Errors
    /// Those of [`Sampler::run`].
    pub fn samples(self, count: usize) -> Result<Vec<Output>> {
        self.sampler.settings(self.settings).count(count).run()
    }
}
