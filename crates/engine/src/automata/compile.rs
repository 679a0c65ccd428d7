//! Compilation of expressions to automata.

use super::automaton::Automaton;
use super::symbols::{Bytes, Chars, Symbols};
use super::{Dfa, Limits, blame, json_text, network, regex, utf8};
use crate::language::{Language, Network};
use crate::{Error, Result};
use std::borrow::Cow;
use std::cmp::Reverse;
use std::ops::Range;

/// How many parts of an intersection are compiled before they are combined: a long list that is too large fails early.
const AT_ONCE: usize = 16;

/// [`Dfa::compile`].
pub(super) fn whole(language: &Language, limits: &Limits) -> Result<Dfa> {
    match language.one_text() {
        Some(text) if text.len() < ONE_TEXT => Ok(Dfa::of_text(&text)),
        _ => part(language, limits, 0)?.finished(limits).map_err(|e| spelled(language, limits, e)),
    }
}

/// Adds to `error`, which says that an expression takes too many states once it is spelled in bytes, the part that
/// does.
fn spelled(language: &Language, limits: &Limits, error: Error) -> Error {
    match language {
        Language::Named(name, inner) => spelled(inner, limits, error).context(name),
        Language::Regex(pattern) if error.is_too_large() => regex::spelled(pattern, limits, error),
        _ => error,
    }
}

/// Up to this length, in bytes, the table of a single text is written directly.
const ONE_TEXT: usize = 256;

/// The most states, over characters where possible, that the product of two factors may have: larger conjunctions stay
/// apart.
const TOGETHER: usize = 4096;

/// [`Dfa::factors`].
pub(super) fn factors(language: &Language, limits: &Limits) -> Result<Vec<Dfa>> {
    let mut names = Vec::new();
    let mut parts = Vec::new();
    conjuncts(language, limits, &mut names, &mut parts, limits.depth)?;
    parts.sort_by_key(|part| Reverse(part.states()));
    let mut factors = Vec::new();
    while let Some(smallest) = parts.pop() {
        match parts.pop() {
            Some(next) if smallest.states().saturating_mul(next.states()) <= TOGETHER => {
                let both = combine(vec![smallest, next], limits, intersect, intersect)?;
                let larger = parts.partition_point(|part| part.states() >= both.states());
                parts.insert(larger, both);
            }
            Some(next) => {
                factors.push(smallest);
                parts.push(next);
            }
            None => factors.push(smallest),
        }
    }
    if factors.is_empty() {
        factors.push(Part::Chars(Automaton::any()));
    }
    factors.into_iter().map(|part| part.finished(limits)).collect()
}

/// The parts of the intersections at the top of an expression.
fn conjuncts<'a>(
    language: &'a Language,
    limits: &Limits,
    names: &mut Vec<&'a str>,
    parts: &mut Vec<Part>,
    depth: usize,
) -> Result<()> {
    match language {
        Language::Named(name, inner) if depth > 0 => {
            names.push(name);
            conjuncts(inner, limits, names, parts, depth - 1)?;
            names.pop();
        }
        Language::Intersect(inner) if depth > 0 => {
            for part in inner {
                conjuncts(part, limits, names, parts, depth - 1)?;
            }
        }
        _ => {
            let part = part(language, limits, 0);
            parts.push(part.map_err(|e| names.iter().rev().fold(e, |e, name| e.context(name)))?);
        }
    }
    Ok(())
}

/// An automaton of a part of a text. Languages that do not speak of token boundaries are kept over characters as long
/// as possible, which takes far fewer states and classes than bytes.
enum Part {
    Chars(Automaton<Chars>),
    Bytes(Automaton<Bytes>),
}

impl Part {
    fn is_empty(&self) -> bool {
        match self {
            Self::Chars(chars) => chars.is_empty(),
            Self::Bytes(bytes) => bytes.is_empty(),
        }
    }
    fn states(&self) -> usize {
        match self {
            Self::Chars(chars) => chars.states(),
            Self::Bytes(bytes) => bytes.states(),
        }
    }
    /// The automaton of a finished text.
    fn finished(self, limits: &Limits) -> Result<Dfa> {
        match self {
            Self::Chars(chars) => utf8::expand(&chars, limits).map(Dfa),
            Self::Bytes(bytes) => Ok(Dfa(bytes.framed())),
        }
    }
    fn chars(self) -> Option<Automaton<Chars>> {
        match self {
            Self::Chars(chars) => Some(chars),
            Self::Bytes(_) => None,
        }
    }
    fn bytes(self, limits: &Limits) -> Result<Automaton<Bytes>> {
        match self {
            Self::Chars(chars) => utf8::expand(&chars, limits),
            Self::Bytes(bytes) => Ok(bytes),
        }
    }
}

fn part(language: &Language, limits: &Limits, depth: usize) -> Result<Part> {
    if depth > limits.depth {
        let message = format!("constraints are nested deeper than {} levels", limits.depth);
        return Err(Error::too_large(message).help("flatten them: all constraints hold at once anyway"));
    }
    let inner = |language: &Language| part(language, limits, depth + 1);
    match language {
        Language::Any => Ok(Part::Chars(Automaton::any())),
        Language::Literal(text) => literal(text, limits),
        Language::Regex(pattern) => regex::compile(pattern, limits).map(Part::Chars),
        Language::Mark => Ok(Part::Bytes(Automaton::boundary())),
        Language::Named(name, language) => inner(language).map_err(|e| e.context(name)),
        Language::Grammar(_) => Err(Error::unsupported("a grammar cannot be taken as regular here")),
        Language::Not(language) => match inner(language)? {
            Part::Chars(chars) => chars.complement(&Automaton::any(), limits).map(Part::Chars),
            Part::Bytes(bytes) => bytes.complement(&utf8::expand(&Automaton::any(), limits)?, limits).map(Part::Bytes),
        },
        Language::Tokens { inner: language, min, max } => {
            let count = Automaton::count(*min, *max, limits)?;
            inner(language)?.bytes(limits)?.intersect(&count, limits).map(Part::Bytes)
        }
        Language::Concat(parts) => {
            let mut flat = Vec::new();
            flatten_concat(parts, limits.depth, &mut flat);
            let parts = flat.iter().map(|p| inner(p)).collect::<Result<Vec<_>>>()?;
            sequence(parts, limits).map_err(|e| match e.is_too_large() && limits.check_time("it").is_ok() {
                true => {
                    let limits = blame::within(limits);
                    let some = |range: Range<usize>| {
                        let parts = flat[range].iter().map(|p| part(p, &limits, depth + 1));
                        sequence(parts.collect::<Result<Vec<_>>>()?, &limits)
                    };
                    let flat: Vec<&Language> = flat.iter().map(|part| &**part).collect();
                    blame::in_sequence(&flat, |range| limits.check_time("it").is_ok() && some(range).is_err(), e)
                }
                false => e,
            })
        }
        Language::Union(parts) => {
            let mut flat = Vec::new();
            flatten_union(parts, limits.depth, &mut flat);
            let texts: Vec<&str> = flat.iter().filter_map(|part| part.as_literal()).collect();
            let mut parts = match texts.len() {
                0 => Vec::new(),
                _ => vec![words(&texts, limits)?],
            };
            for part in flat.into_iter().filter(|part| part.as_literal().is_none()) {
                parts.push(inner(part)?);
            }
            union(parts, limits)
        }
        Language::Network(network) => {
            let labels = network.labels.iter().map(inner).collect::<Result<Vec<_>>>()?;
            paths(network, labels, limits)
        }
        Language::JsonEscaped(language) => match inner(language)? {
            Part::Chars(chars) => json_text::escape(&chars, limits).map(Part::Chars),
            Part::Bytes(_) => Err(Error::unsupported("token boundaries inside a JSON string cannot be told")
                .help("keep sizes in tokens outside of the schema")),
        },
        Language::Intersect(parts) if parts.is_empty() => Ok(Part::Chars(Automaton::any())),
        Language::Intersect(parts) => {
            let all = |parts| combine(parts, limits, intersect, intersect);
            let some = |parts: &[Language]| all(parts.iter().map(inner).collect::<Result<Vec<_>>>()?);
            all(parts.chunks(AT_ONCE).map(some).collect::<Result<Vec<_>>>()?)
        }
    }
}

fn sequence(parts: Vec<Part>, limits: &Limits) -> Result<Part> {
    match parts.iter().any(Part::is_empty) {
        true => union(Vec::new(), limits),
        false if parts.is_empty() => literal("", limits),
        false => combine(parts, limits, |p, l| network::concat(&p, l), |p, l| network::concat(&p, l)),
    }
}

fn literal(text: &str, limits: &Limits) -> Result<Part> {
    // A long text in a large script has too many distinct characters for a table over characters.
    match Automaton::<Chars>::literal(text, limits) {
        Ok(chars) => Ok(Part::Chars(chars)),
        Err(_) => Automaton::<Bytes>::literal(text, limits).map(Part::Bytes),
    }
}

fn words(texts: &[&str], limits: &Limits) -> Result<Part> {
    match Automaton::<Chars>::words(texts, limits) {
        Ok(chars) if chars.symbols.width() <= 257 => Ok(Part::Chars(chars)),
        _ => Automaton::<Bytes>::words(texts, limits).map(Part::Bytes).map_err(|_| {
            let (count, states, mib) = (texts.len(), limits.states, limits.bytes >> 20);
            Error::too_large(format!("a list of {count} texts that takes more than {states} states or {mib} MiB"))
                .help("use fewer or shorter texts; the beginnings and ends they share are stored once")
        }),
    }
}

fn union(mut parts: Vec<Part>, limits: &Limits) -> Result<Part> {
    parts.retain(|p| !p.is_empty());
    match parts.len() {
        0 => Ok(Part::Chars(Automaton::none(&Chars::all()))),
        1 => Ok(parts.remove(0)),
        _ => combine(parts, limits, |p, l| network::union(&p, l), |p, l| network::union(&p, l)),
    }
}

/// The paths of a network whose labels are built.
fn paths(network: &Network, labels: Vec<Part>, limits: &Limits) -> Result<Part> {
    let nodes = network.accepting.len() as u32;
    let valid = |&&(from, label, to): &&(u32, u32, u32)| {
        from < nodes && to < nodes && labels.get(label as usize).is_some_and(|label| !label.is_empty())
    };
    let mut arrows: Vec<(u32, u32, u32)> = network.arrows.iter().filter(valid).copied().collect();
    let mut last = network.accepting.clone();
    let mut labels = labels;
    if last.first() == Some(&true) {
        // A text may be empty: an empty arrow leads to a node of its own.
        arrows.push((0, labels.len() as u32, nodes));
        labels.push(literal("", limits)?);
        last[0] = false;
        last.push(true);
        // Paths that come back to node 0 may end there too.
        let back: Vec<(u32, u32, u32)> = arrows.iter().filter(|a| a.2 == 0).map(|a| (a.0, a.1, nodes)).collect();
        arrows.extend(back);
    }
    if arrows.is_empty() {
        return union(Vec::new(), limits);
    }
    let mut follow = vec![Vec::new(); last.len()];
    for (part, &(from, ..)) in (0..).zip(&arrows) {
        follow[from as usize].push(part);
    }
    let plan = network::PartNetwork { follow, to: arrows.iter().map(|a| a.2).collect(), last };
    let used: Vec<usize> = arrows.iter().map(|a| a.1 as usize).collect();
    if labels.iter().all(|p| matches!(p, Part::Chars(_))) && narrower_than_bytes(&labels) {
        let chars: Vec<_> = labels.into_iter().filter_map(Part::chars).collect();
        let parts = used.iter().filter_map(|&label| chars.get(label)).collect();
        return network::network(parts, plan, limits).map(Part::Chars);
    }
    let bytes = labels.into_iter().map(|p| p.bytes(limits)).collect::<Result<Vec<_>>>()?;
    let parts = used.iter().filter_map(|&label| bytes.get(label)).collect();
    network::network(parts, plan, limits).map(Part::Bytes)
}

/// Over characters if all parts are, over bytes otherwise.
fn combine(
    parts: Vec<Part>,
    limits: &Limits,
    over_chars: impl Fn(Vec<Automaton<Chars>>, &Limits) -> Result<Automaton<Chars>>,
    over_bytes: impl Fn(Vec<Automaton<Bytes>>, &Limits) -> Result<Automaton<Bytes>>,
) -> Result<Part> {
    if parts.iter().all(|p| matches!(p, Part::Chars(_))) && narrower_than_bytes(&parts) {
        return over_chars(parts.into_iter().filter_map(Part::chars).collect(), limits).map(Part::Chars);
    }
    let bytes = parts.into_iter().map(|p| p.bytes(limits)).collect::<Result<Vec<_>>>()?;
    over_bytes(bytes, limits).map(Part::Bytes)
}

/// Whether the parts tell apart no more classes of characters than bytes can have: a text in a large script may.
fn narrower_than_bytes(parts: &[Part]) -> bool {
    let symbols = parts.iter().filter_map(|p| match p {
        Part::Chars(chars) => Some(&chars.symbols),
        Part::Bytes(_) => None,
    });
    Chars::join(symbols).0.width() <= 257
}

/// Smallest first, so that the products stay small.
fn intersect<S: Symbols>(mut parts: Vec<Automaton<S>>, limits: &Limits) -> Result<Automaton<S>> {
    parts.sort_by_key(|p| Reverse(p.states()));
    let Some(mut all) = parts.pop() else { return Ok(Automaton::none(&S::join([].iter()).0)) };
    while let Some(next) = parts.pop() {
        all = all.intersect(&next, limits)?;
        let larger = parts.partition_point(|p| p.states() >= all.states());
        if larger < parts.len() {
            std::mem::swap(&mut all, &mut parts[larger..][0]);
        }
    }
    Ok(all)
}

/// The parts of a sequence and of the sequences in it; neighbouring literals become one.
fn flatten_concat<'a>(parts: &'a [Language], depth: usize, flat: &mut Vec<Cow<'a, Language>>) {
    for part in parts {
        match part {
            Language::Concat(inner) if depth > 0 => flatten_concat(inner, depth - 1, flat),
            Language::Literal(text) => match flat.last_mut() {
                Some(Cow::Owned(Language::Literal(before))) => before.push_str(text),
                Some(Cow::Borrowed(Language::Literal(before))) => {
                    let joined = Language::Literal(format!("{before}{text}"));
                    flat.pop();
                    flat.push(Cow::Owned(joined));
                }
                _ => flat.push(Cow::Borrowed(part)),
            },
            _ => flat.push(Cow::Borrowed(part)),
        }
    }
}

fn flatten_union<'a>(parts: &'a [Language], depth: usize, flat: &mut Vec<&'a Language>) {
    for part in parts {
        match part {
            Language::Union(inner) if depth > 0 => flatten_union(inner, depth - 1, flat),
            _ => flat.push(part),
        }
    }
}
