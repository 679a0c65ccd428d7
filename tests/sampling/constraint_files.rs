//! Every ready-made constraint file decides its own examples, and the automaton agrees with the independent check on
//! them and on thousands of texts near them.

use rand::{Rng, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use std::{collections::BTreeMap, fs, path::Path};
use stencil_lm::{
    Source, Verdict, Vocab,
    grammar::Acceptor,
    spec::{Inputs, Registry, Spec},
};

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("constraints")
}

/// The ready-made files by name.
fn files() -> BTreeMap<String, Spec> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        // Grammars are held by files of their own.
        if path.is_dir() {
            continue;
        }
        let spec = Spec::load(&path, &Registry::builtin(), &Inputs::default()).unwrap();
        files.insert(path.file_stem().unwrap().to_string_lossy().into_owned(), spec);
    }
    files
}

fn compile(spec: &Spec) -> Acceptor {
    let vocab = Vocab::from_bytes((0..=255).map(|b| Some(vec![b])).collect(), None, None).unwrap();
    spec.acceptor(&vocab).unwrap_or_else(|e| panic!("{:?}: {e}", spec.description))
}

#[test]
fn there_are_enough_examples() {
    let files = files();
    assert!(files.len() >= 25, "{}", files.len());
    for (name, spec) in files {
        assert!(spec.description.is_some(), "{name}");
        assert!(spec.accepts.len() >= 4 && spec.rejects.len() >= 4, "{name}");
        assert!(!spec.constraints.is_empty(), "{name}");
    }
}

#[test]
fn examples_are_decided_by_the_check() {
    for (name, spec) in files() {
        spec.check_examples().unwrap_or_else(|e| panic!("{name}: {e}"));
    }
}

/// One small change.
fn mutate(text: &str, pool: &[char], rng: &mut impl Rng) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for _ in 0..rng.random_range(1..=2) {
        let at = rng.random_range(0..=chars.len());
        match rng.random_range(0..5) {
            0 => chars.insert(at, *pool.choose(rng).unwrap()),
            1 if at < chars.len() => drop(chars.remove(at)),
            2 if at < chars.len() => chars[at] = *pool.choose(rng).unwrap(),
            3 if at + 1 < chars.len() => chars.swap(at, at + 1),
            4 if at < chars.len() => chars[at] = char::from_u32(chars[at] as u32 + 1).unwrap_or('x'),
            _ => {}
        }
    }
    chars.into_iter().collect()
}

#[test]
fn the_automaton_agrees_with_the_check() {
    const MUTANTS: usize = 2000;
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let (mut accepted, mut rejected) = (0, 0);
    for (name, spec) in files() {
        let dfa = compile(&spec);
        let examples: Vec<&String> = spec.accepts.iter().chain(&spec.rejects).collect();
        let mut pool: Vec<char> = examples.iter().flat_map(|text| text.chars()).collect();
        pool.extend(" \n\t\r\u{a0}\u{85}\u{2028}é\u{301}_0aZ.,日𝔘".chars());
        // Grammars are checked by a parser, which takes its time.
        let parsed = spec.constraints.iter().any(|c| c.name() == "grammar");
        let mutants: Vec<String> = (0..if parsed { MUTANTS / 10 } else { MUTANTS })
            .map(|_| mutate(examples.choose(&mut rng).unwrap(), &pool, &mut rng))
            .collect();
        for text in examples.into_iter().chain(&mutants) {
            let verdict = spec.check(text);
            assert!(!matches!(verdict, Verdict::Unknown { .. }), "{name}: {text:?}");
            // A schema speaks of values: the check takes every spelling of one, say 12e1, the automaton the plain one.
            let schema = spec.constraints.iter().any(|c| c.name() == "json_schema");
            if schema && !spec.accepts.contains(text) && verdict.accepted() && !dfa.accepts(text.as_bytes()) {
                continue;
            }
            assert_eq!(dfa.accepts(text.as_bytes()), verdict.accepted(), "{name}: {text:?}: {verdict:?}");
            *if verdict.accepted() { &mut accepted } else { &mut rejected } += 1;
        }
    }
    println!("{accepted} texts accepted, {rejected} rejected, by both");
    assert!(accepted > 1000 && rejected > 10_000);
}

/// The published schema is what the program says. `BLESS=1 cargo test --release the_published` writes it anew.
#[test]
fn the_published_schema_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/constraint.schema.json");
    let schema = serde_json::to_string_pretty(&Registry::builtin().json_schema()).unwrap() + "\n";
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, &schema).unwrap();
    }
    let published = fs::read_to_string(&path).unwrap_or_default();
    assert!(published == schema, "docs/constraint.schema.json is out of date: run again with BLESS=1");
}

/// The files that the documents show are right, and so are their examples.
#[test]
fn documented_files_are_right() {
    let mut found = 0;
    for page in ["templates.md", "files.md", "grammars.md"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(page);
        let text = fs::read_to_string(path).unwrap();
        for block in text.split("```toml\n").skip(1) {
            let file = Source::new(page, block.split("```").next().unwrap());
            let spec = Spec::from_toml(&file, &Registry::builtin(), &Inputs::default()).unwrap();
            spec.check_examples().unwrap();
            assert!(!spec.accepts.is_empty() && !spec.rejects.is_empty(), "{}", file.text);
            found += 1;
        }
    }
    assert!(found >= 8, "{found}");
}
