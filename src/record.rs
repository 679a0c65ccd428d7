//! Records of a run. A record owns its data: it is a line of a trace or an event of a stream.

use crate::{Candidate, Canvas, Cell, Pos, Token, Vocab};
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;

/// An event of one lane.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
#[non_exhaustive]
pub enum Record {
    /// Before the first step.
    Start {
        /// Number of the lane.
        sample: usize,
        /// The seed of the lane.
        seed: u64,
        /// The prompt, token by token.
        prompt: Vec<Written>,
        /// The cells of the canvas.
        cells: Vec<CellRecord>,
    },
    /// After a step.
    Step {
        /// Number of the lane.
        sample: usize,
        /// Zero-based number of the step, over all blocks.
        index: usize,
        /// Planned number of steps for the text, up to the end of the current block.
        budget: usize,
        /// log Z of the step: the logarithm of the model's mass on the constraints, in nats.
        log_z: f64,
        /// Whether every step so far drew from all feasible texts.
        exact: bool,
        /// Number of forwards that the lane needed so far.
        nfe: usize,
        /// Positions written in this step: chosen by the policy, or forced because only one token was left.
        committed: Vec<Pos>,
        /// Positions reopened before the prediction of this step.
        reopened: Vec<Pos>,
        /// The cells of the canvas.
        cells: Vec<CellRecord>,
        /// The drawn tokens at the positions that were open.
        candidates: Vec<CandidateRecord>,
        /// Number of the lane whose copy replaced this lane, if a population resampled.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ancestor: Option<usize>,
    },
    /// The text is complete.
    End {
        /// Number of the lane.
        sample: usize,
        /// The text.
        text: String,
        /// Whether every hard constraint was verified.
        verified: bool,
    },
    /// The lane cannot go on; [`Runner::take`](crate::Runner::take) has the error.
    Failed {
        /// Number of the lane.
        sample: usize,
        /// The error, as text.
        error: String,
    },
}

impl Record {
    /// Number of the lane.
    pub fn sample(&self) -> usize {
        match self {
            Self::Start { sample, .. }
            | Self::Step { sample, .. }
            | Self::End { sample, .. }
            | Self::Failed { sample, .. } => *sample,
        }
    }
}

/// A token and what it writes: `text`, or `bytes` where a character is spread over several tokens. A special token has
/// neither.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// Index into the vocabulary.
    pub token: Token,
    /// The text of the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The bytes of the token, where they are not UTF-8.
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
    /// The bytes of the token; none for a special token.
    pub fn bytes(&self) -> Option<&[u8]> {
        self.text.as_ref().map(String::as_bytes).or(self.bytes.as_deref())
    }
}

/// The state of a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CellState {
    /// Given by the user, or the only token that the constraints leave.
    Fixed,
    /// Written by a step; a policy may reopen it.
    Held,
    /// Visible to the model and not decided.
    Draft,
    /// Not written yet.
    Open,
}

/// One position of a canvas.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellRecord {
    /// The state of the position.
    pub state: CellState,
    /// The step that wrote the position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<usize>,
    /// The token at the position.
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
    /// Whether the position is open.
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
    /// Marginal probability of the token given the constraints.
    pub prob: f32,
    /// Probability of the likeliest token minus the probability of the second likeliest.
    pub margin: f32,
    /// Entropy of the marginal distribution, in nats.
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
    /// Number of the lane.
    pub sample: usize,
    /// The written text, with `____` for every open stretch: a template of the missing parts.
    pub text: String,
    /// The cells of the canvas.
    pub cells: Vec<CellRecord>,
    /// Steps taken.
    pub steps: usize,
    /// Number of forwards that the lane needed.
    pub nfe: usize,
    /// The seed of the lane.
    pub seed: u64,
}

impl Partial {
    /// The text of cells. A gap begins with a space where the token last drawn for its first position does.
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

/// The partial texts of an interrupted run. They are the cause (`source`) of the run's error.
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
    /// The partial texts, in order.
    pub partial: Vec<Partial>,
}

impl Interrupted {
    /// The partial texts that an error of an interrupted run holds.
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
    /// Takes a record. `Break` stops the run; the error then holds the [texts so far](Interrupted).
    fn on_step(&mut self, record: &Record) -> ControlFlow<()>;
}

impl<F: FnMut(&Record) -> ControlFlow<()> + Send> Observer for F {
    fn on_step(&mut self, record: &Record) -> ControlFlow<()> {
        self(record)
    }
}
