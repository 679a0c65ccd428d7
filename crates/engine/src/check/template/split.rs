//! Which part of a finished text each slot of a template holds, found by search.

use super::{
    Form, Part,
    slot::{SlotCheck, is_break},
};
use crate::check::Verdict;
use std::ops::Range;

/// Most steps and bytes looked at before the search gives up.
const MAX_WORK: usize = 100_000_000;
/// Most offsets remembered.
const MAX_OFFSETS: usize = 10_000_000;

/// How a text splits.
#[derive(Debug, PartialEq)]
pub(crate) enum Split {
    /// One byte range per part. The leftmost slot is as short as it can be, then the next.
    Found(Vec<Range<usize>>),
    No {
        at: usize,
        why: String,
    },
    /// Too many ways to split it.
    TooLong,
}

/// The search gave up: there are too many ways to split the text.
struct TooLong;

/// A search for the split of one text: forward over the parts for the offsets that can be reached, then backward
/// for those of them that lead to the end.
pub(crate) struct Splitter<'a> {
    template: &'a Form,
    text: &'a str,
    /// Offsets of line breaks.
    breaks: Vec<usize>,
    /// The tokens that write the text, and the offsets where they start, where they are known.
    tokens: Option<(&'a [&'a [u8]], Vec<usize>)>,
    /// Whether a slot that cannot be decided counts as fitting.
    lenient: bool,
    /// A slot could not be decided, and why.
    pub unknown: Option<String>,
    furthest: (usize, String),
    work: usize,
    offsets: usize,
}

impl<'a> Splitter<'a> {
    pub fn new(template: &'a Form, text: &'a str, tokens: Option<&'a [&'a [u8]]>, lenient: bool) -> Self {
        let starts = |tokens: &[&[u8]]| {
            let mut starts = vec![0];
            starts.extend(tokens.iter().scan(0, |at, token| {
                *at += token.len();
                Some(*at)
            }));
            starts
        };
        Self {
            template,
            text,
            breaks: text.match_indices(is_break).map(|(at, _)| at).collect(),
            tokens: tokens.map(|tokens| (tokens, starts(tokens))),
            lenient,
            unknown: None,
            furthest: (0, String::new()),
            work: 0,
            offsets: 0,
        }
    }

    pub fn run(&mut self) -> Split {
        let mut best: Option<Vec<usize>> = None;
        let mut bound = vec![None; self.template.slots.len()];
        if let Err(TooLong) = self.combinations(0, &mut bound, &mut best) {
            return Split::TooLong;
        }
        match best {
            Some(ends) => {
                let starts = std::iter::once(0).chain(ends.iter().copied());
                Split::Found(starts.zip(&ends).map(|(start, &end)| start..end).collect())
            }
            None => {
                let (at, why) = std::mem::take(&mut self.furthest);
                Split::No { at, why }
            }
        }
    }

    /// Tries all texts of the slots that occur more than once, except those that the text does not contain.
    fn combinations(
        &mut self,
        next: usize,
        bound: &mut Vec<Option<&'a str>>,
        best: &mut Option<Vec<usize>>,
    ) -> Result<(), TooLong> {
        let template = self.template;
        let Some(&slot) = template.repeated.get(next) else {
            if let Some(ends) = self.ends_of(bound)?
                && best.as_ref().is_none_or(|best| ends < *best)
            {
                *best = Some(ends);
            }
            return Ok(());
        };
        let mut tried = false;
        for value in template.slots[slot].values().unwrap_or_default() {
            self.spend(self.text.len())?;
            if self.text.contains(value.as_str()) {
                tried = true;
                bound[slot] = Some(value.as_str());
                self.combinations(next + 1, bound, best)?;
            }
        }
        bound[slot] = None;
        if !tried {
            self.miss(0, || format!("none of the texts of slot `{}` occurs", template.slots[slot].name));
        }
        Ok(())
    }

    /// Where each part ends, if the text splits with these texts for the repeated slots.
    fn ends_of(&mut self, bound: &[Option<&'a str>]) -> Result<Option<Vec<usize>>, TooLong> {
        let parts = self.template.parts.len();
        let mut reached = vec![vec![0]];
        for part in 0..parts {
            let ends = self.forward(part, &reached[part], bound)?;
            if ends.is_empty() {
                self.explain(part, reached[part].last().copied().unwrap_or(0));
                return Ok(None);
            }
            self.offsets += ends.len();
            if self.offsets > MAX_OFFSETS {
                return Err(TooLong);
            }
            reached.push(ends);
        }
        let last = reached.pop().unwrap_or_default();
        if last.last() != Some(&self.text.len()) {
            self.miss(last.last().copied().unwrap_or(0), || "the template ends here, the text goes on".into());
            return Ok(None);
        }
        let mut steps: Vec<Vec<(usize, usize)>> = Vec::new();
        let mut alive = vec![self.text.len()];
        while let Some(starts) = reached.pop() {
            let part = reached.len();
            let mut step = Vec::new();
            for start in starts {
                if let Some(end) = self.backward(part, start, &alive, bound)? {
                    step.push((start, end));
                }
            }
            alive = step.iter().map(|(start, _)| *start).collect();
            steps.push(step);
        }
        let mut at = 0;
        let mut ends = Vec::new();
        for step in steps.iter().rev() {
            let Ok(i) = step.binary_search_by_key(&at, |(start, _)| *start) else { return Ok(None) };
            at = step[i].1;
            ends.push(at);
        }
        self.offsets = 0;
        Ok(Some(ends))
    }

    /// The offsets, in order, at which a part may end that starts at one of `starts`.
    fn forward(&mut self, part: usize, starts: &[usize], bound: &[Option<&str>]) -> Result<Vec<usize>, TooLong> {
        let (template, text) = (self.template, self.text);
        let mut ends = Vec::new();
        let index = match &template.parts[part] {
            Part::Literal(literal) => {
                self.spend(starts.len())?;
                let fitting = starts.iter().filter(|start| text[**start..].starts_with(&**literal));
                return Ok(fitting.map(|start| start + literal.len()).collect());
            }
            Part::Slot(index) => *index,
        };
        let slot = &template.slots[index];
        let only = bound[index].map(str::to_string);
        if let Some(values) = only.as_ref().map(std::slice::from_ref).or(slot.values()) {
            for &start in starts {
                for value in values {
                    self.spend(1)?;
                    if text[start..].starts_with(&**value) && self.fits(slot, part, start, start + value.len())? {
                        ends.push(start + value.len());
                    }
                }
            }
            ends.sort_unstable();
            ends.dedup();
            return Ok(ends);
        }
        let mut reaches = Vec::new();
        let starts: Vec<usize> = starts.iter().copied().filter(|s| !slot.is_plain() || self.may_start(*s)).collect();
        for &start in &starts {
            reaches.push(self.reach(slot, start)?);
        }
        let first = starts.first().copied().unwrap_or(text.len());
        for end in self.candidates(part, first)? {
            // A plain slot that ends here fits from every start on this line, so the nearest start decides.
            let mut before = starts.partition_point(|s| *s <= end);
            let last = if slot.is_plain() { before.saturating_sub(2) } else { 0 };
            while before > last {
                before -= 1;
                if end <= reaches[before] && self.fits(slot, part, starts[before], end)? {
                    ends.push(end);
                    break;
                }
            }
        }
        Ok(ends)
    }

    /// The smallest of the offsets `alive` at which a part may end that starts at `start`.
    fn backward(
        &mut self,
        part: usize,
        start: usize,
        alive: &[usize],
        bound: &[Option<&str>],
    ) -> Result<Option<usize>, TooLong> {
        let (template, rest) = (self.template, &self.text[start..]);
        let known = |end: usize| alive.binary_search(&end).is_ok().then_some(end);
        self.spend(1)?;
        let index = match &template.parts[part] {
            Part::Literal(literal) => {
                return Ok(known(start + literal.len()).filter(|_| rest.starts_with(&**literal)));
            }
            Part::Slot(index) => *index,
        };
        let slot = &template.slots[index];
        if let Some(value) = bound[index] {
            let Some(end) = known(start + value.len()).filter(|_| rest.starts_with(value)) else { return Ok(None) };
            return Ok(self.fits(slot, part, start, end)?.then_some(end));
        }
        let reach = self.reach(slot, start)?;
        let from = alive.partition_point(|end| *end < start);
        for &end in alive[from..].iter().take_while(|end| **end <= reach) {
            if self.fits(slot, part, start, end)? {
                return Ok(Some(end));
            }
        }
        Ok(None)
    }

    /// The offsets, `from` or later, at which what follows a slot may begin.
    fn candidates(&mut self, part: usize, from: usize) -> Result<Vec<usize>, TooLong> {
        let text = self.text;
        self.spend(text.len() - from)?;
        Ok(match self.template.parts.get(part + 1) {
            None => vec![text.len()],
            Some(Part::Slot(_)) => (from..=text.len()).filter(|at| text.is_char_boundary(*at)).collect(),
            Some(Part::Literal(literal)) => {
                let mut found = Vec::new();
                let mut at = from;
                while let Some(i) = text[at..].find(&**literal) {
                    found.push(at + i);
                    at += i + text[at + i..].chars().next().map_or(1, char::len_utf8);
                }
                found
            }
        })
    }

    /// The offset beyond which a slot that starts at `start` cannot end.
    fn reach(&mut self, slot: &SlotCheck, start: usize) -> Result<usize, TooLong> {
        let next = self.breaks.partition_point(|at| *at < start);
        let line = self.breaks.get(next).copied().filter(|_| slot.is_line()).unwrap_or(self.text.len());
        if slot.is_plain() {
            return Ok(line);
        }
        let reach = slot.reach(&self.text[start..line]);
        self.spend(reach)?;
        Ok(start + reach)
    }

    fn may_start(&self, at: usize) -> bool {
        !self.text[at..].starts_with(char::is_whitespace)
    }

    /// Whether a slot may hold a range that lies within its reach.
    fn fits(&mut self, slot: &SlotCheck, part: usize, start: usize, end: usize) -> Result<bool, TooLong> {
        let text = &self.text[start..end];
        if slot.is_plain() {
            self.spend(1)?;
            return Ok(!text.is_empty() && self.may_start(start) && !text.ends_with(char::is_whitespace));
        }
        self.spend(1 + text.len())?;
        let from = start - usize::from(self.template.leads(part));
        let tokens = self.tokens.as_ref().and_then(|(tokens, starts)| {
            tokens.get(starts.binary_search(&from).ok()?..starts.binary_search(&end).ok()?)
        });
        if self.tokens.is_some() && tokens.is_none() && slot.counts_tokens {
            return Ok(false);
        }
        Ok(match slot.check(text, tokens) {
            Verdict::Accept => true,
            Verdict::Reject { .. } => false,
            Verdict::Unknown { why } => {
                self.unknown = Some(format!("slot `{}`: {why}", slot.name));
                self.lenient
            }
        })
    }

    fn spend(&mut self, work: usize) -> Result<(), TooLong> {
        self.work += work;
        if self.work > MAX_WORK { Err(TooLong) } else { Ok(()) }
    }

    /// Says why a part that starts here has no end.
    fn explain(&mut self, part: usize, start: usize) {
        let (template, rest) = (self.template, &self.text[start..]);
        match &template.parts[part] {
            Part::Literal(literal) => {
                let same = literal.chars().zip(rest.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8());
                self.miss(start + same.sum::<usize>(), || format!("expected {:?}", shorten(literal)));
            }
            Part::Slot(index) => {
                let slot = &template.slots[*index];
                let end = match template.parts.get(part + 1) {
                    Some(Part::Literal(literal)) => rest.find(&**literal),
                    _ => Some(rest.len()),
                };
                match end.map(|end| slot.check(&rest[..end], None)) {
                    Some(Verdict::Reject { at, why }) => {
                        self.miss(start + at, || format!("slot `{}`: {why}", slot.name))
                    }
                    Some(_) => self.miss(start, || format!("nothing here fits the slot `{}`", slot.name)),
                    None => self.miss(self.text.len(), || format!("what follows the slot `{}` is missing", slot.name)),
                }
            }
        }
    }

    /// Remembers the failure that lies furthest to the right.
    fn miss(&mut self, at: usize, why: impl FnOnce() -> String) {
        if at > self.furthest.0 || self.furthest.1.is_empty() {
            self.furthest = (at, why());
        }
    }
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_string(),
    }
}
