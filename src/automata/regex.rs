//! Regular expressions, compiled by the `regex` crate's own engine.

use super::dfa::{DEAD, Dfa, State};
use super::{Alphabet, Limits, hash::FastMap};
use crate::{Error, Result};
use regex_automata::dfa::{Automaton, StartKind, dense};
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_automata::util::{primitives::StateID, start};
use regex_automata::{Anchored, MatchKind};
use regex_syntax::ast::{self, AssertionKind, Ast};
use regex_syntax::hir::{Hir, translate::TranslatorBuilder};
use std::ops::Range;

/// Longest pattern read, in bytes: its syntax tree takes some hundred times as much memory.
const LONGEST: usize = 256 << 10;
/// How deep groups and classes may be nested.
const NESTING: u32 = 200;

/// The texts that the pattern matches as a whole.
///
/// # Errors
/// `Input` for bad syntax, `Unsupported` for look-around, `TooLarge`; spans are byte ranges of the pattern.
pub(super) fn compile(pattern: &str, limits: &Limits) -> Result<Dfa> {
    let too_large = || {
        Error::too_large(format!("the pattern {} needs too large an automaton", quoted(pattern)))
            .at(0..pattern.len())
            .help("use smaller or fewer counted repetitions: nested ones multiply")
            .help("use ASCII classes such as [a-z0-9_] for \\w where they will do")
    };
    let hir = parse(pattern)?;
    let nfa = thompson::Compiler::new()
        .configure(
            thompson::Config::new()
                .which_captures(WhichCaptures::None)
                .shrink(false)
                .nfa_size_limit(Some(limits.bytes / 2)),
        )
        .build_from_hir(&hir)
        .map_err(|e| too_large().because(e))?;
    // Rows are padded to a power of two, and each state may exist twice: matches are reported one byte late.
    let stride = nfa.byte_classes().alphabet_len().next_power_of_two();
    let table = limits.states.saturating_mul(2 * 4 * stride).min(limits.bytes);
    // `All`: leftmost-first preference would prune texts that a shorter match makes irrelevant for searching.
    let dfa = dense::Builder::new()
        .configure(
            dense::Config::new()
                .start_kind(StartKind::Anchored)
                .match_kind(MatchKind::All)
                .accelerate(false)
                .dfa_size_limit(Some(table))
                // The sets of the construction take far less than the table, unless they are large and slow to read.
                .determinize_size_limit(Some(limits.bytes / 8)),
        )
        .build_from_nfa(&nfa)
        .map_err(|e| if e.is_size_limit_exceeded() { too_large() } else { Error::unsupported(e.to_string()) })?;
    drop(nfa);
    let dfa = copy(&dfa)?;
    let minimal = dfa.minimized();
    limits.check(minimal.states(), minimal.alphabet.width(), &format!("the pattern {}", quoted(pattern)))?;
    Ok(minimal)
}

/// The reachable part of the engine's table. Whether a state accepts is asked with the end-of-input symbol, since
/// the engine reports a match only with the symbol after it.
fn copy(dense: &dense::DFA<Vec<u32>>) -> Result<Dfa> {
    let classes = dense.byte_classes();
    let alphabet = Alphabet::group(|b| classes.get(b));
    let bytes = alphabet.representatives();
    let start = dense
        .start_state(&start::Config::new().anchored(Anchored::Yes))
        .map_err(|e| Error::unsupported(format!("the pattern has no anchored start: {e}")))?;
    let mut states = vec![StateID::ZERO];
    let mut ids: FastMap<u32, State> = FastMap::default();
    let mut id = |states: &mut Vec<StateID>, state: StateID| {
        if dense.is_dead_state(state) {
            return DEAD;
        }
        *ids.entry(state.as_u32()).or_insert_with(|| {
            states.push(state);
            states.len() as State - 1
        })
    };
    let start = id(&mut states, start);
    let mut next = vec![DEAD; alphabet.width()];
    let mut accept = vec![false];
    let mut at = 1;
    while at < states.len() {
        let state = states[at];
        for &byte in &bytes {
            let to = id(&mut states, dense.next_state(state, byte));
            next.push(to);
        }
        next.push(at as State);
        accept.push(dense.is_match_state(dense.next_eoi_state(state)));
        at += 1;
    }
    Ok(Dfa { alphabet, next, accept, start })
}

fn parse(pattern: &str) -> Result<Hir> {
    if pattern.len() > LONGEST {
        return Err(Error::too_large(format!("a pattern of {} bytes: at most {LONGEST} are read", pattern.len()))
            .help("write long lists of texts as a choice"));
    }
    let mut ast =
        ast::parse::ParserBuilder::new().nest_limit(NESTING).build().parse(pattern).map_err(|e| syntax(&e))?;
    drop_anchors(&mut ast, true, true)?;
    TranslatorBuilder::new().utf8(true).unicode(true).build().translate(pattern, &ast).map_err(|e| {
        Error::input(format!("bad regular expression: {}", e.kind()))
            .at(range(e.span()))
            .help("patterns speak of Unicode text, not of raw bytes; see the syntax of the `regex` crate")
    })
}

fn syntax(e: &ast::Error) -> Error {
    let error = match e.kind() {
        ast::ErrorKind::UnsupportedLookAround => look_around("look-around"),
        ast::ErrorKind::UnsupportedBackreference => Error::unsupported("backreferences are not regular")
            .help("write the texts out as a choice, or use the same slot name twice in a template"),
        ast::ErrorKind::NestLimitExceeded(_) => {
            Error::too_large(format!("the pattern nests groups deeper than {NESTING} levels"))
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

/// Removes anchors that say what always holds: the pattern is matched against the whole text.
/// `first`, `last`: whether nothing stands before, after this part.
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

fn quoted(pattern: &str) -> String {
    let mut short: String = pattern.chars().take(60).collect();
    if short.len() < pattern.len() {
        short.push('…');
    }
    format!("/{short}/")
}
