//! `stencil export`

use super::{Status, sink};
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use stencil_lm::{Result, models::masked::WeightFormat, train};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  stencil export -m runs/my-model --to my-model --format int8
  stencil eval -m my-model --data texts.jsonl

Takes the full-precision weights from the run's state where it is still there. `stencil eval` on both directories
states what the rounding costs.")]
pub struct Export {
    /// Directory of the model
    #[arg(short, long, value_name = "DIR")]
    model: PathBuf,
    /// Directory to write to
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Numbers of the weights
    #[arg(long, value_name = "FORMAT", default_value = "f16")]
    format: Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// 32 bits, as trained
    F32,
    /// 16 bits
    F16,
    /// 8 bits, and a scale for each 64 weights
    Int8,
}

impl Export {
    pub fn run(self) -> Result<Status> {
        let precision = match self.format {
            Format::F32 => WeightFormat::F32,
            Format::F16 => WeightFormat::F16,
            Format::Int8 => WeightFormat::Int8,
        };
        let done = train::export(&self.model, &self.to, precision)?;
        sink::print(&format!(
            "{}: weights of {:.1} MB, rounded by {:.3} % {}\n",
            self.to.display(),
            done.bytes as f64 / 1e6,
            100.0 * done.error,
            if done.full_precision { "of full precision" } else { "of what they were (the state is not there)" }
        ))?;
        Ok(Status::Good)
    }
}
