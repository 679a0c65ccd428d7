//! Inputs that engines mishandle, each answered rightly by the real binary: kept exactly, or refused with its place and a
//! way out. And inputs that would take a machine down: they end in an answer or a clear limit.

use crate::common::process;

use process::{Folder, piped, stencil};
use serde_json::{Value, json};
use std::time::Duration;

/// Lints a constraint file: nothing but its error may be said.
#[track_caller]
fn refused(constraint: Value, code: i32, words: &[&str]) {
    let folder = Folder::new("broken");
    let file = folder.file("broken.json", constraint.to_string());
    let ran = stencil(&["check", &file]).expect(code);
    assert!(ran.err.starts_with("error: ") && ran.err.contains("help: "), "{}", ran.err);
    for word in words {
        assert!(ran.err.contains(word), "{word:?} is missing in:\n{}", ran.err);
    }
    // A program is told the same.
    let line = json!({"id": 1, "constraint": constraint, "text": "1"}).to_string();
    let answer = &piped(&["check", "--jsonl"], line.as_bytes()).expect(0).json()[0];
    assert!(answer["accepted"] != true && answer["error"]["message"].is_string(), "{answer}");
}

/// The schema is kept: these texts are accepted, those rejected.
#[track_caller]
fn kept(schema: Value, accepted: &[&str], rejected: &[&str]) {
    let constraint = json!({"json_schema": {"schema": schema}});
    let all = accepted.iter().map(|text| (text, true)).chain(rejected.iter().map(|text| (text, false)));
    let line = |(text, wanted)| json!({"id": wanted, "constraint": constraint, "text": text}).to_string() + "\n";
    let questions: String = all.map(line).collect();
    for answer in piped(&["check", "--jsonl"], questions.as_bytes()).expect(0).json() {
        assert_eq!(answer["accepted"], answer["id"], "{schema}: {answer}");
    }
}

#[test]
fn a_typo_in_an_expression() {
    stencil(&["run", "--regex", "[a-z"]).fails(2, &["^", "help: "]);
    let schema = json!({"properties": {"code": {"type": "string", "pattern": "[a-z"}}});
    refused(json!({"json_schema": {"schema": schema}}), 2, &["/json_schema/schema/properties/code/pattern", "[a-z"]);
}

#[test]
fn a_look_ahead() {
    stencil(&["run", "--regex", "(?=a)b"]).fails(2, &["look", "^", "help: "]);
    // The patterns of a schema may have it.
    kept(
        json!({"type": "string", "pattern": "^(?!foo)[a-z]+$"}),
        &[r#""bar""#, r#""fo""#],
        &[r#""foo""#, r#""foobar""#, r#""1""#],
    );
}

#[test]
fn an_unknown_rule() {
    let folder = Folder::new("unknown-rule");
    let gbnf = folder.file("list.gbnf", "root ::= \"[\" item* \"]\"\nitme ::= [0-9]+\n");
    stencil(&["run", "--grammar", &gbnf]).fails(2, &["`item`", "itme", "list.gbnf:1:", "help: "]);
    let lark = folder.file("list.lark", "start: \"[\" item* \"]\"\nitme: /[0-9]+/\n");
    stencil(&["run", "--grammar", &lark]).fails(2, &["`item`", "itme", "list.lark:1:", "help: "]);
}

#[test]
fn a_minimum_above_the_maximum() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "integer", "minimum": 5, "maximum": 3}},
                        "required": ["a"]});
    refused(
        json!({"json_schema": {"schema": schema}}),
        3,
        &["/json_schema/schema/properties/a/minimum", "`minimum` is greater than `maximum`"],
    );
}

#[test]
fn unique_items_over_strings() {
    let schema = json!({"type": "array", "items": {"type": "string"}, "uniqueItems": true});
    refused(
        json!({"json_schema": {"schema": schema}}),
        2,
        &["`uniqueItems`", "/json_schema/schema/uniqueItems", "enum"],
    );
    // Where the items are listed, it is kept.
    kept(
        json!({"type": "array", "items": {"enum": ["a", "b"]}, "uniqueItems": true}),
        &["[]", r#"["b"]"#, r#"["b","a"]"#],
        &[r#"["a","a"]"#, r#"["a","b","a"]"#],
    );
    kept(
        json!({"type": "array", "items": {"type": "integer", "minimum": 8, "maximum": 12}, "uniqueItems": true}),
        &["[]", "[9,12,8,10,11]"],
        &["[8,8]", "[13]", "[7]"],
    );
    let letters: Vec<String> = ('a'..='y').map(String::from).collect();
    kept(
        json!({"type": "array", "items": {"enum": letters}, "uniqueItems": true, "maxItems": 2}),
        &["[]", r#"["y","b"]"#],
        &[r#"["y","y"]"#, r#"["a","b","c"]"#],
    );
}

#[test]
fn alternatives_that_overlap() {
    let schema = json!({"oneOf": [{"type": "integer", "minimum": 0}, {"type": "integer", "maximum": 10}]});
    kept(schema, &["11", "-1"], &["0", "5", "10", "1.5", "\"a\""]);
}

#[test]
fn an_unknown_type() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "strin"}}});
    refused(
        json!({"json_schema": {"schema": schema}}),
        2,
        &["/json_schema/schema/properties/a/type", "\"strin\"", "did you mean \"string\"?"],
    );
}

#[test]
fn a_negation() {
    let schema = json!({"type": "object", "properties": {"a": {"not": {"type": "string"}}}, "required": ["a"],
                        "additionalProperties": false});
    kept(schema, &[r#"{"a":1}"#, r#"{"a":[]}"#], &[r#"{"a":"x"}"#, "{}", "1"]);
}

#[test]
fn a_condition() {
    let schema = json!({
        "type": "object", "properties": {"kind": {"enum": ["a", "b"]}, "n": {"type": "integer"}},
        "required": ["kind"], "additionalProperties": false,
        "if": {"properties": {"kind": {"const": "a"}}}, "then": {"required": ["n"]}
    });
    kept(schema, &[r#"{"kind":"a","n":1}"#, r#"{"kind":"b"}"#], &[r#"{"kind":"a"}"#, r#"{"kind":"c"}"#, r#"{"n":1}"#]);
}

/// Schemas that are large, deep, cyclic or beyond counting: 5 seconds of work and 2 GiB are enough for each.
#[test]
fn hostile_schemas_end_soon() {
    let object = |n: usize, required: bool| {
        let properties: serde_json::Map<String, Value> =
            (0..n).map(|i| (format!("key{i}"), json!({"type": "integer"}))).collect();
        let names: Vec<String> = properties.keys().filter(|_| required).cloned().collect();
        json!({"type": "object", "properties": properties, "required": names, "additionalProperties": false})
    };
    let nested = |levels: usize| {
        (0..levels).fold(
            json!({"type": "integer"}),
            |inner, _| json!({"type": "object", "properties": {"a": inner}, "required": ["a"]}),
        )
    };
    let doubled: serde_json::Map<String, Value> = (0..40)
        .map(|i| {
            let next = json!({"$ref": format!("#/$defs/d{}", i + 1)});
            let object = json!({"properties": {"a": next, "b": next}, "required": ["a", "b"]});
            (format!("d{i}"), object)
        })
        .chain([("d40".to_string(), json!({"type": "null"}))])
        .collect();
    let alternatives: Vec<Value> =
        (0..40).map(|i| json!({"oneOf": [{"required": [format!("a{i}")]}, {"required": [format!("b{i}")]}]})).collect();
    // Properties of all kinds, and lists of subschemas, by the ten thousand.
    let many = |schema: &dyn Fn(usize) -> Value| (0..10_000).map(schema).collect::<Vec<Value>>();
    let named = |i: usize| json!({"properties": {format!("a{i}"): {"type": "integer"}}, "required": [format!("a{i}")]});
    let patterns: serde_json::Map<String, Value> =
        (0..10_000).map(|i| (format!("^k{i}"), json!({"type": "integer", "minimum": i}))).collect();
    let bounds = many(&|i| json!({"minimum": i}));
    let kinds = many(&|i| json!({"properties": {"kind": {"const": i}}, "required": ["kind"]}));
    let within =
        |levels: usize, key: &str| (0..levels).fold(json!({"type": "integer"}), |inner, _| json!({key: [inner]}));
    let seen: Vec<Value> = (0..40).map(|i| json!({"properties": {format!("a{i}"): true}})).collect();
    let circle = json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}});
    // What is said of each; an empty word where it can be kept.
    let hostile = [
        ("10,000 optional properties", object(10_000, false), ""),
        ("10,000 required properties", object(10_000, true), ""),
        ("20 levels", nested(20), ""),
        ("200 levels", nested(200), ""),
        ("200 alternatives in each other", within(200, "anyOf"), ""),
        ("600 combinations in each other", within(600, "allOf"), "deeper than 1000 levels"),
        ("10,000 patterns of keys", json!({"patternProperties": patterns}), "patterns"),
        ("10,000 bounds", json!({"allOf": bounds}), "more than 20000 patterns and bounds"),
        ("10,000 alternatives", json!({"anyOf": many(&named)}), "multiply"),
        ("10,000 alternatives that exclude each other", json!({"oneOf": kinds}), "too long to tell apart"),
        ("2^40 sets of keys", json!({"anyOf": seen, "unevaluatedProperties": false}), "more than 400 cases"),
        ("a cyclic reference", json!({"$ref": "#"}), "leads back to itself"),
        ("two references in a circle", circle, "leads back to itself"),
        ("a billion characters at most", json!({"type": "string", "maxLength": 1_000_000_000}), ""),
        ("a billion characters", json!({"type": "string", "minLength": 1_000_000_000}), "`minLength`"),
        ("a million characters at most", json!({"type": "string", "maxLength": 1_000_000}), "`maxLength`"),
        ("a billion items at most", json!({"type": "array", "maxItems": 1_000_000_000}), ""),
        ("a billion items", json!({"type": "array", "minItems": 1_000_000_000}), "`minItems`"),
        ("2^40 paths", json!({"$ref": "#/$defs/d0", "$defs": doubled}), ""),
        ("2^40 alternatives", json!({"allOf": alternatives}), "multiply"),
        ("another document", json!({"$ref": "http://example.com/schema.json"}), "another document"),
    ];
    for (about, schema, word) in hostile {
        let line = json!({"id": about, "constraint": {"json_schema": {"schema": schema}}, "text": "{}"}).to_string();
        let ran = piped(&["check", "--jsonl"], line.as_bytes());
        let (work, peak) = (ran.work, ran.peak_mib);
        let answer = &ran.expect(0).json()[0];
        let error = answer["error"]["message"].as_str().unwrap_or_default();
        println!("{about}: accepted {}, {error:?}, {work:?}, {peak} MiB", answer["accepted"]);
        assert!(error.contains(word) && error.is_empty() == word.is_empty(), "{about}: {answer}");
        assert!(work < Duration::from_secs(5) && peak < 2048, "{about}: {work:?}, {peak} MiB");
    }
}
