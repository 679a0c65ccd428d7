//! Supports: the tokens that are legal at a position, by label and class.

use super::graph::Graph;
use crate::Token;
use crate::automata::{Class, Label};

/// The labels that fitting texts use at a position, the classes of these labels, and their tokens.
#[derive(Debug, Clone)]
pub(super) struct Support {
    /// Ascending.
    pub(super) labels: Vec<Label>,
    /// Ascending.
    pub(super) classes: Vec<Class>,
    /// Number of tokens.
    pub(super) tokens: usize,
    /// The tokens that truncation has kept; `None` for all tokens of the classes.
    kept: Option<Kept>,
}

/// Tokens by class.
#[derive(Debug, Clone)]
struct Kept {
    first: Vec<usize>,
    tokens: Vec<Token>,
}

impl Support {
    /// All tokens of `labels`, which are ascending.
    pub(super) fn full<G: Graph>(graph: &G, labels: Vec<Label>) -> Self {
        let mut used = vec![false; graph.classes()];
        labels.iter().flat_map(|&label| graph.label(label)).for_each(|&class| used[class as usize] = true);
        let classes: Vec<Class> = (0..used.len() as Class).filter(|&class| used[class as usize]).collect();
        let tokens = classes.iter().map(|&class| graph.members(class).len()).sum();
        Self { labels, classes, tokens, kept: None }
    }

    /// The same support with only these tokens.
    pub(super) fn restricted<G: Graph>(&self, graph: &G, mut tokens: Vec<(Class, Token)>) -> Self {
        tokens.sort_unstable();
        tokens.dedup();
        let (mut classes, mut first) = (Vec::new(), Vec::new());
        for (i, &(class, _)) in tokens.iter().enumerate() {
            if classes.last() != Some(&class) {
                classes.push(class);
                first.push(i);
            }
        }
        first.push(tokens.len());
        let bears = |label: &Label| graph.label(*label).iter().any(|class| classes.binary_search(class).is_ok());
        let labels = self.labels.iter().copied().filter(bears).collect();
        let kept = Kept { first, tokens: tokens.into_iter().map(|(_, token)| token).collect() };
        Self { labels, classes, tokens: kept.tokens.len(), kept: Some(kept) }
    }

    /// The index of a class in `classes`; `None` if it is not legal.
    pub(super) fn place(&self, class: Class) -> Option<usize> {
        self.classes.binary_search(&class).ok()
    }

    pub(super) fn bears(&self, label: Label) -> bool {
        self.labels.binary_search(&label).is_ok()
    }

    /// The tokens of the class at `place`, ascending; at least one.
    pub(super) fn members<'a, G: Graph>(&'a self, graph: &'a G, place: usize) -> &'a [Token] {
        match &self.kept {
            Some(kept) => &kept.tokens[kept.first[place]..kept.first[place + 1]],
            None => graph.members(self.classes[place]),
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.kept.is_none()
    }
}
