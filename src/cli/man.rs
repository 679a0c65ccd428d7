//! `stencil man [COMMAND]`

use super::{Cli, Status, sink};
use clap::{Args, CommandFactory};
use clap_mangen::Man as Page;
use std::path::PathBuf;
use stencil_lm::{Error, Result};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  stencil man fill | man -l -
  stencil man --dir ~/.local/share/man/man1")]
pub struct Man {
    /// The command to write the page of (default: stencil itself)
    command: Option<String>,
    /// Write the pages of all commands into this directory
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    dir: Option<PathBuf>,
}

impl Man {
    pub fn run(self) -> Result<Status> {
        let mut stencil = Cli::command().disable_help_subcommand(true);
        stencil.build();
        let commands = || stencil.get_subcommands().filter(|c| !c.is_hide_set());
        if let Some(dir) = self.dir {
            for page in std::iter::once(&stencil).chain(commands()) {
                let name = page.get_display_name().unwrap_or(page.get_name()).to_string();
                sink::deliver(&render(page.clone())?, Some(&dir.join(format!("{name}.1"))))?;
            }
            return Ok(Status::Good);
        }
        let page = match &self.command {
            None => stencil.clone(),
            Some(name) => commands().find(|c| c.get_name() == name).cloned().ok_or_else(|| {
                let known: Vec<_> = commands().map(|c| c.get_name()).collect();
                Error::input(format!("there is no command {name:?}")).help(format!("one of: {}", known.join(", ")))
            })?,
        };
        sink::print(&render(page)?)?;
        Ok(Status::Good)
    }
}

fn render(command: clap::Command) -> Result<String> {
    let mut page = Vec::new();
    Page::new(command)
        .manual("Stencil manual")
        .source(concat!("stencil ", env!("CARGO_PKG_VERSION")))
        .render(&mut page)?;
    // The section after the options holds examples, whose lines must not be joined.
    Ok(String::from_utf8_lossy(&page).replace(".SH EXTRA\nExamples:\n", ".SH EXAMPLES\n.nf\n"))
}
