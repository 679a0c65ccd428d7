use super::evaluate::Trained;
use super::*;
use crate::eval::{Coded, likelihood};
use crate::models::masked::WeightFormat;
use crate::models::{CausalModel, Classifier};
use crate::{CanvasView, ErrorKind, Model};
use std::path::PathBuf;
use std::{fs, process};

mod config;

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

const CONFIG: &str = include_str!("../../tests/train.toml");

fn options() -> TrainOptions {
    TrainOptions { quiet: true, ..Default::default() }
}

#[test]
fn a_short_run_learns_and_its_checkpoint_loads() {
    let folder = Folder::new("learns");
    let config = folder.config(|c| c.replace("steps = 60", "steps = 200"));
    let mut run = Run::prepare(TrainConfig::read(&config).unwrap(), options()).unwrap();
    let start = held_out(&run);
    assert!((start - 300f64.ln()).abs() < 0.5, "{start:?}");
    let mean = |run: &mut Run| (0..5).map(|_| run.step().unwrap()).sum::<f64>() / 5.0;
    let before = mean(&mut run);
    (0..190).for_each(|_| _ = run.step().unwrap());
    let after = mean(&mut run);
    assert!(after < 0.6 * before, "{before} → {after}");
    let end = held_out(&run);
    assert!(end < 0.6 * start, "{end:?}");
    run.save(true).unwrap();
    run.write_topics().unwrap();

    let model = Model::load(&folder.0.join("out")).unwrap();
    let denoiser = model.denoiser();
    assert_eq!(denoiser.conditions(), ["animal", "food"]);
    assert_eq!(model.topics().unwrap().labels(), ["animal", "food"]);
    let view = CanvasView { prompt: vec![].into(), condition: Some(0), tokens: vec![None; 12] };
    assert_eq!(denoiser.predict(&[view]).unwrap()[0].len(), 12);
}

/// Nats per token of the averaged weights.
fn held_out(run: &Run) -> f64 {
    let trained = Trained::new(run.model.clone(), run.corpus.vocab.clone(), run.averaged().unwrap()).unwrap();
    let texts: Vec<Coded> = run.corpus.held_out.iter().map(|e| run.coded(e.unwrap())).collect();
    likelihood(trained.language_model(), &texts, 1, 8).unwrap().nats_per_token()
}

#[test]
fn the_causal_twin_learns_and_is_no_denoiser() {
    let folder = Folder::new("causal");
    let config = folder.config(|c| c.replace("[optimizer]", "[objective]\nkind = \"causal\"\n[optimizer]"));
    let mut run = Run::prepare(TrainConfig::read(&config).unwrap(), options()).unwrap();
    let start = held_out(&run);
    (0..100).for_each(|_| _ = run.step().unwrap());
    assert!(held_out(&run) < 0.5 * start);
    run.save(true).unwrap();
    let error = Model::load(&folder.0.join("out")).err().unwrap();
    assert!(error.report().contains("from left to right"), "{}", error.report());
    let model = CausalModel::load(&folder.0.join("out")).unwrap();
    assert!(model.sample(12, Some(0), 0.5, &mut rng(0, 0, 0)).unwrap().len() > 4);
}

#[test]
fn adding_up_gradients_is_a_larger_batch() {
    let folder = Folder::new("accumulate");
    let change = |c: String| c.replace("batch_tokens = 400", "batch_tokens = 200\naccumulate = 2");
    let mut halves = Run::prepare(TrainConfig::read(&folder.config(change)).unwrap(), options()).unwrap();
    halves.step().unwrap();
    let gradient = halves.gradient.clone();
    assert!(halves.progress.tokens > 300 && halves.order.next > 10, "{:?}", halves.progress);
    // The same batches by hand, one after the other.
    let mut order = BatchOrder::new(3, halves.corpus.facts.parts.iter().copied(), 0, 0);
    let mut run = Run::prepare(halves.config.clone(), TrainOptions { overwrite: true, ..options() }).unwrap();
    let batches: Vec<Batch> = (0..2)
        .map(|i| {
            let examples = take(&mut order, &run.corpus, &run.config).unwrap();
            batch::batch(&examples, &run.model, &run.config.objective, &mut rng(3, 3, i))
        })
        .collect();
    let positions: usize = batches.iter().map(|b| b.positions).sum();
    run.gradient.fill(0.0);
    for batch in &batches {
        run.network.loss_and_gradient(&batch.packed, &batch.targets, &mut run.gradient);
    }
    assert_eq!(order.next, halves.order.next);
    for (a, b) in run.gradient.iter().zip(&gradient) {
        assert!((a / positions as f32 - b).abs() < 1e-5, "{a} {b}");
    }
}

#[test]
fn a_resumed_run_ends_where_an_unbroken_one_does() {
    let classified = |c: String| c + "[classifier]\nsteps = 20\n";
    let whole = Folder::new("whole");
    run(&whole.config(classified), options()).unwrap();

    let broken = Folder::new("broken");
    let config = broken.config(|c| c);
    let stop = TrainOptions { stop: Arc::new(AtomicBool::new(true)), ..options() };
    for resume in [false, true, true] {
        let error = run(&config, TrainOptions { resume, ..stop.clone() }).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Interrupted);
    }
    run(&config, TrainOptions { resume: true, ..options() }).unwrap();
    // Stopped once more, while the classifier is trained.
    let config = broken.config(classified);
    let classifier = |folder: &Folder| fs::read(folder.0.join("out/classifier.safetensors")).ok();
    assert_eq!(run(&config, TrainOptions { resume: true, ..stop }).unwrap_err().kind(), ErrorKind::Interrupted);
    assert_eq!(classifier(&broken), None);
    run(&config, TrainOptions { resume: true, ..options() }).unwrap();
    assert_eq!(whole.weights(), broken.weights());
    assert!(classifier(&whole).is_some() && classifier(&whole) == classifier(&broken), "other classifiers");
    let state = |folder: &Folder| fs::read(folder.0.join("out/state/state.safetensors")).unwrap();
    // The header names the folders.
    let tensors = |bytes: Vec<u8>| {
        let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        bytes[8 + header..].to_vec()
    };
    assert!(tensors(state(&whole)) == tensors(state(&broken)), "moments and means differ");
    let steps = |folder: &Folder| {
        let text = fs::read_to_string(folder.0.join("out/loss.jsonl")).unwrap();
        let record = |line: &str| serde_json::from_str::<TrainRecord>(line).unwrap().step;
        text.lines().map(record).collect::<Vec<usize>>()
    };
    assert_eq!(steps(&whole), [10, 20, 30, 30, 40, 50, 60, 60]);
    assert!(steps(&broken).is_sorted());
    assert!(fs::read_to_string(whole.0.join("out/loss.svg")).unwrap().contains("held out"));

    let again = run(&broken.config(|c| c), options()).unwrap_err();
    assert!(again.report().contains("--overwrite"), "{}", again.report());
    run(&broken.config(|c| c), TrainOptions { overwrite: true, ..options() }).unwrap();
    assert_eq!(whole.weights(), broken.weights());
}

#[test]
fn a_loss_that_is_no_number_stops_the_run_and_keeps_what_was_saved() {
    let folder = Folder::new("nan");
    run(&folder.config(|c| c.replace("steps = 60", "steps = 20")), options()).unwrap();
    let state = folder.0.join("out/state/state.safetensors");
    let before = fs::read(&state).unwrap();
    let wild = folder.config(|c| c.replace("lr = 1e-2", "lr = 1e30").replace("warmup = 5", "muon_lr = 1e30"));
    let error = run(&wild, TrainOptions { resume: true, ..options() }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Model);
    assert!(error.report().contains("optimizer.lr") && error.message().contains("at step"), "{}", error.report());
    assert_eq!(fs::read(&state).unwrap(), before);
}

#[test]
fn the_classifier_tells_the_labels_of_masked_text() {
    let folder = Folder::new("classifier");
    let change = |c: String| c.replace("steps = 60", "steps = 120") + "[classifier]\nsteps = 200\n";
    run(&folder.config(change), options()).unwrap();
    let out = folder.0.join("out");
    let classifier = Classifier::load(&out).unwrap().unwrap();
    assert_eq!(classifier.labels(), ["animal", "food"]);
    let model = Model::load(&out).unwrap();
    let text = |text: &str| -> Vec<Option<u32>> {
        model.denoiser().vocab().encode(text).unwrap().into_iter().map(Some).collect()
    };
    let mut animal = text("The lion is a quick animal that runs.");
    let food = text("The soup is a small meal to eat.");
    let hidden = vec![None; 12];
    let found = classifier.log_probs(&[animal.clone(), food, hidden]).unwrap();
    assert!(found[0][0].exp() > 0.9 && found[1][1].exp() > 0.9, "{found:?}");
    assert!(found[2][0].exp() > 0.2 && found[2][0].exp() < 0.8, "nothing is visible: {found:?}");
    let half = animal.len() / 3;
    animal[..half].fill(None);
    assert!(classifier.log_probs(&[animal]).unwrap()[0][0].exp() > 0.5);
    let few = folder.config(|c| {
        c.replace("\"out\"", "\"few\"").replace("[data]", "[data]\nlabel_field = \"none\"") + "[classifier]\n"
    });
    assert!(run(&few, options()).unwrap_err().report().contains("two labels"));
}

#[test]
fn exported_models_are_smaller_and_nearly_the_same() {
    let folder = Folder::new("export");
    run(&folder.config(|c| c.replace("seed = 3", "seed = 3\nexport = \"f32\"")), options()).unwrap();
    let out = folder.0.join("out");
    let scores = |path: &Path| {
        let view = CanvasView { prompt: vec![].into(), condition: None, tokens: vec![None; 9] };
        Model::load(path).unwrap().denoiser().predict(&[view]).unwrap()[0].values().to_vec()
    };
    let want = scores(&out);
    let mut sizes = vec![u64::MAX];
    for (precision, name, worst) in
        [(WeightFormat::F32, "f32", 0.0), (WeightFormat::F16, "f16", 0.02), (WeightFormat::Int8, "int8", 0.3)]
    {
        let to = folder.0.join(name);
        let done = export(&out, &to, precision).unwrap();
        assert!(done.full_precision && done.bytes < *sizes.last().unwrap(), "{done:?}");
        assert!(done.error <= worst / 10.0, "{name}: {done:?}");
        assert!(to.join(TOPICS).exists() && !to.join("state").exists());
        let off = scores(&to).iter().zip(&want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(off <= worst as f32, "{name}: {off}");
        sizes.push(done.bytes);
    }
    assert!(export(&out, &out, WeightFormat::F16).unwrap_err().message().contains("replace itself"));
    assert!(!export(&folder.0.join("f16"), &folder.0.join("again"), WeightFormat::Int8).unwrap().full_precision);
}

#[test]
fn many_files_with_weights_and_labels_make_a_corpus() {
    let folder = Folder::new("files");
    let write = |name: &str, text: &str| fs::write(folder.0.join(name), text).unwrap();
    let line = |i: usize| format!("plain line number {i}\n");
    write("a1.txt", &(0..30).map(line).collect::<String>());
    write("a2.txt", &(30..40).map(line).collect::<String>());
    write("b.txt", "A first\nparagraph.\n\nA second one.\n\nThird.\n\nFourth.\n");
    let sources = "files = [\"a?.txt\"]\n[[data.source]]\npath = \"b.txt\"\nweight = 3\nlabel = \"prose\"\n\
                   unit = \"paragraph\"\n[tokenizer]";
    let change = |c: String| {
        c.replace("file = \"corpus.jsonl\"\n", "")
            .replace("[tokenizer]", sources)
            .replace("held_out = 0.2", "held_out = 0")
    };
    let run = Run::prepare(TrainConfig::read(&folder.config(change)).unwrap(), options()).unwrap();
    assert_eq!(run.corpus.facts.parts, [(30, 1.0), (10, 1.0), (4, 3.0)]);
    assert_eq!(run.corpus.special.labels[0].label, "prose");
    assert_eq!(run.corpus.training.get(40).unwrap().label, Some(0));
    let mut seen = [0; 44];
    let mut order = run.order.clone();
    (0..52).for_each(|_| {
        seen[order.peek().unwrap() as usize] += 1;
        order.advance();
    });
    assert!(seen[..40].iter().all(|&n| n == 1) && seen[40..].iter().all(|&n| n == 3), "{seen:?}");
    let none = folder.config(|c| change(c).replace("a?.txt", "z*.txt"));
    assert!(super::run(&none, options()).unwrap_err().report().contains("no file is like"));
}

#[test]
fn long_texts_are_cut_and_only_the_last_piece_ends() {
    let folder = Folder::new("long");
    let change =
        |c: String| c.replace("max_len = 40", "max_len = 8").replace("[tokenizer]", "long = \"cut\"\n[tokenizer]");
    let run = Run::prepare(TrainConfig::read(&folder.config(change)).unwrap(), options()).unwrap();
    let pieces: Vec<Example> = run.corpus.training.iter().map(Result::unwrap).collect();
    assert!(pieces.iter().all(|p| p.tokens.len() <= 7) && pieces.iter().any(|p| !p.ends));
    assert_eq!(run.corpus.facts.too_long, 0);
    let text: Vec<u32> =
        pieces.iter().take(1 + pieces.iter().position(|p| p.ends).unwrap()).flat_map(|p| p.tokens.clone()).collect();
    let text = String::from_utf8(run.corpus.vocab.decode(&text)).unwrap();
    assert!(text.starts_with("The ") && text.ends_with('.'), "{text}");
}

#[test]
fn a_ready_tokenizer_is_used_as_it_is() {
    let folder = Folder::new("ready");
    run(&folder.config(|c| c.replace("steps = 60", "steps = 1")), options()).unwrap();
    fs::copy(folder.0.join("out/tokenizer.json"), folder.0.join("ready.json")).unwrap();
    let change = |c: String| {
        c.replace("vocab_size = 300", "file = \"ready.json\"")
            .replace("\"out\"", "\"twin\"")
            .replace("steps = 60", "steps = 1")
    };
    run(&folder.config(change), options()).unwrap();
    let [a, b] = ["out", "twin"].map(|out| Model::load(&folder.0.join(out)).unwrap());
    let encode = |model: &Model| model.denoiser().vocab().encode("The lion is a small animal.").unwrap();
    assert_eq!((encode(&a), a.denoiser().conditions()), (encode(&b), b.denoiser().conditions()));
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
    assert!(Model::load(&out.join("nowhere")).err().unwrap().report().contains("does not exist"));
    assert!(Model::load(&out).is_ok());
}
