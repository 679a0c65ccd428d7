//! A sample as a line of JSON: the fields are a promise (docs/cli.md).

use serde::{Serialize, Serializer, ser::SerializeMap};
use stencil_lm::{Output, schema::Unenforced};

#[derive(Serialize)]
struct Line<'a> {
    text: &'a str,
    slots: Slots<'a>,
    verified: bool,
    #[serde(skip_serializing_if = "<[Unenforced]>::is_empty")]
    left: &'a [Unenforced],
    exact: bool,
    log_z: f64,
    tokens: usize,
    steps: usize,
    nfe: usize,
    seed: u64,
    model: &'a str,
    elapsed_ms: f64,
    constraint_ms: f64,
}

/// A JSON object in the order of the template. A name that occurs twice has the same text twice.
struct Slots<'a>(&'a [(String, String)]);

impl Serialize for Slots<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (i, (name, text)) in self.0.iter().enumerate() {
            if !self.0[..i].iter().any(|(earlier, _)| earlier == name) {
                map.serialize_entry(name, text)?;
            }
        }
        map.end()
    }
}

/// Milliseconds, rounded to microseconds.
fn microseconds(ms: f64) -> f64 {
    (ms * 1e3).round() / 1e3
}

/// The JSON line, with its newline.
pub fn json(output: &Output) -> stencil_lm::Result<String> {
    let report = &output.report;
    let line = Line {
        text: &output.text,
        slots: Slots(&output.slots),
        verified: report.verified,
        left: &report.left,
        exact: report.exact,
        log_z: report.log_z,
        tokens: report.tokens,
        steps: report.steps,
        nfe: report.nfe,
        seed: report.seed,
        model: &report.model,
        elapsed_ms: microseconds(report.elapsed_ms),
        constraint_ms: microseconds(report.constraint_ms),
    };
    let mut text = serde_json::to_string(&line).map_err(|e| stencil_lm::Error::io(e.to_string()))?;
    text.push('\n');
    Ok(text)
}
