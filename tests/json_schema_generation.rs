//! Texts generated from JSON Schemas are valid, whatever the scores and the order of commits, on canvases that just fit.
//!
//! Schemas are those of the JSON-Schema-Test-Suite in `$STENCIL_DATA` (or `../shared/data`), and, where `$STENCIL_SCHEMAS`
//! names a folder, all its `*.json` files. Without them the tests skip, and say so. `$STENCIL_STRIDE`
//! takes every so-manieth schema of the suite (7 unless told).

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use stencil_lm::{
    CanvasView, Denoiser, ErrorKind, Model, Moves, Policy, Proposal, Result, Sampler, Scores, Settings, Step, Token,
    Vocab, constraints::JsonSchema, schema::SchemaOptions,
};

/// Pieces of JSON that overlap, and every byte.
fn vocab() -> Vocab {
    let pieces = [
        "{\"", "\":", "\":\"", "\",\"", ",\"", "\"}", "[]", "{}", "[[", "]]", "},{", "true", "false", "null", "name",
        "type", "foo", "bar", "the", "10", "100", "00", "0.", "20", "\\n", "\\\"", "é", "ing", "-1", "http", "://",
        ".com",
    ];
    let mut tokens: Vec<Option<Vec<u8>>> = pieces.iter().map(|w| Some(w.as_bytes().to_vec())).collect();
    tokens.extend((0..=255u8).map(|b| Some(vec![b])));
    tokens.extend([None, None]);
    let n = tokens.len() as Token;
    Vocab::from_bytes(tokens, Some(n - 2), Some(n - 1))
}

struct Noise(Vocab);

impl Denoiser for Noise {
    fn name(&self) -> &str {
        "noise"
    }
    fn vocab(&self) -> &Vocab {
        &self.0
    }
    fn max_len(&self) -> usize {
        512
    }
    fn predict(&self, views: &[CanvasView]) -> Result<Vec<Scores>> {
        let score = |view: &CanvasView| {
            let seed = view.tokens.iter().fold(view.tokens.len() as u64, |h, t| {
                h.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ t.map_or(7, |t| t as u64 + 11)
            });
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let value = |_| rng.random_range(-4.0f32..=4.0);
            Scores::new(self.0.len(), (0..view.tokens.len() * self.0.len()).map(value).collect())
        };
        views.iter().map(score).collect()
    }
}

/// Commits at random.
struct Whim(u64);

impl Policy for Whim {
    fn choose(&mut self, step: &Step, proposal: &Proposal) -> Result<Moves> {
        let mut rng = step.rng(self.0);
        let share: f64 = rng.random_range(0.1..=1.0);
        Ok(Moves::commit(proposal.candidates.iter().map(|c| c.pos).filter(|_| rng.random_bool(share))))
    }
}

#[derive(Default, Debug, Clone, Copy)]
struct Tally {
    schemas: usize,
    refused: usize,
    texts: usize,
    too_long: usize,
}

/// Five samples on each of three canvases.
fn generate(model: &Model, schema: &Value, about: &str, canvases: usize) -> Tally {
    let mut tally = Tally { schemas: 1, ..Tally::default() };
    let constraint = match JsonSchema::new(schema, SchemaOptions::default()) {
        Ok(constraint) => constraint,
        Err(e) => {
            assert!(e.kind() != ErrorKind::Input || e.json_pointer().is_some(), "{about}: {e:?}");
            tally.refused = 1;
            return tally;
        }
    };
    let sampler = |len: usize, seed: u64| {
        let settings = Settings { len: Some(len), seed: Some(seed), steps: Some(6), ..Settings::default() };
        Sampler::new(model).constraint(constraint.clone()).settings(settings).policy(move || Whim(seed)).count(5)
    };
    // One position is too few for most: the refusal says how many are needed.
    let shortest = match sampler(1, 0).run() {
        Ok(_) => 1,
        Err(e) if e.is_unsatisfiable() => {
            let needed = e.helps().iter().find_map(|h| h.split("--len ").nth(1)?.trim_end_matches('`').parse().ok());
            match needed {
                Some(needed) => needed,
                None => {
                    tally.too_long = 1;
                    return tally;
                }
            }
        }
        Err(e) => {
            assert!(e.is_too_large(), "{about}: {e:?}");
            tally.refused = 1;
            return tally;
        }
    };
    if shortest > 150 {
        tally.too_long = 1;
        return tally;
    }
    if shortest > 1 {
        assert!(
            sampler(shortest - 1, 0).run().is_err_and(|e| e.is_unsatisfiable()),
            "{about}: {shortest} is not least"
        );
    }
    for (i, len) in [shortest, shortest + 1, shortest + shortest.div_ceil(4)].into_iter().enumerate().take(canvases) {
        let outputs = match sampler(len, i as u64).run() {
            Ok(outputs) => outputs,
            // Texts of a bounded language may have no such length.
            Err(e) if e.is_unsatisfiable() && len > shortest => {
                assert!(!e.message().contains("cannot be completed"), "{about}: {e:?}");
                continue;
            }
            Err(e) => panic!("{about}: {len} positions: {e:?}"),
        };
        for output in outputs {
            assert!(output.report.verified, "{about}: {:?} {:?}", output.text, output.report.rejected);
            tally.texts += 1;
        }
    }
    tally
}

fn sum(tallies: Vec<Tally>) -> Tally {
    tallies.into_iter().fold(Tally::default(), |a, b| Tally {
        schemas: a.schemas + b.schemas,
        refused: a.refused + b.refused,
        texts: a.texts + b.texts,
        too_long: a.too_long + b.too_long,
    })
}

fn json_files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "json"));
    files.sort();
    files
}

#[test]
fn schemas_of_the_suite_write_valid_texts() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let data = std::env::var_os("STENCIL_DATA").map_or_else(|| root.join("../shared/data"), PathBuf::from);
    let folder = data.join("json-schema-test-suite/tests/draft2020-12");
    if !folder.is_dir() {
        eprintln!("SKIPPED: no {}; set STENCIL_DATA to a folder with json-schema-test-suite", folder.display());
        return;
    }
    let stride = std::env::var("STENCIL_STRIDE").ok().and_then(|s| s.parse().ok()).unwrap_or(7);
    let mut schemas = Vec::new();
    for file in json_files(&folder) {
        let groups: Vec<Value> = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        schemas.extend(groups.into_iter().map(|group| (group["description"].to_string(), group["schema"].clone())));
    }
    let schemas: Vec<(String, Value)> = schemas.into_iter().step_by(stride).collect();
    let model = Model::new(Noise(vocab()));
    let tallies = schemas.par_iter().map(|(about, schema)| generate(&model, schema, about, 3)).collect();
    let tally = sum(tallies);
    println!("{tally:?}");
    assert!(tally.texts > 4 * (tally.schemas - tally.refused), "{tally:?}");
}

#[test]
fn realistic_schemas_write_valid_texts() {
    let Some(folder) = std::env::var_os("STENCIL_SCHEMAS").map(PathBuf::from) else {
        eprintln!("SKIPPED: set STENCIL_SCHEMAS to a folder of JSON Schemas");
        return;
    };
    let model = Model::new(Noise(vocab()));
    let files = json_files(&folder);
    let one = |file: &PathBuf| {
        let schema = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
        let begun = Instant::now();
        let tally = generate(&model, &schema, &file.display().to_string(), 3);
        println!("{} {tally:?} {:?}", file.display(), begun.elapsed());
        tally
    };
    let tally = sum(files.par_iter().map(one).collect());
    println!("{tally:?}");
    assert!(tally.texts > 0);
}

/// What would take the machine down ends soon, in an answer or a refusal.
#[test]
fn hostile_schemas_end_soon() {
    let object = |n: usize, required: bool| {
        let properties: serde_json::Map<String, Value> =
            (0..n).map(|i| (format!("key{i}"), json!({"type": "integer"}))).collect();
        let names: Vec<String> = properties.keys().filter(|_| required).cloned().collect();
        json!({"type": "object", "properties": properties, "required": names, "additionalProperties": false})
    };
    let nested = (0..200).fold(
        json!({"type": "integer"}),
        |inner, _| json!({"type": "object", "properties": {"a": inner}, "required": ["a"]}),
    );
    let doubled: serde_json::Map<String, Value> = (0..40)
        .map(|i| {
            let next = json!({"$ref": format!("#/$defs/d{}", i + 1)});
            (
                format!("d{i}"),
                json!({"properties": {"a": next, "b": next}, "required": ["a", "b"], "additionalProperties": false}),
            )
        })
        .chain([("d40".to_string(), json!({"type": "null"}))])
        .collect();
    let alternatives: Vec<Value> =
        (0..40).map(|i| json!({"oneOf": [{"required": [format!("a{i}")]}, {"required": [format!("b{i}")]}]})).collect();
    let hostile = [
        ("10,000 optional properties", object(10_000, false)),
        ("10,000 required properties", object(10_000, true)),
        ("200 levels", nested),
        ("a cyclic reference", json!({"$ref": "#"})),
        (
            "two references in a circle",
            json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}),
        ),
        ("a billion characters", json!({"type": "string", "maxLength": 1_000_000_000})),
        ("a billion items", json!({"type": "array", "minItems": 1_000_000_000})),
        ("2^40 paths", json!({"$ref": "#/$defs/d0", "$defs": doubled})),
        ("2^40 alternatives", json!({"allOf": alternatives})),
        ("a remote reference", json!({"$ref": "http://example.com/schema.json"})),
    ];
    for (about, schema) in hostile {
        let begun = Instant::now();
        let made = JsonSchema::new(&schema, SchemaOptions::default());
        let took = begun.elapsed();
        println!(
            "{about}: {} after {took:?}",
            made.as_ref().map_or_else(|e| e.message().to_string(), |_| "compiled".into())
        );
        assert!(took < Duration::from_secs(5), "{about} took {took:?}");
    }
}
