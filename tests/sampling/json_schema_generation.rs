//! Texts generated from JSON Schemas are valid, whatever the scores and the order of commits, on canvases that just fit.
//!
//! Schemas are those of public packages in `tests/schemas`, or in `$STENCIL_SCHEMAS` (`scripts/fetch_schemas.py` fetches some
//! six hundred); and, where it is asked for, every seventh of the JSON-Schema-Test-Suite in `$STENCIL_DATA`, or every n-th
//! with `STENCIL_STRIDE=n`.

use crate::common::noise;

use noise::{Noise, Whim};
use rayon::prelude::*;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};
use stencil_lm::{
    CanvasView, Constraint, Denoiser, Error, ErrorKind, Model, Result, Sampler, Scores, Settings, Token, Vocab,
    constraints::JsonSchema, schema::SchemaOptions,
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
    Vocab::from_bytes(tokens, Some(n - 2), Some(n - 1)).unwrap()
}

/// Counts what the inner one is asked.
struct Counted<D> {
    inner: D,
    forwards: &'static AtomicUsize,
}

impl<D: Denoiser> Denoiser for Counted<D> {
    fn name(&self) -> &str {
        self.inner.name()
    }
    fn vocab(&self) -> &Vocab {
        self.inner.vocab()
    }
    fn max_len(&self) -> usize {
        self.inner.max_len()
    }
    fn predict(&self, views: &[CanvasView]) -> Result<Vec<Scores>> {
        self.forwards.fetch_add(views.len(), Ordering::Relaxed);
        self.inner.predict(views)
    }
}

/// What became of schemas.
#[derive(Default, Debug, Clone)]
struct Tally {
    schemas: usize,
    /// Not compiled, by keyword.
    refused: BTreeMap<String, usize>,
    /// Compiled, but with keywords left to the final check: what is written is not looked at.
    lenient: usize,
    texts: usize,
    /// The shortest text is longer than the canvas.
    too_long: usize,
    /// Compiled, but too large for the model's vocabulary.
    too_large: usize,
}

impl Tally {
    fn sum(tallies: impl IntoIterator<Item = Self>) -> Self {
        tallies.into_iter().fold(Self::default(), |mut all, one| {
            one.refused.into_iter().for_each(|(key, n)| *all.refused.entry(key).or_default() += n);
            all.schemas += one.schemas;
            all.lenient += one.lenient;
            all.texts += one.texts;
            all.too_long += one.too_long;
            all.too_large += one.too_large;
            all
        })
    }

    fn compiled(&self) -> usize {
        self.schemas - self.refused.values().sum::<usize>()
    }
}

/// The keyword that an error points at.
fn keyword(error: &Error) -> String {
    let pointer = error.json_pointer().unwrap_or_default();
    let segments = pointer.rsplit('/').filter(|s| s.parse::<usize>().is_err());
    let known = ["patternProperties", "properties", "oneOf", "anyOf"];
    let last = segments.take(2).find(|s| known.contains(s)).or(pointer.rsplit('/').next());
    match last.unwrap_or_default() {
        "" => format!("(whole) {}", error.message()),
        keyword => keyword.to_string(),
    }
}

/// Longest canvas that is tried.
const LONGEST: usize = 150;
/// Positions beyond the shortest text in which much of a schema can be written.
const ROOM: usize = 48;
/// Texts of a schema, on all canvases.
const TEXTS: usize = 17;

/// Five samples on each of three canvases: one that just fits, one position more, a quarter more; and two with room for
/// what is optional. Every shorter canvas is refused before the first forward.
fn generate(denoiser: impl Denoiser + 'static, constraint: &JsonSchema, about: &str) -> Tally {
    let mut tally = Tally::default();
    let forwards: &'static AtomicUsize = Box::leak(Box::default());
    let longest = denoiser.max_len().min(LONGEST);
    let model = Model::new(Counted { inner: denoiser, forwards });
    let run = |len: usize, seed: u64, samples: usize| {
        let settings = Settings { len: Some(len), seed: Some(seed), steps: Some(6), ..Settings::default() };
        let whim = move || Whim { seed, reopen: 0.0 };
        Sampler::new(&model).constraint(constraint.clone()).settings(settings).policy_with(whim).count(samples).run()
    };
    let refused = |len: usize| {
        let before = forwards.load(Ordering::Relaxed);
        let error = run(len, 0, 1).expect_err("a canvas that is too short");
        assert!(error.is_unsatisfiable(), "{about}: {len} positions: {error:?}");
        assert_eq!(forwards.load(Ordering::Relaxed), before, "{about}: {len} positions were refused too late");
        error
    };
    // One position is too few for most: the refusal says how many are needed.
    let shortest = match run(1, 0, 1) {
        Ok(_) => 1,
        Err(e) if e.is_unsatisfiable() => {
            let helps = refused(1).helps().join("\n");
            let needed = helps.split("--len ").nth(1).and_then(|h| h.split('`').next()?.parse().ok());
            needed.unwrap_or(usize::MAX)
        }
        Err(e) => {
            assert!(e.is_too_large(), "{about}: {e:?}");
            tally.too_large = 1;
            return tally;
        }
    };
    if shortest > longest {
        tally.too_long = 1;
        return tally;
    }
    [shortest / 2, shortest - 1].into_iter().filter(|&len| len > 0).for_each(|len| drop(refused(len)));
    let roomy = (shortest + shortest.div_ceil(4)).min(longest);
    let canvases = [(shortest, 5), ((shortest + 1).min(longest), 5), (roomy, 5), ((shortest + ROOM).min(longest), 2)];
    for (seed, (len, samples)) in (0..).zip(canvases) {
        let outputs = run(len, seed, samples).unwrap_or_else(|e| panic!("{about}: {len} positions: {e:?}"));
        for output in outputs {
            assert!(output.report.verified, "{about}: {:?} {:?}", output.text, output.report.rejected);
            tally.texts += 1;
        }
    }
    tally
}

/// Compiles a schema and writes texts of it.
fn try_out(schema: &Value, about: &str, model: impl Denoiser + 'static) -> Tally {
    let tally = Tally { schemas: 1, ..Tally::default() };
    match JsonSchema::new(schema, SchemaOptions::default()) {
        Ok(constraint) => Tally::sum([tally, generate(model, &constraint, about)]),
        Err(e) => {
            let honest = matches!(e.kind(), ErrorKind::Unsupported | ErrorKind::TooLarge | ErrorKind::Unsatisfiable);
            assert!(honest || e.json_pointer().is_some(), "{about}: {e:?}");
            println!("{about}: {} at {:?}", e.message(), e.json_pointer().unwrap_or_default());
            let lenient = JsonSchema::new(schema, SchemaOptions { lenient: true, ..SchemaOptions::default() });
            let left = lenient.as_ref().is_ok_and(|made| !made.unenforced().is_empty());
            Tally { refused: BTreeMap::from([(keyword(&e), 1)]), lenient: left as usize, ..tally }
        }
    }
}

fn noise() -> Noise {
    Noise { vocab: vocab(), max_len: 512 }
}

/// The folder of a model as a denoiser of its own.
struct Bundled(std::sync::Arc<Model>);

impl Denoiser for Bundled {
    fn name(&self) -> &str {
        self.0.denoiser().name()
    }
    fn vocab(&self) -> &Vocab {
        self.0.denoiser().vocab()
    }
    fn max_len(&self) -> usize {
        self.0.denoiser().max_len()
    }
    fn predict(&self, views: &[CanvasView]) -> Result<Vec<Scores>> {
        self.0.denoiser().predict(views)
    }
}

fn json_files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "json"));
    files.sort();
    files
}

#[test]
#[ignore = "needs STENCIL_DATA"]
fn schemas_of_the_suite_write_valid_texts() {
    let data = std::env::var_os("STENCIL_DATA").expect("STENCIL_DATA: a folder with json-schema-test-suite");
    let folder = Path::new(&data).join("json-schema-test-suite/tests/draft2020-12");
    assert!(folder.is_dir(), "STENCIL_DATA: no {}", folder.display());
    let stride = std::env::var("STENCIL_STRIDE").ok().and_then(|s| s.parse().ok()).unwrap_or(7);
    let mut schemas = Vec::new();
    for file in json_files(&folder) {
        let groups: Vec<Value> = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        schemas.extend(groups.into_iter().map(|group| (group["description"].to_string(), group["schema"].clone())));
    }
    let schemas: Vec<(String, Value)> = schemas.into_iter().step_by(stride).collect();
    let tally =
        Tally::sum(schemas.par_iter().map(|(about, schema)| try_out(schema, about, noise())).collect::<Vec<_>>());
    println!("{tally:#?}");
    assert!(tally.texts > 10 * tally.compiled(), "{tally:?}");
}

#[test]
fn realistic_schemas_write_valid_texts() {
    let given = std::env::var_os("STENCIL_SCHEMAS").map(PathBuf::from);
    let folder = given.clone().unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schemas"));
    let bundled = std::sync::Arc::new(Model::bundled().unwrap());
    let one = |file: &PathBuf| {
        let schema: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
        let about = file.file_name().unwrap().to_string_lossy().into_owned();
        let begun = Instant::now();
        drop(JsonSchema::new(&schema, SchemaOptions::default()));
        let compiled = begun.elapsed();
        let random = try_out(&schema, &about, noise());
        let learnt = match random.compiled() {
            1 => try_out(&schema, &about, Bundled(bundled.clone())),
            _ => Tally::default(),
        };
        let (texts, also) = (random.texts, learnt.texts);
        println!("{about}: compiled in {compiled:?}, {texts} + {also} texts in {:?}", begun.elapsed());
        assert!(compiled < Duration::from_secs(5), "{about} took {compiled:?}");
        (random, learnt)
    };
    let (random, learnt): (Vec<Tally>, Vec<Tally>) =
        json_files(&folder).par_iter().map(one).collect::<Vec<_>>().into_iter().unzip();
    let (random, learnt) = (Tally::sum(random), Tally::sum(learnt));
    println!("random scores: {random:#?}\nbundled model: {learnt:#?}");
    println!("{} of {} schemas compile, {} more leniently", random.compiled(), random.schemas, random.lenient);
    assert!(random.texts > 0 && learnt.texts > 0);
    if given.is_none() {
        assert!(random.refused.is_empty() && random.texts == TEXTS * random.schemas, "{random:?}");
        assert_eq!(learnt.texts, random.texts);
    }
}
