//! How a text ends.

use super::{CompileCx, Constraint, Verdict};
use crate::{Language, Result};

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
