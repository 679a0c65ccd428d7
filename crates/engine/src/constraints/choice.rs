//! One of some texts, as a language.

use super::{CompileCx, Constraint, Shape};
use crate::{Language, Result};

pub use crate::check::choice::Choice;

impl Constraint for Choice {
    fn name(&self) -> String {
        "choice".into()
    }

    fn language(&self, _: &CompileCx) -> Result<Language> {
        Ok(Language::Union(self.options().iter().map(Language::literal).collect()))
    }

    fn shape(&self) -> &dyn Shape {
        self
    }
}

impl Shape for Choice {
    fn texts(&self) -> Option<Vec<String>> {
        Some(self.options().to_vec())
    }
}
