//! What a run says about itself: lines on stderr, numbers in `loss.jsonl`, a picture in `loss.svg`.

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
    /// Updates done.
    pub step: usize,
    /// Times the corpus has been seen.
    pub epoch: f64,
    /// Mean training loss since the record before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<f64>,
    /// Learning rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<f64>,
    /// Positions trained on per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_second: Option<f64>,
    /// Most memory so far, in MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_memory_mib: Option<u64>,
    /// Of the averaged weights; an upper bound for masked models.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_out_nats_per_token: Option<f64>,
    /// The same in bits per byte.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_out_bits_per_byte: Option<f64>,
}

/// Writes records; what was recorded after the step a run resumes at is forgotten.
pub struct Journal {
    path: PathBuf,
    records: Vec<TrainRecord>,
    failed: bool,
}

impl Journal {
    /// Continues the journal in a folder at this step; a new one at step 0.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn open(folder: &Path, step: usize) -> Result<Self> {
        let path = folder.join("loss.jsonl");
        let text = if step == 0 { String::new() } else { fs::read_to_string(&path).unwrap_or_default() };
        // A line that was cut off by a crash is no record.
        let records = text.lines().filter_map(|line| serde_json::from_str::<TrainRecord>(line).ok());
        let records: Vec<TrainRecord> = records.filter(|r| r.step <= step).collect();
        let lines = records.iter().map(line).collect::<Result<String>>()?;
        state::write(&path, lines.as_bytes())?;
        Ok(Self { path, records, failed: false })
    }

    /// Appends a record and, where it is worth it, draws the picture again. Training does not stop when this fails;
    /// returns what to tell the user the first time.
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

/// Most memory this process has had, in MiB, where the system tells.
pub fn peak_memory_mib() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let kib = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?.trim().strip_suffix("kB")?;
    kib.trim().parse::<u64>().ok().map(|kib| kib / 1024)
}

/// Seconds as a reader would say them.
pub fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 90.0 => format!("{s:.0} s"),
        s if s < 5400.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}
