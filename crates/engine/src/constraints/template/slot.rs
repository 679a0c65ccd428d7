//! One slot of a template: what may stand in it.

use crate::constraints::{
    Choice, CompileCx, Constraint, Length, Regex, SlotSize, Unit, Verdict, length::repeat, regex::MAX_TEXTS,
};
use crate::{Language, Result, schema::Left};
use std::sync::Arc;

/// Characters that end a line (Unicode's mandatory breaks), as a class of a regex and as a test.
const BREAKS: &str = r"\n\x0B\x0C\r\u{85}\u{2028}\u{2029}";
pub(crate) fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\x0B' | '\x0C' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// What a slot was described as.
#[derive(Clone)]
pub(crate) enum Content {
    /// A line of text that neither starts nor ends with white space.
    Free,
    Choice(Choice),
    Regex(Arc<Regex>),
    /// What another constraint on the slot says, a grammar say.
    Described,
}

#[derive(Clone)]
pub(crate) struct Slot {
    pub name: String,
    content: Content,
    sizes: Vec<Length>,
    also: Vec<Arc<dyn Constraint>>,
    /// All texts it may hold, where they are few.
    values: Option<Vec<String>>,
}

impl Slot {
    pub fn new(name: String, content: Content, sizes: Vec<Length>, also: Vec<Arc<dyn Constraint>>) -> Self {
        let described = matches!(content, Content::Free) && also.iter().any(|c| c.describes());
        let content = if described { Content::Described } else { content };
        let mut slot = Self { name, content, sizes, also, values: None };
        let listed = match &slot.content {
            Content::Free | Content::Described => None,
            Content::Choice(choice) => choice.texts(),
            Content::Regex(regex) => regex.texts(),
        };
        let listed = listed.or_else(|| slot.also.iter().find_map(|c| c.texts()));
        slot.values = listed.filter(|texts| texts.len() <= MAX_TEXTS).map(|mut texts| {
            texts.retain(|text| !matches!(slot.check(text, None), Verdict::Reject { .. }));
            texts
        });
        slot
    }

    /// What is left to the check, by the constraints on the slot.
    pub fn left(&self) -> impl Iterator<Item = Left> + '_ {
        self.also.iter().flat_map(|c| c.left())
    }

    pub fn values(&self) -> Option<&[String]> {
        self.values.as_deref()
    }

    /// Bounds on its tokens, if it has any.
    pub fn tokens(&self) -> Option<(usize, usize)> {
        let sizes = self.sizes.iter().map(|s| s.tokens());
        let bounds = sizes.chain(self.also.iter().map(|c| c.tokens()));
        let bounds = bounds.fold((0, usize::MAX), |(a, b), (min, max)| (a.max(min), b.min(max)));
        (bounds != (0, usize::MAX)).then_some(bounds)
    }

    pub fn remarks(&self) -> Vec<String> {
        let about = |remark: String| format!("the slot `{}`: {remark}", self.name);
        self.also.iter().flat_map(|c| c.remarks()).map(about).collect()
    }

    /// The size as a layout wants to know it.
    pub fn size(&self) -> SlotSize {
        match (self.sizes.first(), &self.content) {
            (Some(length), _) => length.slot_size(),
            (None, Content::Regex(regex)) => {
                let (min, max) = regex.chars();
                SlotSize::Chars(min, max)
            }
            _ => SlotSize::Free,
        }
    }

    /// The texts it may hold, without its bounds on tokens.
    pub fn language(&self, cx: &CompileCx) -> Result<Language> {
        let mut parts = match &self.content {
            Content::Free => free(&self.sizes),
            Content::Described => Vec::new(),
            Content::Choice(choice) => vec![choice.language(cx)?],
            Content::Regex(regex) => vec![regex.language(cx)?],
        };
        if !matches!(self.content, Content::Free) {
            for size in self.sizes.iter().filter(|s| s.unit() != Unit::Tokens) {
                parts.push(size.language(cx)?);
            }
        }
        for constraint in &self.also {
            parts.push(constraint.language(cx)?.named(constraint.name()));
        }
        Ok(match parts.len() {
            1 => parts.swap_remove(0),
            _ => Language::Intersect(parts),
        })
    }

    /// Whether it may hold a text. `tokens`: the bytes of the tokens that write it, where they are known.
    pub fn check(&self, text: &str, tokens: Option<&[&[u8]]>) -> Verdict {
        let content = match &self.content {
            Content::Free | Content::Described => Verdict::Accept,
            Content::Choice(choice) => choice.check(text),
            Content::Regex(regex) => regex.check(text),
        };
        let free = matches!(self.content, Content::Free);
        let content = if free { content.and(|| check_free(text, &self.sizes)) } else { content };
        let with_tokens = |c: &dyn Constraint| match tokens {
            Some(tokens) => c.check_tokens(text, tokens),
            None => c.check(text),
        };
        let sized = self.sizes.iter().fold(content, |v, size| match size.unit() {
            Unit::Words if free => v.and(|| check_words(text, size)),
            _ => v.and(|| with_tokens(size)),
        });
        self.also.iter().fold(sized, |v, c| v.and(|| with_tokens(&**c)))
    }

    /// Whether any line that neither starts nor ends with white space fits.
    pub fn is_plain(&self) -> bool {
        self.is_line() && self.sizes.is_empty() && self.also.is_empty()
    }

    /// Whether it cannot go beyond the end of a line.
    pub fn is_line(&self) -> bool {
        matches!(self.content, Content::Free)
    }

    /// Bytes of `rest` beyond which its size cannot reach.
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

/// Lines of text: one language per size, or one for all.
fn free(sizes: &[Length]) -> Vec<Language> {
    let line = format!(r"\S(?:[^{BREAKS}]*\S)?");
    if sizes.is_empty() {
        return vec![Language::Regex(line)];
    }
    let pattern = |size: &Length| {
        let (min, max) = (size.min(), size.max());
        let less = |n: usize, by: usize| if n == usize::MAX { n } else { n.saturating_sub(by) };
        let some = match size.unit() {
            _ if max == 0 => return String::new(),
            Unit::Words => format!(r"\S+(?: \S+){}", repeat(less(min, 1), less(max, 1))),
            Unit::Chars if max == 1 => r"\S".into(),
            Unit::Chars => {
                let more = format!(r"[^{BREAKS}]{}\S", repeat(less(min, 2), less(max, 2)));
                if min <= 1 { format!(r"\S(?:{more})?") } else { format!(r"\S{more}") }
            }
            Unit::Tokens => line.clone(),
        };
        if min == 0 { format!("(?:{some})?") } else { some }
    };
    sizes.iter().map(|size| Language::Regex(pattern(size))).collect()
}

/// A line that neither starts nor ends with white space; empty only where every size allows that.
fn check_free(text: &str, sizes: &[Length]) -> Verdict {
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
