//! Several constraints as one.

use super::{CompileCx, Constraint, Scaffold, Shape};
use crate::{
    Language, Result,
    check::{Check, Verdict},
    schema::Unenforced,
};
use std::sync::Arc;

/// All of some constraints hold.
#[derive(Clone)]
pub struct All {
    constraints: Vec<Arc<dyn Constraint>>,
}

impl All {
    /// The conjunction of `constraints`; every text satisfies an empty list.
    pub fn new(constraints: impl IntoIterator<Item = Arc<dyn Constraint>>) -> Self {
        Self { constraints: constraints.into_iter().collect() }
    }
}

impl Check for All {
    fn check(&self, text: &str) -> Verdict {
        Verdict::all(self.constraints.iter().map(|c| c.check(text)))
    }

    fn check_tokens(&self, text: &str, tokens: &[&[u8]]) -> Verdict {
        Verdict::all(self.constraints.iter().map(|c| c.check_tokens(text, tokens)))
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

    fn tokens(&self) -> (usize, usize) {
        let bounds = self.constraints.iter().map(|c| c.tokens());
        bounds.fold((0, usize::MAX), |(a, b), (min, max)| (a.max(min), b.min(max)))
    }

    fn shape(&self) -> &dyn Shape {
        self
    }

    fn remarks(&self) -> Vec<String> {
        self.constraints.iter().flat_map(|c| c.remarks()).collect()
    }

    fn unenforced(&self) -> Vec<Unenforced> {
        self.constraints.iter().flat_map(|c| c.unenforced()).collect()
    }
}

impl Shape for All {
    fn texts(&self) -> Option<Vec<String>> {
        let mut texts = self.constraints.iter().find_map(|c| c.shape().texts())?;
        texts.retain(|text| !matches!(self.check(text), Verdict::Reject { .. }));
        Some(texts)
    }

    fn scaffold(&self) -> Option<Scaffold> {
        self.constraints.iter().find_map(|c| c.shape().scaffold())
    }

    fn slots(&self, text: &str) -> Vec<(String, String)> {
        self.constraints.iter().flat_map(|c| c.shape().slots(text)).collect()
    }
}
