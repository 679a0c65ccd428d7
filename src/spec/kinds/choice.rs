//! The kind `choice`: one of several texts.

use crate::{
    Result,
    constraints::Choice,
    spec::{BuildCx, Kind, Part},
};
use schemars::JsonSchema;
use serde::Deserialize;

/// The texts there are to choose from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct ChoiceKind(#[schemars(length(min = 1))] pub Vec<String>);

impl Kind for ChoiceKind {
    const NAME: &'static str = "choice";

    fn build(self, _: &BuildCx) -> Result<Part> {
        Ok(Part::constraint(Choice::new(self.0)?))
    }
}
