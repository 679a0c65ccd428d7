//! Blame: which part of an expression makes it too large, and what would help.

use super::lift::lift;
use super::{Dfa, Limits};
use crate::language::Language;
use crate::{Error, Result, Vocab};
use regex_syntax::ast::{Ast, RepetitionKind, RepetitionRange};
use std::ops::Range;
use std::time::{Duration, Instant};

/// The most counted repetitions that are tried without their counts.
const TRIED: usize = 6;
/// The time that the search may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// A function that returns the number of states of a pattern's automaton.
pub(super) type States = fn(&str, &Limits) -> Result<usize>;

/// Adds to `error`, which says that a pattern is too large, the place of the part that makes it so. `states` computes
/// the size that is too large.
pub(super) fn in_pattern(pattern: &str, ast: &Ast, limits: &Limits, error: Error, states: States) -> Error {
    let error = error.help("use smaller or fewer counted repetitions: nested ones multiply");
    if !error.is_too_large() {
        return error;
    }
    let limits = within(limits);
    // After the deadline every part fails, so nothing more can be told.
    let explodes = |span: Range<usize>| limits.check_time("it").is_ok() && states(&pattern[span], &limits).is_err();
    let mut blame = ast;
    loop {
        blame = match blame {
            Ast::Group(group) => &group.ast,
            other => match children(other).into_iter().find(|child| explodes(span(child))) {
                Some(child) => child,
                None => break,
            },
        };
    }
    let mut blamed = span(blame);
    let mut error = error;
    if let Ast::Alternation(alternation) = blame {
        let first = |count: usize| blamed.start..span(&alternation.asts[count - 1]).end;
        let all = alternation.asts.len();
        let count = least(2..all, |count| explodes(first(count)));
        if count < all {
            error = error.help(format!(
                "the first {count} of {all} alternatives are too many together: those that begin with `.*` multiply"
            ));
            blamed = first(count);
        }
    }
    let mut counted = Vec::new();
    repetitions(blame, &mut counted);
    counted.sort_by_key(|repetition| std::cmp::Reverse(repetition.most));
    counted.truncate(TRIED);
    // One repetition without its count, or all of them: the pattern should be well within the limits then.
    let limits = Limits { states: limits.states / 4, ..limits };
    let without = |blamed: &[Counted]| {
        let mut blamed: Vec<&Counted> = blamed.iter().collect();
        blamed.sort_by_key(|repetition| std::cmp::Reverse(repetition.operator.start));
        let (whole, from) = (span(blame), span(blame).start);
        let mut text = pattern[whole].to_string();
        for Counted { operator, without, .. } in blamed {
            text.replace_range(operator.start - from..operator.end - from, without);
        }
        states(&text, &limits).ok()
    };
    let relaxed = without(&counted).filter(|_| !counted.is_empty()).map(|states| {
        let single = counted.iter().map(std::slice::from_ref).take(if counted.len() > 1 { TRIED } else { 0 });
        let found = single.into_iter().find_map(|blamed| Some((blamed, without(blamed)?)));
        found.unwrap_or((&counted[..], states))
    });
    let place = match relaxed {
        Some(([only], _)) => only.span.clone(),
        _ => blamed,
    };
    let error = match place.len() < pattern.len() {
        true => error.context(format_args!("`{}`", short(&pattern[place.clone()]))),
        false => error,
    };
    let error = match relaxed {
        Some((blamed, states)) => {
            let named = |counted: &Counted| {
                let operator = &pattern[counted.operator.clone()];
                format!("`{}` in place of `{operator}` in `{}`", counted.without, short(&pattern[counted.span.clone()]))
            };
            let blamed: Vec<String> = blamed.iter().map(named).collect();
            error.help(format!("with {} it would take {states} states", blamed.join(" and ")))
        }
        None => error,
    };
    error.at(place)
}

/// Adds to `error`, which says that a sequence is too large, the parts that make it so together. `explodes` says
/// whether a range of neighbours alone is too large.
pub(super) fn in_sequence(parts: &[&Language], explodes: impl Fn(Range<usize>) -> bool, error: Error) -> Error {
    let end = least(2..parts.len(), |end| explodes(0..end));
    let start = end - least(2..end, |count| explodes(end - count..end));
    let name = |part: &&Language| match part {
        Language::Named(name, _) => Some(name.clone()),
        Language::Literal(text) => Some(format!("{:?}", short(text))),
        _ => None,
    };
    let names: Vec<String> = parts[start..end].iter().filter_map(name).collect();
    if names.is_empty() {
        return error;
    }
    error
        .context(names.join(", "))
        .help("a text between the parts that none of them can hold, or smaller sizes, would keep it small")
}

/// Binary search: the least number of a range that `holds` is true of, if it is true of all larger ones; the end if it
/// is true of none.
fn least(range: Range<usize>, holds: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (range.start, range.end);
    while low < high {
        let middle = low.midpoint(high);
        (low, high) = if holds(middle) { (low, middle) } else { (middle + 1, high) };
    }
    low
}

/// Adds to `error`, which says that constraints are too large over the tokens, the names of the largest. An error with
/// a place in a pattern is left as it is.
pub(super) fn among(language: &Language, vocab: &Vocab, limits: &Limits, error: Error) -> Error {
    if !error.is_too_large() || error.span().is_some() {
        return error;
    }
    let limits = within(limits);
    let mut parts = Vec::new();
    conjuncts(language, &mut Vec::new(), &mut parts);
    let mut sizes = Vec::new();
    for (names, part) in parts {
        match Dfa::compile(part, &limits).and_then(|dfa| lift(&dfa, vocab, &limits)) {
            Ok(lifted) => sizes.push((names, lifted.states())),
            Err(_) if limits.check_time("it").is_err() => return error,
            Err(alone) => return names.iter().rev().fold(alone, |error, name| error.context(name)),
        }
    }
    sizes.sort_by_key(|(_, states)| std::cmp::Reverse(*states));
    match &sizes[..] {
        [] | [_] => error,
        [first, others @ ..] => {
            let named = |(names, states): &(Vec<&str>, usize)| match names.last() {
                Some(name) => format!("`{name}` with {states} states"),
                None => format!("one with {states} states"),
            };
            let others: Vec<String> = others.iter().take(2).map(named).collect();
            let count = sizes.len();
            error.help(format!(
                "of the {count} constraints the largest is {}, then {}",
                named(first),
                others.join(", ")
            ))
        }
    }
}

/// The parts of the intersections at the top, with the names around them.
fn conjuncts<'a>(language: &'a Language, names: &mut Vec<&'a str>, parts: &mut Vec<(Vec<&'a str>, &'a Language)>) {
    match language {
        Language::Named(name, inner) => {
            names.push(name);
            conjuncts(inner, names, parts);
            names.pop();
        }
        Language::Intersect(inner) => inner.iter().for_each(|part| conjuncts(part, names, parts)),
        part => parts.push((names.clone(), part)),
    }
}

/// The same limits with a deadline.
pub(super) fn within(limits: &Limits) -> Limits {
    Limits { deadline: Some(Instant::now() + PATIENCE), ..*limits }
}

/// A repetition with bounds.
struct Counted {
    span: Range<usize>,
    operator: Range<usize>,
    most: u32,
    /// The same operator without an upper bound.
    without: &'static str,
}

fn repetitions(ast: &Ast, found: &mut Vec<Counted>) {
    if let Ast::Repetition(repetition) = ast
        && let RepetitionKind::Range(range) = &repetition.op.kind
    {
        let (least, most) = match *range {
            RepetitionRange::Exactly(n) | RepetitionRange::AtLeast(n) => (n, n),
            RepetitionRange::Bounded(least, most) => (least, most),
        };
        found.push(Counted {
            span: span(ast),
            operator: repetition.op.span.start.offset..repetition.op.span.end.offset,
            most,
            without: if least == 0 { "*" } else { "+" },
        });
    }
    children(ast).into_iter().for_each(|child| repetitions(child, found));
}

fn children(ast: &Ast) -> Vec<&Ast> {
    match ast {
        Ast::Repetition(repetition) => vec![&repetition.ast],
        Ast::Group(group) => vec![&group.ast],
        Ast::Alternation(alternation) => alternation.asts.iter().collect(),
        Ast::Concat(concat) => concat.asts.iter().collect(),
        _ => Vec::new(),
    }
}

fn span(ast: &Ast) -> Range<usize> {
    let span = ast.span();
    span.start.offset..span.end.offset
}

/// The text, shortened to its beginning if it is long.
pub(super) fn short(text: &str) -> String {
    let mut short: String = text.chars().take(60).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(pattern: &str) -> Error {
        let limits = Limits { states: 20_000, ..Limits::default() };
        Dfa::compile(&Language::regex(pattern), &limits).err().unwrap()
    }

    #[test]
    fn the_part_that_explodes_is_named() {
        for (pattern, part, help) in [
            ("id: (?:a|b)*a(?:a|b){30};", "(?:a|b){30}", "with `+` in place of `{30}` in"),
            ("x(?:[a-z]{1,900}x){1,900}y{2}", "[a-z]{1,900}", "with `+` in place of `{1,900}` in `[a-z]{1,900}`"),
            ("é(?:.*foo.{0,4000}bar.{0,5000})?", ".*foo.{0,4000}bar.{0,5000}", "`{0,5000}` in `.{0,5000}` and `*` in"),
        ] {
            let error = refused(pattern);
            let found = error.span().map(|span| &pattern[span]);
            assert!(error.is_too_large() && found == Some(part), "{found:?}: {error}");
            assert!(error.helps().iter().any(|sentence| sentence.contains(help)), "{:?}", error.helps());
        }
    }

    #[test]
    fn alternatives_and_neighbours_are_named() {
        let limits = Limits { states: 2000, ..Limits::default() };
        let pattern = (0..20).map(|i| format!(".*a{i}b.*|")).collect::<String>();
        let error = Dfa::compile(&Language::regex(&pattern), &limits).err().unwrap();
        assert!(error.helps().iter().any(|help| help.contains("of 21 alternatives are too many")), "{error:?}");
        assert!(error.span().is_some_and(|span| span.start == 0 && span.end < pattern.len() / 2), "{error:?}");

        let spelled = Dfa::compile(&Language::regex(r"x\w{1,60}y?"), &limits).err().unwrap();
        assert_eq!(spelled.span(), Some(1..9), "{spelled:?}");
        assert!(spelled.helps().iter().any(|help| help.contains("in place of `{1,60}` in")), "{spelled:?}");

        let slot = |name: &str, pattern: &str| Language::regex(pattern).named(name);
        let far = Language::literal("far from it");
        let parts = vec![far.clone(), slot("a", ".{5,90}"), slot("b", "x.{7,90}"), slot("c", "[a-z]{1,3}"), far];
        let error = Dfa::compile(&Language::Concat(parts), &limits).err().unwrap();
        assert!(error.message().starts_with("a, b: the sequence of its parts"), "{error:?}");
    }

    #[test]
    fn the_largest_constraints_are_named() {
        let vocab = Vocab::from_bytes((0..=255).map(|byte| Some(vec![byte])).collect(), None, None).unwrap();
        let far = |name: &str, most: usize| Language::regex(format!("(?s:.){{0,{most}}}")).named(name);
        let all = Language::Intersect(vec![far("one", 100), far("two", 300), Language::Any.named("free")]);
        let limits = Limits { states: 200_000, ..Limits::default() };
        let error = Error::too_large("together");
        let helps = among(&all, &vocab, &limits, error).helps().concat();
        assert!(helps.starts_with("of the 3 constraints the largest is `two` with "), "{helps}");
        let small = Limits { states: 1_000, ..limits };
        let alone = among(&all, &vocab, &small, Error::too_large("together"));
        assert!(alone.message().starts_with("two: "), "{alone}");
        let other = among(&all, &vocab, &limits, Error::input("other"));
        assert!(other.message() == "other" && other.helps().is_empty());
    }
}
