//! The reader of configuration files. Unknown keys are refused; errors name the position of wrong values.

use super::{ObjectiveKind, TrainConfig};
use crate::{Error, Result, Source, spec::Document};
use serde::Deserialize;
use std::path::Path;

impl TrainConfig {
    /// Reads and checks a TOML file.
    ///
    /// # Errors
    /// A syntax error, an unknown or missing key, or a value out of range, with line and column.
    pub fn read(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|e| Error::io(format!("cannot read {name}")).because(e))?;
        let source = Source::new(name, text);
        let document = Document::from_toml(&source)?;
        let mut config = Self::deserialize(&document.root).map_err(|e| e.0.in_source(&source))?;
        if let Err((pointer, message)) = config.check() {
            let value = document.root.resolve(&format!("/{}", pointer.replace('.', "/")));
            return Err(Error::input(format!("{pointer} {message}")).at(value.span.clone()).in_source(&source));
        }
        if config.objective.kind == ObjectiveKind::Causal {
            for key in ["complementary", "min_t", "revise", "extra_eos"] {
                let [table, value] = ["/objective".to_string(), format!("/objective/{key}")]
                    .map(|p| document.root.resolve(&p).span.clone());
                if table != value {
                    return Err(Error::input(format!("objective.{key} is for the masked objective"))
                        .at(value)
                        .in_source(&source)
                        .help("leave it out, or set objective.kind = \"masked\""));
                }
            }
        }
        let folder = path.parent().unwrap_or(Path::new(""));
        config.out = folder.join(&config.out);
        let data = &mut config.data;
        let paths = data.file.iter_mut().chain(&mut data.files).chain(data.source.iter_mut().map(|s| &mut s.path));
        let more = config.tokenizer.file.iter_mut().chain(&mut config.model.start);
        paths.chain(more).for_each(|path| *path = folder.join(&*path));
        Ok(config)
    }

    /// Returns the key of a wrong value, and the problem.
    fn check(&self) -> std::result::Result<(), (String, String)> {
        let Self { objective, optimizer, report, data, .. } = self;
        let wrong = |key: &str, message: String| Err((key.to_string(), message));
        let shares = [
            ("data.held_out", data.held_out),
            ("objective.condition_dropout", objective.condition_dropout),
            ("objective.revise", objective.revise),
            ("optimizer.momentum", optimizer.momentum),
            ("optimizer.beta1", optimizer.beta1),
            ("optimizer.beta2", optimizer.beta2),
            ("optimizer.ema", optimizer.ema),
        ];
        if let Some((key, value)) = shares.into_iter().find(|(_, v)| !(0.0..1.0).contains(v)) {
            return wrong(key, format!("is {value}, expected at least 0 and below 1"));
        }
        let classifier = self.classifier.clone().unwrap_or_default();
        let positive = [
            ("objective.min_t", objective.min_t),
            ("optimizer.lr", optimizer.lr),
            ("optimizer.clip", optimizer.clip),
            ("optimizer.steps", optimizer.steps as f64),
            ("optimizer.batch_tokens", optimizer.batch_tokens as f64),
            ("optimizer.accumulate", optimizer.accumulate as f64),
            ("report.log_every", report.log_every as f64),
            ("report.evaluate_every", report.evaluate_every as f64),
            ("report.save_every", report.save_every as f64),
            ("classifier.steps", classifier.steps as f64),
            ("classifier.batch_texts", classifier.batch_texts as f64),
            ("classifier.lr", classifier.lr),
        ];
        if let Some((key, value)) = positive.into_iter().find(|&(_, v)| !v.is_finite() || v <= 0.0) {
            return wrong(key, format!("is {value}, expected more than 0"));
        }
        if objective.min_t > 1.0 {
            return wrong("objective.min_t", format!("is {}, expected at most 1", objective.min_t));
        }
        if let Some(decay) = optimizer.decay.filter(|d| !(1..=optimizer.steps).contains(d)) {
            return wrong(
                "optimizer.decay",
                format!("is {decay}, expected 1 to optimizer.steps ({})", optimizer.steps),
            );
        }
        let not_negative =
            [("optimizer.weight_decay", optimizer.weight_decay), ("optimizer.muon_lr", optimizer.muon_lr)];
        if let Some((key, value)) = not_negative.into_iter().find(|&(_, v)| !v.is_finite() || v < 0.0) {
            return wrong(key, format!("is {value}, expected at least 0"));
        }
        for (i, source) in data.source.iter().enumerate() {
            if !(source.weight.is_finite() && source.weight > 0.0) {
                return wrong(
                    &format!("data.source.{i}.weight"),
                    format!("is {}, expected more than 0", source.weight),
                );
            }
        }
        if data.file.is_none() && data.files.is_empty() && data.source.is_empty() {
            return wrong("data", "names no file: set data.file, data.files or [[data.source]]".into());
        }
        match (&self.tokenizer.file, self.tokenizer.vocab_size) {
            (None, None) => wrong("tokenizer", "needs a vocab_size to train one, or a file with a ready one".into()),
            (Some(_), Some(_)) => {
                wrong("tokenizer.vocab_size", "is that of tokenizer.file: leave one of them out".into())
            }
            _ => Ok(()),
        }
    }
}
