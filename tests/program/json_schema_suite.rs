//! The JSON-Schema-Test-Suite through `stencil check --jsonl`: every test is answered as the suite says, or its schema is
//! refused with a keyword's JSON Pointer. Each value is asked about as compact and as pretty JSON, keys as they come.
//!
//! The suite lies in `$STENCIL_DATA/json-schema-test-suite/tests`, one folder per draft. It is not part of this repository, so
//! these tests run where they are asked for: `STENCIL_DATA=… cargo test --release json_schema -- --ignored`.
//! `--nocapture` prints what is refused, by keyword.

use crate::common::process;

use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

fn suite(draft: &str) -> PathBuf {
    let data = std::env::var_os("STENCIL_DATA").expect("STENCIL_DATA: a folder with json-schema-test-suite");
    let folder = Path::new(&data).join("json-schema-test-suite/tests").join(draft);
    assert!(folder.is_dir(), "STENCIL_DATA: no {}", folder.display());
    folder
}

/// (what it is about, constraint, value, valid)
fn tests(folder: &Path, dialect: &str) -> Vec<(String, Value, Value, bool)> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "json"));
    files.sort();
    let mut tests = Vec::new();
    for file in files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let groups: Vec<Value> = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        for group in groups {
            let mut schema = group["schema"].clone();
            if let Some(map) = schema.as_object_mut() {
                map.entry("$schema").or_insert_with(|| json!(dialect));
            }
            let constraint = json!({"json_schema": {"schema": schema, "whitespace": "any", "key_order": "any"}});
            for test in group["tests"].as_array().unwrap() {
                let about = format!("{name}: {} / {}", group["description"], test["description"]);
                tests.push((about, constraint.clone(), test["data"].clone(), test["valid"].as_bool().unwrap()));
            }
        }
    }
    tests
}

#[derive(Default)]
struct Tally {
    right: usize,
    false_accepts: Vec<String>,
    false_rejects: Vec<String>,
    undecided: Vec<String>,
    /// Answers refused, by keyword.
    refused: BTreeMap<String, usize>,
}

fn ask(tests: &[(String, Value, Value, bool)]) -> Tally {
    let mut tally = Tally::default();
    let mut questions = String::new();
    let mut asked = Vec::new();
    for (about, constraint, value, valid) in tests {
        for text in [serde_json::to_string(value).unwrap(), serde_json::to_string_pretty(value).unwrap()] {
            questions += &json!({"id": asked.len(), "constraint": constraint, "text": text}).to_string();
            questions.push('\n');
            asked.push((about, valid));
        }
    }
    let answers = process::piped(&["check", "--jsonl"], questions.as_bytes()).expect(0).json();
    assert_eq!(answers.len(), asked.len());
    for ((about, &valid), answer) in asked.into_iter().zip(&answers) {
        let error = &answer["error"];
        match (answer["accepted"].as_bool(), valid) {
            (Some(accepted), valid) if accepted == valid => tally.right += 1,
            (Some(true), _) => tally.false_accepts.push(about.clone()),
            (Some(false), _) => tally.false_rejects.push(format!("{about}: {error}")),
            (None, _) if error["kind"] == "undecided" => tally.undecided.push(format!("{about}: {error}")),
            (None, _) => {
                assert!(error["kind"] == "unsupported" || error["kind"] == "too_large", "{about}: {error}");
                let pointer = error["pointer"].as_str().unwrap_or_else(|| panic!("{about}: {error}"));
                *tally.refused.entry(pointer.rsplit('/').next().unwrap_or_default().into()).or_default() += 1;
            }
        }
    }
    tally
}

/// The whole suite of a draft: how many are decided, and rightly.
fn decide(draft: &str, dialect: &str) {
    let tally = ask(&tests(&suite(draft), dialect));
    let lists = [&tally.false_accepts, &tally.false_rejects, &tally.undecided];
    for (what, list) in ["FALSE ACCEPT", "FALSE REJECT", "UNDECIDED"].iter().zip(lists) {
        list.iter().for_each(|about| println!("{what} {about}"));
    }
    let refused: usize = tally.refused.values().sum();
    let total = tally.right + refused + lists.iter().map(|list| list.len()).sum::<usize>();
    let share = 100.0 * tally.right as f64 / total as f64;
    let keywords: Vec<String> = tally.refused.iter().map(|(keyword, n)| format!("`{keyword}` {n}")).collect();
    println!("| draft | answers | right | refused | undecided | false accepts | false rejects | refused by keyword |");
    println!(
        "| {draft} | {total} | {} ({share:.1} %) | {refused} | {} | {} | {} | {} |",
        tally.right,
        tally.undecided.len(),
        tally.false_accepts.len(),
        tally.false_rejects.len(),
        keywords.join(", ")
    );
    assert!(lists.iter().all(|list| list.is_empty()));
    assert!(share >= 85.0, "{share}");
}

#[test]
#[ignore = "needs STENCIL_DATA"]
fn draft_2020_12_is_decided_rightly() {
    decide("draft2020-12", "https://json-schema.org/draft/2020-12/schema");
}

#[test]
#[ignore = "needs STENCIL_DATA"]
fn draft_2019_09_is_decided_rightly() {
    decide("draft2019-09", "https://json-schema.org/draft/2019-09/schema");
}

#[test]
#[ignore = "needs STENCIL_DATA"]
fn draft_07_is_decided_rightly() {
    decide("draft7", "http://json-schema.org/draft-07/schema#");
}

#[test]
#[ignore = "needs STENCIL_DATA"]
fn draft_06_is_decided_rightly() {
    decide("draft6", "http://json-schema.org/draft-06/schema#");
}

#[test]
#[ignore = "needs STENCIL_DATA"]
fn draft_04_is_decided_rightly() {
    decide("draft4", "http://json-schema.org/draft-04/schema#");
}
