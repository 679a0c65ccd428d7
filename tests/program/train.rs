//! `stencil train` as its users meet it: killed, interrupted, on a full disk, with more text than memory.
#![cfg(unix)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("stencil-train-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        let things = ["cat", "dog", "lion", "mouse", "horse", "bread", "cheese", "soup", "rice", "apple"];
        let line = |thing: &&str| {
            let text = |size| {
                serde_json::json!({"text": format!("The {thing} is a {size} thing that one sees."),
                "label": if thing.len().is_multiple_of(2) { "even" } else { "odd" }})
            };
            ["small", "large", "old", "quick"].map(|size| text(size).to_string() + "\n").concat()
        };
        fs::write(path.join("corpus.jsonl"), things.iter().map(line).collect::<String>()).unwrap();
        let folder = Self(path);
        folder.config(STEPS, "file = \"corpus.jsonl\"");
        folder
    }
    fn config(&self, steps: usize, data: &str) {
        let (settings, _) = CONFIG.split_once("[report]").unwrap();
        let changed = settings.replace("steps = 60", &format!("steps = {steps}"));
        let changed = changed.replace("file = \"corpus.jsonl\"\nheld_out = 0.2", data);
        fs::write(self.0.join("train.toml"), changed + REPORT).unwrap();
    }
    fn out(&self, name: &str) -> PathBuf {
        self.0.join("out").join(name)
    }
    fn weights(&self) -> Vec<u8> {
        fs::read(self.out("model.safetensors")).unwrap()
    }
    /// The step that a resumed run would go on from.
    fn saved(&self) -> usize {
        let Ok(bytes) = fs::read(self.out("state/state.safetensors")) else { return 0 };
        let end = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let header: serde_json::Value = serde_json::from_slice(&bytes[8..end]).unwrap();
        let run: serde_json::Value = serde_json::from_str(header["__metadata__"]["run"].as_str().unwrap()).unwrap();
        run["progress"]["step"].as_u64().unwrap() as usize
    }
    /// The last step that was logged; a line that was cut off is none.
    fn logged(&self) -> usize {
        let text = fs::read_to_string(self.out("loss.jsonl")).unwrap_or_default();
        let step = |line: &str| serde_json::from_str::<serde_json::Value>(line).ok()?["step"].as_u64();
        text.lines().filter_map(step).max().unwrap_or(0) as usize
    }
    fn train(&self, flags: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stencil"));
        command.arg("train").arg(self.0.join("train.toml")).args(flags);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const STEPS: usize = 60;
const SAVE_EVERY: usize = 7;
const CONFIG: &str = include_str!("../train.toml");
const REPORT: &str = "[report]\nlog_every = 1\nevaluate_every = 1000\nsave_every = 7\nsamples = 0\npatience = 1\n";

#[track_caller]
fn ends(command: &mut Command, code: i32) -> String {
    let output = command.output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{err}");
    err
}

/// Waits until the run has logged this step.
fn wait_for(folder: &Folder, child: &mut Child, step: usize) {
    let start = Instant::now();
    while folder.logged() < step {
        assert!(child.try_wait().unwrap().is_none(), "ended before step {step}");
        assert!(start.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_run_that_is_killed_again_and_again_ends_with_the_same_bytes() {
    let whole = Folder::new("whole");
    let start = Instant::now();
    ends(&mut whole.train(&[]), 0);
    // However fast the machine, a whole run takes several lives.
    let longest = (start.elapsed() / 8).as_micros() as u64 + 1;

    let broken = Folder::new("broken");
    let (mut kills, mut random) = (0, 12345u64);
    loop {
        let mut child = broken.train(&["--resume"]).stderr(Stdio::null()).spawn().unwrap();
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        // Some die while they read the corpus, some while they write.
        let life = Duration::from_micros((random >> 33) % longest);
        let start = Instant::now();
        let status = loop {
            match child.try_wait().unwrap() {
                Some(status) => break Some(status),
                None if kills < 25 && start.elapsed() >= life => break None,
                None => std::thread::sleep(Duration::from_millis(1)),
            }
        };
        if let Some(status) = status {
            assert!(status.success());
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
        let (logged, saved) = (broken.logged(), broken.saved());
        assert!(saved + SAVE_EVERY >= logged, "logged {logged}, but only {saved} saved");
    }
    assert!(kills > 3, "killed {kills} times only");
    assert!(broken.weights() == whole.weights(), "other weights after {kills} kills");
    let left: Vec<_> = fs::read_dir(broken.out("")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().ends_with(".new")), "{left:?}");
}

#[test]
fn an_interrupted_run_is_saved_and_goes_on() {
    let whole = Folder::new("uninterrupted");
    ends(&mut whole.train(&[]), 0);

    let broken = Folder::new("interrupted");
    broken.config(1_000_000, "file = \"corpus.jsonl\"");
    let mut child = broken.train(&[]).spawn().unwrap();
    wait_for(&broken, &mut child, 10);
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{err}");
    assert!(err.contains("stopped and saved") && err.contains("--resume"), "{err}");
    let saved = broken.saved();
    assert!(saved >= 10 && saved == broken.logged());

    // What is saved must not be replaced by mistake, and a change of plan is told.
    let err = ends(&mut broken.train(&[]), 2);
    assert!(err.contains("--overwrite"), "{err}");
    broken.config(saved + 5, "file = \"corpus.jsonl\"");
    let err = ends(&mut broken.train(&["--resume"]), 0);
    assert!(err.contains(&format!("resuming at step {saved}")), "{err}");
    assert!(err.contains(&format!("optimizer.steps: 1000000 → {}", saved + 5)), "{err}");
    assert_eq!(broken.saved(), saved + 5);
}

/// The run under a limit on the size of files: writing more fails, as on a full disk. The state does not fit, the
/// model does.
fn limited(folder: &Folder) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg("trap '' XFSZ; ulimit -f 300; exec \"$0\" train \"$1\" --resume");
    command.arg(env!("CARGO_BIN_EXE_stencil")).arg(folder.0.join("train.toml"));
    command
}

#[test]
fn a_full_disk_loses_nothing() {
    let whole = Folder::new("roomy");
    ends(&mut whole.train(&[]), 0);

    let broken = Folder::new("full");
    broken.config(2 * SAVE_EVERY, "file = \"corpus.jsonl\"");
    ends(&mut broken.train(&[]), 0);
    broken.config(STEPS, "file = \"corpus.jsonl\"");
    let state = broken.out("state/state.safetensors");
    let before = fs::read(&state).unwrap();
    assert!(before.len() > 300 << 10, "the state would fit");
    let err = ends(&mut limited(&broken), 2);
    assert!(err.contains("not saved at step 21, training goes on"), "{err}");
    assert!(err.contains(&format!("step {STEPS}/{STEPS}")), "{err}");
    assert!(err.contains("free some space"), "{err}");
    assert!(fs::read(&state).unwrap() == before, "the saved state has changed");
    assert!(!Path::new(&state.with_extension("safetensors.new")).exists());
    // With room again it goes on from there, to the same end: the learning rate follows from the steps in all, so the
    // run that never stopped is repeated with its first part as short.
    ends(&mut broken.train(&["--resume"]), 0);
    let twin = Folder::new("twin");
    twin.config(2 * SAVE_EVERY, "file = \"corpus.jsonl\"");
    ends(&mut twin.train(&[]), 0);
    twin.config(STEPS, "file = \"corpus.jsonl\"");
    ends(&mut twin.train(&["--resume"]), 0);
    assert!(broken.weights() == twin.weights());
}

#[test]
fn memory_does_not_grow_with_the_corpus() {
    let peak = |name: &str, lines: usize| {
        let folder = Folder::new(name);
        let words = ["river", "stone", "cloud", "green", "walks", "under", "quiet", "seven"];
        let line = |i: usize| {
            let word = |j: usize| words[(i >> (3 * j)) % words.len()];
            (0..16).map(|j| word(j % 6)).collect::<Vec<_>>().join(" ") + "\n"
        };
        fs::write(folder.0.join("corpus.txt"), (0..lines).map(line).collect::<String>()).unwrap();
        folder.config(3, "file = \"corpus.txt\"\nheld_out = 0.0");
        let err = ends(&mut folder.train(&[]), 0);
        let number = err.rsplit_once("peak memory ").map(|(_, rest)| rest.trim().trim_end_matches(" MiB"));
        let bytes = fs::metadata(folder.0.join("corpus.txt")).unwrap().len() >> 20;
        (number.unwrap_or_else(|| panic!("no peak in {err}")).parse::<u64>().unwrap(), bytes)
    };
    if !Path::new("/proc/self/status").exists() {
        return; // only Linux tells the peak
    }
    let (small, _) = peak("small", 3_000);
    let (large, mib) = peak("large", 150_000);
    assert!(mib >= 13, "{mib} MiB");
    assert!(large < small + 8, "{large} MiB for {mib} MiB of text, {small} MiB for next to none");
}
