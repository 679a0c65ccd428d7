//! Several constraints as one.

use super::{CompileCx, Constraint, Scaffold, Verdict};
use crate::{Language, Result, schema::Left};
use std::sync::Arc;

/// All of them hold.
#[derive(Clone)]
pub struct All {
    constraints: Vec<Arc<dyn Constraint>>,
}

impl All {
    /// All of `constraints`; every text satisfies an empty list.
    pub fn new(constraints: impl IntoIterator<Item = Arc<dyn Constraint>>) -> Self {
        Self { constraints: constraints.into_iter().collect() }
    }
}

impl Constraint for All {
    fn name(&self) -> String {
        let names: Vec<String> = self.constraints.iter().map(|c| c.name()).collect();
        if names.is_empty() { "all".into() } else { names.join(" and ") }
    }

    fn language(&self, cx: &CompileCx) -> Result<Language> {
        let parts = self.constraints.iter().map(|c| Ok(c.language(cx)?.named(c.name())));
        Ok(Language::Intersect(parts.collect::<Result<_>>()?))
    }

    fn check(&self, text: &str) -> Verdict {
        self.constraints.iter().fold(Verdict::Accept, |verdict, c| verdict.and(|| c.check(text)))
    }

    fn check_tokens(&self, text: &str, tokens: &[&[u8]]) -> Verdict {
        self.constraints.iter().fold(Verdict::Accept, |verdict, c| verdict.and(|| c.check_tokens(text, tokens)))
    }

    fn tokens(&self) -> (usize, usize) {
        let bounds = self.constraints.iter().map(|c| c.tokens());
        bounds.fold((0, usize::MAX), |(a, b), (min, max)| (a.max(min), b.min(max)))
    }

    fn texts(&self) -> Option<Vec<String>> {
        let mut texts = self.constraints.iter().find_map(|c| c.texts())?;
        texts.retain(|text| !matches!(self.check(text), Verdict::Reject { .. }));
        Some(texts)
    }

    fn remarks(&self) -> Vec<String> {
        self.constraints.iter().flat_map(|c| c.remarks()).collect()
    }

    fn left(&self) -> Vec<Left> {
        self.constraints.iter().flat_map(|c| c.left()).collect()
    }

    fn scaffold(&self) -> Option<Scaffold> {
        self.constraints.iter().find_map(|c| c.scaffold())
    }

    fn slots(&self, text: &str) -> Vec<(String, String)> {
        self.constraints.iter().flat_map(|c| c.slots(text)).collect()
    }
}
