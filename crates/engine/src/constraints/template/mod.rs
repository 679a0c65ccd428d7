//! A text with fixed spans and slots.

mod inputs;
mod slot;
mod syntax;

pub use inputs::Inputs;

use super::{Choice, CompileCx, Constraint, Length, Patterns, Scaffold, ScaffoldPart, Shape};
use crate::{
    Error, Language, Result,
    check::{
        Check, Verdict,
        template::{Form, Part, SlotCheck},
    },
    schema::Unenforced,
};
use slot::{Content, Slot};
use std::{collections::BTreeMap, sync::Arc};
use syntax::{Content as Syntax, Piece, SlotSyntax};

/// Most combinations of the texts of slots that occur more than once.
const MAX_COMBINATIONS: usize = 1024;
/// Most parts of the language that has all those combinations written out.
const MAX_PARTS: usize = 1 << 18;

/// The context in which a template is read.
#[derive(Clone, Default)]
pub struct TemplateCx {
    /// The values of `$name` inputs.
    pub inputs: Inputs,
    /// Constraints on single slots, by slot name.
    pub slots: BTreeMap<String, Vec<Arc<dyn Constraint>>>,
    /// Sizes of single slots; they mean what a size inside `{{name:…}}` means.
    pub sizes: BTreeMap<String, Vec<Length>>,
    /// The patterns of the same file, so that each is compiled once.
    pub patterns: Patterns,
}

/// Literal text that comes back byte for byte, and slots that the model fills.
#[derive(Clone)]
pub struct Template {
    /// The parts, and the side of the slots that checks finished texts.
    form: Form,
    /// The side of the slots that steers, in the order of `form.slots`.
    slots: Vec<Slot>,
    /// First and last part of each slot.
    span: Vec<(usize, usize)>,
}

impl Template {
    /// Reads a template; `$name` stands for the value of an input.
    ///
    /// ```
    /// use stencil_engine::{Constraint, constraints::{Inputs, Template}};
    /// let template = Template::parse("The {{animal:1-2}} is {{size|small|large}}.", &Inputs::default())?;
    /// let slots = template.shape().slots("The sea otter is small.");
    /// assert_eq!(slots, [("animal".into(), "sea otter".into()), ("size".into(), "small".into())]);
    /// # Ok::<(), stencil_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// Anything that cannot be read or kept, with the place in `text`.
    pub fn parse(text: &str, inputs: &Inputs) -> Result<Self> {
        Self::build(text, &TemplateCx { inputs: inputs.clone(), ..TemplateCx::default() })
    }

    /// Reads a template whose slots have conditions of their own.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn build(text: &str, cx: &TemplateCx) -> Result<Self> {
        let pieces = syntax::parse(text, &cx.inputs)?;
        if pieces.is_empty() {
            return Err(Error::input("an empty template").at(0..0));
        }
        let mut parts = Vec::new();
        let mut written: Vec<SlotSyntax> = Vec::new();
        let mut numbered = 0;
        let mut span: Vec<(usize, usize)> = Vec::new();
        let mut index = std::collections::HashMap::new();
        for piece in pieces {
            let mut slot = match piece {
                Piece::Literal(literal) => {
                    parts.push(Part::Literal(literal));
                    continue;
                }
                Piece::Slot(slot) => slot,
            };
            if slot.name.is_empty() {
                numbered += 1;
                slot.name = numbered.to_string();
            }
            let i = *index.entry(slot.name.clone()).or_insert(written.len());
            match written.get_mut(i) {
                Some(before) => {
                    unite(before, slot)?;
                    span[i] = (span[i].0, parts.len());
                }
                None => {
                    span.push((parts.len(), parts.len()));
                    written.push(slot);
                }
            }
            parts.push(Part::Slot(i));
        }
        let slots: Vec<_> = written.iter().map(|slot| describe(slot, cx)).collect::<Result<_>>()?;
        let (slots, checks) = slots.into_iter().unzip();
        let form = Form { parts, slots: checks, repeated: Vec::new() };
        let mut template = Self { form, slots, span };
        template.find_repeated(&written)?;
        Ok(template)
    }

    /// Finds the slots that occur more than once. Their texts must be few, since the language is a union over them.
    fn find_repeated(&mut self, written: &[SlotSyntax]) -> Result<()> {
        let mut combinations = 1usize;
        for (i, (slot, syntax)) in self.form.slots.iter().zip(written).enumerate() {
            if self.span[i].0 == self.span[i].1 {
                continue;
            }
            let name = &slot.name;
            let Some(values) = slot.values() else {
                return Err(Error::unsupported(format!(
                    "the slot `{name}` occurs more than once, and too many texts fit it to keep them equal"
                ))
                .at(syntax.span.clone())
                .help(format!("give it choices: {{{{{name}|one|two}}}}"))
                .help(format!("or make it an input: ${name}, with --set {name}=TEXT")));
            };
            combinations = combinations.saturating_mul(values.len());
            if combinations > MAX_COMBINATIONS || combinations * self.form.parts.len() > MAX_PARTS {
                return Err(Error::too_large(
                    "the slots that occur more than once have too many combinations of texts",
                )
                .at(syntax.span.clone())
                .help(format!("give `{name}` fewer choices, or make it an input: ${name}, with --set {name}=TEXT")));
            }
            self.form.repeated.push(i);
        }
        Ok(())
    }

    /// The language of a range of parts. `bound`: the texts of slots that are already chosen.
    fn concat(&self, range: std::ops::Range<usize>, bound: &mut [Option<String>], cx: &CompileCx) -> Result<Language> {
        // A slot without a chosen text that occurs again, and the part where it occurs last.
        let again = |part: usize, bound: &[Option<String>]| match self.form.parts[part] {
            Part::Slot(slot) if bound[slot].is_none() && part < self.span[slot].1 => Some((slot, self.span[slot].1)),
            _ => None,
        };
        let mut languages = Vec::new();
        let mut part = range.start;
        while part < range.end {
            let Some((slot, mut last)) = again(part, bound) else {
                languages.push(self.part(part, bound, cx)?);
                part += 1;
                continue;
            };
            // Widen the range until no such slot inside it occurs again behind its end.
            let mut at = part;
            while at < last {
                last = last.max(again(at, bound).map_or(0, |(_, end)| end));
                at += 1;
            }
            let mut union = Vec::new();
            for value in self.form.slots[slot].values().unwrap_or_default() {
                bound[slot] = Some(value.clone());
                union.push(self.concat(part..last + 1, bound, cx)?);
            }
            bound[slot] = None;
            languages.push(Language::Union(union));
            part = last + 1;
        }
        Ok(Language::Concat(languages))
    }

    fn part(&self, part: usize, bound: &[Option<String>], cx: &CompileCx) -> Result<Language> {
        let slot = match &self.form.parts[part] {
            Part::Literal(literal) => {
                let moved = part + 1 < self.form.parts.len() && self.form.leads(part + 1);
                return Ok(Language::literal(&literal[..literal.len() - usize::from(moved)]));
            }
            Part::Slot(slot) => *slot,
        };
        let inner = match &bound[slot] {
            Some(value) => Language::literal(value.as_str()),
            None => self.slots[slot].language(cx)?,
        };
        let slot = &self.slots[slot];
        let language = match slot.tokens() {
            None => inner,
            Some((min, max)) => {
                let inner =
                    if self.form.leads(part) { Language::Concat(vec![Language::literal(" "), inner]) } else { inner };
                Language::Tokens { inner: Box::new(inner), min, max }
            }
        };
        Ok(language.named(format!("slot `{}`", slot.name)))
    }
}

/// Merges two descriptions of a slot that occurs more than once. One of them must be empty, or both the same.
fn unite(before: &mut SlotSyntax, again: SlotSyntax) -> Result<()> {
    let same = match (&before.content, &again.content) {
        (_, Syntax::Free) => true,
        (Syntax::Free, _) => {
            before.content = again.content;
            return Ok(());
        }
        (Syntax::Regex(a, _), Syntax::Regex(b, _)) => a == b,
        (a, b) => a == b,
    };
    if same {
        return Ok(());
    }
    Err(Error::input(format!("the slot `{}` is described twice, differently", again.name))
        .at(again.span)
        .help(format!("describe it once and write {{{{{}}}}} elsewhere, or give it another name", again.name)))
}

fn describe(syntax: &SlotSyntax, cx: &TemplateCx) -> Result<(Slot, SlotCheck)> {
    let name = &syntax.name;
    let mut sizes = cx.sizes.get(name).cloned().unwrap_or_default();
    let content = match &syntax.content {
        Syntax::Free => Content::Free,
        Syntax::Sized(size) => {
            if sizes.iter().any(|s| s.unit() == size.unit()) {
                return Err(Error::input(format!("the size of the slot `{name}` is given here and in its table"))
                    .at(syntax.span.clone())
                    .help("give it in one of the two places"));
            }
            sizes.insert(0, *size);
            Content::Free
        }
        Syntax::Choice(options) => Content::Choice(Choice::new(options)?),
        Syntax::Regex(pattern, at) => Content::Regex(cx.patterns.get(pattern).map_err(|e| e.shifted(*at))?),
    };
    let (slot, check) = Slot::new(name.clone(), content, sizes, cx.slots.get(name).cloned().unwrap_or_default());
    if check.values().is_some_and(<[String]>::is_empty) {
        return Err(Error::unsatisfiable(format!("no text fits the slot `{name}`: its conditions exclude each other"))
            .at(syntax.span.clone())
            .help("loosen the slot's own table, or its choices"));
    }
    Ok((slot, check))
}

impl Constraint for Template {
    fn name(&self) -> String {
        "template".into()
    }

    fn language(&self, cx: &CompileCx) -> Result<Language> {
        let only = |slot: &SlotCheck| match slot.values() {
            Some([value]) => Some(value.clone()),
            _ => None,
        };
        let mut bound: Vec<Option<String>> = self.form.slots.iter().map(only).collect();
        self.concat(0..self.form.parts.len(), &mut bound, cx)
    }

    fn shape(&self) -> &dyn Shape {
        self
    }

    fn remarks(&self) -> Vec<String> {
        self.slots.iter().flat_map(Slot::remarks).collect()
    }

    fn unenforced(&self) -> Vec<Unenforced> {
        self.slots.iter().flat_map(Slot::unenforced).collect()
    }
}

impl Check for Template {
    fn check(&self, text: &str) -> Verdict {
        self.form.check(text)
    }

    fn check_tokens(&self, text: &str, tokens: &[&[u8]]) -> Verdict {
        self.form.check_tokens(text, tokens)
    }
}

impl Shape for Template {
    fn scaffold(&self) -> Option<Scaffold> {
        let parts = self.form.parts.iter().map(|part| match part {
            Part::Literal(literal) => ScaffoldPart::Literal(literal.clone()),
            Part::Slot(slot) => {
                let options = self.form.slots[*slot].values().unwrap_or_default().to_vec();
                let slot = &self.slots[*slot];
                ScaffoldPart::Slot { name: slot.name.clone(), size: slot.size(), options }
            }
        });
        Some(Scaffold { parts: parts.collect() })
    }

    fn slots(&self, text: &str) -> Vec<(String, String)> {
        let Some(spans) = self.form.spans(text) else { return Vec::new() };
        let slot =
            |(slot, (part, _)): (&Slot, &(usize, usize))| (slot.name.clone(), text[spans[*part].clone()].to_string());
        self.slots.iter().zip(&self.span).map(slot).collect()
    }
}
