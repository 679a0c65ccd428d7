//! `stencil check --jsonl`: questions and answers, a line each. No model is loaded.

use super::{Status, check, sink};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    collections::HashMap,
    io::{self, BufRead, Read},
};
use stencil_lm::{
    Error, ErrorKind, Result, Verdict,
    spec::{Document, Inputs, Registry, Spec},
    util::json,
};

/// Maximum length of a line.
const LINE: u64 = 64 << 20;
/// Maximum number of cached constraints; when it is exceeded, the cache is emptied.
const REMEMBERED: usize = 1024;

const UNSATISFIABLE: &str = "unsatisfiable";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    id: Value,
    constraint: Document,
    text: Option<String>,
}

#[derive(Serialize)]
struct Answer {
    id: Value,
    accepted: Option<bool>,
    error: Option<Complaint>,
}

#[derive(Serialize, Clone)]
struct Complaint {
    kind: &'static str,
    message: String,
    pointer: Option<String>,
}

/// Answers every line of standard input; a malformed line gets an error.
pub fn run() -> Result<Status> {
    let mut judge = Judge { registry: Registry::builtin(), known: HashMap::new() };
    let mut stdin = io::stdin().lock();
    while let Some(line) = next_line(&mut stdin)? {
        let answer = match line {
            Ok(line) if line.trim_ascii().is_empty() => continue,
            Ok(line) => judge.answer(&line),
            Err(complaint) => Answer { id: Value::Null, accepted: None, error: Some(complaint) },
        };
        let text = serde_json::to_string(&answer).map_err(|e| Error::io(e.to_string()))?;
        sink::print(&(text + "\n"))?;
    }
    Ok(Status::Good)
}

/// The next line, or the reason why it cannot be read; `None` at the end.
fn next_line(input: &mut impl BufRead) -> Result<Option<Result<Vec<u8>, Complaint>>> {
    let mut line = Vec::new();
    let failed = |e| Error::io("cannot read standard input").because(e);
    if input.take(LINE).read_until(b'\n', &mut line).map_err(failed)? == 0 {
        return Ok(None);
    }
    if line.len() as u64 == LINE && line.last() != Some(&b'\n') {
        while line.last() != Some(&b'\n') {
            line.clear();
            if input.take(LINE).read_until(b'\n', &mut line).map_err(failed)? == 0 {
                break;
            }
        }
        return Ok(Some(Err(Complaint::malformed("the line is longer than 64 MiB"))));
    }
    Ok(Some(Ok(line)))
}

struct Judge {
    registry: Registry,
    /// Compiled constraints by the content of their documents, so that equal constraints are compiled once.
    known: HashMap<String, Result<Spec, Complaint>>,
}

impl Judge {
    fn answer(&mut self, line: &[u8]) -> Answer {
        let read = match std::str::from_utf8(line) {
            Ok(line) => json::read(line).map_err(|e| {
                // The id may be readable even if the rest is not.
                let id = json::read::<Value>(line).ok().and_then(|v| v.get("id").cloned());
                let at = e.span().map_or(0, |span| span.start);
                (id, format!("not a question: {} at byte {at}", e.message()))
            }),
            Err(e) => Err((None, format!("not a question: {e}"))),
        };
        let question: Question = match read {
            Ok(question) => question,
            Err((id, message)) => {
                let complaint = Complaint::malformed(message);
                return Answer { id: id.unwrap_or_default(), accepted: None, error: Some(complaint) };
            }
        };
        let (accepted, error) = match (self.spec(&question.constraint), &question.text) {
            // No text satisfies an unsatisfiable constraint.
            (Err(complaint), Some(_)) if complaint.kind == UNSATISFIABLE => (Some(false), Some(complaint.clone())),
            (Err(complaint), _) => (None, Some(complaint.clone())),
            (Ok(spec), None) => (None, check::compile(spec).err().map(|e| Complaint::from(&e))),
            (Ok(spec), Some(text)) => match spec.judge(text) {
                Verdict::Accept => (Some(true), None),
                Verdict::Reject { .. } => (Some(false), None),
                Verdict::Unknown { why } => (None, Some(Complaint { kind: "undecided", message: why, pointer: None })),
            },
        };
        Answer { id: question.id, accepted, error }
    }

    fn spec(&mut self, document: &Document) -> Result<&Spec, &Complaint> {
        if self.known.len() >= REMEMBERED {
            self.known.clear();
        }
        let registry = &self.registry;
        let read = || Spec::from_document(document, registry, &Inputs::default()).map_err(|e| Complaint::from(&e));
        self.known.entry(format!("{document:?}")).or_insert_with(read).as_ref()
    }
}

impl Complaint {
    fn malformed(message: impl Into<String>) -> Self {
        Self { kind: "input", message: message.into(), pointer: None }
    }
}

impl From<&Error> for Complaint {
    fn from(error: &Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::Input => "input",
            ErrorKind::Unsatisfiable => UNSATISFIABLE,
            ErrorKind::TooLarge => "too_large",
            ErrorKind::Unsupported => "unsupported",
            ErrorKind::Model => "model",
            ErrorKind::Io => "io",
            ErrorKind::Interrupted => "interrupted",
            _ => "error",
        };
        Self { kind, message: error.message().to_string(), pointer: error.json_pointer().map(String::from) }
    }
}
