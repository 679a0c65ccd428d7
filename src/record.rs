//! What happened: owned records of a run, which are the lines of a trace and the events of a stream.

use crate::{Candidate, Canvas, Cell, Pos, Token, Vocab};
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;

/// What happened to one lane.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
#[non_exhaustive]
pub enum Record {
    /// Before the first step.
    Start {
        /// The lane.
        sample: usize,
        /// Its seed.
        seed: u64,
        /// What is read before the text.
        prompt: Vec<Written>,
        /// The canvas.
        cells: Vec<CellRecord>,
    },
    /// After a step: the canvas as it now is.
    Step {
        /// The lane.
        sample: usize,
        /// Zero-based number of the step, over all blocks.
        index: usize,
        /// Steps of the whole text, as far as they are planned.
        budget: usize,
        /// Logarithm of the model's mass on the constraints at this step, in nats.
        log_z: f64,
        /// Every step so far drew from all texts that fit.
        exact: bool,
        /// Forwards that this lane needed so far.
        nfe: usize,
        /// Positions written in this step, by the policy or because only one token was left.
        committed: Vec<Pos>,
        /// Positions taken back before it.
        reopened: Vec<Pos>,
        /// The canvas.
        cells: Vec<CellRecord>,
        /// The text that was drawn, at the positions that were open.
        candidates: Vec<CandidateRecord>,
        /// The lane whose state this one continues with, where a population replaced it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ancestor: Option<usize>,
    },
    /// The text is complete.
    End {
        /// The lane.
        sample: usize,
        /// Its text.
        text: String,
        /// Every hard constraint holds.
        verified: bool,
    },
    /// The lane cannot go on; [`Runner::take`](crate::Runner::take) has the error.
    Failed {
        /// The lane.
        sample: usize,
        /// What went wrong.
        error: String,
    },
}

impl Record {
    /// The lane that it speaks of.
    pub fn sample(&self) -> usize {
        match self {
            Self::Start { sample, .. }
            | Self::Step { sample, .. }
            | Self::End { sample, .. }
            | Self::Failed { sample, .. } => *sample,
        }
    }
}

/// A token and what it writes: `text`, or `bytes` where a character is spread over tokens; neither if it is special.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// Index into the vocabulary.
    pub token: Token,
    /// What it writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// What it writes, where that is no text by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<Vec<u8>>,
}

impl Written {
    pub(crate) fn new(token: Token, vocab: &Vocab) -> Self {
        let bytes = vocab.bytes(token);
        let text = bytes.and_then(|b| std::str::from_utf8(b).ok()).map(String::from);
        let bytes = if text.is_none() { bytes.map(<[u8]>::to_vec) } else { None };
        Self { token, text, bytes }
    }
    /// The bytes that it writes; none if it is special.
    pub fn bytes(&self) -> Option<&[u8]> {
        self.text.as_ref().map(String::as_bytes).or(self.bytes.as_deref())
    }
}

/// How a position stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CellState {
    /// Given, or the only token that the constraints leave.
    Fixed,
    /// Written by a step; a policy may take it back.
    Held,
    /// Visible and not decided.
    Draft,
    /// Not written yet.
    Open,
}

/// One position.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellRecord {
    /// How it stands.
    pub state: CellState,
    /// The step that wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<usize>,
    /// What stands there.
    #[serde(flatten)]
    pub written: Option<Written>,
}

impl CellRecord {
    pub(crate) fn all(canvas: &Canvas, vocab: &Vocab) -> Vec<Self> {
        let record = |&cell: &Cell| {
            let (state, step) = match cell {
                Cell::Fixed(_) => (CellState::Fixed, None),
                Cell::Held { step, .. } => (CellState::Held, Some(step)),
                Cell::Draft { .. } => (CellState::Draft, None),
                Cell::Open => (CellState::Open, None),
            };
            Self { state, step, written: cell.token().map(|token| Written::new(token, vocab)) }
        };
        canvas.cells().iter().map(record).collect()
    }
    /// Whether nothing stands there.
    pub fn is_open(&self) -> bool {
        self.state == CellState::Open
    }
}

/// A candidate of a step, with what its token writes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CandidateRecord {
    /// The position.
    pub pos: Pos,
    /// The token that the step drew there.
    #[serde(flatten)]
    pub written: Written,
    /// Its probability given the constraints.
    pub prob: f32,
    /// Probability of the likeliest token minus that of the next.
    pub margin: f32,
    /// Entropy of the position, in nats.
    pub entropy: f32,
}

impl CandidateRecord {
    pub(crate) fn new(candidate: &Candidate, vocab: &Vocab) -> Self {
        let Candidate { pos, token, prob, margin, entropy, .. } = *candidate;
        Self { pos, written: Written::new(token, vocab), prob, margin, entropy }
    }
}

/// A text that was not finished.
#[derive(Debug, Clone, PartialEq)]
pub struct Partial {
    /// The lane.
    pub sample: usize,
    /// What is written, with `____` for every stretch that is not: a template of what is missing.
    pub text: String,
    /// The canvas.
    pub cells: Vec<CellRecord>,
    /// Steps taken.
    pub steps: usize,
    /// Forwards that this lane needed.
    pub nfe: usize,
    /// Its seed.
    pub seed: u64,
}

impl Partial {
    /// The text of cells, in which a gap begins with a space where the token that was drawn last for it does.
    pub(crate) fn text_of(cells: &[CellRecord], drawn: impl Fn(Pos) -> Option<Vec<u8>>) -> String {
        let (mut bytes, mut inside) = (Vec::new(), false);
        for (pos, cell) in cells.iter().enumerate() {
            match (&cell.written, cell.state) {
                (_, CellState::Open) | (None, _) => {
                    let Some(likely) = drawn(pos) else { continue };
                    if !inside {
                        bytes.extend_from_slice(if likely.starts_with(b" ") { b" ____" } else { b"____" });
                    }
                    inside = true;
                }
                (Some(written), _) => {
                    let Some(written) = written.bytes() else { continue };
                    bytes.extend_from_slice(written);
                    inside = false;
                }
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// The texts of a run that was stopped: the cause of its error.
///
/// ```
/// use stencil_lm::{Interrupted, Model, Record};
/// use std::{error::Error, ops::ControlFlow};
///
/// # fn main() -> stencil_lm::Result<()> {
/// let stop = |record: &Record| match record {
///     Record::Step { .. } => ControlFlow::Break(()),
///     _ => ControlFlow::Continue(()),
/// };
/// let error = Model::bundled()?.fill("The {{animal}} is {{what:3}}.")?.observer(stop).run().unwrap_err();
/// let partial = &Interrupted::of(&error).unwrap().partial[0];
/// assert!(partial.text.starts_with("The ") && partial.text.contains("____"));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Interrupted {
    /// One per text, in order.
    pub partial: Vec<Partial>,
}

impl Interrupted {
    /// What an error of an interrupted run kept.
    pub fn of(error: &crate::Error) -> Option<&Self> {
        std::error::Error::source(error)?.downcast_ref()
    }
}

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} texts were not finished", self.partial.len())
    }
}

impl std::error::Error for Interrupted {}

/// Reads every record and may stop the run. Closures `FnMut(&Record) -> ControlFlow<()>` are observers.
pub trait Observer: Send {
    /// Takes a record; `Break` stops the run, and the [texts so far](Interrupted) are kept.
    fn on_step(&mut self, record: &Record) -> ControlFlow<()>;
}

impl<F: FnMut(&Record) -> ControlFlow<()> + Send> Observer for F {
    fn on_step(&mut self, record: &Record) -> ControlFlow<()> {
        self(record)
    }
}
