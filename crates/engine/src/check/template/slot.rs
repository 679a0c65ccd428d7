//! What a slot of a template may hold.

use crate::check::{
    Check, Verdict,
    choice::Choice,
    length::{Length, Unit},
};
use std::sync::Arc;

/// Whether a character ends a line (Unicode's mandatory breaks).
pub(crate) fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\x0B' | '\x0C' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// The description of a slot.
#[derive(Clone)]
pub(crate) enum SlotContent {
    /// A line of text that neither starts nor ends with white space.
    Line,
    /// One of some texts.
    Choice(Choice),
    /// A text that a pattern matches.
    Pattern(Arc<dyn Check>),
    /// A text that another condition on the slot describes, a grammar for example.
    Described,
}

/// One slot of a template, as far as the check of a finished text needs it.
#[derive(Clone)]
pub(crate) struct SlotCheck {
    pub name: String,
    pub content: SlotContent,
    pub sizes: Vec<Length>,
    /// Further conditions on the slot.
    pub also: Vec<Arc<dyn Check>>,
    /// Whether the number of tokens in the slot is bounded.
    pub counts_tokens: bool,
    /// All texts that the slot may hold, where they are few.
    pub values: Option<Vec<String>>,
}

impl SlotCheck {
    pub fn values(&self) -> Option<&[String]> {
        self.values.as_deref()
    }

    /// Whether the slot may hold a text. `tokens`: the bytes of the tokens that write it, where they are known.
    pub fn check(&self, text: &str, tokens: Option<&[&[u8]]>) -> Verdict {
        let content = match &self.content {
            SlotContent::Line => check_line(text, &self.sizes),
            SlotContent::Described => Verdict::Accept,
            SlotContent::Choice(choice) => choice.check(text),
            SlotContent::Pattern(pattern) => pattern.check(text),
        };
        let with_tokens = |c: &dyn Check| match tokens {
            Some(tokens) => c.check_tokens(text, tokens),
            None => c.check(text),
        };
        let sized = self.sizes.iter().fold(content, |v, size| match size.unit() {
            Unit::Words if self.is_line() => v.and(|| check_words(text, size)),
            _ => v.and(|| with_tokens(size)),
        });
        self.also.iter().fold(sized, |v, c| v.and(|| with_tokens(&**c)))
    }

    /// Whether every line that neither starts nor ends with white space fits.
    pub fn is_plain(&self) -> bool {
        self.is_line() && self.sizes.is_empty() && self.also.is_empty()
    }

    /// Whether the slot cannot go beyond the end of a line.
    pub fn is_line(&self) -> bool {
        matches!(self.content, SlotContent::Line)
    }

    /// Number of bytes of `rest` beyond which the sizes of the slot do not let it reach.
    pub fn reach(&self, rest: &str) -> usize {
        if !self.is_line() {
            return rest.len();
        }
        let bounds = self.sizes.iter().filter_map(|size| match size.unit() {
            Unit::Chars => rest.char_indices().nth(size.max()).map(|(end, _)| end),
            Unit::Words => rest.match_indices(' ').nth(size.max().saturating_sub(1)).map(|(end, _)| end),
            Unit::Tokens => None,
        });
        bounds.fold(rest.len(), usize::min)
    }
}

/// A line that neither starts nor ends with white space; empty only where every size allows that.
fn check_line(text: &str, sizes: &[Length]) -> Verdict {
    if text.is_empty() {
        let may = !sizes.is_empty() && sizes.iter().all(|s| s.min() == 0);
        return Verdict::require(may, 0, || "empty".into());
    }
    if let Some(at) = text.find(is_break) {
        return Verdict::Reject { at, why: "a line break".into() };
    }
    if text.starts_with(char::is_whitespace) {
        return Verdict::Reject { at: 0, why: "white space at the start".into() };
    }
    Verdict::require(!text.ends_with(char::is_whitespace), text.len(), || "white space at the end".into())
}

/// Words with one space between them.
fn check_words(text: &str, size: &Length) -> Verdict {
    if text.is_empty() {
        return size.verdict(0, 0);
    }
    let mut at = 0;
    for word in text.split(' ') {
        if word.is_empty() {
            return Verdict::Reject { at, why: "more than one space between words".into() };
        }
        if let Some(i) = word.find(char::is_whitespace) {
            return Verdict::Reject { at: at + i, why: "white space other than a space".into() };
        }
        at += word.len() + 1;
    }
    size.verdict(text.split(' ').count(), text.len())
}
