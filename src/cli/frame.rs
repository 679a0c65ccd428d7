//! A sample in the making, as text: what the observers of the command line draw, record and save.

use stencil_lm::{Candidate, Canvas, Cell, Event, Pos, Vocab};

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

    /// The text so far, with `____` for every stretch that is not written yet: a template of what is missing.
    pub fn text(&self) -> String {
        let mut bytes = Vec::new();
        let mut inside = false;
        for piece in &self.pieces {
            match piece.look.is_gap() {
                true if !inside && piece.bytes.starts_with(b" ") => bytes.extend_from_slice(b" ____"),
                true if !inside => bytes.extend_from_slice(b"____"),
                true => {}
                false => bytes.extend_from_slice(&piece.bytes),
            }
            inside = piece.look.is_gap();
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Takes the news of an event about this sample.
    pub fn update(&mut self, event: &Event) {
        match event {
            Event::Start { canvas, vocab, .. } => {
                *self = Self { pieces: pieces(canvas, vocab, &[], &[], &[]), ..Self::default() };
            }
            Event::Step { index, budget, canvas, vocab, committed, reopened, candidates, log_z, nfe, .. } => {
                self.pieces = pieces(canvas, vocab, committed, reopened, candidates);
                self.step = index + 1;
                self.budget = (*budget).max(self.step);
                self.log_z = Some(*log_z);
                self.nfe = *nfe;
            }
            Event::End { text, verified, .. } => {
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

/// The sample that an event is about.
pub fn sample(event: &Event) -> Option<usize> {
    match event {
        Event::Start { sample, .. } | Event::Step { sample, .. } | Event::End { sample, .. } => Some(*sample),
        _ => None,
    }
}

/// One piece per position that writes something or may still do so; the tail after the text writes nothing.
fn pieces(canvas: &Canvas, vocab: &Vocab, committed: &[Pos], reopened: &[Pos], candidates: &[Candidate]) -> Vec<Piece> {
    let likely = |pos: Pos| match candidates.iter().find(|c| c.pos == pos) {
        Some(c) => vocab.bytes(c.token).map(<[u8]>::to_vec),
        None => Some(b" ____".to_vec()),
    };
    let piece = |(pos, &cell): (Pos, &Cell)| {
        let written = |token| vocab.bytes(token).map(<[u8]>::to_vec);
        let fresh = committed.contains(&pos);
        let (look, bytes) = match cell {
            Cell::Open if reopened.contains(&pos) => (Look::Reopened, likely(pos)),
            Cell::Open => (Look::Open, likely(pos)),
            Cell::Draft { token } => (Look::Draft, written(token)),
            Cell::Fixed(token) | Cell::Held { token, .. } if fresh => (Look::Fresh, written(token)),
            Cell::Fixed(token) => (Look::Fixed, written(token)),
            Cell::Held { token, .. } => (Look::Held, written(token)),
        };
        bytes.map(|bytes| Piece { look, bytes })
    };
    canvas.cells().iter().enumerate().filter_map(piece).collect()
}
