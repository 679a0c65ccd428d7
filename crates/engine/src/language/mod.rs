//! Languages: sets of texts as expressions, which constraints are translated to and automata compiled from.

mod cursor;
mod draft;
mod gbnf;
mod ir;
mod lark;
mod lark_terminals;
mod pattern;

pub use draft::Parsed;
pub use ir::{Expr, Grammar, Rule, RuleId};
pub(crate) use pattern::Pattern;

use std::sync::Arc;

/// A set of texts over bytes and token boundaries: regular, unless a [`Grammar`](Language::Grammar) is part of it.
///
/// Every text is valid UTF-8. Token boundaries are invisible unless [`Mark`](Language::Mark) or
/// [`Tokens`](Language::Tokens) speaks of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Language {
    /// Every text, the empty one included.
    Any,
    /// This text and no other.
    Literal(String),
    /// The whole text matches (anchored at both ends). Unicode mode, no look-around.
    Regex(String),
    /// A text of each, one after the other; an empty list is the empty text.
    Concat(Vec<Language>),
    /// One of them; an empty list is the empty set.
    Union(Vec<Language>),
    /// All of them; an empty list is [`Any`](Language::Any).
    Intersect(Vec<Language>),
    /// Texts (valid UTF-8) outside the language.
    Not(Box<Language>),
    /// A token boundary must be here.
    Mark,
    /// Texts of the language, starting and ending at token boundaries, written with so many tokens.
    Tokens {
        /// The language.
        inner: Box<Language>,
        /// Fewest tokens.
        min: usize,
        /// Most tokens; `usize::MAX` for no bound.
        max: usize,
    },
    /// The paths of a graph whose arrows are labelled with languages.
    Network(Box<Network>),
    /// The texts of the language as they are written inside a JSON string: quotation marks, backslashes and control
    /// characters escaped, each in its shortest way, all other characters as they are.
    JsonEscaped(Box<Language>),
    /// A name for diagnostics: which constraint this part came from.
    Named(String, Box<Language>),
    /// The texts of a context-free grammar. May be concatenated, united, and intersected with what is regular; at most
    /// one recursive grammar may take part in an intersection, and none in a complement.
    Grammar(Arc<Grammar>),
}

/// A graph with labelled arrows. Its texts are read along the paths from node 0 to an accepting node.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Network<L = Language> {
    /// The distinct labels.
    pub labels: Vec<L>,
    /// (from, index of the label, to)
    pub arrows: Vec<(u32, u32, u32)>,
    /// For each node whether a path may end there.
    pub accepting: Vec<bool>,
}

impl<L> Network<L> {
    /// Whether an accepting node is reached over arrows whose labels pass.
    pub(crate) fn completes(&self, passes: impl Fn(u32) -> bool) -> bool {
        let mut from: Vec<Vec<u32>> = vec![Vec::new(); self.accepting.len()];
        for &(a, _, b) in self.arrows.iter().filter(|(_, label, _)| passes(*label)) {
            from[a as usize].push(b);
        }
        let mut reached = vec![false; self.accepting.len()];
        let mut open = if reached.is_empty() { Vec::new() } else { vec![0u32] };
        while let Some(node) = open.pop() {
            if !std::mem::replace(&mut reached[node as usize], true) {
                open.extend(&from[node as usize]);
            }
        }
        reached.iter().zip(&self.accepting).any(|(&reached, &accepting)| reached && accepting)
    }
}

impl Language {
    /// No text at all.
    pub fn none() -> Self {
        Self::Union(Vec::new())
    }
    /// [`Literal`](Self::Literal).
    pub fn literal(text: impl Into<String>) -> Self {
        Self::Literal(text.into())
    }
    /// [`Regex`](Self::Regex).
    pub fn regex(pattern: impl Into<String>) -> Self {
        Self::Regex(pattern.into())
    }
    /// [`Grammar`](Self::Grammar).
    pub fn grammar(grammar: Grammar) -> Self {
        Self::Grammar(Arc::new(grammar))
    }
    /// The same texts, with a name for diagnostics.
    pub fn named(self, name: impl Into<String>) -> Self {
        Self::Named(name.into(), Box::new(self))
    }
    pub(crate) fn as_literal(&self) -> Option<&str> {
        match self {
            Self::Literal(text) => Some(text),
            _ => None,
        }
    }
    /// The only text, where the expression plainly has exactly one.
    pub(crate) fn one_text(&self) -> Option<String> {
        match self {
            Self::Literal(text) => Some(text.clone()),
            Self::Concat(parts) => parts.iter().map(Self::one_text).collect(),
            Self::Union(parts) if parts.len() == 1 => parts[0].one_text(),
            _ => None,
        }
    }
    /// The texts outside the language.
    #[allow(clippy::should_implement_trait)]
    pub fn not(self) -> Self {
        Self::Not(Box::new(self))
    }
    /// The texts of both.
    pub fn and(self, other: Self) -> Self {
        Self::Intersect(vec![self, other])
    }
    /// Whether a grammar is part of it.
    pub(crate) fn has_grammar(&self) -> bool {
        match self {
            Self::Grammar(_) => true,
            Self::Concat(parts) | Self::Union(parts) | Self::Intersect(parts) => parts.iter().any(Self::has_grammar),
            Self::Not(inner) | Self::JsonEscaped(inner) | Self::Tokens { inner, .. } | Self::Named(_, inner) => {
                inner.has_grammar()
            }
            Self::Network(network) => network.labels.iter().any(Self::has_grammar),
            Self::Any | Self::Literal(_) | Self::Regex(_) | Self::Mark => false,
        }
    }
}
