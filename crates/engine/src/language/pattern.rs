//! Patterns in the syntax of the `regex` crate, without look-around, that a whole text must match.

use crate::{Error, Result};
use regex_automata::meta;
use regex_syntax::{
    ast::{self, Ast},
    hir::{Hir, Look},
};
use std::ops::Range;

/// Largest program of the matching engine, in bytes.
const SIZE_LIMIT: usize = 64 << 20;
/// Deepest nesting of groups, classes and repetitions.
const NEST_LIMIT: u32 = 100;

/// A pattern that has been read.
pub(crate) struct Pattern {
    /// The pattern without the anchors at its ends, which hold anyway.
    pub bare: String,
    /// The parsed form of `bare`.
    pub hir: Hir,
    /// The parsed form of the pattern, anchored at both ends.
    pub whole: Hir,
}

impl Pattern {
    /// # Errors
    /// A pattern that cannot be read, or uses look-around, back-references or word boundaries; with the place in it.
    pub fn parse(pattern: &str) -> Result<Self> {
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
        // The anchors are added to the parsed form: flags and comments in the pattern cannot leak into them, and
        // printing it again could change it (the printer turns an optional repetition into a lazy one).
        let whole = Hir::concat(vec![Hir::look(Look::Start), hir, Hir::look(Look::End)]);
        Ok(Self { bare, hir: bare_hir, whole })
    }

    /// A matcher of whole texts; `None` where it would need too much memory.
    ///
    /// # Errors
    /// What the matching engine cannot do.
    pub fn matcher(whole: &Hir) -> Result<Option<meta::Regex>> {
        let config = meta::Config::new().nfa_size_limit(Some(SIZE_LIMIT));
        match meta::Regex::builder().configure(config).build_from_hir(whole) {
            Ok(matcher) => Ok(Some(matcher)),
            Err(e) if e.size_limit().is_some() => Ok(None),
            Err(e) => Err(Error::input(e.to_string())),
        }
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
