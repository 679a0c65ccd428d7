//! A sample as text while it is written: what `--watch` draws.

use stencil_lm::{CandidateRecord, CellRecord, CellState, Pos, Record};

/// The state of a piece of text on the canvas.
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
    /// Written earlier and reopened.
    Reopened,
}

impl Look {
    pub fn is_gap(self) -> bool {
        matches!(self, Self::Open | Self::Reopened)
    }
}

/// The bytes of one position: its token or, in a gap, a likely token.
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
    /// The number of open positions.
    pub fn open(&self) -> usize {
        self.pieces.iter().filter(|p| p.look.is_gap()).count()
    }

    /// Updates the frame with a record of its sample.
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

/// One piece per position that has text or may still get some; padding has none.
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
