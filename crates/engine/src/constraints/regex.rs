//! The whole text matches a pattern.

use super::{CompileCx, Constraint, Shape};
use crate::{
    Error, Language, Result,
    automata::{Dfa, Limits},
    check::{Check, Verdict, regex::FullMatch},
    language::Pattern,
};
use regex_syntax::hir::{Class, Hir, HirKind};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Largest program of all patterns of a file, in bytes.
const TOTAL_LIMIT: usize = 128 << 20;
/// Most texts of a pattern that are worth listing.
pub(crate) const MAX_TEXTS: usize = 256;
const MAX_TEXT_BYTES: usize = 16 << 10;

/// The whole text matches a pattern, in the syntax of the `regex` crate without look-around.
///
/// The anchors `^` and `\A` at the start, `$` and `\z` at the end change nothing and are allowed.
#[derive(Debug, Clone)]
pub struct Regex {
    /// The pattern without anchors.
    pattern: String,
    hir: Hir,
    matcher: FullMatch,
}

impl Regex {
    /// Reads a pattern.
    ///
    /// # Errors
    /// A pattern that cannot be read, or uses look-around, back-references or word boundaries, or is too large; with
    /// the place in the pattern.
    pub fn new(pattern: &str) -> Result<Self> {
        let Pattern { bare, hir, whole } = Pattern::parse(pattern)?;
        match Pattern::matcher(&whole) {
            Ok(Some(matcher)) => Ok(Self { pattern: bare, hir, matcher: FullMatch::new(matcher) }),
            Ok(None) => Err(too_large(&bare, TOO_LARGE)),
            Err(e) => Err(e.at(0..pattern.len())),
        }
    }

    /// Fewest and most characters of a match; `usize::MAX` where there is no bound.
    pub(crate) fn chars(&self) -> (usize, usize) {
        char_bounds(&self.hir)
    }
}

impl Constraint for Regex {
    fn name(&self) -> String {
        "regex".into()
    }

    fn language(&self, _: &CompileCx) -> Result<Language> {
        Ok(Language::regex(&*self.pattern))
    }

    fn shape(&self) -> &dyn Shape {
        self
    }
}

impl Check for Regex {
    fn check(&self, text: &str) -> Verdict {
        self.matcher.check(text)
    }
}

impl Shape for Regex {
    fn texts(&self) -> Option<Vec<String>> {
        texts(&self.hir)
    }
}

/// The patterns of one file: each is compiled once, and together they have a limit.
#[derive(Clone, Default)]
pub struct Patterns {
    compiled: Arc<Mutex<HashMap<String, Arc<Regex>>>>,
}

impl Patterns {
    /// The compiled pattern, from the cache where it was asked for before.
    ///
    /// # Errors
    /// Those of [`Regex::new`], and beyond the limit.
    pub fn get(&self, pattern: &str) -> Result<Arc<Regex>> {
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(regex) = compiled.get(pattern) {
            return Ok(regex.clone());
        }
        let regex = Arc::new(Regex::new(pattern)?);
        let bytes = |regex: &Regex| regex.matcher.memory_bytes() + pattern.len();
        if compiled.values().map(|r| bytes(r)).sum::<usize>() + bytes(&regex) > TOTAL_LIMIT {
            return Err(too_large(pattern, "the regexes up to this one need too much memory together"));
        }
        compiled.insert(pattern.to_string(), regex.clone());
        Ok(regex)
    }
}

/// The message where a single pattern is too large.
const TOO_LARGE: &str = "this regex needs too much memory";

fn too_large(pattern: &str, message: &str) -> Error {
    // The automaton's error names the part that explodes.
    if let Some(error) = Dfa::compile(&Language::regex(pattern), &Limits::default()).err().filter(Error::is_too_large) {
        return error;
    }
    let help = "use smaller repetitions: they multiply where they are nested";
    Error::too_large(message).at(0..pattern.len()).help(help)
}

/// The texts that match, if there are at most [`MAX_TEXTS`].
fn texts(hir: &Hir) -> Option<Vec<String>> {
    let texts = match hir.kind() {
        HirKind::Empty => vec![String::new()],
        HirKind::Literal(literal) => vec![String::from_utf8(literal.0.to_vec()).ok()?],
        HirKind::Class(Class::Unicode(class)) => {
            let size: usize = class.iter().map(|r| r.len()).sum();
            let chars = || class.iter().flat_map(|r| r.start()..=r.end()).map(String::from);
            if size <= MAX_TEXTS { chars().collect() } else { return None }
        }
        HirKind::Class(Class::Bytes(class)) => {
            class.iter().flat_map(|r| r.start()..=r.end()).map(|b| char::from(b).to_string()).collect()
        }
        HirKind::Look(_) => return None,
        HirKind::Capture(capture) => texts(&capture.sub)?,
        HirKind::Repetition(repetition) => {
            let once = texts(&repetition.sub)?;
            let max = repetition.max.filter(|&max| max as usize <= MAX_TEXTS)?;
            let mut all = Vec::new();
            let mut power = vec![String::new()];
            for n in 0..=max {
                if n >= repetition.min {
                    all.extend(power.iter().cloned());
                }
                power = product(&power, &once)?;
                if all.len() > MAX_TEXTS {
                    return None;
                }
            }
            all
        }
        HirKind::Concat(parts) => {
            parts.iter().try_fold(vec![String::new()], |before, part| product(&before, &texts(part)?))?
        }
        HirKind::Alternation(parts) => parts.iter().map(texts).collect::<Option<Vec<_>>>()?.concat(),
    };
    let mut seen = std::collections::HashSet::new();
    let texts: Vec<String> = texts.into_iter().filter(|t| seen.insert(t.clone())).collect();
    (texts.len() <= MAX_TEXTS).then_some(texts)
}

/// Every text of one list followed by every text of the other, unless that is too much.
fn product(left: &[String], right: &[String]) -> Option<Vec<String>> {
    let bytes = |texts: &[String]| texts.iter().map(String::len).sum::<usize>();
    if bytes(left) * right.len() + bytes(right) * left.len() > MAX_TEXT_BYTES {
        return None;
    }
    let pairs = left.iter().flat_map(|l| right.iter().map(move |r| format!("{l}{r}")));
    (left.len() * right.len() <= MAX_TEXTS).then(|| pairs.collect())
}

/// Fewest and most characters of a match.
fn char_bounds(hir: &Hir) -> (usize, usize) {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => (0, 0),
        HirKind::Literal(literal) => {
            let chars = String::from_utf8_lossy(&literal.0).chars().count();
            (chars, chars)
        }
        HirKind::Class(_) => (1, 1),
        HirKind::Capture(capture) => char_bounds(&capture.sub),
        HirKind::Repetition(repetition) => {
            let (min, max) = char_bounds(&repetition.sub);
            let times = repetition.max.map_or(usize::MAX, |n| n as usize);
            // An empty match, repeated without end, stays empty.
            let max = if max == 0 { 0 } else { max.saturating_mul(times) };
            (min.saturating_mul(repetition.min as usize), max)
        }
        HirKind::Concat(parts) => {
            parts.iter().map(char_bounds).fold((0, 0), |(a, b), (c, d)| (a.saturating_add(c), b.saturating_add(d)))
        }
        HirKind::Alternation(parts) => {
            parts.iter().map(char_bounds).fold((usize::MAX, 0), |(a, b), (c, d)| (a.min(c), b.max(d)))
        }
    }
}
