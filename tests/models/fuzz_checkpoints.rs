//! Mutated checkpoints: no header, configuration, index, tokenizer or chat template of a file that somebody downloaded may
//! panic, hang or fill the memory.
//!
//! `STENCIL_FUZZ_CASES=100000 STENCIL_FUZZ_SEED=2 cargo test --release fuzz_checkpoints -- --nocapture` tries more.

use crate::common::process;
use crate::copies;
use crate::gguf_file as gguf;

use copies::{Copy, checkpoints};
use rand::{Rng, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    time::{Duration, Instant},
};
use stencil_lm::{CanvasView, Model, models::Loading};

/// No case may take longer, however busy the machine.
const SLOWEST: Duration = Duration::from_secs(20);
/// The process may not grow beyond this.
const MEMORY_KIB: usize = 2 << 20;

/// Cases of a share of all.
fn cases_of(share: f64) -> usize {
    let all = std::env::var("STENCIL_FUZZ_CASES").ok().and_then(|s| s.parse().ok()).unwrap_or(2000.0);
    (f64::ceil(all * share)) as usize
}

fn chance() -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(std::env::var("STENCIL_FUZZ_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(0))
}

/// Every place in a value, as pointers.
fn places(value: &Value, here: &str, all: &mut Vec<String>) {
    all.push(here.into());
    let step = |key: &str| format!("{here}/{}", key.replace('~', "~0").replace('/', "~1"));
    match value {
        Value::Object(entries) => entries.iter().for_each(|(key, inner)| places(inner, &step(key), all)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, inner)| places(inner, &step(&i.to_string()), all))
        }
        _ => {}
    }
}

/// Other values at some places.
fn bend(value: &mut Value, chance: &mut ChaCha8Rng) {
    let values = [
        json!(null),
        json!(0),
        json!(1),
        json!(-1),
        json!(2),
        json!(3),
        json!(7),
        json!(255),
        json!(1u64 << 24),
        json!(1u64 << 31),
        json!(1u64 << 40),
        json!(u64::MAX),
        json!(0.5),
        json!(1e308),
        json!(1e-320),
        json!(true),
        json!(false),
        json!(""),
        json!("x"),
        json!("default"),
        json!("yarn"),
        json!("gelu"),
        json!([]),
        json!([0]),
        json!([[1]]),
        json!({}),
        json!({"type": "linear", "factor": 0}),
        json!("\u{1f600}\u{0}"),
        json!("a".repeat(10_000)),
    ];
    for _ in 0..chance.random_range(1..4) {
        let mut all = Vec::new();
        places(value, "", &mut all);
        let place = all.choose(chance).unwrap().clone();
        let other = all.choose(chance).unwrap().clone();
        let new = match chance.random_range(0..6) {
            0 => value.pointer(&other).unwrap().clone(),
            _ => values.choose(chance).unwrap().clone(),
        };
        // A whole table is seldom of interest.
        if place.matches('/').count() < 2 && chance.random_bool(0.5) {
            continue;
        }
        if chance.random_bool(0.2)
            && let Some((table, key)) = place.rsplit_once('/')
            && let Some(table) = value.pointer_mut(table).and_then(Value::as_object_mut)
        {
            table.remove(&key.replace("~1", "/").replace("~0", "~"));
            continue;
        }
        *value.pointer_mut(&place).unwrap() = new;
    }
}

/// Other bytes in the first `within`.
fn break_bytes(bytes: &mut Vec<u8>, within: usize, chance: &mut ChaCha8Rng) {
    for _ in 0..chance.random_range(1..5) {
        let at = chance.random_range(0..within.min(bytes.len()).max(1));
        match chance.random_range(0..8) {
            0 => bytes.truncate(at),
            1 => drop(bytes.splice(at..at, [chance.random::<u8>(); 3])),
            2 => {
                let wide = [u64::MAX, 1 << 60, 1 << 31, 1 << 30, 0, 1].choose(chance).unwrap().to_le_bytes();
                let end = (at + 8).min(bytes.len());
                bytes[at..end].copy_from_slice(&wide[..end - at]);
            }
            3 | 4 => bytes[at] = *b"0123456789{}[]:,\"-".choose(chance).unwrap(),
            _ => bytes[at] = chance.random(),
        }
        if bytes.is_empty() {
            return;
        }
    }
}

/// Loads it, and asks it something if it is taken. True if it was.
fn load(path: &Path, what: &dyn Fn() -> String) -> bool {
    let start = Instant::now();
    let loading = Loading { precision: None, memory: Some(1 << 30) };
    let taken = catch_unwind(AssertUnwindSafe(|| match Model::load_with(path, &loading) {
        Err(error) => {
            let report = error.report();
            assert!(!report.is_empty() && report.len() < 8000, "{} bytes of report", report.len());
            false
        }
        Ok(model) => {
            let _ = model.prompt_tokens(Some("Be brief."), "Hi", false);
            let view = CanvasView { prompt: vec![3, 4].into(), condition: None, tokens: vec![Some(5), None, None] };
            let _ = model.denoiser().predict(std::slice::from_ref(&view));
            true
        }
    }));
    let taken = taken.unwrap_or_else(|_| panic!("a panic, see above: {}", what()));
    assert!(start.elapsed() < SLOWEST, "{:?}: {}", start.elapsed(), what());
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).and_then(|l| l.trim().strip_suffix(" kB"));
    let peak: usize = peak.and_then(|kib| kib.trim().parse().ok()).unwrap_or(0);
    assert!(peak < MEMORY_KIB, "{peak} KiB: {}", what());
    taken
}

/// Changes a file of each checkpoint again and again.
fn fuzz(file: &str, share: f64, change: impl Fn(&[u8], &mut ChaCha8Rng) -> Vec<u8>) {
    let (mut chance, mut cases, mut taken) = (chance(), 0, 0);
    let copies: Vec<Copy> = checkpoints(&format!("fuzz-{}", file.replace('.', "-")));
    let copies: Vec<(&Copy, Vec<u8>)> =
        copies.iter().filter_map(|c| Some((c, fs::read(c.0.join(file)).ok()?))).collect();
    while cases < cases_of(share) {
        let (copy, good) = copies.choose(&mut chance).unwrap();
        let path = copy.0.join(file);
        let bad = change(good, &mut chance);
        fs::write(&path, &bad).unwrap();
        let head = String::from_utf8_lossy(&bad[..bad.len().min(3000)]).into_owned();
        taken += usize::from(load(&copy.0, &|| format!("{} {file}: {head}", copy.0.display())));
        cases += 1;
        fs::write(&path, good).unwrap();
    }
    println!("{file}: {cases} cases, {taken} of them loaded");
    assert!(cases > 0);
}

fn bent_json(good: &[u8], chance: &mut ChaCha8Rng) -> Vec<u8> {
    let mut value = serde_json::from_slice(good).unwrap();
    bend(&mut value, chance);
    value.to_string().into_bytes()
}

#[test]
fn configurations() {
    process::alone("fuzz_checkpoints::configurations", || {
        fuzz("config.json", 0.25, bent_json);
    });
}

#[test]
fn tokenizers() {
    process::alone("fuzz_checkpoints::tokenizers", || {
        fuzz("tokenizer.json", 0.2, bent_json);
        fuzz("tokenizer_config.json", 0.05, bent_json);
    });
}

#[test]
fn headers_of_weights() {
    process::alone("fuzz_checkpoints::headers_of_weights", || {
        fuzz("model.safetensors", 0.2, |good, chance| {
            let size = u64::from_le_bytes(good[..8].try_into().unwrap()) as usize;
            let mut bytes = good.to_vec();
            if chance.random_bool(0.5) {
                break_bytes(&mut bytes, size + 8, chance);
                return bytes;
            }
            // A header that is well-formed, and says something else: overlapping tensors, other shapes and types.
            let mut header: Value = serde_json::from_slice(&good[8..size + 8]).unwrap();
            bend(&mut header, chance);
            let header = header.to_string().into_bytes();
            [&(header.len() as u64).to_le_bytes()[..], &header, &good[size + 8..]].concat()
        });
        fuzz("model.safetensors.index.json", 0.05, bent_json);
    });
}

#[test]
fn headers_of_gguf_files() {
    process::alone("fuzz_checkpoints::headers_of_gguf_files", || {
        let folder = std::env::temp_dir().join(format!("stencil-fuzz-gguf-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("model.gguf");
        let references = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/references");
        gguf::to_gguf(&references.join("dream-tied"), "dream", candle_core::quantized::GgmlDType::F32, &path);
        let good = fs::read(&path).unwrap();
        assert!(load(&path, &|| "as it is".into()));
        let (mut chance, mut cases, mut taken) = (chance(), 0, 0);
        while cases < cases_of(0.25) {
            let mut bytes = good.clone();
            // Half of them within the first keys and their values.
            let within = if chance.random_bool(0.5) { 700 } else { 12_000 };
            break_bytes(&mut bytes, within, &mut chance);
            fs::write(&path, &bytes).unwrap();
            taken +=
                usize::from(load(&path, &|| format!("{:?}", String::from_utf8_lossy(&bytes[..bytes.len().min(800)]))));
            cases += 1;
        }
        println!("model.gguf: {cases} cases, {taken} of them loaded");
        fs::remove_dir_all(folder).unwrap();
    });
}

#[test]
fn chat_templates_without_end() {
    let copy = checkpoints("fuzz-chat").into_iter().next().unwrap();
    let path = copy.0.join("chat_template.jinja");
    for template in [
        "{% for a in range(100000) %}{% for b in range(100000) %}{% for c in range(100000) %}x{% endfor %}{% endfor %}{% endfor %}",
        "{{ 'x' * 100000000000 }}",
        "{% for i in range(90000) %}{{ 'x' * 90000 }}{% endfor %}",
        "{% set n = namespace(x='ab') %}{% for i in range(60) %}{% set n.x = n.x ~ n.x %}{% endfor %}{{ n.x }}",
        "{% set n = namespace(x='ab') %}{% for i in range(60) %}{% set n.x = n.x + n.x %}{% endfor %}{{ n.x }}",
        "{% set n = namespace(x=['ab']) %}{% for i in range(60) %}{% set n.x = n.x + n.x %}{% endfor %}{{ n.x | length }}",
        "{% set n = namespace(x='ab') %}{% for i in range(60) %}{% set n.x = n.x.replace('a', n.x) %}{% endfor %}{{ n.x }}",
        "{% macro again(x) %}{{ again(x ~ x) }}{% endmacro %}{{ again('ab') }}",
        "{{ messages | map('upper') | list * 1000000000 }}",
        "{{ '%1000000000d' | format(3) }}",
        "{{ 'x' | center(10000000000) }}{{ 'x' | indent(10000000000, true) }}",
        "{% include 'chat' %}",
        "{{ range(10000000000) | list }}",
    ] {
        fs::write(&path, template).unwrap();
        // In a process of its own, which ends with it: what it holds is no longer held.
        let ran = process::stencil(&["run", "-m", copy.0.to_str().unwrap(), "--regex", "[a-z]{4}", "Hi"]);
        println!("{:5} ms, {:4} MiB: {template}", ran.elapsed.as_millis(), ran.peak_mib);
        assert!(ran.elapsed < Duration::from_secs(60) && ran.peak_mib < 4096, "{template}: {}", ran.err);
        let known = ["chat template", "the prompt has", "writes nothing"];
        ran.fails(2, &[]).err.lines().next().filter(|line| known.iter().any(|k| line.contains(k))).expect(template);
    }
}
