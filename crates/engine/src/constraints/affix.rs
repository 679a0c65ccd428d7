//! How a text starts and ends, as a language.

use super::{CompileCx, Constraint};
use crate::{Language, Result};

pub use crate::check::affix::{Prefix, Suffix};

impl Constraint for Prefix {
    fn name(&self) -> String {
        "prefix".into()
    }

    fn language(&self, _: &CompileCx) -> Result<Language> {
        Ok(Language::Concat(vec![Language::literal(&*self.text), Language::Any]))
    }
}

impl Constraint for Suffix {
    fn name(&self) -> String {
        "suffix".into()
    }

    fn language(&self, _: &CompileCx) -> Result<Language> {
        Ok(Language::Concat(vec![Language::Any, Language::literal(&*self.text)]))
    }
}
