//! How to sample: the `[sampler]` table of a constraint file, and the flags of the same names.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Everything optional: what is not given comes from the model and the task.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Refinement steps for the whole text (each is one forward).
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
    pub seed: Option<u64>,
    /// `threshold`: commit all positions at least this probable.
    pub threshold: Option<f32>,
    /// `entropy_bound`: commit the most certain positions while the joint uncertainty stays below this (nats).
    pub entropy_bound: Option<f32>,
    /// `remdm`: probability of taking a held position back, per step.
    pub eta: Option<f32>,
    /// How slots get their positions.
    pub layout: Option<Layout>,
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
            threshold: self.threshold.or(other.threshold),
            entropy_bound: self.entropy_bound.or(other.entropy_bound),
            eta: self.eta.or(other.eta),
            layout: self.layout.or(other.layout),
        }
    }
}
