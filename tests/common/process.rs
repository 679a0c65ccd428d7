//! Runs of the real binary: their streams, exit status, time and memory.
#![allow(dead_code, reason = "each test uses a part")]

use serde_json::Value;
use std::{
    fs,
    io::{Read, Write},
    path::PathBuf,
    process::{Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

/// What a run of the program left behind.
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
    pub elapsed: Duration,
    /// Time that processors spent on it, however busy the machine is; 0 where the system does not tell.
    pub work: Duration,
    /// Most memory seen while it ran, in MiB; 0 where the system does not tell.
    pub peak_mib: u64,
}

impl Ran {
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.out, self.err);
        self
    }
    /// An error: the status, nothing on stdout, these words on stderr, no sign of a panic.
    #[track_caller]
    pub fn fails(self, code: i32, words: &[&str]) -> Self {
        let ran = self.expect(code);
        assert_eq!(ran.out, "", "stdout must stay empty");
        assert!(ran.err.starts_with("error: "), "{}", ran.err);
        for word in words {
            assert!(ran.err.contains(word), "{word:?} is missing in:\n{}", ran.err);
        }
        assert!(!ran.err.contains("panicked"), "{}", ran.err);
        assert!(ran.elapsed < Duration::from_secs(20), "took {:?}", ran.elapsed);
        assert!(ran.peak_mib < 1024, "took {} MiB", ran.peak_mib);
        ran
    }
    #[track_caller]
    pub fn json(&self) -> Vec<Value> {
        self.out.lines().map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{e}: {l}"))).collect()
    }
}

pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stencil"));
    command.args(args).current_dir(env!("CARGO_MANIFEST_DIR"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub fn stencil(args: &[&str]) -> Ran {
    finish(command(args), b"")
}

pub fn piped(args: &[&str], input: &[u8]) -> Ran {
    finish(command(args), input)
}

pub fn finish(mut command: Command, input: &[u8]) -> Ran {
    let start = Instant::now();
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let (mut stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let out = std::thread::spawn(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).map(|_| text)
    });
    let err = std::thread::spawn(move || {
        let mut text = String::new();
        stderr.read_to_string(&mut text).map(|_| text)
    });
    let (mut peak_mib, mut spent) = (0, Duration::ZERO);
    let status = loop {
        peak_mib = peak_mib.max(peak(child.id()));
        spent = spent.max(work(child.id()));
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let elapsed = start.elapsed();
    writer.join().unwrap();
    let (out, err) = (out.join().unwrap().unwrap(), err.join().unwrap().unwrap());
    Ran { code: status.code().unwrap_or(-1), out, err, elapsed, work: spent, peak_mib }
}

/// The system counts in hundredths of a second.
fn work(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields).split(' ');
    let ticks = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum::<u64>();
    Duration::from_millis(10 * ticks)
}

fn peak(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.trim().trim_end_matches(" kB").parse::<u64>().ok()).map_or(0, |kib| kib / 1024)
}

/// A folder that disappears with the test.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        // Tests of one process run side by side, some under the same name.
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("stencil-cli-{}-{name}-{count}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.0.join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().into()
    }
    pub fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().into()
    }
    pub fn names(&self) -> Vec<String> {
        fs::read_dir(&self.0).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs the body of a test in a process of its own, so that what it measures of the process is its own. `name` is the
/// test's path in this binary.
pub fn alone(name: &str, body: impl FnOnce()) {
    const MARK: &str = "STENCIL_TEST_ALONE";
    if std::env::var_os(MARK).is_some() {
        return body();
    }
    let program = std::env::current_exe().unwrap();
    let arguments = [name, "--exact", "--include-ignored", "--nocapture", "--test-threads=1"];
    let ran = Command::new(program).args(arguments).env(MARK, "1").output().unwrap();
    let said = [ran.stdout, ran.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    println!("{said}");
    assert!(ran.status.success() && said.contains("1 passed"), "{name}: {said}");
}
