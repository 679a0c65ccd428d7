//! The block schedule of a canvas: blocks are written one after the other, each in steps of its own.

use crate::{Canvas, Error, Pos, Result, Settings, models::SamplingDefaults};
use std::ops::Range;

/// The blocks of one canvas, and the block and step that are current.
#[derive(Clone)]
pub(crate) struct BlockSchedule {
    ranges: Vec<Range<Pos>>,
    /// Positions of a whole block, including those that belong to the prompt.
    size: usize,
    /// Whether the model is block-causal: no block sees a later block.
    blind: bool,
    current: usize,
    /// Steps taken in the current block, and steps planned for it (`budget`).
    pub index: usize,
    pub budget: usize,
    /// Steps per block, where the request or the model sets them.
    steps: Option<usize>,
}

impl BlockSchedule {
    /// # Errors
    /// A requested block length that differs from the model's own.
    pub fn new(canvas: &Canvas, settings: &Settings, defaults: &SamplingDefaults) -> Result<Self> {
        let len = canvas.len();
        if defaults.blocks.is_some_and(|own| own.size == 0) {
            return Err(Error::model("the model writes in blocks of 0 positions"));
        }
        let (size, first) = match (defaults.blocks, settings.block_length) {
            (Some(own), Some(asked)) if own.size != asked => {
                return Err(Error::input(format!("the model writes in blocks of {}, not of {asked}", own.size))
                    .help("leave out `block_length`; the size comes from the model's config.json"));
            }
            (Some(own), _) if own.from_prompt => (own.size, own.size - canvas.prompt().len() % own.size),
            (Some(own), _) => (own.size, own.size),
            (None, Some(asked)) => (asked, asked),
            (None, None) => (len, len),
        };
        let mut ranges = Vec::new();
        let (mut from, mut to) = (0, first.min(len));
        while from < len {
            ranges.push(from..to);
            (from, to) = (to, to.saturating_add(size.max(1)).min(len));
        }
        let open = |range: &&Range<Pos>| canvas.cells()[(*range).clone()].iter().any(|c| c.decided().is_none());
        let steps = settings.steps.map(|steps| steps.div_ceil(ranges.iter().filter(open).count().max(1)));
        let (steps, blind) = (steps.or(defaults.steps), defaults.blocks.is_some());
        let mut new = Self { ranges, size, blind, current: 0, index: 0, budget: 1, steps };
        new.enter(canvas);
        Ok(new)
    }

    /// The positions of the current block; empty when all blocks are finished.
    pub fn range(&self) -> Range<Pos> {
        self.ranges.get(self.current).cloned().unwrap_or_default()
    }
    /// Positions of a whole block, including those that belong to the prompt.
    pub fn size(&self) -> usize {
        self.size
    }
    /// The number of positions that a prediction covers. A block-causal model predicts nothing behind the current
    /// block.
    pub fn horizon(&self, len: usize) -> usize {
        match self.ranges.get(self.current) {
            Some(range) if self.blind => range.end,
            _ => len,
        }
    }
    /// Whether all blocks are finished.
    pub fn done(&self) -> bool {
        self.current >= self.ranges.len()
    }
    /// Whether the current step is the last one of the block.
    pub fn last(&self) -> bool {
        self.index + 1 >= self.budget
    }
    /// Goes to the next block.
    pub fn advance(&mut self, canvas: &Canvas) {
        self.current += 1;
        self.enter(canvas);
    }

    /// Enters the first block from the current one on that has an open position, and plans its steps.
    fn enter(&mut self, canvas: &Canvas) {
        let open = |range: Range<Pos>| canvas.cells()[range].iter().filter(|c| c.decided().is_none()).count();
        while !self.done() && open(self.range()) == 0 {
            self.current += 1;
        }
        self.index = 0;
        self.budget = self.steps.unwrap_or_else(|| open(self.range())).max(1);
    }
}
