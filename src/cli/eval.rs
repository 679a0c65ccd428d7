//! `stencil eval`

use super::{Status, sink};
use clap::{Args, ValueEnum};
use std::{
    collections::BTreeMap,
    fmt::Write,
    path::{Path, PathBuf},
};
use stencil_lm::{
    Error, Result,
    eval::{self, Coded, Effort, EvalReport, LanguageModel, Ngram},
    models::Classifier,
    train::Reading,
};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  stencil eval -m runs/my-model --data texts.jsonl --held-out 0.02 --json
  stencil eval -m runs/my-model --baseline ngram --train texts.jsonl --data texts.jsonl --held-out 0.02

The likelihood of a causal model and of the baseline is exact; that of a masked model is an upper bound, estimated with
random masks: its standard error is printed beside it. For infill one word of each text is hidden, with all its tokens;
the model knows how many there are, and a causal one or the baseline sees the words to the left only.")]
pub struct Eval {
    /// Directory of the model, masked or causal (default: the bundled one)
    #[arg(short, long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Texts: JSON lines with a field `text` and perhaps `topic` (or `label`), or plain lines; may be repeated
    #[arg(long, value_name = "FILE", required = true)]
    data: Vec<PathBuf>,
    /// One JSON object
    #[arg(long)]
    json: bool,
    /// Measure a simple model on the model's tokens instead
    #[arg(long, value_name = "NAME", requires = "train")]
    baseline: Option<Baseline>,
    /// What the baseline learns from; may be repeated
    #[arg(long, value_name = "FILE", requires = "baseline")]
    train: Vec<PathBuf>,
    /// Measure the held-out share of the texts only, as `stencil train` splits them; the baseline learns from the rest
    #[arg(long, value_name = "SHARE", value_parser = share)]
    held_out: Option<f64>,
    /// Field that decides about the split; the text itself where it is missing
    #[arg(long, value_name = "FIELD", default_value = "key")]
    key_field: String,
    /// Field with the text
    #[arg(long, value_name = "FIELD", default_value = "text")]
    text_field: String,
    /// Measure this many texts, spread evenly over the data (default: all)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Estimates of a masked model's bound
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    draws: u64,
    /// Words to hide, at most one per text; 0 hides none
    #[arg(long, value_name = "N", default_value_t = 1000)]
    words: usize,
    /// Turn the texts into small letters, as `data.lowercase` does in training
    #[arg(long)]
    lowercase: bool,
    /// The same seed gives the same numbers
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Baseline {
    /// Interpolated Kneser-Ney model of four tokens
    Ngram,
}

fn share(text: &str) -> Result<f64, String> {
    let share: f64 = text.parse().map_err(|_| "expected a number".to_string())?;
    if share > 0.0 && share <= 1.0 { Ok(share) } else { Err("expected more than 0 and at most 1".into()) }
}

impl Eval {
    pub fn run(self) -> Result<Status> {
        let mut model = eval::load(self.model.as_deref())?;
        if self.baseline == Some(Baseline::Ngram) {
            let mut texts = Vec::new();
            for path in &self.train {
                let share = self.held_out;
                self.read(&*model, path, |held_out| share.is_none() || !held_out, &mut |t| texts.push(t))?;
            }
            model = Box::new(Ngram::fit(model.vocab().clone(), model.conditions().to_vec(), texts));
        }
        let mut texts = Vec::new();
        for path in &self.data {
            let share = self.held_out;
            self.read(&*model, path, |held_out| share.is_none() || held_out, &mut |t| texts.push(t))?;
        }
        if let Some(limit) = self.limit.map(|l| l as usize).filter(|&l| l < texts.len()) {
            let all = texts.len();
            texts = (0..limit).map(|i| texts[i * all / limit].clone()).collect();
        }
        let effort = Effort { draws: self.draws, words: self.words, seed: self.seed };
        let mut report = eval::evaluate(&*model, &texts, effort)?;
        if let (Some(directory), None) = (&self.model, self.baseline)
            && let Some(classifier) = Classifier::load(directory)?
        {
            report.topic_accuracy = eval::topic_accuracy(&classifier, &*model, &texts)?;
        }
        sink::print(&if self.json {
            serde_json::to_string(&report).map_err(|e| Error::io(e.to_string()))? + "\n"
        } else {
            table(&report)
        })?;
        Ok(Status::Good)
    }

    fn read(
        &self,
        model: &dyn LanguageModel,
        path: &Path,
        keep: impl Fn(bool) -> bool,
        take: &mut dyn FnMut(Coded),
    ) -> Result<()> {
        let reading = Reading {
            text_field: self.text_field.clone(),
            key_field: self.key_field.clone(),
            held_out: self.held_out.unwrap_or(0.0),
            lowercase: self.lowercase,
            ..Reading::default()
        };
        let mut unknown: BTreeMap<String, usize> = BTreeMap::new();
        for text in reading.texts(path)? {
            let text = text?;
            if keep(text.held_out) {
                let coded = eval::encode(model, &text.text, text.label.as_deref())?;
                if let (Some(label), None) = (text.label, coded.condition) {
                    *unknown.entry(label).or_default() += 1;
                }
                take(coded);
            }
        }
        if !unknown.is_empty() {
            let names: Vec<String> = unknown.iter().take(5).map(|(label, n)| format!("{label} ({n})")).collect();
            let more = if unknown.len() > names.len() { ", …" } else { "" };
            eprintln!(
                "note: {}: topics that the model does not know, measured without: {}{more}",
                path.display(),
                names.join(", ")
            );
        }
        Ok(())
    }
}

fn table(report: &EvalReport) -> String {
    let mut out = String::new();
    let (sign, error) = if report.exact {
        ("", String::new())
    } else {
        ("≤ ", format!(" (standard error {:.3})", report.bits_per_byte_error))
    };
    let percent = |share: Option<f64>| share.map_or("none".into(), |s| format!("{:.1} %", 100.0 * s));
    for (name, value) in [
        ("model", report.model.clone()),
        ("texts", format!("{} of {} bytes, {} tokens", report.texts, report.bytes, report.tokens)),
        ("likelihood", format!("{sign}{:.3} bits/byte{error}", report.bits_per_byte)),
        ("", format!("{sign}{:.3} nats/token", report.nll_nats_per_token)),
        ("infill", format!("{} of {} words, first guess", percent(report.infill_top1), report.infill_words)),
        ("", format!("{} of them among five", percent(report.infill_top5))),
    ] {
        let _ = writeln!(out, "{name:<11} {value}");
    }
    if let Some(share) = report.topic_accuracy {
        let _ = writeln!(out, "{:<11} {:.1} % told by the classifier", "topics", 100.0 * share);
    }
    out
}
