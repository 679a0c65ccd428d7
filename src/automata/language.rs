//! Sets of texts, as expressions: what constraints are made of before they become automata.

/// A regular set of texts over bytes and token boundaries.
///
/// Every text is valid UTF-8. Token boundaries are invisible unless [`Mark`](Language::Mark) or
/// [`Tokens`](Language::Tokens) speaks of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Language {
    /// Every text, the empty one included.
    Any,
    Literal(String),
    /// The whole text matches (anchored at both ends). Unicode mode, no look-around.
    Regex(String),
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
        inner: Box<Language>,
        min: usize,
        max: usize,
    },
    /// A name for diagnostics: which constraint this part came from.
    Named(String, Box<Language>),
}

impl Language {
    pub fn literal(text: impl Into<String>) -> Self {
        Self::Literal(text.into())
    }
    pub fn regex(pattern: impl Into<String>) -> Self {
        Self::Regex(pattern.into())
    }
    pub fn named(self, name: impl Into<String>) -> Self {
        Self::Named(name.into(), Box::new(self))
    }
    #[allow(clippy::should_implement_trait)]
    pub fn not(self) -> Self {
        Self::Not(Box::new(self))
    }
    pub fn and(self, other: Self) -> Self {
        Self::Intersect(vec![self, other])
    }
}
