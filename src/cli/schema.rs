//! `stencil schema`

use super::{Status, sink};
use clap::Args;
use std::path::PathBuf;
use stencil_lm::{Error, Result, spec::Registry};

#[derive(Debug, Args)]
#[command(after_help = "Example:
  stencil schema -o docs/constraint.schema.json")]
pub struct Schema {
    /// Write it here, whole or not at all
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Schema {
    pub fn run(self) -> Result<Status> {
        let schema = Registry::builtin().json_schema();
        let text = serde_json::to_string_pretty(&schema).map_err(|e| Error::io(e.to_string()))?;
        sink::deliver(&(text + "\n"), self.output.as_deref())?;
        Ok(Status::Good)
    }
}
