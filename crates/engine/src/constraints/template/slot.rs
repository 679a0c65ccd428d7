//! One slot of a template: the language of the texts that may stand in it.

use crate::constraints::{
    Choice, CompileCx, Constraint, Length, Regex, Shape, SlotSize, Unit, length::repeat, regex::MAX_TEXTS,
};
use crate::{
    Language, Result,
    check::{
        Check, Verdict,
        template::{SlotCheck, SlotContent},
    },
    schema::Unenforced,
};
use std::sync::Arc;

/// Characters that end a line (Unicode's mandatory breaks), as a class of a regex. The check has a list of its own.
const BREAKS: &str = r"\n\x0B\x0C\r\u{85}\u{2028}\u{2029}";

/// The description of a slot.
#[derive(Clone)]
pub(crate) enum Content {
    /// A line of text that neither starts nor ends with white space.
    Free,
    /// One of some texts.
    Choice(Choice),
    /// A text that a pattern matches.
    Regex(Arc<Regex>),
    /// A text that another constraint on the slot describes, a grammar for example.
    Described,
}

/// A slot with its constraints.
#[derive(Clone)]
pub(crate) struct Slot {
    pub name: String,
    content: Content,
    sizes: Vec<Length>,
    also: Vec<Arc<dyn Constraint>>,
}

impl Slot {
    /// The slot, and its side that checks finished texts.
    pub fn new(
        name: String,
        content: Content,
        sizes: Vec<Length>,
        also: Vec<Arc<dyn Constraint>>,
    ) -> (Self, SlotCheck) {
        let described = matches!(content, Content::Free) && also.iter().any(|c| c.shape().describes_texts());
        let content = if described { Content::Described } else { content };
        let slot = Self { name, content, sizes, also };
        let check = slot.as_check();
        (slot, check)
    }

    fn as_check(&self) -> SlotCheck {
        let (content, listed) = match &self.content {
            Content::Free => (SlotContent::Line, None),
            Content::Described => (SlotContent::Described, None),
            Content::Choice(choice) => (SlotContent::Choice(choice.clone()), choice.texts()),
            Content::Regex(regex) => (SlotContent::Pattern(regex.clone()), regex.texts()),
        };
        let listed = listed.or_else(|| self.also.iter().find_map(|c| c.shape().texts()));
        let mut check = SlotCheck {
            name: self.name.clone(),
            content,
            sizes: self.sizes.clone(),
            also: self.also.iter().map(|c| c.clone() as Arc<dyn Check>).collect(),
            counts_tokens: self.tokens().is_some(),
            values: None,
        };
        check.values = listed.filter(|texts| texts.len() <= MAX_TEXTS).map(|mut texts| {
            texts.retain(|text| !matches!(check.check(text, None), Verdict::Reject { .. }));
            texts
        });
        check
    }

    /// What the constraints on the slot leave to their checks.
    pub fn unenforced(&self) -> impl Iterator<Item = Unenforced> + '_ {
        self.also.iter().flat_map(|c| c.unenforced())
    }

    /// Bounds on the number of tokens, if there are any.
    pub fn tokens(&self) -> Option<(usize, usize)> {
        let sizes = self.sizes.iter().map(|s| s.tokens());
        let bounds = sizes.chain(self.also.iter().map(|c| c.tokens()));
        let bounds = bounds.fold((0, usize::MAX), |(a, b), (min, max)| (a.max(min), b.min(max)));
        (bounds != (0, usize::MAX)).then_some(bounds)
    }

    /// Remarks on the slot's constraints, each with the name of the slot.
    pub fn remarks(&self) -> Vec<String> {
        let about = |remark: String| format!("the slot `{}`: {remark}", self.name);
        self.also.iter().flat_map(|c| c.remarks()).map(about).collect()
    }

    /// The size for a layout.
    pub fn size(&self) -> SlotSize {
        match (self.sizes.first(), &self.content) {
            (Some(length), _) => SlotSize::from(*length),
            (None, Content::Regex(regex)) => {
                let (min, max) = regex.chars();
                SlotSize::Chars(min, max)
            }
            _ => SlotSize::Free,
        }
    }

    /// The texts that the slot may hold, without its bounds on tokens.
    pub fn language(&self, cx: &CompileCx) -> Result<Language> {
        let mut parts = match &self.content {
            Content::Free => lines(&self.sizes),
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
}

/// Lines of text: one language per size, or one for all.
fn lines(sizes: &[Length]) -> Vec<Language> {
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
