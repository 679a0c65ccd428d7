//! One of some texts.

use super::{Check, Verdict};
use crate::error::{Error, Result};
use std::collections::HashSet;

/// The text is one of a list of texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    options: Vec<String>,
    /// The options again, for look-up.
    set: HashSet<String>,
}

impl Choice {
    /// Options that are given twice count once.
    ///
    /// # Errors
    /// An empty list.
    pub fn new<T: Into<String>>(options: impl IntoIterator<Item = T>) -> Result<Self> {
        let mut options: Vec<String> = options.into_iter().map(Into::into).collect();
        let mut set = HashSet::new();
        options.retain(|option| set.insert(option.clone()));
        if options.is_empty() {
            return Err(Error::input("an empty choice").help("list the texts there are: [\"yes\", \"no\"]"));
        }
        Ok(Self { options, set })
    }

    /// The texts, in the order in which they were given.
    pub fn options(&self) -> &[String] {
        &self.options
    }
}

impl Check for Choice {
    fn check(&self, text: &str) -> Verdict {
        Verdict::require(self.set.contains(text), 0, || "none of the choices".into())
    }
}
