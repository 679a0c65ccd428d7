//! Regular expressions, as the `regex` crate understands them: its own parser reads them.

use super::automaton::Automaton;
use super::nfa::Nfa;
use super::symbols::Chars;
use super::{Limits, blame, utf8};
use crate::{Error, Result};
use regex_syntax::ast::{self, AssertionKind, Ast};
use regex_syntax::hir::translate::TranslatorBuilder;
use std::ops::Range;

/// Longest pattern read, in bytes: its syntax tree takes some hundred times as much memory.
const LONGEST: usize = 256 << 10;
/// How deep groups and classes may be nested.
const NESTING: u32 = 200;

/// The texts that the pattern matches as a whole.
///
/// # Errors
/// `Input` for bad syntax, `Unsupported` for look-around, `TooLarge`; spans are byte ranges of the pattern.
pub(super) fn compile(pattern: &str, limits: &Limits) -> Result<Automaton<Chars>> {
    let ast = parse(pattern)?;
    let states = |pattern: &str, limits: &Limits| Ok(determinize(pattern, &parse(pattern)?, limits)?.states());
    determinize(pattern, &ast, limits).map_err(|e| blamed(pattern, &ast, limits, e, states))
}

/// Adds to `error`, which says that a pattern takes too many states once its characters are spelled in bytes, the part
/// that makes it so.
pub(super) fn spelled(pattern: &str, limits: &Limits, error: Error) -> Error {
    let states = |pattern: &str, limits: &Limits| {
        Ok(utf8::expand(&determinize(pattern, &parse(pattern)?, limits)?, limits)?.states())
    };
    match parse(pattern) {
        Ok(ast) => blamed(pattern, &ast, limits, error, states),
        Err(_) => error,
    }
}

fn blamed(pattern: &str, ast: &Ast, limits: &Limits, error: Error, states: blame::States) -> Error {
    let error = blame::in_pattern(pattern, ast, limits, error, states);
    error.context(format_args!("the pattern /{}/", blame::short(pattern)))
}

fn determinize(pattern: &str, ast: &Ast, limits: &Limits) -> Result<Automaton<Chars>> {
    let hir = TranslatorBuilder::new().utf8(true).unicode(true).build().translate(pattern, ast).map_err(|e| {
        Error::input(format!("bad regular expression: {}", e.kind()))
            .at(range(e.span()))
            .help("patterns speak of Unicode text, not of raw bytes; see the syntax of the `regex` crate")
    })?;
    Nfa::new(&hir, limits)?.determinize(limits)
}

fn parse(pattern: &str) -> Result<Ast> {
    if pattern.len() > LONGEST {
        return Err(Error::too_large(format!("a pattern of {} bytes: at most {LONGEST} are read", pattern.len()))
            .help("write long lists of texts as a choice"));
    }
    let mut ast =
        ast::parse::ParserBuilder::new().nest_limit(NESTING).build().parse(pattern).map_err(|e| syntax(&e))?;
    drop_anchors(&mut ast, true, true)?;
    Ok(ast)
}

fn syntax(e: &ast::Error) -> Error {
    let error = match e.kind() {
        ast::ErrorKind::UnsupportedLookAround => look_around("look-around"),
        ast::ErrorKind::UnsupportedBackreference => Error::unsupported("backreferences are not regular")
            .help("write the texts out as a choice, or use the same slot name twice in a template"),
        ast::ErrorKind::NestLimitExceeded(_) => {
            Error::too_large(format!("the pattern nests groups deeper than {NESTING} levels")).help("flatten it")
        }
        kind => Error::input(format!("bad regular expression: {kind}"))
            .help("escape characters that are meant literally: \\. \\( \\[ \\{ \\* \\+ \\? \\| \\^ \\$ \\\\"),
    };
    error.at(range(e.span()))
}

fn look_around(what: &str) -> Error {
    Error::unsupported(format!("{what} is not supported in a pattern that constrains a text"))
        .help("the pattern always matches the whole text: `^` and `$` are only understood at its very ends")
        .help("say it with `contains`, `excludes` or a second pattern: all constraints hold at once")
}

/// Removes anchors that hold anyway, since the pattern is matched against the whole text. `first` and `last` say
/// whether nothing stands before and after this part.
fn drop_anchors(ast: &mut Ast, first: bool, last: bool) -> Result<()> {
    use AssertionKind::{EndLine, EndText, StartLine, StartText};
    match ast {
        Ast::Assertion(assertion) => match &assertion.kind {
            StartLine | StartText if first => *ast = Ast::empty(assertion.span),
            EndLine | EndText if last => *ast = Ast::empty(assertion.span),
            kind => {
                let what = match kind {
                    StartLine | StartText => "a start anchor inside the pattern",
                    EndLine | EndText => "an end anchor inside the pattern",
                    _ => "a word boundary",
                };
                return Err(look_around(what).at(range(&assertion.span)));
            }
        },
        Ast::Repetition(repetition) => drop_anchors(&mut repetition.ast, false, false)?,
        Ast::Group(group) => drop_anchors(&mut group.ast, first, last)?,
        Ast::Alternation(alternation) => {
            for branch in &mut alternation.asts {
                drop_anchors(branch, first, last)?;
            }
        }
        Ast::Concat(concat) => {
            let silent = |ast: &Ast| matches!(ast, Ast::Empty(_) | Ast::Flags(_));
            let count = concat.asts.len();
            let trailing = concat.asts.iter().rev().take_while(|ast| {
                silent(ast) || matches!(ast, Ast::Assertion(a) if matches!(a.kind, EndLine | EndText))
            });
            let body = count - trailing.count();
            let mut before = first;
            for (i, part) in concat.asts.iter_mut().enumerate() {
                drop_anchors(part, before, last && i + 1 >= body)?;
                before &= silent(part);
            }
        }
        _ => {}
    }
    Ok(())
}

fn range(span: &ast::Span) -> Range<usize> {
    span.start.offset..span.end.offset
}
