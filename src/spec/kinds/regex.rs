//! The kind `regex`: the whole text matches a regular expression.

use crate::{
    Result,
    spec::{BuildCx, Kind, Part},
};
use schemars::JsonSchema;
use serde::Deserialize;

/// A pattern in the syntax of the `regex` crate that the whole text matches.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct RegexKind(pub String);

impl Kind for RegexKind {
    const NAME: &'static str = "regex";

    fn build(self, cx: &BuildCx) -> Result<Part> {
        Ok(Part::Constraint(cx.template.patterns.get(&self.0)?))
    }
}
