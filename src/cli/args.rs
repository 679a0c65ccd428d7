//! The flags that `fill` and `run` share. One definition per flag gives parsing, help, man page and completions.

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches, ValueEnum, value_parser};
use std::{collections::BTreeMap, path::PathBuf};
use stencil_lm::{
    Ending, Layout, Settings,
    models::{Cache, checkpoint::Precision},
    policies::{OPTIONS, PolicyOption, Takes},
};

/// Everything `fill` and `run` have in common.
#[derive(Debug, Args)]
pub struct Shared {
    /// Directory of the model, or a GGUF file (default: the bundled one)
    #[arg(short, long, value_name = "DIR|FILE")]
    pub model: Option<PathBuf>,
    /// Keep a pretrained model's matrices in fewer bits
    #[arg(long, value_name = "HOW", requires = "model")]
    pub quantize: Option<Quantize>,
    #[command(flatten)]
    pub prompting: Prompting,
    #[command(flatten)]
    pub constraints: Constraints,
    #[command(flatten)]
    pub guidance: Guidance,
    #[command(flatten)]
    pub sampling: Sampling,
    #[command(flatten)]
    pub output: Output,
}

/// How matrices are kept.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Quantize {
    // 16 bits
    Bf16,
    // 8 bits and a scale per 32 weights
    #[value(name = "q8_0", alias = "q8")]
    Q8,
    // 4 bits and scales per 256 weights
    #[value(name = "q4k", alias = "q4_k")]
    Q4k,
}

impl Quantize {
    pub fn precision(self) -> Precision {
        match self {
            Self::Bf16 => Precision::Half,
            Self::Q8 => Precision::Q8_0,
            Self::Q4k => Precision::Q4K,
        }
    }
}

/// What the model reads first. None of it is part of the result.
#[derive(Debug, Args)]
#[command(next_help_heading = "Prompt")]
pub struct Prompting {
    /// What the model is asked; - reads standard input
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub prompt: Option<String>,
    /// Read the prompt from a file
    #[arg(long, value_name = "FILE", conflicts_with = "prompt")]
    pub prompt_file: Option<PathBuf>,
    /// What a model with a chat template is told beforehand
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub system: Option<String>,
    /// Give the prompt as it stands, without the model's chat template
    #[arg(long, conflicts_with = "system")]
    pub raw: bool,
}

/// What must be true of the text. All of it holds at once.
#[derive(Debug, Args)]
#[command(next_help_heading = "Constraints (all of them hold)")]
pub struct Constraints {
    /// A constraint file, TOML or JSON; may be repeated
    #[arg(short = 'c', long = "constraints", value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The whole text matches this expression, e.g. 'No\. \d{1,3}'
    #[arg(long, value_name = "REGEX", allow_hyphen_values = true)]
    pub regex: Vec<String>,
    /// The whole text is of this grammar: GBNF (.gbnf) or Lark (.lark); - reads standard input
    #[arg(long, value_name = "FILE")]
    pub grammar: Vec<PathBuf>,
    /// The text is JSON of the schema in this file; - reads standard input
    #[arg(long, value_name = "FILE")]
    pub json_schema: Vec<PathBuf>,
    /// The text is JSON with these fields, e.g. `name, age int, tags: [string]`
    #[arg(long, value_name = "FIELDS")]
    pub schema: Option<String>,
    /// The text is one of these; `\,` is a comma
    #[arg(long, value_name = "A,B,..", value_parser = words, allow_hyphen_values = true)]
    pub choice: Option<Words>,
    /// Words that must occur
    #[arg(long, value_name = "W,..", value_parser = words, allow_hyphen_values = true)]
    pub contains: Vec<Words>,
    /// Words that must not occur
    #[arg(long, value_name = "W,..", value_parser = words, allow_hyphen_values = true)]
    pub excludes: Vec<Words>,
    /// How long the text is: 5-20w words, 10-80c characters, 4t tokens
    #[arg(long, value_name = "RANGE", allow_hyphen_values = true)]
    pub length: Option<String>,
    /// The text begins with this
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub prefix: Option<String>,
    /// The text ends with this
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub suffix: Option<String>,
    /// Value of the template's $NAME; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pub set: Vec<(String, String)>,
}

/// What should be true of the text: moves probability, forbids nothing.
#[derive(Debug, Args)]
#[command(next_help_heading = "Guidance (preferences, not promises)")]
pub struct Guidance {
    /// Write about this; a negative scale writes about anything else, e.g. food=2, animal=-1
    #[arg(long, value_name = "LABEL[=SCALE]", value_parser = label)]
    pub topic: Vec<(String, Option<f32>)>,
    /// Make a word likelier (cat=2) or less likely (cat=-2), in nats; may be repeated
    #[arg(long, value_name = "WORD=NATS", value_parser = weight)]
    pub bias: Vec<(String, f32)>,
    /// Classifier-free guidance towards a label the model was trained with
    #[arg(long, value_name = "LABEL[=SCALE]", value_parser = label)]
    pub cfg: Option<(String, Option<f32>)>,
    /// Guidance away from what the model says without the prompt, e.g. 1.5 (LLaDA's cfg_scale)
    #[arg(long, value_name = "SCALE", conflicts_with = "cfg", value_parser = number, allow_negative_numbers = true)]
    pub cfg_scale: Option<f32>,
    /// Trust tokens that were likeliest in earlier steps, too, so that --policy threshold writes them sooner (dInfer)
    #[arg(long)]
    pub credit: bool,
}

/// How to sample.
#[derive(Debug, Args)]
#[command(next_help_heading = "Sampling")]
pub struct Sampling {
    /// Refinement steps, one forward each (default: one per open position)
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub steps: Option<usize>,
    /// Tokens there is room for
    #[arg(long, aliases = ["gen-length", "max-new-tokens"], value_name = "TOKENS", allow_negative_numbers = true)]
    pub len: Option<usize>,
    // The names come from the library, so that none is missing here.
    #[arg(long, aliases = ["alg", "remasking", "remasking-strategy"], value_name = "NAME", help = policies())]
    pub policy: Option<String>,
    /// 0 writes the likeliest text of each step, 1 samples what the model believes (default: the model's; of the bundled one 1, in
    /// templates 0.8)
    #[arg(long, value_name = "T", allow_negative_numbers = true)]
    pub temperature: Option<f32>,
    /// Only the K likeliest legal tokens of each position
    #[arg(long, value_name = "K", allow_negative_numbers = true)]
    pub top_k: Option<usize>,
    /// Only the likeliest legal tokens that hold this much probability
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    pub top_p: Option<f32>,
    /// Write in blocks of so many positions, one after the other
    #[arg(long, value_name = "TOKENS", allow_negative_numbers = true)]
    pub block_length: Option<usize>,
    /// Reuse keys and values within a block (the whole text without --block-length): faster, approximate
    #[arg(long, value_name = "WHAT")]
    pub cache: Option<CacheName>,
    /// When the text may end: free, last (after all else of a block is written), never (it fills --len)
    #[arg(long, value_name = "WHEN")]
    pub ending: Option<EndingName>,
    #[command(flatten)]
    pub options: PolicyOptions,
    /// Slot lengths are chosen first (pinned), or as the text is written (floating)
    #[arg(long, value_name = "HOW")]
    pub layout: Option<LayoutName>,
    /// The same seed gives the same text (default: 0)
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    pub seed: Option<u64>,
    /// Samples to write
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub count: u64,
}

impl Sampling {
    pub fn settings(&self) -> Settings {
        Settings {
            steps: self.steps,
            len: self.len,
            policy: self.policy.clone(),
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            seed: self.seed,
            block_length: self.block_length,
            cache: self.cache.map(CacheName::cache),
            ending: self.ending.map(EndingName::ending),
            layout: self.layout.map(LayoutName::layout),
            options: self.options.0.clone(),
        }
    }
}

/// The options of policies, one flag each.
#[derive(Debug)]
pub struct PolicyOptions(BTreeMap<String, f32>);

impl Args for PolicyOptions {
    fn augment_args(command: Command) -> Command {
        let flag = |option: &&PolicyOption| {
            let flag = Arg::new(option.name)
                .long(option.name.replace('_', "-"))
                .aliases(option.aliases.iter().map(|alias| alias.replace('_', "-")))
                .value_name(option.value_name)
                .help(option.help)
                .allow_negative_numbers(true);
            match option.takes {
                Takes::Count(_) => flag.value_parser(value_parser!(u16)),
                Takes::Share | Takes::Amount => flag.value_parser(value_parser!(f32)),
            }
        };
        command.args(OPTIONS.iter().map(flag))
    }
    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for PolicyOptions {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let value = |option: &&PolicyOption| match option.takes {
            Takes::Count(_) => matches.get_one::<u16>(option.name).copied().map(f32::from),
            Takes::Share | Takes::Amount => matches.get_one::<f32>(option.name).copied(),
        };
        Ok(Self(OPTIONS.iter().filter_map(|o| Some((o.name.to_string(), value(o)?))).collect()))
    }
    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.extend(Self::from_arg_matches(matches)?.0);
        Ok(())
    }
}

fn policies() -> String {
    let names: Vec<&str> = stencil_lm::policies::KINDS.iter().map(|kind| kind.name).collect();
    format!(
        "Which positions to write first: {} (default: the model's; of the bundled one confidence, in templates entropy)",
        names.join(", ")
    )
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum LayoutName {
    Floating,
    Pinned,
}

impl LayoutName {
    fn layout(self) -> Layout {
        match self {
            Self::Floating => Layout::Floating,
            Self::Pinned => Layout::Pinned,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum CacheName {
    Prefix,
    Dual,
}

impl CacheName {
    fn cache(self) -> Cache {
        match self {
            Self::Prefix => Cache::Prefix,
            Self::Dual => Cache::Dual,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum EndingName {
    Free,
    Last,
    Never,
}

impl EndingName {
    fn ending(self) -> Ending {
        match self {
            Self::Free => Ending::Free,
            Self::Last => Ending::Last,
            Self::Never => Ending::Never,
        }
    }
}

/// Where the result goes, and what else is shown.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub struct Output {
    /// Draw the refinement on the terminal while it happens
    #[arg(long, value_name = "SPEED", num_args = 0..=1, require_equals = true, default_missing_value = "normal")]
    pub watch: Option<Speed>,
    /// One JSON object per sample and line
    #[arg(long)]
    pub json: bool,
    /// Record every step as JSON lines
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
    /// Write the result here, whole or not at all
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// No progress, no warnings
    #[arg(short, long, conflicts_with = "watch")]
    pub quiet: bool,
}

/// How long a frame of `--watch` stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Speed {
    // So that each step can be read.
    Slow,
    // The whole refinement in a few seconds.
    Normal,
    // As fast as the model writes.
    Fast,
}

/// A list given in one flag.
#[derive(Debug, Clone)]
pub struct Words(pub Vec<String>);

/// Splits at commas that no backslash stands before.
fn words(value: &str) -> Result<Words, String> {
    let mut words = vec![String::new()];
    let mut chars = value.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, words.last_mut()) {
            (',', _) => words.push(String::new()),
            ('\\', Some(word)) if chars.peek() == Some(&',') => word.extend(chars.next()),
            (c, Some(word)) => word.push(c),
            (_, None) => {}
        }
    }
    if words.iter().any(String::is_empty) {
        Err("an entry is empty; entries are separated by commas".into())
    } else {
        Ok(Words(words))
    }
}

pub fn pair(value: &str) -> Result<(String, String), String> {
    match value.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.trim_start_matches('$').into(), value.into())),
        _ => Err("write NAME=VALUE".into()),
    }
}

fn number(text: &str) -> Result<f32, String> {
    match text.trim().parse::<f32>() {
        Ok(number) if number.is_finite() => Ok(number),
        _ => Err(format!("{text:?} is not a number")),
    }
}

fn label(value: &str) -> Result<(String, Option<f32>), String> {
    match value.rsplit_once('=') {
        Some(("", _)) => Err("write LABEL or LABEL=SCALE".into()),
        Some((label, scale)) => Ok((label.into(), Some(number(scale)?))),
        None if value.is_empty() => Err("the label is empty".into()),
        None => Ok((value.into(), None)),
    }
}

fn weight(value: &str) -> Result<(String, f32), String> {
    match value.rsplit_once('=') {
        Some((word, weight)) if !word.is_empty() => Ok((word.into(), number(weight)?)),
        _ => Err("write WORD=NATS, e.g. cat=2 or cat=-2".into()),
    }
}
