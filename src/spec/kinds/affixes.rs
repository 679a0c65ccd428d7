//! The kinds `prefix` and `suffix`: the start and the end of the text.

use crate::{
    Result,
    constraints::{Prefix, Suffix},
    spec::{BuildCx, Kind, Part},
};
use schemars::JsonSchema;
use serde::Deserialize;

/// The text starts so.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct PrefixKind(pub String);

impl Kind for PrefixKind {
    const NAME: &'static str = "prefix";

    fn build(self, _: &BuildCx) -> Result<Part> {
        Ok(Part::constraint(Prefix::new(self.0)))
    }
}

/// The text ends so.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct SuffixKind(pub String);

impl Kind for SuffixKind {
    const NAME: &'static str = "suffix";

    fn build(self, _: &BuildCx) -> Result<Part> {
        Ok(Part::constraint(Suffix::new(self.0)))
    }
}
