//! How long a text is, as a language: in characters or words. Tokens are counted by the engine.

use super::{CompileCx, Constraint};
use crate::{Language, Result};

pub use crate::check::length::{Length, Unit};

/// A repetition operator: `{2,5}`, `{2,}`.
pub(crate) fn repeat(min: usize, max: usize) -> String {
    if max == usize::MAX { format!("{{{min},}}") } else { format!("{{{min},{max}}}") }
}

impl Constraint for Length {
    fn name(&self) -> String {
        "length".into()
    }

    fn language(&self, _: &CompileCx) -> Result<Language> {
        let (min, max) = (self.min(), self.max());
        Ok(match self.unit() {
            Unit::Chars => Language::Regex(format!("(?s:.){}", repeat(min, max))),
            Unit::Words if max == 0 => Language::regex(r"\s*"),
            Unit::Words => {
                let more = if max == usize::MAX { max } else { max - 1 };
                let words = format!(r"\S+(?:\s+\S+){}", repeat(min.saturating_sub(1), more));
                let optional = if min == 0 { "?" } else { "" };
                Language::Regex(format!(r"\s*(?:{words}){optional}\s*"))
            }
            // Counted by `tokens`, which costs no states.
            Unit::Tokens => Language::Any,
        })
    }

    fn tokens(&self) -> (usize, usize) {
        match self.unit() {
            Unit::Tokens => (self.min(), self.max()),
            _ => (0, usize::MAX),
        }
    }
}
