//! A sample in the making, as text: what the observers of the command line draw, record and save.

use stencil_lm::{CandidateRecord, CellRecord, CellState, Pos, Record};

/// How a piece of text stands on the canvas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Look {
    /// Given, or the only token the constraint left.
    Fixed,
    /// Written in an earlier step.
    Held,
    /// Written in this step.
    Fresh,
    /// Visible and not decided.
    Draft,
    /// Not written yet.
    Open,
    /// Was written and has been taken back.
    Reopened,
}

impl Look {
    pub fn is_gap(self) -> bool {
        matches!(self, Self::Open | Self::Reopened)
    }
}

/// The bytes of one position: what is written there or, in a gap, what would likely fill it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    pub look: Look,
    pub bytes: Vec<u8>,
}

/// One sample after a step.
#[derive(Debug, Clone, Default)]
pub struct Frame {
    pub pieces: Vec<Piece>,
    /// Steps done and steps planned.
    pub step: usize,
    pub budget: usize,
    pub log_z: Option<f64>,
    pub nfe: usize,
    /// Set once the text is complete: does it satisfy its constraints?
    pub verified: Option<bool>,
}

impl Frame {
    /// Positions nothing is written at.
    pub fn open(&self) -> usize {
        self.pieces.iter().filter(|p| p.look.is_gap()).count()
    }

    /// Takes the news of a record about this sample.
    pub fn update(&mut self, record: &Record) {
        match record {
            Record::Start { cells, .. } => *self = Self { pieces: pieces(cells, &[], &[], &[]), ..Self::default() },
            Record::Step { index, budget, cells, committed, reopened, candidates, log_z, nfe, .. } => {
                self.pieces = pieces(cells, committed, reopened, candidates);
                self.step = index + 1;
                self.budget = (*budget).max(self.step);
                self.log_z = Some(*log_z);
                self.nfe = *nfe;
            }
            Record::End { text, verified, .. } => {
                let kept: Vec<u8> = self.pieces.iter().flat_map(|p| p.bytes.iter().copied()).collect();
                if kept != text.as_bytes() {
                    self.pieces = vec![Piece { look: Look::Held, bytes: text.as_bytes().to_vec() }];
                }
                self.verified = Some(*verified);
            }
            _ => {}
        }
    }
}

/// One piece per position that writes something or may still do so; the tail after the text writes nothing.
fn pieces(cells: &[CellRecord], committed: &[Pos], reopened: &[Pos], candidates: &[CandidateRecord]) -> Vec<Piece> {
    let likely = |pos: Pos| match candidates.iter().find(|c| c.pos == pos) {
        Some(c) => c.written.bytes().map(<[u8]>::to_vec),
        None => Some(b" ____".to_vec()),
    };
    let piece = |(pos, cell): (Pos, &CellRecord)| {
        let written = || cell.written.as_ref().and_then(|written| written.bytes()).map(<[u8]>::to_vec);
        let (look, bytes) = match cell.state {
            CellState::Open if reopened.contains(&pos) => (Look::Reopened, likely(pos)),
            CellState::Open => (Look::Open, likely(pos)),
            CellState::Draft => (Look::Draft, written()),
            CellState::Fixed | CellState::Held if committed.contains(&pos) => (Look::Fresh, written()),
            CellState::Fixed => (Look::Fixed, written()),
            CellState::Held => (Look::Held, written()),
        };
        bytes.map(|bytes| Piece { look, bytes })
    };
    cells.iter().enumerate().filter_map(piece).collect()
}
