//! How a text starts and ends.

use super::{Check, Verdict};

/// The text starts with a given text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix {
    pub(crate) text: String,
}

impl Prefix {
    /// The start of the text; the empty text is allowed and demands nothing.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into() }
    }
}

impl Check for Prefix {
    fn check(&self, text: &str) -> Verdict {
        Verdict::require(text.starts_with(&*self.text), 0, || format!("the text does not start with {:?}", self.text))
    }
}

/// The text ends with a given text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suffix {
    pub(crate) text: String,
}

impl Suffix {
    /// The end of the text; the empty text is allowed and demands nothing.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into() }
    }
}

impl Check for Suffix {
    fn check(&self, text: &str) -> Verdict {
        Verdict::require(text.ends_with(&*self.text), text.len(), || {
            format!("the text does not end with {:?}", self.text)
        })
    }
}
