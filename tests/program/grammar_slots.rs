//! Grammars and schemas in slots, and grammars that other constraints narrow: through the real binary, from constraint
//! files and from flags.

use serde_json::Value;
use std::{fs, process::Command};

fn stencil(args: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stencil"));
    let ran = command.args(args).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (ran.status.code().unwrap(), text(ran.stdout), text(ran.stderr))
}

/// Three samples of a file, each verified and exact, with their slots.
#[track_caller]
fn samples(name: &str, body: &str, flags: &[&str]) -> Vec<(String, Value)> {
    let path = std::env::temp_dir().join(format!("stencil-{}-{name}.toml", std::process::id()));
    fs::write(&path, format!("version = 1\n{body}")).unwrap();
    let file = path.to_str().unwrap();
    let (code, out, err) = stencil(&[&["run", "-c", file, "--json", "-n", "3", "--steps", "3"], flags].concat());
    fs::remove_file(&path).unwrap();
    assert_eq!(code, 0, "{name}: {out}{err}");
    let parse = |line: &str| {
        let sample: Value = serde_json::from_str(line).unwrap();
        assert_eq!(sample["verified"], true, "{name}: {line}");
        (sample["text"].as_str().unwrap().to_string(), sample["slots"].clone())
    };
    let found: Vec<_> = out.lines().map(parse).collect();
    assert_eq!(found.len(), 3);
    found
}

/// Whether brackets match, read by nothing but a counter.
fn balanced(text: &str) -> bool {
    let mut open = 0i32;
    text.chars().all(|c| {
        open += i32::from(c == '(') - i32::from(c == ')');
        open >= 0
    }) && open == 0
}

const LISP: &str = r#"grammar = '''
root ::= "(" item (" " item)* ")"
item ::= root | [a-z]+
'''"#;

#[test]
fn a_slot_holds_a_grammar_of_a_given_length() {
    let body = format!("template = 'f = {{{{e}}}}!'\n[slots.e]\nlength = '7-12c'\n{LISP}");
    for (text, slots) in samples("length", &body, &[]) {
        let e = slots["e"].as_str().unwrap();
        assert_eq!(text, format!("f = {e}!"));
        assert!((7..=12).contains(&e.chars().count()) && balanced(e) && e.starts_with('('), "{text}");
    }
}

#[test]
fn words_are_asked_for_and_forbidden_in_a_grammar() {
    let body = format!(
        "template = '{{{{e}}}} {{{{f}}}}'\n[slots.e]\ncontains = ['cat']\nlength = '3-5 words'\n{LISP}\n\
         [slots.f]\nregex = '.*\\) .*'\nexcludes = ['cat']\nlength = '-24c'\n{LISP}"
    );
    for (text, slots) in samples("words", &body, &["--length", "-60c"]) {
        let (e, f) = (slots["e"].as_str().unwrap(), slots["f"].as_str().unwrap());
        assert!(balanced(e) && balanced(f) && f.contains(") "), "{text}");
        let word = |text: &str| text.split(|c: char| !c.is_alphabetic()).any(|word| word == "cat");
        assert!(word(e) && !word(f) && f.len() <= 24, "{text}");
        assert!((3..=5).contains(&e.split_whitespace().count()), "{text}");
    }
}

#[test]
fn slots_hold_schemas_beside_grammars() {
    let body = format!(
        "template = '{{{{name:1-2}}}}: {{{{data}}}} {{{{e}}}}'\n[slots.data.json_schema.schema]\ntype = 'object'\n\
         properties = {{ a = {{ type = 'integer', minimum = 3, maximum = 7 }} }}\nrequired = ['a']\n\
         additionalProperties = false\n[slots.e]\nlength = '-9c'\n{LISP}"
    );
    for (text, slots) in samples("schema", &body, &[]) {
        let data: Value = serde_json::from_str(slots["data"].as_str().unwrap()).unwrap();
        assert!((3..=7).contains(&data["a"].as_i64().unwrap()), "{text}");
        assert!(balanced(slots["e"].as_str().unwrap()), "{text}");
    }
}

#[test]
fn a_recursive_schema_is_narrowed_in_a_slot() {
    let body = "template = 'tree {{t}}.'\n[slots.t]\nlength = '12-30c'\n[slots.t.json_schema.schema]\n\
                type = 'array'\nitems = { '$ref' = '#' }\nmaxItems = 2\n";
    for (text, slots) in samples("tree", body, &[]) {
        let t = slots["t"].as_str().unwrap();
        assert!(serde_json::from_str::<Value>(t).is_ok() && (12..=30).contains(&t.len()), "{text}");
    }
}

#[test]
fn flags_narrow_a_whole_grammar() {
    let grammar = ["run", "--grammar", "constraints/grammars/arithmetic.gbnf", "--json", "-n", "3", "--steps", "3"];
    let flags = ["--length", "6-14c", "--prefix", "(", "--suffix", ")", "--regex", "[^-]*"];
    let (code, out, err) = stencil(&[&grammar[..], &flags].concat());
    assert_eq!(code, 0, "{err}");
    for line in out.lines() {
        let sample: Value = serde_json::from_str(line).unwrap();
        let text = sample["text"].as_str().unwrap();
        assert_eq!(sample["verified"], true, "{line}");
        assert!(text.starts_with('(') && text.ends_with(')') && balanced(text) && !text.contains('-'), "{text}");
        assert!((6..=14).contains(&text.len()), "{text}");
    }
    // In tokens, for the whole text.
    let (code, out, err) = stencil(&[&grammar[..], &["--length", "9t"]].concat());
    assert_eq!(code, 0, "{err}");
    for line in out.lines() {
        let sample: Value = serde_json::from_str(line).unwrap();
        assert_eq!((&sample["verified"], &sample["tokens"]), (&Value::from(true), &Value::from(9)), "{line}");
    }
}

#[test]
fn what_cannot_be_kept_is_refused() {
    let refused = |body: &str, code: i32, words: &[&str]| {
        let path = std::env::temp_dir().join(format!("stencil-{}-refused.toml", std::process::id()));
        fs::write(&path, format!("version = 1\n{body}")).unwrap();
        let (status, out, err) = stencil(&["run", "-c", path.to_str().unwrap()]);
        fs::remove_file(&path).unwrap();
        assert_eq!((status, out.as_str()), (code, ""), "{err}");
        words.iter().for_each(|word| assert!(err.contains(word), "{word:?} is missing in:\n{err}"));
    };
    refused(&format!("template = '{{{{e}}}}'\n[slots.e]\nlength = '4t'\n{LISP}"), 2, &["slot `e`", "tokens"]);
    let both = format!("{LISP}\n[json_schema.schema]\ntype = 'array'\nitems = {{ '$ref' = '#' }}");
    refused(&both, 2, &["two grammars"]);
    let empty = format!("template = '{{{{e}}}}.'\n[slots.e]\nlength = '1c'\n{LISP}");
    refused(&empty, 3, &["`template` allows no text at all"]);
}

#[test]
fn check_explains_a_grammar() {
    let path = std::env::temp_dir().join(format!("stencil-{}-explain.toml", std::process::id()));
    let rules = "root ::= \"(\" root \")\" | [0-9]\nspare ::= \"x\"";
    fs::write(&path, format!("version = 1\ngrammar = '''{rules}'''\n")).unwrap();
    let file = path.to_str().unwrap();
    let (code, out, err) = stencil(&["check", file, "--explain"]);
    assert_eq!(code, 0, "{err}");
    for words in
        ["good", "no text uses the rule `spare`", "recursive grammar", "1 token of", "solved exactly", "text  "]
    {
        assert!(out.contains(words), "{words:?} is missing in:\n{out}");
    }
    let (code, out, _) = stencil(&["check", file, "--text", "((1x"]);
    fs::remove_file(&path).unwrap();
    assert_eq!(code, 1);
    assert!(out.contains("text:1:4") && out.contains("possible there: ')'"), "{out}");
    let (code, out, _) = stencil(&["check", "constraints/date.toml", "--text", "2024-13-01"]);
    assert_eq!(code, 1);
    assert!(out.contains("possible there: 0-2"), "{out}");
}
