//! One of some texts.

use super::{CompileCx, Constraint, Verdict};
use crate::{Error, Language, Result};
use std::collections::HashSet;

/// The text is one of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    options: Vec<String>,
    /// The same, to look them up.
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
    /// The texts, in the order they were given.
    pub fn options(&self) -> &[String] {
        &self.options
    }
}

impl Constraint for Choice {
    fn name(&self) -> String {
        "choice".into()
    }

    fn language(&self, _: &CompileCx) -> Result<Language> {
        Ok(Language::Union(self.options.iter().map(Language::literal).collect()))
    }

    fn check(&self, text: &str) -> Verdict {
        Verdict::require(self.set.contains(text), 0, || "none of the choices".into())
    }

    fn texts(&self) -> Option<Vec<String>> {
        Some(self.options.clone())
    }
}
