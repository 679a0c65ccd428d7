//! The command line, one file per command.

mod args;
mod bench;
mod check;
mod check_jsonl;
mod completions;
mod doctor;
mod eval;
mod explain;
mod export;
mod fill;
mod frame;
mod generate;
mod input;
mod interrupt;
mod man;
mod models;
mod paint;
mod pretrained;
mod progress;
mod result;
mod run;
mod schema;
mod sink;
mod terminal;
mod trace;
mod train;
mod watch;

use clap::{Parser, Subcommand};
use std::process::ExitCode;
use stencil_lm::{Error, ErrorKind, Result};

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

Exit status: 0 all verified; 1 an output failed verification; 2 usage, input
or I/O error; 3 the constraints cannot be satisfied; 130 interrupted."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Fill the slots of a template
    Fill(fill::Fill),
    /// Write text under constraints
    Run(run::Run),
    /// Check constraint files, or whether a text satisfies them
    Check(check::Check),
    /// Train a model
    Train(train::Train),
    /// Measure a model on texts
    Eval(eval::Eval),
    /// Measure the speed of the engine
    Bench(bench::Bench),
    /// Write a trained model with fewer bits per weight
    Export(export::Export),
    /// Show what a model knows
    Models(models::Models),
    /// Print the JSON Schema of constraint files
    Schema(schema::Schema),
    /// Look whether everything works on this machine
    Doctor(doctor::Doctor),
    /// Print a completion script for a shell
    Completions(completions::Completions),
    /// Print a manual page
    Man(man::Man),
}

impl Command {
    /// Whether the command runs the loops whose instructions `STENCIL_SIMD` names. `doctor` does, but has its own way to
    /// report a request that cannot be met.
    fn computes(&self) -> bool {
        !matches!(self, Self::Schema(_) | Self::Doctor(_) | Self::Completions(_) | Self::Man(_))
    }
}

/// The status of a command that did its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    Good,
    /// An output failed verification, or an example was decided wrongly.
    Unverified,
    /// Errors were reported on the way; holds the exit status.
    Failed(u8),
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        ExitCode::from(match status {
            Status::Good => 0,
            Status::Unverified => 1,
            Status::Failed(code) => code,
        })
    }
}

pub fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(status) => status.into(),
        Err(error) => {
            eprintln!("{}", report(&error));
            ExitCode::from(exit_code(&error))
        }
    }
}

/// The diagnostic of an error on the terminal. An interruption is not called an error.
fn report(error: &Error) -> String {
    let report = error.report();
    if error.is_interrupted() { report } else { format!("error: {report}") }
}

/// The exit status of an error: 3 where nothing satisfies what was asked, 130 after an interruption, 2 otherwise.
fn exit_code(error: &Error) -> u8 {
    match error.kind() {
        ErrorKind::Unsatisfiable => 3,
        ErrorKind::Interrupted => 130,
        _ => 2,
    }
}

impl Cli {
    fn run(self) -> Result<Status> {
        if self.command.computes() {
            // An impossible `STENCIL_SIMD` is refused, not ignored.
            stencil_lm::engine::cpu::forced()?;
        }
        match self.command {
            Command::Fill(command) => command.run(),
            Command::Run(command) => command.run(),
            Command::Check(command) => command.run(),
            Command::Train(command) => command.run(),
            Command::Eval(command) => command.run(),
            Command::Bench(command) => command.run(),
            Command::Export(command) => command.run(),
            Command::Models(command) => command.run(),
            Command::Schema(command) => command.run(),
            Command::Doctor(command) => command.run(),
            Command::Completions(command) => command.run(),
            Command::Man(command) => command.run(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{exit_code, report};
    use stencil_lm::{Error, ErrorKind};

    #[test]
    fn exit_statuses_are_those_of_the_manual() {
        let status = |kind| exit_code(&Error::new(kind, "x"));
        let usual = [ErrorKind::Input, ErrorKind::TooLarge, ErrorKind::Unsupported, ErrorKind::Model, ErrorKind::Io];
        assert!(usual.into_iter().all(|kind| status(kind) == 2));
        assert_eq!((status(ErrorKind::Unsatisfiable), status(ErrorKind::Interrupted)), (3, 130));
    }

    #[test]
    fn an_interruption_is_not_called_an_error() {
        assert_eq!(report(&Error::input("x").help("y")), "error: x\n  help: y");
        assert_eq!(report(&Error::new(ErrorKind::Interrupted, "stopped")), "stopped");
    }
}
