//! `stencil eval` as its users meet it.

use serde_json::Value;
use std::{fs, path::PathBuf, process::Command};

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("stencil-eval-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
    fn file(&self, name: &str, content: &str) -> String {
        let path = self.0.join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().into()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn stencil(args: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_stencil")).args(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn json(args: &[&str]) -> Value {
    let (code, out, err) = stencil(&[&["eval", "--json"], args].concat());
    assert_eq!(code, 0, "{err}");
    assert_eq!(out.lines().count(), 1);
    serde_json::from_str(&out).unwrap()
}

fn texts() -> String {
    let animals = ["cat", "dog", "lion", "horse", "owl", "fox"];
    let line = |animal: &&str| {
        let text = format!("The {animal} is a small animal that lives in Africa.");
        serde_json::json!({"text": text, "topic": "animal"}).to_string() + "\n"
    };
    animals.iter().map(line).collect()
}

#[test]
fn a_model_likes_its_own_kind_of_text_better_than_shuffled_words() {
    let folder = Folder::new("model");
    let good = folder.file("good.jsonl", &texts());
    let bad =
        folder.file("bad.jsonl", &texts().replace("is a small animal that lives", "lives that animal small a is"));
    let [good, bad] = [good, bad].map(|data| json(&["--data", &data, "--draws", "4"]));
    for key in ["texts", "bytes", "bits_per_byte", "nll_nats_per_token", "infill_top1", "infill_top5"] {
        assert!(good[key].is_number(), "{key}: {good}");
    }
    let number = |report: &Value, key: &str| report[key].as_f64().unwrap();
    assert_eq!((number(&good, "texts"), good["exact"].as_bool()), (6.0, Some(false)));
    assert!(number(&good, "bits_per_byte") < 0.6 * number(&bad, "bits_per_byte"), "{good} {bad}");
    assert!(number(&good, "bits_per_byte_error") > 0.0);
    assert!(number(&good, "infill_top5") >= number(&good, "infill_top1"));
    let per_token = number(&good, "nll_nats_per_token") * number(&good, "tokens");
    let per_byte = number(&good, "bits_per_byte") * number(&good, "bytes") * std::f64::consts::LN_2;
    assert!((per_token - per_byte).abs() < 1e-6 * per_token);
}

#[test]
fn the_baseline_learns_what_it_is_given() {
    let folder = Folder::new("baseline");
    let data = folder.file("data.jsonl", &texts());
    let other = folder.file("other.txt", "Quick brown foxes jump.\nNothing else matters here.\n");
    let baseline = |train: &str| json(&["--baseline", "ngram", "--train", train, "--data", &data]);
    let (known, unknown) = (baseline(&data), baseline(&other));
    assert!(known["exact"].as_bool().unwrap());
    assert!(known["bits_per_byte"].as_f64() < unknown["bits_per_byte"].as_f64());
    assert!(known["infill_top5"].as_f64() > unknown["infill_top5"].as_f64());
    // Learning from the rest of the same file is not learning from the held-out part.
    let split = json(&["--baseline", "ngram", "--train", &data, "--data", &data, "--held-out", "0.5"]);
    assert!(split["texts"].as_u64() < Some(6));
    assert!(split["bits_per_byte"].as_f64() > known["bits_per_byte"].as_f64());
}

#[test]
fn the_same_seed_gives_the_same_numbers_and_unknown_topics_are_told() {
    let folder = Folder::new("seed");
    let data = folder.file("data.jsonl", &texts().replace("\"animal\"", "\"dragon\""));
    let run = |seed: &str| stencil(&["eval", "--data", &data, "--draws", "2", "--seed", seed]);
    let (code, out, err) = run("1");
    assert_eq!(code, 0);
    assert!(out.contains("bits/byte") && out.contains("standard error"), "{out}");
    assert!(err.contains("dragon (6)"), "{err}");
    assert_eq!(run("1").1, out);
    assert_ne!(run("2").1, out);
}

#[test]
fn mistakes_are_named() {
    let folder = Folder::new("mistakes");
    let data = folder.file("data.jsonl", "{\"text\": \"a\"}\n{\"texts\": \"b\"}\n");
    let empty = folder.file("empty.jsonl", "\n");
    let fails = |args: &[&str], words: &str| {
        let (code, out, err) = stencil(&[&["eval"], args].concat());
        assert_eq!((code, out.as_str()), (2, ""), "{err}");
        assert!(err.contains(words), "{err}");
    };
    fails(&["--data", &data], "line 2");
    fails(&["--data", &empty], "no texts");
    fails(&["--data", "nowhere.jsonl"], "nowhere.jsonl");
    fails(&["--data", &data, "-m", "nowhere"], "nowhere");
    fails(&["--data", &data, "--held-out", "1.5"], "at most 1");
    fails(&["--data", &data, "--baseline", "ngram"], "--train");
    fails(&[], "--data");
}
