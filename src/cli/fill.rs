//! `stencil fill TEMPLATE`

use super::{Status, args::Shared, generate, input};
use clap::Args;
use std::path::{Path, PathBuf};
use stencil_lm::{Error, Result, Source, spec::Spec};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  stencil fill 'The {{animal:1-2}} is a {{size|small|large}} animal that {{does:2-6}}.' --watch
  stencil fill 'Updated on {{when~/\\d{4}-\\d{2}-\\d{2}/}} by {{who}}.' --json
  stencil fill -t report.txt --set title='Annual report' -o report.out.txt")]
pub struct Fill {
    /// Text with slots: {{name}} {{name:1-3}} (words) {{size|small|large}} {{n~/\d+/}}; - reads standard input
    #[arg(required_unless_present_any = ["template_file", "files"])]
    template: Option<String>,
    /// Read the template from a file
    #[arg(short = 't', long, value_name = "FILE", conflicts_with = "template")]
    template_file: Option<PathBuf>,
    #[command(flatten)]
    shared: Shared,
}

impl Fill {
    pub fn run(self) -> Result<Status> {
        let template = match (&self.template, &self.template_file) {
            (Some(dash), _) if dash == "-" => Some(input::stdin()?),
            (Some(text), _) => Some(Source::new("template", text.as_str())),
            (None, Some(path)) => Some(input::read(path)?),
            (None, None) => None,
        };
        let spec = generate::spec(&self.shared, template.as_ref())?;
        self.check_slots(&spec)?;
        generate::generate(&self.shared, &spec, None)
    }

    /// A template without slots is legal and rarely meant.
    fn check_slots(&self, spec: &Spec) -> Result<()> {
        let mut scaffolds = spec.constraints.iter().filter_map(|c| c.shape().scaffold()).peekable();
        if scaffolds.peek().is_none() {
            return Err(Error::input("there is no template to fill")
                .help("give one as an argument, with -t FILE, or as `template` in a constraint file")
                .help("`stencil run` writes text without a template"));
        }
        if let Some(text) = &self.template
            && !self.shared.output.quiet
            && !text.contains("{{")
            && Path::new(text).is_file()
        {
            eprintln!("warning: the template has no slots; to read the template from the file, write -t {text}");
        }
        Ok(())
    }
}
