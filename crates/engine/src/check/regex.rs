//! Whether a pattern matches the whole text, decided by the matcher of the regex-automata crate.

use super::{Check, Verdict};
use regex_automata::meta;

/// A pattern that is anchored at both ends.
#[derive(Debug, Clone)]
pub(crate) struct FullMatch {
    matcher: meta::Regex,
}

impl FullMatch {
    /// The matcher must be anchored at both ends.
    pub fn new(matcher: meta::Regex) -> Self {
        Self { matcher }
    }

    /// Memory of the compiled program.
    pub fn memory_bytes(&self) -> usize {
        self.matcher.memory_usage()
    }
}

impl Check for FullMatch {
    fn check(&self, text: &str) -> Verdict {
        Verdict::require(self.matcher.is_match(text), 0, || "the regex does not match".into())
    }
}
