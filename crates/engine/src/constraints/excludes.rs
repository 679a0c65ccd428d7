//! Words that must not occur.

use super::{
    CompileCx, Constraint, Verdict,
    phrases::{self, Phrase},
};
use crate::{Language, Result};

/// None of the words or phrases occurs as a whole word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excludes {
    phrases: Vec<Phrase>,
}

impl Excludes {
    /// # Errors
    /// An empty list or an empty word.
    pub fn new<T: Into<String>>(words: impl IntoIterator<Item = T>, ignore_case: bool) -> Result<Self> {
        Ok(Self { phrases: phrases::phrases(words.into_iter().map(Into::into), ignore_case)? })
    }
}

impl Constraint for Excludes {
    fn name(&self) -> String {
        "excludes".into()
    }

    fn language(&self, _: &CompileCx) -> Result<Language> {
        let found = phrases::any_of(&self.phrases).into_iter().map(Language::Regex).collect();
        let words: Vec<String> = self.phrases.iter().take(4).map(|p| format!("{:?}", p.text())).collect();
        let more = if self.phrases.len() > words.len() { ", …" } else { "" };
        Ok(Language::Union(found).not().named(format!("excludes {}{more}", words.join(", "))))
    }

    fn check(&self, text: &str) -> Verdict {
        let found = self.phrases.iter().filter_map(|p| p.find(text).map(|span| (span.start, p)));
        match found.min_by_key(|(start, _)| *start) {
            None => Verdict::Accept,
            Some((at, p)) => Verdict::Reject { at, why: format!("{:?} is excluded", p.text()) },
        }
    }
}
