//! Sampling defaults and other facts that a model declares and the engine follows.

/// The diffusion process of a model. It decides how an open position is represented until it is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Process {
    /// Open positions are shown as a mask. Committed tokens stay, unless a policy reopens them.
    #[default]
    Masked,
    /// Open positions are shown as random tokens, which the engine draws. Accepted tokens are shown at the next step
    /// and may still change; nothing is decided until the block is finished.
    Uniform,
    /// Open positions are latents that the denoiser keeps in its [`DenoiserState`](super::DenoiserState); the engine
    /// draws no noise and writes nothing until a block is finished.
    Continuous,
}

impl Process {
    /// Whether accepted tokens may still change until the block's last step.
    pub fn revises(self) -> bool {
        self != Self::Masked
    }
}

/// The settings of a model where a request leaves them open.
#[derive(Debug, Clone, PartialEq)]
pub struct SamplingDefaults {
    /// The blocks of a block-causal model, none of which sees a later block.
    pub blocks: Option<Blocks>,
    /// The name of the policy.
    pub policy: &'static str,
    /// Steps per block; one step per open position if `None`.
    pub steps: Option<usize>,
    /// The temperature at the first step of a block, and after the last.
    pub temperature: (f32, f32),
    /// Policy and temperature for templates, where they differ: slots between literals leave fewer choices than free
    /// text.
    pub templates: Option<(&'static str, f32)>,
}

impl Default for SamplingDefaults {
    fn default() -> Self {
        Self { blocks: None, policy: "confidence", steps: None, temperature: (0.7, 0.7), templates: None }
    }
}

/// The blocks of a block-causal model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocks {
    /// Positions of a block.
    pub size: usize,
    /// Whether blocks are counted from the first token of the prompt. Otherwise they are counted from the first token
    /// of the answer.
    pub from_prompt: bool,
}

/// The inputs that a model can use beside the canvas.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Uses {
    /// A [`DenoiserState`](super::DenoiserState) that is kept from step to step. Each lane is then predicted
    /// separately.
    pub state: bool,
    /// The constrained marginals of the previous step.
    pub feedback: bool,
    /// Approximate caches.
    pub caches: bool,
}
