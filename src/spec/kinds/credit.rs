//! The kind `credit`: favours tokens that were the likeliest in earlier steps.

use crate::{
    Result,
    guides::Credit,
    spec::{BuildCx, Kind, Part},
};
use schemars::JsonSchema;
use serde::Deserialize;

/// `credit = {}` or `credit = { alpha = 0.7, gamma = 0.2, beta = 0.8 }`: trust in what was likeliest before. Soft.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CreditKind {
    /// How much credits count.
    pub alpha: f32,
    /// Less than 1 lets unsure tokens earn nearly as much as sure ones.
    pub gamma: f32,
    /// What is left of a credit a step later.
    pub beta: f32,
}

impl Default for CreditKind {
    fn default() -> Self {
        Self { alpha: 0.7, gamma: 0.2, beta: 0.8 }
    }
}

impl Kind for CreditKind {
    const NAME: &'static str = "credit";
    fn build(self, _: &BuildCx) -> Result<Part> {
        let credit = Credit::new(self.alpha, self.gamma, self.beta)?;
        Ok(Part::guide(move |_| Ok(Box::new(credit.clone()))))
    }
}
