//! From expressions to automata.

use super::{Dfa, Language, Limits, regex, subset};
use crate::{Error, Result};
use std::borrow::Cow;

/// How many automata are made before they are intersected: a long list fails early where it must fail.
const AT_ONCE: usize = 16;

impl Dfa {
    /// The minimal automaton of the language.
    ///
    /// # Errors
    /// `Input` and `Unsupported` for patterns, with a byte range of the pattern as span; `TooLarge` beyond the
    /// limits. Messages start with the names of the [`Named`](Language::Named) parts around the culprit.
    pub fn compile(language: &Language, limits: &Limits) -> Result<Self> {
        Ok(part(language, limits, 0)?.framed())
    }
}

/// An automaton without a frame: its ends may be anywhere in a text.
fn part(language: &Language, limits: &Limits, depth: usize) -> Result<Dfa> {
    if depth > limits.depth {
        return Err(Error::too_large(format!("constraints are nested deeper than {} levels", limits.depth)));
    }
    let inner = |language: &Language| part(language, limits, depth + 1);
    match language {
        Language::Any => Ok(Dfa::any()),
        Language::Literal(text) => Dfa::literal(text, limits),
        Language::Regex(pattern) => regex::compile(pattern, limits),
        Language::Mark => Ok(Dfa::boundary()),
        Language::Not(language) => inner(language)?.complement(limits),
        Language::Named(name, language) => inner(language).map_err(|e| e.context(name)),
        Language::Tokens { inner: language, min, max } => {
            inner(language)?.intersect(&Dfa::count(*min, *max, limits)?, limits)
        }
        Language::Concat(parts) => {
            let mut flat = Vec::new();
            flatten_concat(parts, limits.depth, &mut flat);
            let parts = flat.iter().map(|p| inner(p)).collect::<Result<Vec<_>>>()?;
            if parts.iter().any(Dfa::is_empty) { Ok(Dfa::none()) } else { subset::concat(&parts, limits) }
        }
        Language::Union(parts) => {
            let mut flat = Vec::new();
            flatten_union(parts, limits.depth, &mut flat);
            let mut parts = flat.into_iter().map(inner).collect::<Result<Vec<_>>>()?;
            parts.retain(|p| !p.is_empty());
            subset::union(&parts, limits)
        }
        Language::Intersect(parts) => {
            let some = |parts: &[Language]| intersect(parts.iter().map(inner).collect::<Result<_>>()?, limits);
            intersect(parts.chunks(AT_ONCE).map(some).collect::<Result<_>>()?, limits)
        }
    }
}

/// Smallest first, so that the products stay small.
fn intersect(mut parts: Vec<Dfa>, limits: &Limits) -> Result<Dfa> {
    loop {
        parts.sort_by_key(|p| std::cmp::Reverse(p.states()));
        let Some(smallest) = parts.pop() else { return Ok(Dfa::any()) };
        let Some(next) = parts.pop() else { return Ok(smallest) };
        parts.push(smallest.intersect(&next, limits)?);
    }
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
