//! A text with fixed spans and slots.

mod inputs;
mod slot;
mod split;
mod syntax;

pub use inputs::Inputs;

use super::{Choice, CompileCx, Constraint, Length, Patterns, Scaffold, ScaffoldPart, Verdict};
use crate::{Error, Language, Result, schema::Left};
use slot::{Content, Slot};
use split::{Split, Splitter};
use std::{collections::BTreeMap, sync::Arc};
use syntax::{Content as Syntax, Piece, SlotSyntax};

/// Most combinations of the texts of slots that occur more than once.
const MAX_COMBINATIONS: usize = 1024;
/// Most parts of the language that has all those combinations written out.
const MAX_PARTS: usize = 1 << 18;

/// What the parts of a template may depend on.
#[derive(Clone, Default)]
pub struct TemplateCx {
    /// Values of `$name` inputs.
    pub inputs: Inputs,
    /// Constraints on single slots, by slot name.
    pub slots: BTreeMap<String, Vec<Arc<dyn Constraint>>>,
    /// Sizes of single slots; they mean what a size inside `{{name:…}}` means.
    pub sizes: BTreeMap<String, Vec<Length>>,
    /// The patterns of the same file.
    pub patterns: Patterns,
}

/// Literal text that comes back byte for byte, and slots that the model fills.
#[derive(Clone)]
pub struct Template {
    parts: Vec<Part>,
    slots: Vec<Slot>,
    /// The slots that occur more than once.
    repeated: Vec<usize>,
    /// First and last part of each slot.
    span: Vec<(usize, usize)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Slot(usize),
}

impl Template {
    /// Reads a template; `$name` stands for the value of an input.
    ///
    /// ```
    /// use stencil_engine::{Constraint, constraints::{Inputs, Template}};
    /// let template = Template::parse("The {{animal:1-2}} is {{size|small|large}}.", &Inputs::default())?;
    /// let slots = template.slots("The sea otter is small.");
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
        let slots = written.iter().map(|slot| describe(slot, cx)).collect::<Result<_>>()?;
        let mut template = Self { parts, slots, repeated: Vec::new(), span };
        template.find_repeated(&written)?;
        Ok(template)
    }

    /// Slots that occur again must have few texts: the language is a union over them.
    fn find_repeated(&mut self, written: &[SlotSyntax]) -> Result<()> {
        let mut combinations = 1usize;
        for (i, (slot, syntax)) in self.slots.iter().zip(written).enumerate() {
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
            if combinations > MAX_COMBINATIONS || combinations * self.parts.len() > MAX_PARTS {
                return Err(Error::too_large(
                    "the slots that occur more than once have too many combinations of texts",
                )
                .at(syntax.span.clone())
                .help(format!("give `{name}` fewer choices, or make it an input: ${name}, with --set {name}=TEXT")));
            }
            self.repeated.push(i);
        }
        Ok(())
    }

    /// Whether the space before this part counts with the first token of its slot.
    ///
    /// Most vocabularies write a word and the space before it as one token: a slot sized in tokens starts there.
    fn leads(&self, part: usize) -> bool {
        let counts = matches!(&self.parts[part], Part::Slot(slot) if self.slots[*slot].tokens().is_some());
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

    /// The language of the parts `range`; `bound` gives the texts of slots that have been decided.
    fn concat(&self, range: std::ops::Range<usize>, bound: &mut [Option<String>], cx: &CompileCx) -> Result<Language> {
        // A slot whose text is not decided and that comes again, and where it comes last.
        let again = |part: usize, bound: &[Option<String>]| match self.parts[part] {
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
            // Widen until no other such slot comes again behind the end.
            let mut at = part;
            while at < last {
                last = last.max(again(at, bound).map_or(0, |(_, end)| end));
                at += 1;
            }
            let mut union = Vec::new();
            for value in self.slots[slot].values().unwrap_or_default() {
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
        let slot = match &self.parts[part] {
            Part::Literal(literal) => {
                let moved = part + 1 < self.parts.len() && self.leads(part + 1);
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
                    if self.leads(part) { Language::Concat(vec![Language::literal(" "), inner]) } else { inner };
                Language::Tokens { inner: Box::new(inner), min, max }
            }
        };
        Ok(language.named(format!("slot `{}`", slot.name)))
    }
}

/// A slot that occurs again is described once, or twice alike.
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

fn describe(syntax: &SlotSyntax, cx: &TemplateCx) -> Result<Slot> {
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
    let slot = Slot::new(name.clone(), content, sizes, cx.slots.get(name).cloned().unwrap_or_default());
    if slot.values().is_some_and(<[String]>::is_empty) {
        return Err(Error::unsatisfiable(format!("no text fits the slot `{name}`: its conditions exclude each other"))
            .at(syntax.span.clone())
            .help("loosen the slot's own table, or its choices"));
    }
    Ok(slot)
}

impl Constraint for Template {
    fn name(&self) -> String {
        "template".into()
    }

    fn language(&self, cx: &CompileCx) -> Result<Language> {
        let only = |slot: &Slot| match slot.values() {
            Some([value]) => Some(value.clone()),
            _ => None,
        };
        let mut bound: Vec<Option<String>> = self.slots.iter().map(only).collect();
        self.concat(0..self.parts.len(), &mut bound, cx)
    }

    fn check(&self, text: &str) -> Verdict {
        self.verdict(text, None)
    }

    fn check_tokens(&self, text: &str, tokens: &[&[u8]]) -> Verdict {
        self.verdict(text, Some(tokens))
    }

    fn remarks(&self) -> Vec<String> {
        self.slots.iter().flat_map(Slot::remarks).collect()
    }

    fn left(&self) -> Vec<Left> {
        self.slots.iter().flat_map(Slot::left).collect()
    }

    fn scaffold(&self) -> Option<Scaffold> {
        let parts = self.parts.iter().map(|part| match part {
            Part::Literal(literal) => ScaffoldPart::Literal(literal.clone()),
            Part::Slot(slot) => {
                let slot = &self.slots[*slot];
                let options = slot.values().unwrap_or_default().to_vec();
                ScaffoldPart::Slot { name: slot.name.clone(), size: slot.size(), options }
            }
        });
        Some(Scaffold { parts: parts.collect() })
    }

    fn slots(&self, text: &str) -> Vec<(String, String)> {
        let (Split::Found(spans), _) = self.split(text, None) else { return Vec::new() };
        let slot =
            |(slot, (part, _)): (&Slot, &(usize, usize))| (slot.name.clone(), text[spans[*part].clone()].to_string());
        self.slots.iter().zip(&self.span).map(slot).collect()
    }
}
