//! Where writing stands: the blocks of a canvas, one after the other, each with its own steps.

use crate::{Canvas, Error, Pos, Result, Settings, models::SamplingDefaults};
use std::ops::Range;

/// The blocks of one canvas.
#[derive(Clone)]
pub(crate) struct Blocks {
    ranges: Vec<Range<Pos>>,
    /// Positions of a whole block, those of the prompt included.
    size: usize,
    /// No block sees a later one.
    blind: bool,
    current: usize,
    /// Steps taken in the current block, and steps planned for it.
    pub index: usize,
    pub budget: usize,
    /// Steps of each block that somebody asked for.
    steps: Option<usize>,
}

impl Blocks {
    /// # Errors
    /// A block length that the model's own blocks do not allow.
    pub fn new(canvas: &Canvas, settings: &Settings, defaults: &SamplingDefaults) -> Result<Self> {
        let len = canvas.len();
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
            (from, to) = (to, (to + size.max(1)).min(len));
        }
        let open = |range: &&Range<Pos>| canvas.cells()[(*range).clone()].iter().any(|c| c.decided().is_none());
        let steps = settings.steps.map(|steps| steps.div_ceil(ranges.iter().filter(open).count().max(1)));
        let (steps, blind) = (steps.or(defaults.steps), defaults.blocks.is_some());
        let mut new = Self { ranges, size, blind, current: 0, index: 0, budget: 1, steps };
        new.enter(canvas);
        Ok(new)
    }

    /// The positions being written; empty when all are.
    pub fn range(&self) -> Range<Pos> {
        self.ranges.get(self.current).cloned().unwrap_or_default()
    }
    /// Positions of a whole block.
    pub fn size(&self) -> usize {
        self.size
    }
    /// Positions that a prediction covers: nothing is known of what a block does not see.
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
    /// Whether this is the block's last step.
    pub fn last(&self) -> bool {
        self.index + 1 >= self.budget
    }
    /// Goes to the next block.
    pub fn advance(&mut self, canvas: &Canvas) {
        self.current += 1;
        self.enter(canvas);
    }

    /// Plans the steps of the first block from here on that has something open.
    fn enter(&mut self, canvas: &Canvas) {
        let open = |range: Range<Pos>| canvas.cells()[range].iter().filter(|c| c.decided().is_none()).count();
        while !self.done() && open(self.range()) == 0 {
            self.current += 1;
        }
        self.index = 0;
        self.budget = self.steps.unwrap_or_else(|| open(self.range())).max(1);
    }
}
