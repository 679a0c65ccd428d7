//! `--trace FILE`: every event as a line of JSON (documented in docs/cli.md), enough to redraw the run.

use serde::Serialize;
use std::{
    fs::File,
    io::{BufWriter, Write},
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};
use stencil_lm::{Candidate, Canvas, Cell, Error, Event, Observer, Result, Token, Vocab};

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Line<'a> {
    Start {
        sample: usize,
        seed: u64,
        prompt: Vec<Written>,
        cells: Vec<CellLine>,
    },
    Step {
        sample: usize,
        index: usize,
        budget: usize,
        log_z: f64,
        exact: bool,
        nfe: usize,
        committed: &'a [usize],
        reopened: &'a [usize],
        cells: Vec<CellLine>,
        candidates: Vec<CandidateLine>,
    },
    End {
        sample: usize,
        text: &'a str,
        verified: bool,
    },
}

/// A token and what it writes: `text`, or `bytes` where a character is spread over tokens; neither if it is special.
#[derive(Serialize)]
struct Written {
    token: Token,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<Vec<u8>>,
}

#[derive(Serialize)]
struct CellLine {
    state: &'static str,
    /// The step that wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<usize>,
    #[serde(flatten)]
    written: Option<Written>,
}

#[derive(Serialize)]
struct CandidateLine {
    pos: usize,
    #[serde(flatten)]
    written: Written,
    prob: f32,
    margin: f32,
    entropy: f32,
}

fn written(token: Token, vocab: &Vocab) -> Written {
    let bytes = vocab.bytes(token);
    let text = bytes.and_then(|b| std::str::from_utf8(b).ok()).map(String::from);
    let bytes = if text.is_none() { bytes.map(<[u8]>::to_vec) } else { None };
    Written { token, text, bytes }
}

fn cells(canvas: &Canvas, vocab: &Vocab) -> Vec<CellLine> {
    let line = |&cell: &Cell| {
        let (state, step) = match cell {
            Cell::Fixed(_) => ("fixed", None),
            Cell::Held { step, .. } => ("held", Some(step)),
            Cell::Draft { .. } => ("draft", None),
            Cell::Open => ("open", None),
        };
        CellLine { state, step, written: cell.token().map(|t| written(t, vocab)) }
    };
    canvas.cells().iter().map(line).collect()
}

fn candidate(c: &Candidate, vocab: &Vocab) -> CandidateLine {
    let Candidate { pos, token, prob, margin, entropy, .. } = *c;
    CandidateLine { pos, written: written(token, vocab), prob, margin, entropy }
}

fn line<'a>(event: &Event<'a>, first: usize) -> Option<Line<'a>> {
    Some(match event {
        Event::Start { sample, seed, canvas, vocab } => Line::Start {
            sample: first + sample,
            seed: *seed,
            prompt: canvas.prompt().iter().map(|&t| written(t, vocab)).collect(),
            cells: cells(canvas, vocab),
        },
        Event::Step {
            sample,
            index,
            budget,
            canvas,
            vocab,
            committed,
            reopened,
            candidates,
            log_z,
            exact,
            nfe,
            ..
        } => Line::Step {
            sample: first + sample,
            index: *index,
            budget: *budget,
            log_z: *log_z,
            exact: *exact,
            nfe: *nfe,
            committed,
            reopened,
            cells: cells(canvas, vocab),
            candidates: candidates.iter().map(|c| candidate(c, vocab)).collect(),
        },
        Event::End { sample, text, verified } => Line::End { sample: first + sample, text, verified: *verified },
        _ => return None,
    })
}

/// The file being written, shared by the observer and the command that waits for the run.
#[derive(Clone)]
pub struct Trace {
    recorder: Arc<Mutex<Recorder>>,
    /// Number of the run's first sample.
    first: usize,
}

struct Recorder {
    path: PathBuf,
    out: BufWriter<File>,
    failure: Option<std::io::Error>,
}

impl Trace {
    pub fn create(path: &Path) -> Result<Self> {
        let file = File::create(path)
            .map_err(|e| Error::io(format!("cannot write the trace {}", path.display())).because(e))?;
        let recorder = Recorder { path: path.into(), out: BufWriter::new(file), failure: None };
        Ok(Self { recorder: Arc::new(Mutex::new(recorder)), first: 0 })
    }

    /// Counts samples from `first` on.
    pub fn from(self, first: usize) -> Self {
        Self { first, ..self }
    }

    /// Writes out what is buffered.
    ///
    /// # Errors
    /// If any line could not be written.
    pub fn close(self) -> Result<()> {
        let mut recorder = self.recorder.lock().unwrap_or_else(PoisonError::into_inner);
        let failure = recorder.failure.take().or(recorder.out.flush().err());
        match failure {
            Some(e) => Err(Error::io(format!("cannot write the trace {}", recorder.path.display())).because(e)),
            None => Ok(()),
        }
    }
}

impl Recorder {
    fn record(&mut self, event: &Event, first: usize) -> std::io::Result<()> {
        if let Some(line) = line(event, first) {
            serde_json::to_writer(&mut self.out, &line)?;
            self.out.write_all(b"\n")?;
        }
        Ok(())
    }
}

impl Observer for Trace {
    fn on_step(&mut self, event: &Event) -> ControlFlow<()> {
        let mut recorder = self.recorder.lock().unwrap_or_else(PoisonError::into_inner);
        match recorder.record(event, self.first) {
            Ok(()) => ControlFlow::Continue(()),
            Err(e) => {
                recorder.failure.get_or_insert(e);
                ControlFlow::Break(())
            }
        }
    }
}
