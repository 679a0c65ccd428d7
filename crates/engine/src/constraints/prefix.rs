//! How a text starts.

use super::{CompileCx, Constraint, Verdict};
use crate::{Language, Result};

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
