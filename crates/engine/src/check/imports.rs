//! The sources of [`crate::check`] import nothing that constrains.

use std::{collections::BTreeSet, fs, path::Path};

/// The modules of this crate that a check may use: errors, helpers, and what the user wrote in parsed form.
const ALLOWED: [&str; 4] = ["check", "error", "language", "util"];

/// A source without comments, texts and characters.
fn code(source: &str) -> String {
    let mut out = String::new();
    let mut rest = source;
    while let Some(c) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if let Some(raw) = rest.strip_prefix("r\"") {
            raw.find('"').map_or(rest.len(), |end| end + 3)
        } else if c == '"' {
            let mut escaped = false;
            let end = rest[1..].find(|c: char| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            });
            end.map_or(rest.len(), |end| end + 2)
        } else if rest.starts_with("'\\") || c == '\'' && rest[1..].chars().nth(1) == Some('\'') {
            let first = 1 + rest[1..].chars().next().map_or(0, char::len_utf8) + usize::from(rest.starts_with("'\\"));
            rest.get(first..).and_then(|tail| tail.find('\'')).map_or(rest.len(), |end| first + end + 1)
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        };
        out.push(' ');
        rest = &rest[skipped..];
    }
    out
}

/// The first segments of all paths that start at `root`, `use crate::{a, b::c}` included.
fn named_under(root: &str, code: &str) -> BTreeSet<String> {
    let tokens = tokens(code);
    let mut found = BTreeSet::new();
    for start in 0..tokens.len() {
        let whole = tokens[start] == root && (start == 0 || tokens[start - 1] != "::");
        if !whole || tokens.get(start + 1) != Some(&"::") {
            continue;
        }
        if tokens.get(start + 2) != Some(&"{") {
            found.extend(tokens.get(start + 2).map(|name| name.to_string()));
            continue;
        }
        let (mut depth, mut first) = (0, false);
        for &token in &tokens[start + 2..] {
            match token {
                "{" => (depth, first) = (depth + 1, depth == 0),
                "}" => depth -= 1,
                "," => first = depth == 1,
                name if first => {
                    found.insert(name.to_string());
                    first = false;
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    found
}

/// Names, `::`, and single other characters.
fn tokens(code: &str) -> Vec<&str> {
    let in_name = |c: char| c.is_alphanumeric() || c == '_';
    let mut tokens = Vec::new();
    let mut rest = code.trim_start();
    while let Some(c) = rest.chars().next() {
        let len = match c {
            c if in_name(c) => rest.find(|c| !in_name(c)).unwrap_or(rest.len()),
            ':' if rest.starts_with("::") => 2,
            c => c.len_utf8(),
        };
        tokens.push(&rest[..len]);
        rest = rest[len..].trim_start();
    }
    tokens
}

/// What a source names that it must not: modules outside [`ALLOWED`], or a parent beyond `crate::check`. `depth` counts
/// the modules between the source and `crate`.
fn forbidden(source: &str, depth: usize) -> Vec<String> {
    // Unit tests come last in a file. They check nothing for users.
    let code = code(source.split("#[cfg(test)]\nmod tests").next().unwrap_or_default());
    let mut found: Vec<String> = named_under("crate", &code).into_iter().filter(|n| !ALLOWED.contains(&&**n)).collect();
    found.extend(named_under("stencil_engine", &code));
    let tokens = tokens(&code);
    let climbs = tokens.split(|&token| token != "super" && token != "::");
    let highest = climbs.map(|path| path.iter().filter(|&&token| token == "super").count()).max().unwrap_or(0);
    if highest >= depth {
        found.push("super::".repeat(highest));
    }
    found
}

fn sources(folder: &Path, depth: usize, found: &mut Vec<(String, usize, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, depth + 1, found);
        } else {
            // A `mod.rs` is the module of its folder.
            let inner = usize::from(!path.ends_with("mod.rs"));
            found.push((path.display().to_string(), depth + inner, fs::read_to_string(&path).unwrap()));
        }
    }
}

#[test]
fn the_checks_import_nothing_that_constrains() {
    let mut found = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/check"), 1, &mut found);
    assert!(found.len() > 10, "{}", found.len());
    let mut names = BTreeSet::new();
    for (path, depth, source) in found.iter().filter(|(path, ..)| !path.ends_with("imports.rs")) {
        assert_eq!(forbidden(source, *depth), Vec::<String>::new(), "{path}");
        names.extend(named_under("crate", &code(source)));
    }
    // The scan does see imports.
    assert!(["error", "language", "util"].iter().all(|name| names.contains(*name)), "{names:?}");
}

/// Methods need no import. So the shared types have all of theirs beside them.
#[test]
fn the_shared_types_have_no_methods_elsewhere() {
    let mut found = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), 0, &mut found);
    let mut blocks = 0;
    for (path, _, source) in &found {
        let code = code(source);
        let tokens = tokens(&code);
        for start in (0..tokens.len()).filter(|&i| tokens[i] == "impl") {
            let head: Vec<&str> = tokens[start..].iter().copied().take_while(|&token| token != "{").collect();
            let subject = head.iter().position(|&t| t == "for").map_or(&head[1..], |at| &head[at + 1..]);
            if ["Language", "Grammar", "Expr", "Rule", "Pattern"].contains(subject.first().unwrap_or(&"")) {
                assert!(path.contains("/language/"), "{path}: {}", head.join(" "));
                blocks += 1;
            }
        }
    }
    assert!(blocks >= 5, "{blocks}");
}

#[test]
fn forbidden_imports_are_found() {
    let found = |source| forbidden(source, 2);
    assert_eq!(found("use crate::automata::Dfa;"), ["automata"]);
    assert_eq!(found("use crate::{error::{Error, Result}, grammar::{nfa, moves}, language};"), ["grammar"]);
    assert_eq!(found("fn f() { crate::plan::compile() }"), ["plan"]);
    assert_eq!(found("use super::super::schema;"), ["super::super::"]);
    assert_eq!(found("use stencil_engine::inference;"), ["inference"]);
    assert_eq!(found("use crate::{Error, Language};"), ["Error", "Language"]);
    assert_eq!(forbidden("use super::automata;", 1), ["super::"]);
    assert!(
        found("// crate::plan\nuse super::Check; const A: &str = \"crate::plan\"; const B: char = '\"';").is_empty()
    );
}
