//! How a model is sampled where nobody says otherwise: facts that a model states and the engine follows.

/// What a model's process is, and so what an open position is while it is being written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Process {
    /// Open positions are shown as "not written yet"; what is written stays, unless a policy takes it back.
    #[default]
    Masked,
    /// Open positions are shown as random tokens, which the engine draws. What a policy accepts is shown in the next
    /// step and may still change: nothing is decided until a block is finished.
    Uniform,
    /// Open positions are latents that the denoiser keeps in its [`DenoiserState`](super::DenoiserState); the engine
    /// draws no noise and writes nothing until a block is finished.
    Continuous,
}

impl Process {
    /// Whether what was accepted may still change before a block's last step.
    pub fn revises(self) -> bool {
        self != Self::Masked
    }
}

/// What a model is sampled with where a request leaves it open.
#[derive(Debug, Clone, PartialEq)]
pub struct SamplingDefaults {
    /// The blocks that the model writes in, none of which sees a later one.
    pub blocks: Option<Blocks>,
    /// Policy by name.
    pub policy: &'static str,
    /// Steps of a block; one for each open position if not given.
    pub steps: Option<usize>,
    /// Temperature at the first and after the last step of a block.
    pub temperature: (f32, f32),
    /// Policy and temperature in templates, where they differ: slots between literals leave less to choose than free
    /// text does.
    pub templates: Option<(&'static str, f32)>,
}

impl Default for SamplingDefaults {
    fn default() -> Self {
        Self { blocks: None, policy: "confidence", steps: None, temperature: (0.7, 0.7), templates: None }
    }
}

/// The blocks of a model that sees no later block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocks {
    /// Positions of a block.
    pub size: usize,
    /// Counted from the first token of the prompt; from the first of the answer otherwise.
    pub from_prompt: bool,
}

/// What a model can use beside the canvas.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Uses {
    /// A [`DenoiserState`](super::DenoiserState) from step to step: each lane is then predicted for itself.
    pub state: bool,
    /// The projected marginals of the step before.
    pub feedback: bool,
    /// Approximate caches.
    pub caches: bool,
}
