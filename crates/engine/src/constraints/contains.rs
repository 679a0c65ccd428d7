//! Words that must occur.

use super::{
    CompileCx, Constraint, Verdict,
    phrases::{self, Phrase},
};
use crate::{Language, Result};

/// Each of the words or phrases occurs, as a whole word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contains {
    phrases: Vec<Phrase>,
}

impl Contains {
    /// # Errors
    /// An empty list or an empty word.
    pub fn new<T: Into<String>>(words: impl IntoIterator<Item = T>, ignore_case: bool) -> Result<Self> {
        Ok(Self { phrases: phrases::phrases(words.into_iter().map(Into::into), ignore_case)? })
    }
}

impl Constraint for Contains {
    fn name(&self) -> String {
        "contains".into()
    }

    fn language(&self, _: &CompileCx) -> Result<Language> {
        let found = |p: &Phrase| Language::Regex(p.pattern()).named(format!("contains {:?}", p.text()));
        Ok(Language::Intersect(self.phrases.iter().map(found).collect()))
    }

    fn check(&self, text: &str) -> Verdict {
        match self.phrases.iter().find(|p| p.find(text).is_none()) {
            None => Verdict::Accept,
            Some(p) => {
                Verdict::Reject { at: text.len(), why: format!("{:?} does not occur as a whole word", p.text()) }
            }
        }
    }
}
