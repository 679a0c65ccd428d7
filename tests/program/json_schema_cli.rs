//! JSON Schemas on the command line, as their users meet them: flags, constraint files, slots, refusals, reports.

use crate::common::process;

use process::{Folder, Ran, piped, stencil};
use serde_json::{Value, json};

const PERSON: &str = r#"{
  "type": "object",
  "properties": {
    "name": {"type": "string", "pattern": "^[A-Z][a-z]{1,8}$"},
    "age": {"type": "integer", "minimum": 0, "maximum": 120},
    "role": {"enum": ["admin", "user"]}
  },
  "required": ["name", "age"],
  "additionalProperties": false
}"#;

/// The texts of verified samples, read as JSON.
#[track_caller]
fn values(ran: Ran) -> Vec<Value> {
    let lines = ran.expect(0).json();
    assert!(lines.iter().all(|line| line["verified"] == true), "{lines:?}");
    lines.iter().map(|line| serde_json::from_str(line["text"].as_str().unwrap()).unwrap()).collect()
}

fn is_person(value: &Value) -> bool {
    let age = value["age"].as_u64();
    value["name"].as_str().is_some_and(|name| name.len() <= 9) && age.is_some_and(|age| age <= 120)
}

#[test]
fn a_file_and_a_shorthand_describe_the_text() {
    let folder = Folder::new("schema-flags");
    let file = folder.file("person.json", PERSON);
    let people = values(stencil(&["run", "--json-schema", &file, "-n", "8", "--json"]));
    assert!(people.len() == 8 && people.iter().all(is_person), "{people:?}");
    // `-` reads the schema from standard input.
    let piped = piped(&["run", "--json-schema", "-", "-q"], PERSON.as_bytes()).expect(0);
    assert!(is_person(&serde_json::from_str(&piped.out).unwrap()), "{}", piped.out);
    let fields = "name, age int, tags: [string]";
    for value in values(stencil(&["run", "--schema", fields, "-n", "4", "--json"])) {
        assert!(value["name"].is_string() && value["age"].is_i64() && value["tags"].is_array(), "{value}");
        assert_eq!(value.as_object().unwrap().len(), 3);
    }
    // Any policy, any order.
    for policy in ["random", "sequential", "remdm", "entropy"] {
        values(stencil(&["run", "--schema", fields, "--policy", policy, "--seed", "7", "--json"]));
    }
}

#[test]
fn files_say_how_the_text_is_written() {
    let folder = Folder::new("schema-files");
    folder.file("person.json", PERSON);
    let constraint =
        |options: &str| folder.file("person.toml", format!("[json_schema]\nfile = 'person.json'\n{options}\n"));
    let compact = stencil(&["run", "-c", &constraint(""), "-q"]).expect(0).out;
    assert!(compact.starts_with(r#"{"name":""#) && !compact.trim_end().contains(' '), "{compact}");
    let pretty = stencil(&["run", "-c", &constraint("whitespace = 'pretty'"), "-q"]).expect(0).out;
    assert!(pretty.starts_with("{\n  \"name\": \"") && pretty.trim_end().ends_with("\n}"), "{pretty}");
    let accepts = |options: &str, text: &str| {
        let constraint = json!({"json_schema": serde_json::from_str::<Value>(options).unwrap()});
        let line = json!({"id": 0, "constraint": constraint, "text": text}).to_string();
        piped(&["check", "--jsonl"], line.as_bytes()).expect(0).json()[0]["accepted"] == true
    };
    let any = r#"{"shorthand": "a int, b int", "key_order": "any", "whitespace": "any"}"#;
    assert!(accepts(any, "{\n \"b\" : 1,\t\"a\":2 }"));
    assert!(!accepts(any, "{\"b\":1}"));
    assert!(accepts(r#"{"shorthand": "a int, b int"}"#, "{\"a\":2,\"b\":1}"));
}

/// A schema in the middle of a fixed text, filled in random order, and with other constraints beside it.
#[test]
fn a_slot_holds_a_schema() {
    let folder = Folder::new("schema-slot");
    let file = folder.file(
        "slot.toml",
        "template = 'call {{tool|find|sort}} with {{with}} # {{note:1-2}}.'\n\n\
        [slots.with.json_schema]\nshorthand = 'name: \"a\"|\"b\", count int'\n",
    );
    for policy in ["random", "confidence"] {
        let ran = stencil(&["run", "-c", &file, "-n", "6", "--policy", policy, "--json"]).expect(0);
        for line in ran.json() {
            assert_eq!(line["verified"], true);
            let value: Value = serde_json::from_str(line["slots"]["with"].as_str().unwrap()).unwrap();
            assert!(value["count"].is_i64() && ["a", "b"].iter().any(|name| value["name"] == *name), "{line}");
            let text = line["text"].as_str().unwrap();
            assert!(text.starts_with("call ") && text.contains(&format!(" with {value} # ")), "{text}");
        }
    }
    let schema = folder.file(
        "said.json",
        r#"{"type": "object", "properties": {"said": {"type": "string"}},
        "required": ["said"], "additionalProperties": false}"#,
    );
    let ran = stencil(&["run", "--json-schema", &schema, "--contains", "river", "--length", "20-40c", "--json"]);
    for value in values(ran) {
        assert!(value["said"].as_str().unwrap().contains("river"), "{value}");
    }
    stencil(&["run", "--json-schema", &schema, "--length", "5c"]).fails(3, &["json_schema", "length"]);
}

#[test]
fn files_that_cannot_be_used() {
    stencil(&["run", "--json-schema", "no-such.json"]).fails(2, &["no-such.json"]);
    stencil(&["run", "--json-schema", "src"]).fails(2, &["src"]);
    let folder = Folder::new("schema-bad");
    let refused = |name: &str, text: &str, words: &[&str]| {
        stencil(&["run", "--json-schema", &folder.file(name, text)]).fails(2, words);
    };
    refused("broken.json", "{\n  \"type\": \"string\",\n}", &["broken.json:3:", "^"]);
    refused("latin1.json", "7", &["a schema is an object"]);
    refused("remote.json", r#"{"properties": {"a": {"$ref": "other.json"}}}"#, &["/properties/a/$ref", "help: "]);
    refused("format.json", r#"{"format": "datetime"}"#, &["/format", "did you mean \"date-time\"?"]);
    refused("draft.json", r#"{"$schema": "http://example.com/my"}"#, &["/$schema", "draft-07"]);
    refused("many.json", r#"{"minItems": -1}"#, &["/minItems", "whole number"]);
    let function = r#"{"name": "find", "description": "Finds", "parameters": {"type": "object"}, "strict": true}"#;
    refused("function.json", function, &["/parameters", "give the schema that stands under `parameters`"]);
    let tool = format!(r#"{{"type": "function", "function": {function}}}"#);
    refused("tool.json", &tool, &["/function", "help: "]);
    stencil(&["run", "--schema", "name, age nit"]).fails(2, &["^", "int"]);
}

/// Names that programs write into references need not be spelt as identifiers are.
#[test]
fn references_to_names_with_signs() {
    let folder = Folder::new("schema-references");
    let name = "List<(number[]|null)>";
    let schema = json!({"$ref": format!("#/definitions/{name}"), "definitions": {name: {"enum": [[1], null]}}});
    for value in values(stencil(&["run", "--json-schema", &folder.file("list.json", schema.to_string()), "--json"])) {
        assert!(value.is_null() || value == json!([1]), "{value}");
    }
}

/// What a lenient reading leaves out is listed wherever the schema is spoken of.
#[test]
fn lenient_readings_say_what_they_leave() {
    let folder = Folder::new("schema-lenient");
    let file = folder.file(
        "tags.toml",
        "[json_schema]\nlenient = true\n[json_schema.schema]\ntype = 'array'\n\
        minItems = 1\nmaxItems = 2\nuniqueItems = true\nitems = { type = 'string', pattern = '^[ab]+$' }\n\
        [json_schema.schema.contains]\nconst = 'a'\n",
    );
    let ran = stencil(&["run", "-c", &file, "-n", "20", "--json"]);
    let lines = ran.json();
    assert_eq!(lines.len(), 20);
    for line in &lines {
        assert_eq!(line["left"][0]["pointer"], "/uniqueItems", "{line}");
        assert!(line["left"][0]["why"].as_str().unwrap().contains("uniqueItems"));
        // It is left to the check, and the check decides.
        let value: Vec<String> = serde_json::from_str(line["text"].as_str().unwrap()).unwrap();
        let unique = value.len() == 1 || value[0] != value[1];
        assert_eq!(line["verified"], unique, "{line}");
    }
    let failed = lines.iter().any(|line| line["verified"] == false);
    ran.expect(i32::from(failed));
    let checked = stencil(&["check", &file]).expect(0).out;
    assert!(checked.contains("left to the final check: /uniqueItems"), "{checked}");
    // A schema that is kept leaves nothing.
    let strict = stencil(&["run", "--schema", "name", "--json"]).expect(0).json();
    assert!(strict[0].get("left").is_none(), "{}", strict[0]);
}

#[test]
fn check_explains_a_schema_and_a_rejected_text() {
    let folder = Folder::new("schema-explain");
    folder.file("person.json", PERSON);
    let file = folder.file("person.toml", "[json_schema]\nfile = 'person.json'\n");
    let out = stencil(&["check", &file, "--explain"]).expect(0).out;
    for word in ["states over", "exact    everything", " tokens of stencil-base", "text     \"{"] {
        assert!(out.contains(word), "{word:?} is missing in:\n{out}");
    }
    let tree = json!({"type": "object", "properties": {"children": {"type": "array", "items": {"$ref": "#"}}},
        "additionalProperties": false});
    let tree = folder.file("tree.json", json!({"json_schema": {"schema": tree}}).to_string());
    let out = stencil(&["check", &tree, "--explain"]).expect(0).out;
    assert!(out.contains("a recursive grammar") && out.contains("whether a text fits is always decided"), "{out}");
    // Where the text left the language, and what was possible there.
    let rejected = stencil(&["check", &file, "--text", r#"{"name":"Ada","age":130}"#]).expect(1).out;
    for word in ["/age", "text:1:23", "^", "possible there: ',', '}'"] {
        assert!(rejected.contains(word), "{word:?} is missing in:\n{rejected}");
    }
    let rejected = stencil(&["check", &file, "--text", r#"{"name":"ada""#]).expect(1).out;
    assert!(rejected.contains("possible there: A-Z"), "{rejected}");
    stencil(&["check", &file, "--text", r#"{"name":"Ada","age":13}"#]).expect(0);
}
