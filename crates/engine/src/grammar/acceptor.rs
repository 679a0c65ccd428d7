//! Constraints compiled over bytes: what texts are read and checked with.

use super::lower::lower;
use super::pushdown::Pushdown;
use super::rtn::Rtn;
use crate::automata::{Dfa, Limits};
use crate::{Language, Result, Vocab};

/// A compiled language that may hold a grammar.
pub enum Acceptor {
    /// No recursion is left: an automaton over bytes.
    Regular(Dfa),
    /// A recursive grammar, and what is regular beside it.
    Pushdown(Box<Pushdown>),
}

impl Acceptor {
    /// Compiles a language; a recursive grammar is explored with the tokens of `vocab`.
    ///
    /// # Errors
    /// `Unsupported` combinations, `TooLarge`, and those of terminals.
    pub fn new(language: &Language, vocab: &Vocab, limits: &Limits) -> Result<Self> {
        let lowered = lower(language, limits)?;
        let beside = Dfa::compile(&Language::Intersect(lowered.regular.clone()), limits)?;
        let rtn = Rtn::new(lowered, limits)?;
        match rtn.regular() {
            Some(regular) => Ok(Self::Regular(regular.intersect(&beside, limits)?)),
            None => Ok(Self::Pushdown(Box::new(Pushdown::new(rtn, beside, vocab)?))),
        }
    }

    /// Whether it surely holds no text at all.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Regular(dfa) => dfa.is_empty(),
            Self::Pushdown(pushdown) => pushdown.is_empty(),
        }
    }
    /// Number of states: of the automaton, or of those of a grammar's rules.
    pub fn states(&self) -> usize {
        match self {
            Self::Regular(dfa) => dfa.states(),
            Self::Pushdown(pushdown) => pushdown.states(),
        }
    }
    /// Whether the bytes, cut into tokens in some way, are a text of the language.
    pub fn accepts(&self, text: &[u8]) -> bool {
        match self {
            Self::Regular(dfa) => dfa.accepts(text),
            Self::Pushdown(pushdown) => pushdown.read(text).1,
        }
    }
    /// How many of the bytes some text of the language begins with.
    pub fn viable(&self, text: &[u8]) -> usize {
        match self {
            Self::Regular(dfa) => dfa.viable(text),
            Self::Pushdown(pushdown) => pushdown.read(text).0,
        }
    }
    /// A text with the fewest bytes, plain letters preferred; `None` if there is none or it is very hard to find.
    pub fn shortest(&self) -> Option<String> {
        match self {
            Self::Regular(dfa) => dfa.shortest(),
            Self::Pushdown(pushdown) => pushdown.shortest(),
        }
    }
    /// The grammar, where recursion is left.
    pub fn pushdown(&self) -> Option<&Pushdown> {
        match self {
            Self::Regular(_) => None,
            Self::Pushdown(pushdown) => Some(pushdown),
        }
    }
}
