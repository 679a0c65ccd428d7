//! The families of checkpoints. Each has a description: its tensors, attention pattern and special tokens. No code
//! outside this folder refers to a family by name.

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

/// The diffusion process of a family: how positions that are not decided are shown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Diffusion {
    /// Open positions are shown as a mask token.
    Masked {
        /// The attention pattern.
        pattern: Pattern,
        /// Whether the network receives the share of masks as a noise level.
        timed: bool,
    },
    /// Open positions are shown as random tokens on a canvas, after a prompt that an encoder reads.
    Uniform {
        /// Number of positions of a canvas.
        canvas: usize,
        /// Maximum number of steps of a canvas.
        steps: usize,
        /// The temperature at the first step, and after the last.
        temperature: (f32, f32),
    },
}

/// Everything that distinguishes one checkpoint from another.
#[derive(Debug, Clone, PartialEq)]
pub struct Description {
    /// The usual name.
    pub family: &'static str,
    /// The network.
    pub plan: TransformerPlan,
    /// Maximum number of positions, including the prompt.
    pub max_len: usize,
    /// The diffusion process.
    pub process: Diffusion,
    /// Whether the output at position i − 1 predicts token i.
    pub shift: bool,
    /// The mask token, if the configuration names one.
    pub mask: Option<Token>,
    /// The mask token where neither configuration nor tokenizer name one.
    pub mask_default: Option<Token>,
    /// Tokens that end a text.
    pub eos: Vec<Token>,
    /// The token that fills positions behind the end.
    pub pad: Option<Token>,
    /// The token in front of a text.
    pub bos: Option<Token>,
    /// Tensors that the text model does not use, by a part of their names.
    pub ignored: Vec<&'static str>,
    /// Notes for the user: switches of the configuration without effect.
    pub notes: Vec<String>,
}

impl Description {
    /// A description without special tokens, notes and shift.
    fn new(family: &'static str, plan: TransformerPlan, max_len: usize, process: Diffusion) -> Self {
        let mut ignored = vec!["rotary_emb.inv_freq"];
        if plan.head.is_none() {
            // A head that is tied to the embedding may be stored nevertheless.
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

    /// The kind of the diffusion process.
    pub fn kind(&self) -> Process {
        match self.process {
            Diffusion::Uniform { .. } => Process::Uniform,
            Diffusion::Masked { .. } => Process::Masked,
        }
    }

    /// The sampling defaults of the model.
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

    /// The inputs that the model uses beside the canvas.
    pub fn uses(&self) -> Uses {
        match self.process {
            Diffusion::Uniform { .. } => Uses { state: true, feedback: true, caches: false },
            Diffusion::Masked { pattern: Pattern::Blocks(_), .. } => Uses::default(),
            Diffusion::Masked { .. } => Uses { caches: true, ..Uses::default() },
        }
    }

    /// Adds the canvas schedule of a `generation_config.json`; null if there is none.
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

    /// Reads the special tokens under their usual keys.
    fn with_tokens(mut self, config: &Config) -> Result<Self> {
        self.mask = config.tokens("mask_token_id")?.first().copied();
        self.eos = config.tokens("eos_token_id")?;
        self.pad = config.tokens("pad_token_id")?.first().copied();
        self.bos = config.tokens("bos_token_id")?.first().copied();
        Ok(self)
    }
}

/// A family, and the keys that identify its configurations.
pub struct Family {
    /// The usual name.
    pub name: &'static str,
    /// The values of `model_type`.
    pub model_types: &'static [&'static str],
    /// The values in `architectures`, where `model_type` is ambiguous.
    pub architectures: &'static [&'static str],
    describe: fn(&Config) -> Result<Description>,
}

/// All families. Of families that share a `model_type`, one with matching `architectures` comes first.
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

/// Reads the description of a `config.json`.
///
/// # Errors
/// An unknown family (the error lists the known ones); keys that are missing, of the wrong type, out of range or
/// contradictory; switches that are not supported.
pub fn describe(config: &Value) -> Result<Description> {
    let config = Config::new(config)?;
    let model_type = config.text("model_type")?;
    let architectures: Vec<&str> =
        config.get("architectures").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let by_architecture = FAMILIES.iter().find(|f| f.architectures.iter().any(|a| architectures.contains(a)));
    let by_type = || FAMILIES.iter().find(|f| model_type.is_some_and(|t| f.model_types.contains(&t)));
    // A mixture of experts may have the type `llada`; then only its expert keys identify it.
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
