//! The whole text matches a pattern.

use super::{CompileCx, Constraint, Verdict};
use crate::{
    Error, Language, Result,
    automata::{Dfa, Limits},
    spec::{BuildCx, Kind, Part},
};
use regex_automata::meta;
use regex_syntax::{
    ast::{self, Ast},
    hir::{Class, Hir, HirKind, Look},
};
use schemars::JsonSchema;
use serde::Deserialize;
use std::{
    collections::HashMap,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

/// Largest program of the checking engine, in bytes.
const SIZE_LIMIT: usize = 64 << 20;
/// And of all patterns of a file.
const TOTAL_LIMIT: usize = 128 << 20;
/// Deepest nesting of groups, classes and repetitions.
const NEST_LIMIT: u32 = 100;
/// Most texts of a pattern that are worth listing.
pub(crate) const MAX_TEXTS: usize = 256;
const MAX_TEXT_BYTES: usize = 16 << 10;

/// The whole text matches, in the syntax of the `regex` crate without look-around.
///
/// `^` and `\A` at the start, `$` and `\z` at the end say what holds anyway and are allowed.
#[derive(Debug, Clone)]
pub struct Regex {
    /// Without anchors.
    pattern: String,
    hir: Hir,
    matcher: meta::Regex,
}

impl Regex {
    /// # Errors
    /// A pattern that cannot be read, or uses look-around, back-references or word boundaries, or is too large; with
    /// the place in the pattern.
    pub fn new(pattern: &str) -> Result<Self> {
        let ast = ast::parse::ParserBuilder::new().nest_limit(NEST_LIMIT).build().parse(pattern);
        let ast = ast.map_err(|e| syntax_error(e.kind(), e.span()))?;
        let mut anchors = Vec::new();
        outer_anchors(&ast, true, &mut anchors);
        outer_anchors(&ast, false, &mut anchors);
        if let Some(span) = inner_assertion(&ast, &anchors) {
            let what = &pattern[span.clone()];
            return Err(Error::unsupported(format!(
                "`{what}` looks at its surroundings, which cannot be kept exactly"
            ))
            .at(span)
            .help("`^` and `$` are understood only at the ends of the pattern, where they say what holds anyway")
            .help("whole words are asked for with `contains` and forbidden with `excludes`"));
        }
        let hir = translate(pattern, &ast)?;
        anchors.sort_by_key(|span| span.start);
        anchors.dedup();
        let mut bare = pattern.to_string();
        for span in anchors.into_iter().rev() {
            bare.replace_range(span, "");
        }
        let bare_hir =
            translate(&bare, &ast::parse::Parser::new().parse(&bare).map_err(|e| syntax_error(e.kind(), e.span()))?)?;
        // From the parsed form: flags and comments in the pattern cannot leak into the anchors, and writing it out
        // again could change it (the printer turns an optional repetition into a lazy one).
        let whole = Hir::concat(vec![Hir::look(Look::Start), hir, Hir::look(Look::End)]);
        let matcher = meta::Regex::builder()
            .configure(meta::Config::new().nfa_size_limit(Some(SIZE_LIMIT)))
            .build_from_hir(&whole)
            .map_err(|e| match e.size_limit() {
                Some(_) => too_large(&bare, "this regex needs too much memory"),
                None => Error::input(e.to_string()).at(0..pattern.len()),
            })?;
        Ok(Self { pattern: bare, hir: bare_hir, matcher })
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

    fn check(&self, text: &str) -> Verdict {
        Verdict::require(self.matcher.is_match(text), 0, || "the regex does not match".into())
    }

    fn texts(&self) -> Option<Vec<String>> {
        texts(&self.hir)
    }
}

/// The patterns of one file: each is compiled once, and together they have a limit.
#[derive(Clone, Default)]
pub(crate) struct Patterns {
    known: Arc<Mutex<HashMap<String, Arc<Regex>>>>,
}

impl Patterns {
    /// # Errors
    /// Those of [`Regex::new`], and beyond the limit.
    pub fn get(&self, pattern: &str) -> Result<Arc<Regex>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(regex) = known.get(pattern) {
            return Ok(regex.clone());
        }
        let regex = Arc::new(Regex::new(pattern)?);
        let bytes = |regex: &Regex| regex.matcher.memory_usage() + pattern.len();
        if known.values().map(|r| bytes(r)).sum::<usize>() + bytes(&regex) > TOTAL_LIMIT {
            return Err(too_large(pattern, "the regexes up to this one need too much memory together"));
        }
        known.insert(pattern.to_string(), regex.clone());
        Ok(regex)
    }
}

fn too_large(pattern: &str, message: &str) -> Error {
    // The automaton's error names the part that explodes.
    if let Some(error) = Dfa::compile(&Language::regex(pattern), &Limits::default()).err().filter(Error::is_too_large) {
        return error;
    }
    let help = "use smaller repetitions: they multiply where they are nested";
    Error::too_large(message).at(0..pattern.len()).help(help)
}

/// A pattern in the syntax of the `regex` crate that the whole text matches.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct RegexKind(pub String);

impl Kind for RegexKind {
    const NAME: &'static str = "regex";

    fn build(self, cx: &BuildCx) -> Result<Part> {
        Ok(Part::Constraint(cx.patterns.get(&self.0)?))
    }
}

fn range(span: &ast::Span) -> Range<usize> {
    span.start.offset..span.end.offset
}

fn syntax_error(kind: &ast::ErrorKind, span: &ast::Span) -> Error {
    let error = match kind {
        ast::ErrorKind::UnsupportedLookAround => Error::unsupported("look-around cannot be kept exactly")
            .help("ask for words with `contains`, forbid them with `excludes`, or give several constraints: all hold"),
        ast::ErrorKind::UnsupportedBackreference => Error::unsupported("back-references cannot be kept exactly")
            .help("in a template, a name used twice means the same text twice"),
        ast::ErrorKind::NestLimitExceeded(_) => {
            Error::too_large(format!("this regex is nested deeper than {NEST_LIMIT} levels"))
        }
        kind => Error::input(format!("this regex cannot be read: {kind}"))
            .help("put a backslash before characters that are meant as they are: \\( \\[ \\{ \\* \\+ \\? \\| \\. \\\\"),
    };
    error.at(range(span))
}

fn translate(pattern: &str, ast: &Ast) -> Result<Hir> {
    let translated = regex_syntax::hir::translate::Translator::new().translate(pattern, ast);
    translated.map_err(|e| Error::input(format!("this regex cannot be read: {}", e.kind())).at(range(e.span())))
}

/// Collects the anchors that stand where the text starts (or ends) on every way through the pattern.
fn outer_anchors(ast: &Ast, start: bool, anchors: &mut Vec<Range<usize>>) {
    use ast::AssertionKind::{EndLine, EndText, StartLine, StartText};
    match ast {
        Ast::Assertion(a) => {
            let outer = if start { [StartLine, StartText] } else { [EndLine, EndText] };
            if outer.contains(&a.kind) {
                anchors.push(range(&a.span));
            }
        }
        Ast::Group(group) => outer_anchors(&group.ast, start, anchors),
        Ast::Alternation(alternation) => alternation.asts.iter().for_each(|a| outer_anchors(a, start, anchors)),
        Ast::Concat(concat) => {
            let mut parts = concat.asts.iter();
            let mut next = || if start { parts.next() } else { parts.next_back() };
            while let Some(part) = next() {
                let before = anchors.len();
                outer_anchors(part, start, anchors);
                let passed = match part {
                    Ast::Flags(_) | Ast::Empty(_) => true,
                    Ast::Assertion(_) => anchors.len() > before,
                    _ => false,
                };
                if !passed {
                    break;
                }
            }
        }
        _ => {}
    }
}

/// An assertion that is none of the outer anchors.
fn inner_assertion(ast: &Ast, outer: &[Range<usize>]) -> Option<Range<usize>> {
    match ast {
        Ast::Assertion(a) => Some(range(&a.span)).filter(|span| !outer.contains(span)),
        Ast::Group(group) => inner_assertion(&group.ast, outer),
        Ast::Repetition(repetition) => inner_assertion(&repetition.ast, outer),
        Ast::Alternation(alternation) => alternation.asts.iter().find_map(|a| inner_assertion(a, outer)),
        Ast::Concat(concat) => concat.asts.iter().find_map(|a| inner_assertion(a, outer)),
        _ => None,
    }
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

fn product(left: &[String], right: &[String]) -> Option<Vec<String>> {
    let bytes = |texts: &[String]| texts.iter().map(String::len).sum::<usize>();
    if bytes(left) * right.len() + bytes(right) * left.len() > MAX_TEXT_BYTES {
        return None;
    }
    let pairs = left.iter().flat_map(|l| right.iter().map(move |r| format!("{l}{r}")));
    (left.len() * right.len() <= MAX_TEXTS).then(|| pairs.collect())
}

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
            // Nothing, repeated without end, is still nothing.
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
