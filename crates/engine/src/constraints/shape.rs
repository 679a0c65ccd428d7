//! The shape of a constraint's texts: what templates and layouts ask for.

use super::{Length, Unit};

/// The side of a constraint that describes the shape of its texts. Every method has a default, which says nothing.
pub trait Shape {
    /// The fixed spans and the slots, if the texts are made of such parts.
    fn scaffold(&self) -> Option<Scaffold> {
        None
    }

    /// Name and text of each slot in a finished text, in order of appearance; empty without slots.
    fn slots(&self, text: &str) -> Vec<(String, String)> {
        let _ = text;
        Vec::new()
    }

    /// All texts that satisfy the constraint, where they are few and easily listed.
    fn texts(&self) -> Option<Vec<String>> {
        None
    }

    /// Whether the constraint describes whole texts, as a grammar does. A slot of a template that holds such a
    /// constraint is not limited to a single line.
    fn describes_texts(&self) -> bool {
        false
    }
}

/// The shape of a constraint that says nothing of its own.
pub(super) struct NoShape;

impl Shape for NoShape {}

/// The shape of a constraint that describes whole texts, such as a grammar.
pub(super) struct WholeText;

impl Shape for WholeText {
    fn describes_texts(&self) -> bool {
        true
    }
}

/// Literal spans and slots in order: the parts to which a layout assigns positions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scaffold {
    /// The parts, in the order of the text.
    pub parts: Vec<ScaffoldPart>,
}

/// A part of a [`Scaffold`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScaffoldPart {
    /// Text that is given.
    Literal(String),
    /// Text that is to be written.
    Slot {
        /// The name of the slot; a number for a slot without a name.
        name: String,
        /// The size of the slot, as far as it is known.
        size: SlotSize,
        /// The texts that the slot may hold, where they are few; empty otherwise.
        options: Vec<String>,
    },
}

/// The size of a slot, in the unit in which it was given: fewest and most, `usize::MAX` for no bound.
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

impl From<Length> for SlotSize {
    fn from(length: Length) -> Self {
        match length.unit() {
            Unit::Words => Self::Words(length.min(), length.max()),
            Unit::Chars => Self::Chars(length.min(), length.max()),
            Unit::Tokens => Self::Tokens(length.min(), length.max()),
        }
    }
}
