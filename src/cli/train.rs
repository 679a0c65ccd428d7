//! `stencil train CONFIG`

use super::{Status, interrupt};
use clap::Args;
use std::path::PathBuf;
use stencil_lm::{
    Result,
    train::{self, TrainOptions},
};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  stencil train my-model.toml
  stencil train my-model.toml --resume

Writes the model to `out`, with loss.jsonl and loss.svg beside it. Ctrl-C saves the run before it stops; a second Ctrl-C stops at once.")]
pub struct Train {
    /// What to train on, what to train and how long: a TOML file
    config: PathBuf,
    /// Go on where the run was saved last
    #[arg(long)]
    resume: bool,
    /// Start again where a run is saved, and replace it
    #[arg(long, conflicts_with = "resume")]
    overwrite: bool,
    /// No progress
    #[arg(short, long)]
    quiet: bool,
}

impl Train {
    pub fn run(self) -> Result<Status> {
        interrupt::listen();
        interrupt::obey();
        let options =
            TrainOptions { resume: self.resume, overwrite: self.overwrite, quiet: self.quiet, stop: interrupt::flag() };
        train::run(&self.config, options)?;
        Ok(Status::Good)
    }
}
