//! The house: rooms use only those below them, so that no two depend on each other. Read from the sources.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// The engine's rooms; each may use those before it.
const ENGINE: &[&str] = &[
    "error",
    "util",
    "cpu",
    "vocab",
    "scores",
    "language",
    "check",
    "automata",
    "inference",
    "grammar",
    "schema",
    "constraints",
    "plan",
    "runtime",
];

/// The root's rooms. What they use of the engine is outside.
const ROOT: &[&str] = &[
    "random",
    "kernels",
    "settings",
    "canvas",
    "models",
    "step",
    "ask",
    "record",
    "report",
    "guides",
    "policies",
    "population",
    "spec",
    "slot_lengths",
    "lane",
    "runner",
    "request",
    "typed",
    "eval",
    "train",
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => sources(&path, found),
            false if path.extension().is_some_and(|e| e == "rs") => found.push(path),
            false => {}
        }
    }
}

/// The code without comments, strings and test modules.
fn code(text: &str) -> String {
    let mut code = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let line = line.split("//").next().unwrap_or_default();
        if line.trim_start().starts_with("#[cfg(test)]") || line.trim_start().starts_with("#[cfg(all(test") {
            // The item that follows: one line, or a block up to the brace at its own depth.
            let mut depth = 0;
            for line in lines.by_ref() {
                depth += line.matches('{').count() as i64 - line.matches('}').count() as i64;
                if depth <= 0 {
                    break;
                }
            }
            continue;
        }
        code.push_str(line);
        code.push('\n');
    }
    code
}

/// First names behind `crate::`, those of a `{list}` one by one.
fn named(code: &str) -> BTreeSet<String> {
    let ident = |text: &str| -> String { text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect() };
    let mut names = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        let Some(list) = rest.strip_prefix('{') else {
            names.insert(ident(rest));
            continue;
        };
        let (mut depth, mut start) = (0, true);
        for (i, c) in list.char_indices() {
            match c {
                '}' if depth == 0 => break,
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => start = true,
                c if start && !c.is_whitespace() => {
                    names.insert(ident(&list[i..]));
                    start = false;
                }
                _ => {}
            }
        }
    }
    names
}

/// Which room each name comes from that the crate's root exports.
fn exports(root: &str) -> BTreeMap<String, String> {
    let mut rooms = BTreeMap::new();
    for item in code(root).split(';') {
        let Some((_, path)) = item.split_once("pub use ") else { continue };
        let Some((room, names)) = path.split_once("::") else { continue };
        for name in names.trim_matches(|c| "{}".contains(c)).split(',') {
            rooms.insert(name.trim().trim_matches(|c| "{}".contains(c)).to_string(), room.trim().to_string());
        }
    }
    rooms
}

/// Uses that point upward, as `file: room uses room`.
fn upward(crate_root: &Path, rooms: &[&str], skipped: &[&str]) -> (Vec<String>, usize) {
    let source = crate_root.join("src");
    let exported = exports(&fs::read_to_string(source.join("lib.rs")).unwrap());
    let level = |room: &str| rooms.iter().position(|r| *r == room);
    let (mut files, mut wrong, mut uses) = (Vec::new(), Vec::new(), 0);
    sources(&source, &mut files);
    files.sort();
    for file in files {
        let inside = file.strip_prefix(&source).unwrap().to_string_lossy().replace('\\', "/");
        let room = inside.split('/').next().unwrap().trim_end_matches(".rs").to_string();
        if ["lib", "main"].contains(&&*room) || skipped.contains(&&*room) || inside.contains("tests") {
            continue;
        }
        let Some(own) = level(&room) else {
            wrong.push(format!("{inside}: the room `{room}` has no place in the order"));
            continue;
        };
        let text = fs::read_to_string(&file).unwrap();
        // A file of tests is no part of its room.
        if text.contains("\n#[test]\n") {
            continue;
        }
        for name in named(&code(&text)) {
            let used = exported.get(&name).cloned().unwrap_or_else(|| name.clone());
            match level(&used) {
                Some(other) if other > own => wrong.push(format!("{inside}: `{room}` uses `{used}` ({name})")),
                Some(_) => uses += 1,
                None => {}
            }
        }
    }
    (wrong, uses)
}

#[test]
fn rooms_use_only_those_below_them() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (path, rooms, skipped) in
        [(root.join("crates/engine"), ENGINE, &[][..]), (root.to_path_buf(), ROOT, &["cli"][..])]
    {
        let (wrong, uses) = upward(&path, rooms, skipped);
        assert!(wrong.is_empty(), "{}:\n{}", path.display(), wrong.join("\n"));
        assert!(uses > 100, "{}: {uses} uses were found", path.display());
    }
}

#[test]
fn every_room_is_described() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/architecture.md")).unwrap();
    for (folder, rooms) in [("../crates/engine/src/", ENGINE), ("../src/", ROOT)] {
        for room in rooms {
            let told =
                [format!("({folder}{room})"), format!("({folder}{room}.rs)"), format!("({folder}{room}/mod.rs)")];
            assert!(told.iter().any(|link| page.contains(link)), "docs/architecture.md says nothing of {folder}{room}");
        }
    }
}

#[test]
fn an_upward_import_is_found() {
    let code =
        code("use crate::{Error, automata::{Dfa,\n Limits}, plan};\nfn f() { crate::runtime::g() }\n// crate::no\n");
    let found: Vec<String> = named(&code).into_iter().collect();
    assert_eq!(found, ["Error", "automata", "plan", "runtime"]);
    let rooms = exports("pub use scores::{Pos, Scores};\npub use step::Step;\n");
    assert_eq!((rooms["Pos"].as_str(), rooms["Step"].as_str()), ("scores", "step"));
}
