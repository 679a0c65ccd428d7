//! Whether a finished text has the form of a template: literal spans and slots.

mod slot;
mod split;

pub(crate) use slot::{SlotCheck, SlotContent};

use super::{Check, Verdict};
use split::{Split, Splitter};
use std::ops::Range;

/// A part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// Text that is given.
    Literal(String),
    /// The index of a slot.
    Slot(usize),
}

/// The form of a template's texts.
#[derive(Clone)]
pub(crate) struct Form {
    /// The parts, in the order of the text.
    pub parts: Vec<Part>,
    /// Each slot once.
    pub slots: Vec<SlotCheck>,
    /// The slots that occur more than once; their texts are few.
    pub repeated: Vec<usize>,
}

impl Form {
    /// Whether the space before this part counts with the first token of its slot.
    ///
    /// Most vocabularies write a word and the space before it as one token: a slot sized in tokens starts there.
    pub fn leads(&self, part: usize) -> bool {
        let counts = matches!(&self.parts[part], Part::Slot(slot) if self.slots[*slot].counts_tokens);
        let before = part.checked_sub(1).map(|before| &self.parts[before]);
        counts && matches!(before, Some(Part::Literal(literal)) if literal.ends_with(' '))
    }

    /// The texts of the slots, and why if there are none.
    fn split(&self, text: &str, tokens: Option<&[&[u8]]>) -> (Split, Option<String>) {
        let mut strict = Splitter::new(self, text, tokens, false);
        match strict.run() {
            Split::No { .. } if strict.unknown.is_some() => {
                (Splitter::new(self, text, tokens, true).run(), strict.unknown)
            }
            split => (split, None),
        }
    }

    fn verdict(&self, text: &str, tokens: Option<&[&[u8]]>) -> Verdict {
        match self.split(text, tokens) {
            (Split::Found(_), None) => Verdict::Accept,
            (Split::Found(_), Some(why)) => Verdict::Unknown { why },
            (Split::No { at, why }, _) => Verdict::Reject { at, why },
            (Split::TooLong, _) => Verdict::Unknown { why: "the text can be split in too many ways".into() },
        }
    }

    /// The span of each part in a text that has this form.
    pub fn spans(&self, text: &str) -> Option<Vec<Range<usize>>> {
        match self.split(text, None) {
            (Split::Found(spans), _) => Some(spans),
            _ => None,
        }
    }
}

impl Check for Form {
    fn check(&self, text: &str) -> Verdict {
        self.verdict(text, None)
    }

    fn check_tokens(&self, text: &str, tokens: &[&[u8]]) -> Verdict {
        self.verdict(text, Some(tokens))
    }
}
