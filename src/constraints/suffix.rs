//! How a text ends.

use super::{CompileCx, Constraint, Verdict};
use crate::{
    Language, Result,
    spec::{BuildCx, Kind, Part},
};
use schemars::JsonSchema;
use serde::Deserialize;

/// The text ends so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suffix {
    text: String,
}

impl Suffix {
    /// Any text, the empty one included.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into() }
    }
}

impl Constraint for Suffix {
    fn name(&self) -> String {
        "suffix".into()
    }

    fn language(&self, _: &CompileCx) -> Result<Language> {
        Ok(Language::Concat(vec![Language::Any, Language::literal(&*self.text)]))
    }

    fn check(&self, text: &str) -> Verdict {
        Verdict::require(text.ends_with(&*self.text), text.len(), || {
            format!("the text does not end with {:?}", self.text)
        })
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
