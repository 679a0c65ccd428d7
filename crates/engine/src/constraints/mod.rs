//! Hard constraints: what must be true of the text.

mod all;
mod choice;
mod contains;
mod earley;
mod excludes;
mod grammar;
mod json_schema;
mod length;
mod phrases;
mod prefix;
mod regex;
mod suffix;
mod template;

pub use all::All;
pub use choice::Choice;
pub use contains::Contains;
pub use excludes::Excludes;
pub use grammar::{Grammar, GrammarSyntax};
pub use json_schema::JsonSchema;
pub use length::{Length, Unit};
pub use prefix::Prefix;
pub use regex::{Patterns, Regex};
pub use suffix::Suffix;
pub use template::{Inputs, Template, TemplateCx};

use crate::{Language, Result, Vocab, schema::Left};

/// What compiling may depend on.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct CompileCx<'a> {
    /// The model's tokens; what a text may be does not depend on them for the built-in kinds.
    pub vocab: &'a Vocab,
}

impl<'a> CompileCx<'a> {
    /// Compiling for a vocabulary.
    pub fn new(vocab: &'a Vocab) -> Self {
        Self { vocab }
    }
}

/// The answer of an independent check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The text satisfies the constraint.
    Accept,
    /// It does not.
    Reject {
        /// Byte offset where the text left the constraint, as far as it can be told.
        at: usize,
        /// The reason, in a clause.
        why: String,
    },
    /// The check cannot decide (it would need a tokenizer, say).
    Unknown {
        /// The reason, in a clause.
        why: String,
    },
}

impl Verdict {
    /// Whether it is [`Accept`](Verdict::Accept).
    pub fn accepted(&self) -> bool {
        *self == Verdict::Accept
    }
    /// `Accept` if it holds, a rejection at `at` otherwise.
    pub fn require(holds: bool, at: usize, why: impl FnOnce() -> String) -> Self {
        if holds { Verdict::Accept } else { Verdict::Reject { at, why: why() } }
    }
    /// Both must accept; a rejection wins over an unknown.
    pub fn and(self, other: impl FnOnce() -> Verdict) -> Self {
        match self {
            Verdict::Accept => other(),
            Verdict::Reject { .. } => self,
            Verdict::Unknown { .. } => match other() {
                Verdict::Accept => self,
                worse => worse,
            },
        }
    }
}

/// A hard constraint. Only constraints forbid.
///
/// `language` steers the generation; `check` decides afterwards whether a finished text satisfies the constraint,
/// by code that shares nothing with the automata. The two must agree on every text.
pub trait Constraint: Send + Sync {
    /// What to call it in diagnostics: its kind, or a slot's name.
    fn name(&self) -> String;
    /// The texts that satisfy it.
    fn language(&self, cx: &CompileCx) -> Result<Language>;
    /// Whether a finished text satisfies it. Must not use [`Language`].
    fn check(&self, text: &str) -> Verdict;
    /// Asks the check and what would be generated; where they disagree, that is the answer. The same as `check` for
    /// kinds whose language is known to be what the check says.
    fn judge(&self, text: &str) -> Verdict {
        self.check(text)
    }
    /// Like [`check`](Constraint::check), for a text whose tokens are known: `tokens` are the bytes that each writes,
    /// in order. Constraints that count tokens decide here.
    fn check_tokens(&self, text: &str, _tokens: &[&[u8]]) -> Verdict {
        self.check(text)
    }
    /// Bounds on the number of tokens of the whole text, which the engine keeps beside `language`.
    fn tokens(&self) -> (usize, usize) {
        (0, usize::MAX)
    }
    /// All texts that satisfy it, where they are few and easily listed.
    fn texts(&self) -> Option<Vec<String>> {
        None
    }
    /// What its author should know of it: a rule that no text uses, say.
    fn remarks(&self) -> Vec<String> {
        Vec::new()
    }
    /// Whether it says by itself what a text is, as a grammar does: a slot that it holds of is not just any line then.
    fn describes(&self) -> bool {
        false
    }
    /// What it does not keep and leaves to [`check`](Constraint::check): what is written may turn out wrong there.
    fn left(&self) -> Vec<Left> {
        Vec::new()
    }
    /// The constraint's fixed spans and slots, if it has such a shape.
    fn scaffold(&self) -> Option<Scaffold> {
        None
    }
    /// The texts of the slots in a finished text, in order of appearance; empty if it has none.
    fn slots(&self, _text: &str) -> Vec<(String, String)> {
        Vec::new()
    }
}

/// Literal spans and slots in order: what a layout assigns positions to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scaffold {
    /// In the order of the text.
    pub parts: Vec<ScaffoldPart>,
}

/// A part of a [`Scaffold`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScaffoldPart {
    /// Text that is given.
    Literal(String),
    /// Text that is to be written.
    Slot {
        /// Its name; a number for a slot without one.
        name: String,
        /// What is known of its size.
        size: SlotSize,
        /// The texts it may hold, where they are few; empty otherwise.
        options: Vec<String>,
    },
}

/// The size a slot may have, in the unit it was given in: fewest and most, `usize::MAX` for no bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotSize {
    /// Nothing is known.
    Free,
    /// Unicode scalar values.
    Chars(usize, usize),
    /// Runs of characters that are not white space.
    Words(usize, usize),
    /// Tokens of the model.
    Tokens(usize, usize),
}
