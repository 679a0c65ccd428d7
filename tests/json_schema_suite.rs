//! The JSON-Schema-Test-Suite: what the compiled schema accepts, together with the independent check, is what the suite
//! says, for every schema that is not refused.
//!
//! The suite lies in `$STENCIL_DATA` (or `../shared/data`); without it the test skips, and says so.

use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};
use stencil_lm::{
    Constraint, ErrorKind, Verdict,
    constraints::JsonSchema,
    schema::{KeyOrder, SchemaOptions, Whitespace},
};

fn suite(draft: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let data = std::env::var_os("STENCIL_DATA").map_or_else(|| root.join("../shared/data"), PathBuf::from);
    let folder = data.join("json-schema-test-suite/tests").join(draft);
    if !folder.is_dir() {
        eprintln!("SKIPPED: no {}; set STENCIL_DATA to a folder with json-schema-test-suite", folder.display());
        return None;
    }
    Some(folder)
}

#[derive(Default)]
struct Tally {
    right: usize,
    refused: usize,
    false_accepts: Vec<String>,
    false_rejects: Vec<String>,
    undecided: Vec<String>,
    /// Refused tests, by why.
    reasons: BTreeMap<String, usize>,
}

fn run(folder: &Path, dialect: &str) -> Tally {
    let mut tally = Tally::default();
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "json"));
    files.sort();
    let options = SchemaOptions { whitespace: Whitespace::Any, key_order: KeyOrder::Any, ..Default::default() };
    for file in files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let groups: Vec<Value> = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        for group in groups {
            let tests = group["tests"].as_array().unwrap();
            let mut schema = group["schema"].clone();
            if let Some(map) = schema.as_object_mut() {
                map.entry("$schema").or_insert_with(|| json!(dialect));
            }
            let made = JsonSchema::new(&schema, options);
            for test in tests {
                let about = format!("{name}: {} / {}", group["description"], test["description"]);
                let made = match &made {
                    Ok(made) => Ok(made),
                    // Nothing is of a schema that allows nothing.
                    Err(e) if e.is_unsatisfiable() => Err(Verdict::Reject { at: 0, why: e.message().into() }),
                    Err(e) => {
                        assert!(matches!(e.kind(), ErrorKind::Unsupported | ErrorKind::TooLarge), "{about}: {e:?}");
                        assert!(e.json_pointer().is_some(), "{about}: {e:?}");
                        tally.refused += 1;
                        let reason = format!("{name}: {} at {}", e.message(), e.json_pointer().unwrap_or_default());
                        *tally.reasons.entry(reason).or_default() += 1;
                        continue;
                    }
                };
                let data = &test["data"];
                let spellings = [serde_json::to_string(data).unwrap(), serde_json::to_string_pretty(data).unwrap()];
                let judge = |text: String| match &made {
                    Ok(made) => made.judge(&text),
                    Err(reject) => reject.clone(),
                };
                let verdicts = spellings.map(judge);
                let valid = test["valid"].as_bool().unwrap();
                for verdict in verdicts {
                    match (verdict, valid) {
                        (Verdict::Accept, true) | (Verdict::Reject { .. }, false) => tally.right += 1,
                        (Verdict::Accept, false) => tally.false_accepts.push(about.clone()),
                        (Verdict::Reject { why, .. }, true) => tally.false_rejects.push(format!("{about}: {why}")),
                        (Verdict::Unknown { why }, _) => tally.undecided.push(format!("{about}: {why}")),
                    }
                }
            }
        }
    }
    tally.refused *= 2;
    tally
}

fn report(tally: &Tally, draft: &str, least: f64) {
    let lists = [&tally.false_accepts, &tally.false_rejects, &tally.undecided];
    let total = tally.right + tally.refused + lists.iter().map(|l| l.len()).sum::<usize>();
    let share = tally.right as f64 / total as f64;
    for (reason, count) in &tally.reasons {
        println!("refused {count}: {reason}");
    }
    for (what, list) in ["FALSE ACCEPT", "FALSE REJECT", "UNDECIDED"].iter().zip(lists) {
        list.iter().for_each(|about| println!("{what} {about}"));
    }
    println!(
        "{draft}: {} of {total} decided rightly ({:.1} %), {} refused, {} undecided, {} false accepts, {} false rejects",
        tally.right,
        100.0 * share,
        tally.refused,
        tally.undecided.len(),
        tally.false_accepts.len(),
        tally.false_rejects.len()
    );
    assert!(tally.false_accepts.is_empty() && tally.false_rejects.is_empty());
    assert!(share >= least, "{share}");
}

#[test]
fn draft_2020_12_is_decided_rightly() {
    let Some(folder) = suite("draft2020-12") else { return };
    report(&run(&folder, "https://json-schema.org/draft/2020-12/schema"), "draft2020-12", 0.85);
}

#[test]
fn draft_07_is_decided_rightly() {
    let Some(folder) = suite("draft7") else { return };
    report(&run(&folder, "http://json-schema.org/draft-07/schema#"), "draft7", 0.85);
}
