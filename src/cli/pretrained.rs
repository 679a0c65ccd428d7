//! `stencil models inspect` for a pretrained checkpoint: read from its headers, no weight is loaded.

use serde::Serialize;
use std::{collections::BTreeMap, fmt::Write, path::Path};
use stencil_lm::{
    Error, Result, Token,
    models::{
        checkpoint::{CONFIG, ChatTemplate, Checkpoint, Precision, Stored, TOKENIZER, Tokens, available_memory, place},
        families::{Description, Diffusion},
        masked::MODEL_TYPE,
        transformer::{
            Pattern,
            plan::{FeedForwardPlan, TransformerPlan},
        },
    },
};

#[derive(Serialize)]
struct Facts {
    name: String,
    family: &'static str,
    parameters: u64,
    layers: usize,
    hidden: usize,
    /// Number of query heads, which may share key heads, in the first layer.
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    /// Number of experts of a layer and number of experts per token; absent without a mixture.
    experts: Option<(usize, usize)>,
    vocabulary: usize,
    max_len: usize,
    process: String,
    mask: Option<Token>,
    eos: Option<Token>,
    /// Additional tokens that end an answer.
    ends: Vec<Token>,
    pad: Option<Token>,
    chat_template: bool,
    files: usize,
    /// Number of bytes on disk per type of numbers.
    stored: BTreeMap<String, u64>,
    /// Memory in bytes at each precision of the weights.
    memory: BTreeMap<&'static str, u64>,
    memory_available: Option<u64>,
    /// The approximations compared with the checkpoint's own code: none unless requested.
    approximate: Vec<String>,
    notes: Vec<String>,
}

/// The facts of a pretrained checkpoint as text or JSON; None where the directory holds a model of this crate's own.
pub fn inspect(path: &Path, json: bool) -> Result<Option<String>> {
    let path = place(path);
    let config = std::fs::read(path.join(CONFIG)).unwrap_or_default();
    let own = |c: serde_json::Value| c.get("model_type").and_then(|t| t.as_str()).is_some_and(|t| t == MODEL_TYPE);
    if !path.is_file() && serde_json::from_slice(&config).map_or(true, own) {
        return Ok(None);
    }
    let place = path.display().to_string();
    let facts = Facts::of(path).map_err(|e| e.context(place))?;
    Ok(Some(if json {
        serde_json::to_string(&facts).map_err(|e| Error::io(e.to_string()))? + "\n"
    } else {
        facts.table()
    }))
}

fn process(description: &Description) -> String {
    let shift = if description.shift { ", output one position late" } else { "" };
    match description.process {
        Diffusion::Uniform { canvas, .. } => format!("uniform-state: no mask, a canvas of {canvas} tokens is revised"),
        Diffusion::Masked { pattern, timed } => {
            let timed = if timed { ", told the noise level" } else { "" };
            match pattern {
                Pattern::Blocks(size) => format!("masked, block-causal by {size} tokens{timed}{shift}"),
                _ => format!("masked, bidirectional{timed}{shift}"),
            }
        }
    }
}

/// The possible approximations of a model.
fn approximate(description: &Description, stored: &Stored) -> Vec<String> {
    let mut list = Vec::new();
    if let Stored::Gguf(gguf) = stored
        && gguf.dtypes().keys().any(|kind| kind.starts_with('Q'))
    {
        list.push("the weights of this file are quantised".to_string());
    } else if matches!(stored, Stored::Safetensors(_)) {
        list.push("weights with --quantize bf16, q8_0, q4k".to_string());
    }
    if description.uses().caches {
        list.push("keys and values with --cache prefix, dual".to_string());
    }
    list
}

/// The number of experts of the first layer with experts, and the number of experts per token.
fn experts(plan: &TransformerPlan) -> Option<(usize, usize)> {
    plan.layers.iter().find_map(|layer| match &layer.feed_forward {
        FeedForwardPlan::Dense(_) => None,
        FeedForwardPlan::Moe(moe) | FeedForwardPlan::Both { moe, .. } => {
            Some((moe.router.gate.shape[0], moe.router.top_k))
        }
    })
}

/// A number of weights in a few digits.
fn weights(count: u64) -> String {
    match count {
        n if n >= 1_000_000_000 => format!("{:.2} billion", n as f64 / 1e9),
        n if n >= 1_000_000 => format!("{:.1} million", n as f64 / 1e6),
        n => format!("{:.1} thousand", n as f64 / 1e3),
    }
}

impl Facts {
    fn of(path: &Path) -> Result<Self> {
        let checkpoint = Checkpoint::open(path)?;
        let description = &checkpoint.description;
        let mut notes = description.notes.clone();
        let plan = &description.plan;
        let (mut mask, mut eos, mut pad) = (description.mask, description.eos.first().copied(), description.pad);
        let (mut ends, mut chat_template) = (description.eos.iter().skip(1).copied().collect(), false);
        mask = mask.or(description.mask_default);
        if path.is_dir() && !Tokens::are_in(path) {
            notes.push(format!("{TOKENIZER} is missing: it cannot write"))
        } else {
            let tokens = checkpoint.tokens(path)?;
            (mask, eos, pad) = (tokens.mask, tokens.vocab.eos(), tokens.vocab.pad());
            chat_template = ChatTemplate::open(path, &tokens.config, &tokens.names)?.is_some();
            ends = tokens.ends;
        }
        let memory = match &checkpoint.stored {
            Stored::Safetensors(_) => Precision::ALL.map(|p| (p.name(), checkpoint.needed(p))).into(),
            Stored::Gguf(_) => BTreeMap::from([("gguf", checkpoint.needed(Precision::F32))]),
        };
        Ok(Self {
            parameters: plan.parameters(),
            layers: plan.layers.len(),
            heads: plan.layers.first().map_or(0, |l| l.attention.heads),
            kv_heads: plan.layers.first().map_or(0, |l| l.attention.kv_heads),
            head_dim: plan.layers.first().map_or(0, |l| l.attention.head_dim),
            experts: experts(plan),
            hidden: plan.hidden,
            vocabulary: plan.vocab(),
            max_len: description.max_len,
            process: process(description),
            files: checkpoint.files(),
            stored: checkpoint.dtypes(),
            memory,
            approximate: approximate(description, &checkpoint.stored),
            memory_available: available_memory(),
            family: description.family,
            name: checkpoint.name.clone(),
            mask,
            eos,
            ends,
            pad,
            chat_template,
            notes,
        })
    }

    /// How the model fits into the available memory, in terms of `--quantize`.
    fn fitting(&self, available: u64) -> String {
        let names = Precision::ALL.map(Precision::name).into_iter().chain(["gguf"]);
        let fits = |name: &&str| self.memory.get(name).is_some_and(|&bytes| bytes <= available);
        match names.filter(fits).collect::<Vec<_>>()[..] {
            [] => "too little".into(),
            ["gguf"] | ["f32", ..] => "enough".into(),
            [widest, ..] => format!("enough with --quantize {widest}"),
        }
    }

    fn table(&self) -> String {
        let token = |t: Option<Token>| t.map_or("none".into(), |t| t.to_string());
        let size = |bytes: u64| match bytes {
            b if b < 1 << 20 => format!("{:.1} KiB", b as f64 / (1u64 << 10) as f64),
            b if b < 1 << 30 => format!("{:.1} MiB", b as f64 / (1u64 << 20) as f64),
            b => format!("{:.1} GiB", b as f64 / (1u64 << 30) as f64),
        };
        let ends: Vec<String> = self.ends.iter().map(|t| t.to_string()).collect();
        let ends = if ends.is_empty() { String::new() } else { format!(", also ended by {}", ends.join(", ")) };
        let stored: Vec<String> = self.stored.iter().map(|(name, bytes)| format!("{name} {}", size(*bytes))).collect();
        let kept = |name: &'static str| Some(format!("{name} {}", size(*self.memory.get(name)?)));
        let memory = match self.memory.get("gguf") {
            Some(&bytes) => format!("{} as it is stored", size(bytes)),
            None => {
                let all: Vec<String> = Precision::ALL.into_iter().filter_map(|p| kept(p.name())).collect();
                all.join(", ")
            }
        };
        let rows = [
            ("name", self.name.clone()),
            ("family", self.family.to_string()),
            ("process", self.process.clone()),
            ("parameters", weights(self.parameters)),
            ("sizes", format!("{} layers, {} wide, {} tokens", self.layers, self.hidden, self.vocabulary)),
            ("attention", format!("{} heads of {}, {} of keys", self.heads, self.head_dim, self.kv_heads)),
            ("experts", self.experts.map_or("none".into(), |(all, used)| format!("{used} of {all} for each token"))),
            ("length", format!("up to {} tokens, prompt included", self.max_len)),
            (
                "tokens",
                format!("mask {}, end {}, padding {}{ends}", token(self.mask), token(self.eos), token(self.pad)),
            ),
            ("chat", if self.chat_template { "template for conversations" } else { "no template" }.to_string()),
            (
                "stored",
                format!("{} in {} {}", stored.join(", "), self.files, if self.files == 1 { "file" } else { "files" }),
            ),
            ("memory", memory),
            (
                "available",
                self.memory_available.map_or("unknown".into(), |all| format!("{}: {}", size(all), self.fitting(all))),
            ),
        ];
        let mut out = String::new();
        let approximate = self.approximate.iter().map(|a| ("approximate", a.clone()));
        for (name, value) in rows.into_iter().chain(approximate).chain(self.notes.iter().map(|n| ("note", n.clone()))) {
            let _ = writeln!(out, "{name:<12} {value}");
        }
        out
    }
}
