//! How to sample: the `[sampler]` table of a constraint file, and the flags of the same names.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Everything optional: what is not given comes from the model and the task.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Refinement steps for the whole text, shared evenly by its blocks (each is one forward).
    pub steps: Option<usize>,
    /// Positions (tokens) there are for the text.
    pub len: Option<usize>,
    /// Which positions to commit at each step: a policy's name or an alias of it.
    pub policy: Option<String>,
    /// 0 takes the most probable text of each step; 1 samples the model's distribution.
    pub temperature: Option<f32>,
    /// Keep only the k likeliest legal tokens of each position.
    pub top_k: Option<usize>,
    /// Keep the likeliest legal tokens that hold this much probability.
    pub top_p: Option<f32>,
    /// The same seed gives the same text; sample i of several has this plus i.
    pub seed: Option<u64>,
    /// Positions are written in blocks of this many, one block after the other.
    pub block_length: Option<usize>,
    /// What a bidirectional model reuses within a block: faster, and approximate.
    pub cache: Option<Cache>,
    /// When the end of the text is written.
    pub ending: Option<Ending>,
    /// `threshold`, `hierarchy`, `edit`: commit all positions at least this probable.
    pub threshold: Option<f32>,
    /// `hierarchy`: commit the most probable position of each run of open ones, if it is more probable than this.
    pub low_threshold: Option<f32>,
    /// `factor`: commit the n surest positions while (n + 1)·(1 − probability) stays below this.
    pub factor: Option<f32>,
    /// `edit`: overwrite a written token where another one is more probable than this.
    pub editing_threshold: Option<f32>,
    /// `edit`: most steps in which a full block is looked over again.
    pub post_steps: Option<usize>,
    /// `entropy_bound`: commit the most certain positions while the joint uncertainty stays below this (nats).
    pub entropy_bound: Option<f32>,
    /// `entropy_bound`: a uniform-state canvas is finished when it is stable and its mean entropy below this (nats).
    pub stop_entropy: Option<f32>,
    /// `remdm`: probability of taking a held position back, per step.
    pub eta: Option<f32>,
    /// `confidence`, `margin`, `entropy`, `random`, `sequential`: how many positions a step writes follows times that
    /// fall evenly from 1 to this, as in Dream; equally many at each step if not given.
    pub eps: Option<f32>,
    /// The same policies: choose positions by chance, the likelier the readier they are; 0 takes the readiest.
    pub alg_temp: Option<f32>,
    /// How slots get their positions.
    pub layout: Option<Layout>,
}

/// What a bidirectional model may reuse within a block although written tokens change it. Approximate: the names and
/// the idea are Fast-dLLM's (arXiv 2505.22618).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cache {
    /// Keys and values of what stands before the block.
    Prefix,
    /// Keys and values of everything outside the block.
    Dual,
}

/// How a template's literals and slots get their positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// Literals may stand anywhere; lengths are decided as the text is written.
    Floating,
    /// Slot lengths are chosen first, by scoring candidate layouts; literals stand at known positions.
    Pinned,
}

/// When a text may end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// When the policy says so.
    Free,
    /// Positions behind the text are written after all others of a block, so that they do not cut it short.
    Last,
    /// Never: the text fills every position.
    Never,
}

impl Settings {
    /// What `self` leaves open is taken from `other`.
    pub fn or(self, other: Self) -> Self {
        Self {
            steps: self.steps.or(other.steps),
            len: self.len.or(other.len),
            policy: self.policy.or(other.policy),
            temperature: self.temperature.or(other.temperature),
            top_k: self.top_k.or(other.top_k),
            top_p: self.top_p.or(other.top_p),
            seed: self.seed.or(other.seed),
            block_length: self.block_length.or(other.block_length),
            cache: self.cache.or(other.cache),
            ending: self.ending.or(other.ending),
            threshold: self.threshold.or(other.threshold),
            low_threshold: self.low_threshold.or(other.low_threshold),
            factor: self.factor.or(other.factor),
            editing_threshold: self.editing_threshold.or(other.editing_threshold),
            post_steps: self.post_steps.or(other.post_steps),
            entropy_bound: self.entropy_bound.or(other.entropy_bound),
            stop_entropy: self.stop_entropy.or(other.stop_entropy),
            eta: self.eta.or(other.eta),
            eps: self.eps.or(other.eps),
            alg_temp: self.alg_temp.or(other.alg_temp),
            layout: self.layout.or(other.layout),
        }
    }
}
