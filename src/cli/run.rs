//! `stencil run [PROMPT]`

use super::{Status, args::Shared, generate};
use clap::Args;
use stencil_lm::Result;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  stencil run --regex '[A-Z][a-z ]{10,60}\\.' --topic food -n 3
  stencil run -c constraints/date.toml --json
  stencil run --contains river,stone --length 6-12w --seed 7")]
pub struct Run {
    /// Text the model reads first; it is no part of the result; - reads standard input
    prompt: Option<String>,
    #[command(flatten)]
    shared: Shared,
}

impl Run {
    pub fn run(self) -> Result<Status> {
        let spec = generate::spec(&self.shared, None)?;
        generate::generate(&self.shared, &spec, self.prompt.as_deref())
    }
}
