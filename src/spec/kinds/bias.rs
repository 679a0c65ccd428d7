//! The kind `bias`: words that become more or less likely.

use crate::{
    Result,
    guides::Bias,
    spec::{BuildCx, Kind, Part},
};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// `bias = { river = 2.0, cat = -1.5 }`: nats added to words' scores. Soft.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct BiasKind(pub BTreeMap<String, f32>);

impl Kind for BiasKind {
    const NAME: &'static str = "bias";
    fn build(self, _: &BuildCx) -> Result<Part> {
        Ok(Part::guide(move |model| {
            let words = self.0.iter().map(|(word, &energy)| (word.as_str(), energy));
            Ok(Box::new(Bias::new(model.denoiser().vocab(), words)?))
        }))
    }
}
