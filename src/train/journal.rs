//! The journal of a run: lines on stderr, numbers in `loss.jsonl`, a chart in `loss.svg`.

use super::{chart, state};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

/// One line of `loss.jsonl`. Losses are in nats per token.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TrainRecord {
    /// Number of updates so far.
    pub step: usize,
    /// Number of epochs so far.
    pub epoch: f64,
    /// Mean training loss since the previous record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<f64>,
    /// Learning rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<f64>,
    /// Number of positions trained per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_second: Option<f64>,
    /// Peak memory so far, in MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_memory_mib: Option<u64>,
    /// Held-out loss of the averaged weights; an upper bound for masked models.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_out_nats_per_token: Option<f64>,
    /// Held-out loss in bits per byte.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_out_bits_per_byte: Option<f64>,
}

/// Writes records. Records after the step at which a run resumes are dropped.
pub struct Journal {
    path: PathBuf,
    records: Vec<TrainRecord>,
    failed: bool,
}

impl Journal {
    /// Continues the journal in a folder at a step; step 0 starts a new journal.
    ///
    /// # Errors
    /// A journal that cannot be written.
    pub fn open(folder: &Path, step: usize) -> Result<Self> {
        let path = folder.join("loss.jsonl");
        let text = if step == 0 { String::new() } else { fs::read_to_string(&path).unwrap_or_default() };
        // A line that a crash cut off is ignored.
        let records = text.lines().filter_map(|line| serde_json::from_str::<TrainRecord>(line).ok());
        let records: Vec<TrainRecord> = records.filter(|r| r.step <= step).collect();
        let lines = records.iter().map(line).collect::<Result<String>>()?;
        state::write(&path, lines.as_bytes())?;
        Ok(Self { path, records, failed: false })
    }

    /// Appends a record and, with `draw`, redraws the chart. Training does not stop when this fails; the first failure
    /// returns a warning for the user.
    pub fn add(&mut self, record: TrainRecord, draw: bool) -> Option<Error> {
        let appended = line(&record).and_then(|line| {
            let file = OpenOptions::new().append(true).create(true).open(&self.path);
            file.and_then(|mut file| file.write_all(line.as_bytes()))
                .map_err(|e| Error::io(format!("cannot write {}", self.path.display())).because(e))
        });
        self.records.push(record);
        let drawn = if draw {
            let loss = self.records.iter().filter_map(|r| Some((r.step as f64, r.loss?))).collect();
            let held = self.records.iter().filter_map(|r| Some((r.step as f64, r.held_out_nats_per_token?))).collect();
            let series = [("training", loss), ("held out", held)];
            state::write(&self.path.with_extension("svg"), chart::svg(&series, "step", "nats per token").as_bytes())
        } else {
            Ok(())
        };
        let error = appended.and(drawn).err()?;
        (!std::mem::replace(&mut self.failed, true)).then_some(error)
    }
}

fn line(record: &TrainRecord) -> Result<String> {
    serde_json::to_string(record).map(|line| line + "\n").map_err(|e| Error::io(e.to_string()))
}

/// The peak memory of this process in MiB, if the system reports it.
pub fn peak_memory_mib() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let kib = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?.trim().strip_suffix("kB")?;
    kib.trim().parse::<u64>().ok().map(|kib| kib / 1024)
}

/// A duration in words.
pub fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 90.0 => format!("{s:.0} s"),
        s if s < 5400.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}
