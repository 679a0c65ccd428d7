//! ECMA-262 patterns, as `pattern` and `patternProperties` use them: a text matches if the pattern occurs in it.
//!
//! Anchors and look-ahead outside repetitions become intersections with the language of what follows them; the module
//! `pattern_backwards` handles all other assertions. The subtleties of `u` mode are left out: patterns are about Unicode
//! characters, `\d` and `\w` about ASCII.

use super::{
    pattern_backwards,
    pattern_syntax::{Ast, parse},
};
use crate::{Language, Result};

/// The texts in which the pattern occurs.
///
/// # Errors
/// `Input` for bad syntax, `Unsupported` for back-references and look-behind of more than one character.
pub(super) fn search(pattern: &str) -> Result<Language> {
    let ast = parse(pattern)?;
    if ast.asserts_backwards() {
        return pattern_backwards::search(&ast);
    }
    // A match begins at the start of the text, or later, where `^` no longer holds.
    let first = follow(&[&ast], true, Some(Language::Any))?;
    let later = follow(&[&ast], false, Some(Language::Any))?;
    Ok(match later {
        None => first.unwrap_or(Language::none()),
        Some(Language::Any) => Language::Any,
        Some(later) => {
            let later = Language::Concat(vec![Language::Any, later]);
            Language::Union(first.into_iter().chain([later]).collect())
        }
    })
}

impl Ast {
    fn asserts(&self) -> bool {
        match self {
            Self::Set(_) => false,
            Self::Concat(parts) | Self::Alternation(parts) => parts.iter().any(Self::asserts),
            Self::Repeat(inner, _) => inner.asserts(),
            Self::Start | Self::End | Self::Look { .. } | Self::Behind { .. } | Self::Boundary { .. } => true,
        }
    }

    /// Whether there are assertions for which the language of what follows or precedes them is not at hand.
    fn asserts_backwards(&self) -> bool {
        match self {
            Self::Set(_) | Self::Start | Self::End => false,
            Self::Behind { .. } | Self::Boundary { .. } => true,
            Self::Concat(parts) | Self::Alternation(parts) => parts.iter().any(Self::asserts_backwards),
            Self::Look { ahead, .. } => ahead.asserts_backwards(),
            Self::Repeat(inner, times) => inner.asserts_backwards() || times != "?" && inner.asserts(),
        }
    }

    /// The pattern in the syntax of the `regex` crate; only for patterns without assertions.
    fn write(&self, out: &mut String) {
        match self {
            Self::Set(set) => out.push_str(set),
            Self::Concat(parts) => parts.iter().for_each(|part| part.write(out)),
            Self::Alternation(parts) => {
                out.push_str("(?:");
                for (i, part) in parts.iter().enumerate() {
                    out.push_str(if i > 0 { "|" } else { "" });
                    part.write(out);
                }
                out.push(')');
            }
            Self::Repeat(inner, times) => {
                out.push_str("(?:");
                inner.write(out);
                out.push(')');
                out.push_str(times);
            }
            Self::Start | Self::End | Self::Look { .. } | Self::Behind { .. } | Self::Boundary { .. } => {}
        }
    }
}

/// The texts that the parts match one after the other, where `rest` may follow; `None` is the empty set.
/// `start`: whether nothing stands before.
fn follow(parts: &[&Ast], start: bool, rest: Option<Language>) -> Result<Option<Language>> {
    let Some(rest) = rest else { return Ok(None) };
    let [first, after @ ..] = parts else { return Ok(Some(rest)) };
    match first {
        Ast::Concat(inner) => {
            let flat: Vec<&Ast> = inner.iter().chain(after.iter().copied()).collect();
            follow(&flat, start, Some(rest))
        }
        Ast::Start if start => follow(after, true, Some(rest)),
        Ast::Start => Ok(None),
        Ast::End => {
            let Some(after) = follow(after, start, Some(rest))? else { return Ok(None) };
            let empty = Language::literal("");
            Ok(Some(if after == Language::Any { empty } else { after.and(empty) }))
        }
        Ast::Look { ahead, negative } => {
            let Some(after) = follow(after, start, Some(rest))? else { return Ok(None) };
            let ahead = follow(&[ahead], start, Some(Language::Any))?;
            Ok(match (ahead, negative) {
                (None, false) => None,
                (None, true) => Some(after),
                (Some(ahead), false) => Some(after.and(ahead)),
                (Some(ahead), true) => Some(after.and(ahead.not())),
            })
        }
        Ast::Alternation(branches) if first.asserts() => {
            let mut ways = Vec::new();
            for branch in branches {
                let flat: Vec<&Ast> = [branch].into_iter().chain(after.iter().copied()).collect();
                ways.extend(follow(&flat, start, Some(rest.clone()))?);
            }
            Ok((!ways.is_empty()).then_some(Language::Union(ways)))
        }
        // An optional part is present or absent.
        Ast::Repeat(inner, _) if first.asserts() => {
            let flat: Vec<&Ast> = [&**inner].into_iter().chain(after.iter().copied()).collect();
            let with = follow(&flat, start, Some(rest.clone()))?;
            let without = follow(after, start, Some(rest))?;
            let ways: Vec<Language> = with.into_iter().chain(without).collect();
            Ok((!ways.is_empty()).then_some(Language::Union(ways)))
        }
        plain => {
            let mut pattern = String::new();
            plain.write(&mut pattern);
            let plain_after = after.iter().take_while(|ast| !ast.asserts()).count();
            after[..plain_after].iter().for_each(|ast| ast.write(&mut pattern));
            let after = &after[plain_after..];
            // `^` may still hold after an empty match.
            if start && after.iter().any(|ast| needs_start(ast)) {
                let empty = Language::Regex(pattern.clone()).and(Language::literal(""));
                let still = follow(after, true, Some(rest.clone()))?.map(|after| Language::Concat(vec![empty, after]));
                let moved = follow(after, false, Some(rest))?;
                let moved = moved.map(|after| Language::Concat(vec![Language::Regex(pattern), after]));
                let ways: Vec<Language> = still.into_iter().chain(moved).collect();
                return Ok((!ways.is_empty()).then_some(Language::Union(ways)));
            }
            let after = follow(after, false, Some(rest))?;
            Ok(after.map(|after| match after {
                after if after == Language::literal("") => Language::Regex(pattern),
                after => Language::Concat(vec![Language::Regex(pattern), after]),
            }))
        }
    }
}

fn needs_start(ast: &Ast) -> bool {
    match ast {
        Ast::Start => true,
        Ast::Set(_) | Ast::End | Ast::Boundary { .. } => false,
        Ast::Concat(parts) | Ast::Alternation(parts) => parts.iter().any(needs_start),
        Ast::Repeat(inner, _) | Ast::Look { ahead: inner, .. } | Ast::Behind { before: inner, .. } => {
            needs_start(inner)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::search;
    use crate::automata::{Dfa, Limits};

    /// (pattern, texts it occurs in, texts it does not occur in)
    const CASES: &[(&str, &[&str], &[&str])] = &[
        ("a+", &["a", "xay"], &["", "b"]),
        ("^a*$", &["", "aaa"], &["b", "ab", "a\n"]),
        ("^a|b$", &["a", "ax", "xb", "b"], &["xa", "bx", ""]),
        ("^(a|b)c?$", &["a", "bc"], &["abc", ""]),
        ("(^a|b)c", &["ac", "acx", "xbc"], &["xac", "c"]),
        ("^(?!foo)[a-z]+$", &["bar", "fo", "xfoo"], &["foo", "foobar", "1"]),
        (r"^(?=.*\d)(?=.*[a-z]).{4,}$", &["abc1", "1xyz"], &["ab1", "abcd", "1234"]),
        (r"^\d{3}$", &["123"], &["12", "1234", "१२३"]),
        (r"^\w+\s\S$", &["ab c", "a\u{feff}b"], &["é x", "ab"]),
        (r"^\u0041\x42\u{43}\cA$", &["ABC\u{1}"], &["ABC"]),
        (r"^[^]$", &["a", "\n"], &["", "ab"]),
        (r"^[]$", &[], &["", "a"]),
        (r"^[\w-]+\.[a\-z]$", &["a-b.-", "x.a"], &["a.b"]),
        (r"^\p{Letter}+$", &["é", "日本"], &["1", ""]),
        (r"^x{2}{$", &["xx{"], &["xx"]),
        (r"^.$", &["a", "😀"], &["\n", "\u{2028}", "ab"]),
        ("", &["", "anything"], &[]),
        ("a$b", &[], &["ab", "a", "b"]),
        ("x*^a", &["a", "ab"], &["xa", "ba"]),
        (r"^\$\{[^}]+\}$", &["${a}"], &["${}", "$a"]),
        (r"^(?=^[^./~])(^((?!\.{2}).)*$).*$", &["file.csv", "a/b.c"], &["a..b", "./a", "~", ""]),
        (r"^([a-z\d]|[a-z\d]([a-z\d-](?!--))*[a-z\d])$", &["a", "ab-c", "a1"], &["a---b", "-a", "a-", ""]),
        (r"\bword", &["word", "a word", "wordy", "é-word"], &["sword", "a_word", "wor"]),
        (r"^\w+\b.\B$", &["ab,", "a "], &["ab", "a", "ab,c"]),
        (r"(?<!\\)\$", &["$", "a$"], &["\\$", "a", ""]),
        (r"(?<=^|,)a(?!$)", &["ab", "x,ab"], &["a", "x,a", "xab"]),
        (r"^(?:(?!foo|bar$)[a-z])+$", &["fo", "barn", "fobarz"], &["foo", "xfoox", "bar", "xbar", ""]),
        (r"^(?:a(?=b)|b(?=a|$)){2,3}$", &["ab", "bab"], &["a", "ba", "abab", "aab"]),
        (r"(?:^a)*b", &["b", "ab", "xb"], &["a", ""]),
    ];

    #[test]
    fn patterns_mean_what_ecma_says() {
        for (pattern, matching, others) in CASES {
            let dfa = Dfa::compile(&search(pattern).unwrap(), &Limits::default()).unwrap();
            for text in *matching {
                assert!(dfa.accepts(text.as_bytes()), "/{pattern}/ occurs in {text:?}");
            }
            for text in *others {
                assert!(!dfa.accepts(text.as_bytes()), "/{pattern}/ does not occur in {text:?}");
            }
        }
    }

    #[test]
    fn what_cannot_be_kept_is_refused() {
        for pattern in [r"(a)\1", "(?<=ab)c"] {
            assert_eq!(search(pattern).unwrap_err().kind(), crate::ErrorKind::Unsupported, "{pattern}");
        }
        for pattern in ["(a", "a)", "[a", "*a", r"\p{Nope}", r"\q", "a**", r"\b+"] {
            assert_eq!(search(pattern).unwrap_err().kind(), crate::ErrorKind::Input, "{pattern}");
        }
    }
}
