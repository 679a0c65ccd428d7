//! `stencil models`: what a model knows.

use super::{Status, generate, pretrained, sink, terminal::Terminal};
use clap::{Args, Subcommand};
use serde::Serialize;
use std::{fmt::Write, path::PathBuf};
use stencil_lm::{Model, Result};

#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  stencil models
  stencil models inspect path/to/model --json"
)]
pub struct Models {
    #[command(subcommand)]
    action: Option<Action>,
    /// One JSON object per model and line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// The models that come with this program (the default)
    List {
        /// One JSON object per model and line
        #[arg(long)]
        json: bool,
    },
    /// A model: its family, sizes, tokens, and memory at each precision; loads nothing
    Inspect {
        /// Directory with config.json, tokenizer.json and model.safetensors, or a GGUF file
        #[arg(value_name = "DIR|FILE")]
        directory: PathBuf,
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
}

#[derive(Serialize)]
struct Facts<'a> {
    name: &'a str,
    parameters: Option<usize>,
    vocabulary: usize,
    max_len: usize,
    conditions: &'a [String],
    topics: &'a [String],
}

impl Models {
    pub fn run(self) -> Result<Status> {
        let (directory, json) = match self.action {
            None => (None, self.json),
            Some(Action::List { json }) => (None, json),
            Some(Action::Inspect { directory, json }) => (Some(directory), json),
        };
        if let Some(directory) = &directory
            && let Some(text) = pretrained::inspect(directory, json)?
        {
            sink::print(&text)?;
            return Ok(Status::Good);
        }
        let model = generate::load(directory.as_deref(), None, Terminal::stderr())?;
        let facts = Facts::of(&model);
        sink::print(&if json {
            serde_json::to_string(&facts).map_err(|e| stencil_lm::Error::io(e.to_string()))? + "\n"
        } else {
            facts.table(directory.is_none())
        })?;
        Ok(Status::Good)
    }
}

impl<'a> Facts<'a> {
    fn of(model: &'a Model) -> Self {
        let denoiser = model.denoiser();
        Self {
            name: denoiser.name(),
            parameters: denoiser.parameters(),
            vocabulary: denoiser.vocab().len(),
            max_len: denoiser.max_len(),
            conditions: denoiser.conditions(),
            topics: model.topics().map_or(&[], |t| t.labels()),
        }
    }

    fn table(&self, bundled: bool) -> String {
        let list = |labels: &[String]| if labels.is_empty() { "none".into() } else { labels.join(", ") };
        let mut out = String::new();
        for (name, value) in [
            ("name", format!("{}{}", self.name, if bundled { " (bundled)" } else { "" })),
            ("parameters", self.parameters.map_or("unknown".into(), |n| format!("{:.1} million", n as f64 / 1e6))),
            ("vocabulary", format!("{} tokens", self.vocabulary)),
            ("length", format!("up to {} tokens", self.max_len)),
            ("topics", format!("{} (--topic)", list(self.topics))),
            ("conditions", format!("{} (--cfg)", list(self.conditions))),
        ] {
            let _ = writeln!(out, "{name:<11} {value}");
        }
        out
    }
}
