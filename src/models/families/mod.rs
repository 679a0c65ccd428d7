//! The families of checkpoints, one description each: which tensors there are, who attends to whom, which tokens are
//! special. Nothing outside this folder asks for a family by name.

pub mod config;
mod diffusion_gemma;
mod dream;
mod llada;
mod llada2;
mod llada_moe;
mod mdlm;
mod qwen;
mod sdar;

use super::transformer::{Pattern, TransformerPlan};
use super::{Blocks, Process, SamplingDefaults, Uses};
use crate::{Error, Result, Token};
use config::Config;
use serde_json::Value;

/// How a model's process shows what is not decided yet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Diffusion {
    /// As a mask token; attention follows the pattern.
    Masked {
        /// Who attends to whom.
        pattern: Pattern,
        /// The network is told the share of masks as a noise level.
        timed: bool,
    },
    /// As random tokens on a canvas of this many positions, behind what an encoder has read.
    Uniform {
        /// Positions of a canvas.
        canvas: usize,
        /// Most steps of a canvas.
        steps: usize,
        /// At its first and after its last step.
        temperature: (f32, f32),
    },
}

/// Everything that distinguishes one checkpoint from another.
#[derive(Debug, Clone, PartialEq)]
pub struct Description {
    /// What people call it.
    pub family: &'static str,
    /// The network.
    pub plan: TransformerPlan,
    /// Most positions, prompt included.
    pub max_len: usize,
    /// How open positions are shown.
    pub process: Diffusion,
    /// The output at position i − 1 predicts token i.
    pub shift: bool,
    /// From the configuration, if it says.
    pub mask: Option<Token>,
    /// Used where neither configuration nor tokenizer name a mask.
    pub mask_default: Option<Token>,
    /// Tokens that end a text.
    pub eos: Vec<Token>,
    /// Fills what lies behind the end.
    pub pad: Option<Token>,
    /// Stands before a text.
    pub bos: Option<Token>,
    /// Tensors that the text model has no use for, by a part of their names.
    pub ignored: Vec<&'static str>,
    /// What a user should know: switches of the configuration without effect.
    pub notes: Vec<String>,
}

impl Description {
    /// A description without special tokens, remarks or shift.
    fn new(family: &'static str, plan: TransformerPlan, max_len: usize, process: Diffusion) -> Self {
        let mut ignored = vec!["rotary_emb.inv_freq"];
        if plan.head.is_none() {
            // A head that is tied to the embedding may be stored all the same.
            ignored.extend(["lm_head.weight", "transformer.ff_out.weight"]);
        }
        Self {
            family,
            plan,
            max_len,
            process,
            shift: false,
            mask: None,
            mask_default: None,
            eos: Vec::new(),
            pad: None,
            bos: None,
            ignored,
            notes: Vec::new(),
        }
    }

    /// What an open position is in the model's process.
    pub fn kind(&self) -> Process {
        match self.process {
            Diffusion::Uniform { .. } => Process::Uniform,
            Diffusion::Masked { .. } => Process::Masked,
        }
    }

    /// How the model is sampled where nobody says otherwise.
    pub fn defaults(&self) -> SamplingDefaults {
        match self.process {
            Diffusion::Uniform { canvas, steps, temperature } => SamplingDefaults {
                blocks: Some(Blocks { size: canvas, from_prompt: false }),
                policy: "entropy_bound",
                steps: Some(steps),
                temperature,
                ..SamplingDefaults::default()
            },
            Diffusion::Masked { pattern: Pattern::Blocks(size), .. } => {
                let blocks = Some(Blocks { size, from_prompt: true });
                SamplingDefaults { blocks, ..SamplingDefaults::default() }
            }
            Diffusion::Masked { .. } => SamplingDefaults::default(),
        }
    }

    /// What the model uses beside the canvas.
    pub fn uses(&self) -> Uses {
        match self.process {
            Diffusion::Uniform { .. } => Uses { state: true, feedback: true, caches: false },
            Diffusion::Masked { pattern: Pattern::Blocks(_), .. } => Uses::default(),
            Diffusion::Masked { .. } => Uses { caches: true, ..Uses::default() },
        }
    }

    /// With the schedule that a `generation_config.json` has for canvases, null if there is none.
    ///
    /// # Errors
    /// Numbers out of range.
    pub fn with_generation(mut self, generation: &Value) -> Result<Self> {
        if let Diffusion::Uniform { steps, temperature: (first, last), .. } = &mut self.process
            && !generation.is_null()
        {
            let config = Config::new(generation)?;
            *steps = config.size_if("max_denoising_steps")?.unwrap_or(*steps);
            *first = config.positive("t_max", f64::from(*first))? as f32;
            *last = match config.get("t_min").and_then(Value::as_f64) {
                Some(0.0) => 0.0,
                _ => config.positive("t_min", f64::from(*last))? as f32,
            };
        }
        Ok(self)
    }

    /// Special tokens under their usual keys.
    fn with_tokens(mut self, config: &Config) -> Result<Self> {
        self.mask = config.tokens("mask_token_id")?.first().copied();
        self.eos = config.tokens("eos_token_id")?;
        self.pad = config.tokens("pad_token_id")?.first().copied();
        self.bos = config.tokens("bos_token_id")?.first().copied();
        Ok(self)
    }
}

/// A family, and how its configurations are recognised.
pub struct Family {
    /// What people call it.
    pub name: &'static str,
    /// Values of `model_type`.
    pub model_types: &'static [&'static str],
    /// Values in `architectures`, where `model_type` alone does not tell.
    pub architectures: &'static [&'static str],
    describe: fn(&Config) -> Result<Description>,
}

/// Every family there is. Of several that share a `model_type`, those with matching `architectures` come first.
pub const FAMILIES: &[Family] = &[
    Family {
        name: "LLaDA-MoE",
        model_types: &["llada_moe", "lladamoe"],
        architectures: &["LLaDAMoEModelLM", "LLaDAMoEModel", "LLaDAMoEForDLM"],
        describe: llada_moe::describe,
    },
    Family {
        name: "LLaDA2 MoE",
        model_types: &["llada2_moe"],
        architectures: &["LLaDA2MoeModelLM", "LLaDA2MoeModel"],
        describe: llada2::describe,
    },
    Family {
        name: "LLaDA",
        model_types: &["llada"],
        architectures: &["LLaDAModelLM", "LLaDAModel"],
        describe: llada::describe,
    },
    Family {
        name: "Dream",
        model_types: &["Dream", "dream", "diffucoder"],
        architectures: &["DreamModel"],
        describe: dream::describe,
    },
    Family { name: "SDAR", model_types: &["sdar"], architectures: &["SDARForCausalLM"], describe: sdar::describe },
    Family { name: "MDLM", model_types: &["mdlm"], architectures: &["MDLM"], describe: mdlm::describe },
    Family {
        name: "DiffusionGemma",
        model_types: &["diffusion_gemma"],
        architectures: &["DiffusionGemmaForBlockDiffusion"],
        describe: diffusion_gemma::describe,
    },
];

/// Reads a `config.json`.
///
/// # Errors
/// A family that is not known, with the list of those that are; keys that are missing, of the wrong type, out of
/// range or contradict each other; switches that are not supported.
pub fn describe(config: &Value) -> Result<Description> {
    let config = Config::new(config)?;
    let model_type = config.text("model_type")?;
    let architectures: Vec<&str> =
        config.get("architectures").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let by_architecture = FAMILIES.iter().find(|f| f.architectures.iter().any(|a| architectures.contains(a)));
    let by_type = || FAMILIES.iter().find(|f| model_type.is_some_and(|t| f.model_types.contains(&t)));
    // A mixture may call itself plainly `llada` and be told by its experts only.
    let by_experts = || FAMILIES.iter().find(|f| f.name == "LLaDA-MoE" && config.get("num_experts").is_some());
    let family = match (by_architecture, model_type) {
        (Some(family), _) => Some(family),
        (None, Some("llada")) => by_experts().or_else(by_type),
        (None, _) => by_type(),
    };
    let Some(family) = family else {
        let known: Vec<String> =
            FAMILIES.iter().map(|f| format!("{} ({})", f.name, f.model_types.join(", "))).collect();
        let found = match (model_type, &architectures[..]) {
            (None, []) => "it has neither \"model_type\" nor \"architectures\"".to_string(),
            (found, names) => format!("unknown model_type {:?}, architectures {names:?}", found.unwrap_or("")),
        };
        return Err(Error::model(found).help(format!("known families: {}", known.join("; "))));
    };
    (family.describe)(&config).map_err(|e| e.context(family.name))
}
