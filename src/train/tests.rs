use super::*;
use crate::{CanvasView, ErrorKind, Model};
use std::path::PathBuf;
use std::{fs, process};

/// A folder of its own for each test, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("stencil-train-{name}-{}", process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
    /// A corpus of two labels and a configuration; `change` edits the configuration's text.
    fn config(&self, change: impl Fn(String) -> String) -> PathBuf {
        let animals = ["cat", "dog", "lion", "mouse", "horse", "owl", "fox", "bear"];
        let foods = ["bread", "cheese", "soup", "rice", "apple", "honey", "pie", "salt"];
        let line = |label: &str, word: &str, text: String| {
            format!("{}\n", serde_json::json!({"text": text, "label": label, "key": word}))
        };
        let mut corpus = String::from("\n");
        for (animal, food) in animals.iter().zip(foods) {
            for size in ["small", "large", "quick", "old"] {
                corpus += &line("animal", animal, format!("The {animal} is a {size} animal that runs."));
                corpus += &line("food", food, format!("The {food} is a {size} meal to eat."));
            }
        }
        fs::write(self.0.join("corpus.jsonl"), corpus).unwrap();
        let path = self.0.join("train.toml");
        fs::write(&path, change(CONFIG.to_string())).unwrap();
        path
    }
    fn weights(&self) -> Vec<u8> {
        fs::read(self.0.join("out/model.safetensors")).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const CONFIG: &str = r#"
out = "out"
seed = 3
[data]
file = "corpus.jsonl"
held_out = 0.2
[tokenizer]
vocab_size = 300
[model]
name = "tiny"
hidden_size = 32
layers = 2
heads = 2
ff_size = 48
max_len = 40
[optimizer]
steps = 60
batch_tokens = 400
lr = 1e-2
warmup = 5
[report]
log_every = 10
evaluate_every = 30
save_every = 20
"#;

fn options() -> TrainOptions {
    TrainOptions { quiet: true, ..Default::default() }
}

#[test]
fn a_short_run_learns_and_its_checkpoint_loads() {
    let folder = Folder::new("learns");
    let config = folder.config(|c| c.replace("steps = 60", "steps = 200"));
    let mut run = Run::prepare(TrainConfig::read(&config).unwrap(), options()).unwrap();
    let mut order = Order::new(3, run.training.len(), 0, 0);
    let nelbo = |run: &Run| {
        let model = run.averaged().unwrap();
        evaluate::nelbo(model.network(), &run.model, &run.held_out, 1).unwrap()
    };
    let start = nelbo(&run);
    assert!((start.nats_per_token - 300f64.ln()).abs() < 0.5, "{start:?}");
    let mean = |run: &mut Run, order: &mut Order| (0..5).map(|_| run.step(order).unwrap()).sum::<f64>() / 5.0;
    let before = mean(&mut run, &mut order);
    (0..190).for_each(|_| _ = run.step(&mut order).unwrap());
    let after = mean(&mut run, &mut order);
    assert!(after < 0.6 * before, "{before} → {after}");
    let end = nelbo(&run);
    assert!(end.nats_per_token < 0.6 * start.nats_per_token, "{end:?}");
    run.save().unwrap();

    let model = Model::load(&folder.0.join("out")).unwrap();
    let denoiser = model.denoiser();
    assert_eq!(denoiser.conditions(), ["animal", "food"]);
    assert_eq!(model.topics().unwrap().labels(), ["animal", "food"]);
    let view = CanvasView { prompt: vec![], condition: Some(0), tokens: vec![None; 12] };
    assert_eq!(denoiser.predict(&[view]).unwrap()[0].len(), 12);
}

#[test]
fn a_resumed_run_ends_where_an_unbroken_one_does() {
    let whole = Folder::new("whole");
    run(&whole.config(|c| c), options()).unwrap();

    let broken = Folder::new("broken");
    let config = broken.config(|c| c);
    let stop = TrainOptions { stop: Arc::new(AtomicBool::new(true)), ..options() };
    for resume in [false, true, true] {
        let error = run(&config, TrainOptions { resume, ..stop.clone() }).unwrap_err();
        assert_eq!((error.kind(), error.exit_code()), (ErrorKind::Interrupted, 130));
    }
    run(&config, TrainOptions { resume: true, ..options() }).unwrap();
    assert_eq!(whole.weights(), broken.weights());
}

#[test]
fn bad_configurations_and_data_are_named() {
    let folder = Folder::new("bad");
    let failure = |from: &str, to: &str| {
        let path = folder.config(|c| c.replace(from, to));
        let error = run(&path, options()).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        error.report()
    };
    assert!(failure("warmup", "warm_up").contains("unknown field `warm_up`"));
    assert!(failure("warmup", "warm_up").contains("train.toml:20:1"));
    assert!(failure("held_out = 0.2", "held_out = 1.5").contains("data.held_out is 1.5"));
    assert!(failure("hidden_size = 32", "hidden_size = 30").contains("heads of even size"));
    assert!(failure("corpus.jsonl", "none.jsonl").contains("none.jsonl"));
    assert!(failure("vocab_size = 300", "vocab_size = 200").contains("at least 261"));
    assert!(failure("vocab_size = 300", "vocab_size = 9000").contains("set tokenizer.vocab_size = "));
    assert!(failure("max_len = 40", "max_len = 2").contains("no text is left"));
    assert!(failure("lr = 1e-2", "lr = 1e30").contains("optimizer.lr"));
    assert!(failure("seed = 3", "seed = ").contains("train.toml:3"));

    let path = folder.config(|c| c);
    fs::write(folder.0.join("corpus.jsonl"), "{\"text\": \"a\"}\n{\"text\": 3}\n").unwrap();
    assert!(run(&path, options()).unwrap_err().report().contains("line 2"));
    fs::write(folder.0.join("corpus.jsonl"), "\n").unwrap();
    assert!(run(&path, options()).unwrap_err().report().contains("no texts"));
    let resume = TrainOptions { resume: true, ..options() };
    assert!(
        run(&folder.config(|c| c.replace("\"out\"", "\"empty\"")), resume)
            .unwrap_err()
            .report()
            .contains("tokenizer.json")
    );
}

#[test]
fn checkpoint_directories_that_do_not_fit_are_refused() {
    let folder = Folder::new("checkpoint");
    run(&folder.config(|c| c.replace("steps = 60", "steps = 1")), options()).unwrap();
    let out = folder.0.join("out");
    let failure = |name: &str, change: &dyn Fn(Vec<u8>) -> Option<Vec<u8>>| {
        let path = out.join(name);
        let good = fs::read(&path).unwrap();
        match change(good.clone()) {
            Some(bytes) => fs::write(&path, bytes).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        let error = Model::load(&out).err().expect("an error");
        fs::write(&path, good).unwrap();
        assert_eq!(error.kind(), ErrorKind::Model);
        assert!(error.report().contains(name), "{}", error.report());
        error.report()
    };
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        assert!(failure(name, &|_| None).contains("cannot read"));
        failure(name, &|bytes| Some(bytes[..bytes.len() / 2].to_vec()));
        failure(name, &|_| Some(Vec::new()));
    }
    failure("topics.safetensors", &|bytes| Some(bytes[..bytes.len() - 7].to_vec()));
    let report =
        failure("config.json", &|b| Some(String::from_utf8(b).unwrap().replace("\"layers\"", "\"depth\"").into()));
    assert!(report.contains("depth"), "{report}");
    let unmarked = |b: Vec<u8>| String::from_utf8(b).unwrap().replace("\"special\":true", "\"special\":false");
    let report = failure("tokenizer.json", &|b| Some(unmarked(b).into()));
    assert!(report.contains("is special in config.json"), "{report}");
    assert!(Model::load(&out.join("nowhere")).err().unwrap().report().contains("not a directory"));
    assert!(Model::load(&out).is_ok());
}
