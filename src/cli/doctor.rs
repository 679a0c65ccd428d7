//! `stencil doctor`: what this machine offers, and whether the bundled model works on it.

use super::{Status, sink};
use clap::Args;
use serde::Serialize;
use std::{collections::BTreeMap, fmt::Write, fs, time::Instant};
use stencil_lm::{
    Model, Result,
    engine::cpu::{self, Level},
    models::checkpoint::{Precision, available_memory, device},
};

#[derive(Debug, Args)]
#[command(after_help = "Example:
  stencil doctor --json")]
pub struct Doctor {
    /// One JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Findings {
    version: &'static str,
    os: &'static str,
    arch: &'static str,
    /// The vector instructions that the kernels can use on this machine.
    cpu_features: Vec<&'static str>,
    simd: Simd,
    threads: usize,
    /// The device of pretrained networks.
    device: String,
    /// The GPU backends in this build.
    gpu_backends: Vec<&'static str>,
    /// The memory in bytes; absent if the system does not report it.
    memory: Option<u64>,
    memory_available: Option<u64>,
    /// The maximum number of weights of a pretrained model that fit into the available memory, by precision.
    largest_model: BTreeMap<&'static str, u64>,
    model: Finding,
    self_test: Option<Finding>,
    healthy: bool,
}

/// The vector instructions of the inner loops.
#[derive(Serialize)]
struct Simd {
    /// The level in use.
    level: &'static str,
    /// All levels of this processor, the best first.
    available: Vec<&'static str>,
    /// Whether `STENCIL_SIMD` names the level in use.
    forced: bool,
    /// The reason why the level in `STENCIL_SIMD` is not used.
    error: Option<String>,
}

impl Simd {
    fn find() -> Self {
        let forced = cpu::forced();
        Self {
            level: cpu::level().name(),
            available: Level::available().into_iter().map(Level::name).collect(),
            forced: matches!(forced, Ok(Some(_))),
            error: forced.err().map(|error| error.report()),
        }
    }
}

#[derive(Serialize)]
struct Finding {
    good: bool,
    /// A text or an error.
    says: String,
    elapsed_ms: f64,
}

/// A template small enough for any model: a literal, a choice and a free slot.
const TEMPLATE: &str = "a {{size|small|large}} {{thing:1-3}}.";

impl Doctor {
    pub fn run(self) -> Result<Status> {
        let (model, loading) = timed(Model::bundled);
        let (self_test, model) = match model {
            Ok(model) => (Some(self_test(&model)), loading.good(model.denoiser().name().to_string())),
            Err(error) => (None, loading.bad(super::report(&error))),
        };
        let findings = Findings {
            version: env!("CARGO_PKG_VERSION"),
            os: std::env::consts::OS,
            arch: std::env::consts::ARCH,
            cpu_features: cpu_features(),
            simd: Simd::find(),
            threads: std::thread::available_parallelism().map_or(1, |n| n.get()),
            gpu_backends: [("cuda", cfg!(feature = "cuda")), ("metal", cfg!(feature = "metal"))]
                .into_iter()
                .filter_map(|(name, built)| built.then_some(name))
                .collect(),
            device: format!("{:?}", device().location()).to_lowercase(),
            memory: meminfo("MemTotal:"),
            memory_available: available_memory(),
            largest_model: available_memory().map(largest_models).unwrap_or_default(),
            healthy: model.good && self_test.as_ref().is_some_and(|t| t.good) && cpu::forced().is_ok(),
            model,
            self_test,
        };
        let text = if self.json {
            serde_json::to_string(&findings).map_err(|e| stencil_lm::Error::io(e.to_string()))? + "\n"
        } else {
            findings.table()
        };
        sink::print(&text)?;
        Ok(if findings.healthy { Status::Good } else { Status::Unverified })
    }
}

/// The number of weights that fit, with a tenth of the memory left for a step.
fn largest_models(bytes: u64) -> BTreeMap<&'static str, u64> {
    let weights = |p: Precision| (bytes as f64 * 0.9 / p.bytes_per_weight()) as u64;
    Precision::ALL.into_iter().map(|p| (p.name(), weights(p))).collect()
}

struct Timing(f64);

impl Timing {
    fn good(self, says: String) -> Finding {
        Finding { good: true, says, elapsed_ms: self.0 }
    }
    fn bad(self, says: String) -> Finding {
        Finding { good: false, says, elapsed_ms: self.0 }
    }
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Timing) {
    let start = Instant::now();
    let value = work();
    (value, Timing(start.elapsed().as_secs_f64() * 1e3))
}

/// Generates a text and verifies it.
fn self_test(model: &Model) -> Finding {
    let (output, timing) = timed(|| model.fill(TEMPLATE)?.run());
    match output {
        Err(error) => timing.bad(super::report(&error)),
        Ok(output) if output.report.verified => timing.good(output.text),
        Ok(output) => timing.bad(format!("not verified: {}", output.text)),
    }
}

impl Findings {
    fn table(&self) -> String {
        let gib = |bytes: Option<u64>| match bytes {
            Some(b) => format!("{:.1} GiB", b as f64 / (1u64 << 30) as f64),
            None => "unknown".into(),
        };
        let finding = |f: &Finding| {
            if f.good {
                format!("good, {:.0} ms: {}", f.elapsed_ms, f.says)
            } else {
                format!("FAILED after {:.0} ms\n{}", f.elapsed_ms, f.says)
            }
        };
        let features = if self.cpu_features.is_empty() { "none known".into() } else { self.cpu_features.join(", ") };
        let simd = match &self.simd {
            Simd { error: Some(error), level, .. } => format!("{level}\n{error}"),
            Simd { forced: true, level, available, .. } => {
                format!("{level}, forced by {} (there are {})", cpu::VARIABLE, available.join(", "))
            }
            Simd { level, available, .. } => format!("{level} (there are {})", available.join(", ")),
        };
        let fits: Vec<String> = (Precision::ALL.iter())
            .filter_map(|p| Some(format!("{} {:.1}", p.name(), *self.largest_model.get(p.name())? as f64 / 1e9)))
            .collect();
        let gpus = match &self.gpu_backends[..] {
            [] => "built for no GPU (features cuda, metal)".to_string(),
            kinds => format!("built for GPUs by {}", kinds.join(", ")),
        };
        let mut out = String::new();
        for (name, value) in [
            ("stencil", format!("{} on {} {}", self.version, self.os, self.arch)),
            ("cpu", features),
            ("simd", simd),
            ("threads", self.threads.to_string()),
            ("device", format!("{}, {gpus}", self.device)),
            ("memory", format!("{}, {} available", gib(self.memory), gib(self.memory_available))),
            ("fits", format!("{} billion weights", fits.join(", "))),
            ("model", finding(&self.model)),
            ("self test", self.self_test.as_ref().map_or("not run".into(), finding)),
        ] {
            let _ = writeln!(out, "{name:<10} {value}");
        }
        out
    }
}

/// The detected instruction sets by their vendors' names.
fn cpu_features() -> Vec<&'static str> {
    let names = |level: Level| match level.name() {
        "avx512" => &["AVX-512"][..],
        "avx2" => &["AVX2", "FMA"],
        "neon" => &["NEON"],
        _ => &[],
    };
    Level::available().into_iter().rev().flat_map(names).copied().collect()
}

/// A line of /proc/meminfo, in bytes.
fn meminfo(key: &str) -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix(key))?;
    line.trim().trim_end_matches(" kB").parse::<u64>().ok().map(|kib| kib * 1024)
}
