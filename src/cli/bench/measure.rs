//! How it is measured.

use super::items;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use std::time::{Duration, Instant};
use stencil_lm::{
    CompileCx, Error, Language, Result, Vocab,
    automata::{Dfa, Limits, TokenAutomaton},
    engine::{Engine, Logits, Options, softmax},
};

/// What all items share.
pub struct Setting {
    engine: Engine,
    logits: Vec<f32>,
    positions: usize,
    rounds: usize,
    clock: Clock,
}

pub struct Measured {
    item: &'static str,
    pattern: Option<String>,
    vocab: usize,
    states: usize,
    classes: usize,
    edges: usize,
    compile_ms: f64,
    compile_cold_ms: f64,
    project_ms: f64,
    sample_ms: f64,
    map_ms: f64,
    candidates_ms: f64,
    softmax_ms: f64,
    peak_mib: f64,
}

impl Setting {
    pub fn new(engine: Engine, positions: usize, rounds: usize, threads: usize) -> Self {
        let vocab = engine.vocab().len();
        // Bell-shaped, as logits are: a sum of four uniform numbers.
        let row = |pos: usize| {
            let mut rng = ChaCha8Rng::seed_from_u64(pos as u64);
            let logit = move || (rng.random::<u64>().to_le_bytes().chunks_exact(2)).map(narrow).sum::<f32>();
            std::iter::repeat_with(logit).take(vocab)
        };
        let logits = (0..positions).flat_map(row).collect();
        Self { engine, logits, positions, rounds, clock: Clock::of(threads) }
    }

    pub fn measure(&self, item: &'static str) -> Result<Measured> {
        let vocab = self.engine.vocab();
        let constraint = items::constraint(item)?;
        let language = constraint.language(&CompileCx::new(vocab))?;
        let limits = Limits::default();
        let compile = |vocab: &Vocab| TokenAutomaton::lift_all(&Dfa::factors(&language, &limits)?, vocab, &limits);
        let bytes = (0..vocab.len() as u32).map(|token| vocab.bytes(token).map(<[u8]>::to_vec)).collect();
        let fresh = Vocab::from_bytes(bytes, vocab.eos(), vocab.pad())?;
        let (compile_cold_ms, _) = self.clock.time(|| compile(&fresh));
        drop(fresh);
        compile(vocab)?;
        let before = Memory::start();
        let compile_times = (0..self.rounds).map(|_| self.clock.time(|| compile(vocab)).0).collect();
        let compiled = self.engine.compile(&[constraint])?;
        let automaton = compiled.automaton().ok_or_else(|| Error::input(format!("{item} is not regular")))?;
        let edges = (0..automaton.states() as u32).map(|q| automaton.edges(q).len()).sum();
        let (states, classes) = (automaton.states(), automaton.classes());

        let decided = vec![None; self.positions];
        let [mut project, mut sample, mut map, mut candidates, mut plain] = [const { Vec::new() }; 5];
        let everywhere: Vec<usize> = (0..self.positions).collect();
        for seed in 0..self.rounds as u64 {
            plain.push(
                self.clock
                    .time(|| self.logits.par_chunks(vocab.len()).try_for_each(|row| softmax(row, 1.0).map(drop)))
                    .0,
            );
            let started = self.clock.now();
            compiled.project(Logits::F32(&self.logits), &decided, &Options::default(), |projection| {
                project.push(self.clock.now() - started);
                let (sample_ms, text) = self.clock.time(|| projection.sample(seed));
                sample.push(sample_ms);
                candidates.push(self.clock.time(|| projection.candidates(&everywhere, &text)).0);
                map.push(self.clock.time(|| projection.map()).0);
            })?;
        }
        Ok(Measured {
            item,
            pattern: pattern(&language).or_else(|| items::expression(item)),
            vocab: vocab.len(),
            states,
            classes,
            edges,
            compile_ms: median(compile_times),
            compile_cold_ms,
            project_ms: median(project),
            sample_ms: median(sample),
            map_ms: median(map),
            candidates_ms: median(candidates),
            softmax_ms: median(plain),
            peak_mib: before.grown_mib(),
        })
    }
}

/// The expression of an item that is one.
fn pattern(language: &Language) -> Option<String> {
    match language {
        Language::Named(_, inner) => pattern(inner),
        Language::Regex(pattern) => Some(pattern.clone()),
        _ => None,
    }
}

/// A uniform number of two bytes, between −4 and 4.
fn narrow(bytes: &[u8]) -> f32 {
    bytes.iter().rev().fold(0.0, |sum, &byte| sum / 256.0 + byte as f32) / 32.0 - 4.0
}

/// A single thread is timed by its own work, where the system tells: what else the machine does hardly lengthens it.
#[derive(Clone, Copy)]
struct Clock {
    own: bool,
    start: Instant,
}

impl Clock {
    fn of(threads: usize) -> Self {
        Self { own: threads == 1 && own_work().is_some(), start: Instant::now() }
    }
    /// Milliseconds since some moment.
    fn now(&self) -> f64 {
        let own = if self.own { own_work() } else { None };
        own.unwrap_or_else(|| self.start.elapsed()).as_secs_f64() * 1e3
    }
    /// Milliseconds, and the result.
    fn time<T>(&self, run: impl FnOnce() -> T) -> (f64, T) {
        let started = self.now();
        let result = run();
        (self.now() - started, result)
    }
}

/// Time that this thread has had a core.
#[cfg(target_os = "linux")]
fn own_work() -> Option<Duration> {
    nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID.now().ok().map(Duration::from)
}
#[cfg(not(target_os = "linux"))]
fn own_work() -> Option<Duration> {
    None
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The process's peak, set back where the system lets us.
struct Memory {
    resident_kib: Option<f64>,
}

impl Memory {
    fn start() -> Self {
        // Where that is refused the peak of the items before counts too.
        let _ = std::fs::write("/proc/self/clear_refs", "5");
        Self { resident_kib: status("VmRSS:") }
    }
    fn grown_mib(&self) -> f64 {
        let grown = self.resident_kib.zip(status("VmHWM:")).map(|(before, peak)| (peak - before) / 1024.0);
        grown.unwrap_or(0.0).max(0.0)
    }
}

fn status(field: &str) -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    text.lines().find_map(|line| line.strip_prefix(field)?.split_whitespace().next()?.parse().ok())
}

impl Measured {
    pub const HEAD: &str = "\
| item | vocab | states | classes | edges | compile ms | cold ms | project ms | sample ms | map ms | candidates ms | softmax ms | ratio | peak MiB |
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|";

    fn ratio(&self) -> f64 {
        self.project_ms / self.softmax_ms
    }

    pub fn row(&self) -> String {
        let Self { item, vocab, states, classes, edges, .. } = self;
        format!(
            "| {item} | {vocab} | {states} | {classes} | {edges} | {:.2} | {:.1} | {:.2} | {:.2} | {:.1} | {:.1} | {:.1} | {:.2} | {:.0} |",
            self.compile_ms,
            self.compile_cold_ms,
            self.project_ms,
            self.sample_ms,
            self.map_ms,
            self.candidates_ms,
            self.softmax_ms,
            self.ratio(),
            self.peak_mib
        )
    }

    pub fn json(&self) -> String {
        let rounded = |x: f64| (x * 1e3).round() / 1e3;
        serde_json::json!({
            "item": self.item,
            "pattern": self.pattern,
            "vocab": self.vocab,
            "states": self.states,
            "classes": self.classes,
            "edges": self.edges,
            "compile_ms": rounded(self.compile_ms),
            "compile_cold_ms": rounded(self.compile_cold_ms),
            "project_ms": rounded(self.project_ms),
            "sample_ms": rounded(self.sample_ms),
            "map_ms": rounded(self.map_ms),
            "candidates_ms": rounded(self.candidates_ms),
            "softmax_ms": rounded(self.softmax_ms),
            "ratio": rounded(self.ratio()),
            "peak_mib": rounded(self.peak_mib),
        })
        .to_string()
    }
}
