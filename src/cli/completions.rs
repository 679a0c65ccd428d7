//! `stencil completions SHELL`

use super::{Cli, Status, sink};
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use stencil_lm::Result;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  stencil completions bash > ~/.local/share/bash-completion/completions/stencil
  stencil completions zsh > ~/.zfunc/_stencil
  stencil completions fish > ~/.config/fish/completions/stencil.fish")]
pub struct Completions {
    /// The shell to write a completion script for
    shell: Shell,
}

impl Completions {
    pub fn run(self) -> Result<Status> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "stencil", &mut script);
        sink::print(&String::from_utf8_lossy(&script))?;
        Ok(Status::Good)
    }
}
