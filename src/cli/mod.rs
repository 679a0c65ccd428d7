//! The command line, one file per command.

mod completions;
mod man;
mod sink;

use clap::{Parser, Subcommand};
use std::process::ExitCode;
use stencil_lm::Result;

/// Controllable generation with diffusion language models
///
/// What the text must be is fixed: a template, an expression, a word it must contain. The model writes what is left
/// open, all positions at once, and every constraint holds.
#[derive(Debug, Parser)]
#[command(
    name = "stencil",
    version,
    arg_required_else_help = true,
    after_help = "Examples:
  stencil fill 'The {{animal:1-2}} is a {{size|small|large}} animal that {{does:2-6}}.' --watch
  stencil run --regex '[A-Z][a-z ]{10,60}\\.' --topic food -n 3
  stencil check my-constraints.toml

Exit status: 0 all verified, 1 an output failed verification, 2 usage, input or I/O error,
3 the constraints cannot be satisfied, 130 interrupted."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print a completion script for a shell
    Completions(completions::Completions),
    /// Print a manual page
    Man(man::Man),
}

/// How a command that did its work ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Good,
    /// An output failed verification, or an example was decided wrongly.
    Unverified,
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        match status {
            Status::Good => ExitCode::SUCCESS,
            Status::Unverified => ExitCode::from(1),
        }
    }
}

pub fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(status) => status.into(),
        Err(error) => {
            eprintln!("{}", error.report());
            ExitCode::from(error.exit_code())
        }
    }
}

impl Cli {
    fn run(self) -> Result<Status> {
        match self.command {
            Command::Completions(command) => command.run(),
            Command::Man(command) => command.run(),
        }
    }
}
