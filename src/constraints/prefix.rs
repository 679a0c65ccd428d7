//! How a text starts.

use super::{CompileCx, Constraint, Verdict};
use crate::{
    Language, Result,
    spec::{BuildCx, Kind, Part},
};
use schemars::JsonSchema;
use serde::Deserialize;

/// The text starts so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix {
    text: String,
}

impl Prefix {
    /// Any text, the empty one included.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into() }
    }
}

impl Constraint for Prefix {
    fn name(&self) -> String {
        "prefix".into()
    }

    fn language(&self, _: &CompileCx) -> Result<Language> {
        Ok(Language::Concat(vec![Language::literal(&*self.text), Language::Any]))
    }

    fn check(&self, text: &str) -> Verdict {
        Verdict::require(text.starts_with(&*self.text), 0, || format!("the text does not start with {:?}", self.text))
    }
}

/// The text starts so.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct PrefixKind(pub String);

impl Kind for PrefixKind {
    const NAME: &'static str = "prefix";

    fn build(self, _: &BuildCx) -> Result<Part> {
        Ok(Part::constraint(Prefix::new(self.0)))
    }
}
