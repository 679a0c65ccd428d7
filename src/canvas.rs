//! The canvas: the positions of a text that is being written.

use crate::{Pos, Token};
use std::sync::Arc;

/// The state of one position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    /// Given by the user, or the only token that the constraints leave; never changed again.
    Fixed(Token),
    /// Written by the sampler at `step`; a policy may reopen it.
    Held {
        /// The token.
        token: Token,
        /// The step that wrote it.
        step: usize,
    },
    /// Visible to the denoiser but not decided: token editing and uniform-state processes revise a draft.
    Draft {
        /// The token.
        token: Token,
    },
    /// Not written yet.
    Open,
}

impl Cell {
    /// The token that the denoiser sees here.
    pub fn token(self) -> Option<Token> {
        match self {
            Cell::Fixed(token) | Cell::Held { token, .. } | Cell::Draft { token } => Some(token),
            Cell::Open => None,
        }
    }
    /// The token that the constraints must respect. Drafts are not decided.
    pub fn decided(self) -> Option<Token> {
        match self {
            Cell::Fixed(token) | Cell::Held { token, .. } => Some(token),
            Cell::Draft { .. } | Cell::Open => None,
        }
    }
}

/// The positions that the sampler fills, after a prompt that the model only reads.
#[derive(Debug, Clone)]
pub struct Canvas {
    prompt: Arc<[Token]>,
    condition: Option<usize>,
    cells: Vec<Cell>,
    /// Number of positions in play; later positions are not predicted yet.
    horizon: usize,
}

impl Canvas {
    /// `len` open positions.
    pub fn open(len: usize) -> Self {
        Self { prompt: Arc::default(), condition: None, cells: vec![Cell::Open; len], horizon: len }
    }
    /// A canvas with these cells, for tests of policies and guides.
    ///
    /// ```
    /// use stencil_lm::{Canvas, Cell};
    /// let mut canvas = Canvas::of([Cell::Fixed(7), Cell::Open, Cell::Open]);
    /// canvas.set(2, Cell::Held { token: 3, step: 0 });
    /// assert_eq!(canvas.decided(), [Some(7), None, Some(3)]);
    /// ```
    pub fn of(cells: impl IntoIterator<Item = Cell>) -> Self {
        let cells: Vec<Cell> = cells.into_iter().collect();
        Self { horizon: cells.len(), cells, ..Self::open(0) }
    }
    /// Sets the prompt: tokens that the model reads before the canvas.
    pub fn with_prompt(mut self, prompt: impl Into<Arc<[Token]>>) -> Self {
        self.prompt = prompt.into();
        self
    }
    /// Sets a condition that the denoiser was trained with: an index into
    /// [`Denoiser::conditions`](crate::Denoiser::conditions).
    pub fn with_condition(mut self, condition: Option<usize>) -> Self {
        self.condition = condition;
        self
    }

    /// Number of positions.
    pub fn len(&self) -> usize {
        self.cells.len()
    }
    /// Whether there is no position.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }
    /// The prompt: tokens that the model reads before the canvas.
    pub fn prompt(&self) -> &[Token] {
        &self.prompt
    }
    /// The cells of all positions.
    pub fn cells(&self) -> &[Cell] {
        &self.cells
    }
    /// The cell of one position.
    pub fn cell(&self, pos: Pos) -> Cell {
        self.cells[pos]
    }
    /// Changes a cell. During a run only the engine holds a canvas mutably.
    ///
    /// # Panics
    /// If the canvas has no such position.
    pub fn set(&mut self, pos: Pos, cell: Cell) {
        self.cells[pos] = cell;
    }
    /// For each position the token that the constraints must respect, if it is decided.
    pub fn decided(&self) -> Vec<Option<Token>> {
        self.cells.iter().map(|c| c.decided()).collect()
    }
    /// Limits the positions in play to the first `horizon`: a model that writes in blocks sees no further.
    pub(crate) fn set_horizon(&mut self, horizon: usize) {
        self.horizon = horizon;
    }
    /// The positions in play that are not decided.
    pub fn undecided(&self) -> impl Iterator<Item = Pos> + '_ {
        self.cells[..self.horizon].iter().enumerate().filter(|(_, c)| c.decided().is_none()).map(|(i, _)| i)
    }
    /// The denoiser's view of the canvas: the positions in play.
    pub fn view(&self) -> CanvasView {
        CanvasView {
            prompt: self.prompt.clone(),
            condition: self.condition,
            tokens: self.cells[..self.horizon].iter().map(|c| c.token()).collect(),
        }
    }
}

/// The input of a denoiser: a prompt, a condition, and the visible tokens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CanvasView {
    /// The prompt: tokens before the canvas.
    pub prompt: Arc<[Token]>,
    /// Index of a condition that the denoiser was trained with.
    pub condition: Option<usize>,
    /// The visible token of each position in play; `None` where the position is open.
    pub tokens: Vec<Option<Token>>,
}
