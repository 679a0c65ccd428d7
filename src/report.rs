//! The output of a run: a text, its slots and a report.

use crate::schema::Unenforced;
use schemars::JsonSchema;
use serde::Serialize;

/// One finished sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// The finished text.
    pub text: String,
    /// Name and text of each slot, in order of appearance; anonymous slots are called `1`, `2`, …
    pub slots: Vec<(String, String)>,
    /// The report of the run.
    pub report: Report,
}

impl Output {
    /// The text of a slot.
    pub fn slot(&self, name: &str) -> Option<&str> {
        self.slots.iter().find(|(n, _)| n == name).map(|(_, text)| text.as_str())
    }
}

/// How a sample came about.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Report {
    /// Every hard constraint holds, decided by their [checks](crate::Check) on the finished text.
    pub verified: bool,
    /// Why verification failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejected: Option<String>,
    /// Keywords that a schema, read leniently, left to the check alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<Unenforced>,
    /// Every step drew from the exact constrained distribution of that step.
    pub exact: bool,
    /// log of the model's mass on the constraint at the first step, in nats; 0 where nothing constrains.
    pub log_z: f64,
    /// Tokens of the text, without what pads it.
    pub tokens: usize,
    /// Refinement steps taken.
    pub steps: usize,
    /// Forwards of the denoiser that this sample needed.
    pub nfe: usize,
    /// Positions written without a forward, because the constraint left one token.
    pub forced: usize,
    /// The seed of this sample.
    pub seed: u64,
    /// Name of the denoiser.
    pub model: String,
    /// Wall time of the run that this sample was part of.
    pub elapsed_ms: f64,
    /// Time spent on constraints for this sample: compiling and inference.
    pub constraint_ms: f64,
}
