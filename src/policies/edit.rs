use super::{Alias, Moves, Pace, Policy, PolicyKey, PolicyKind, PolicyOption, Proposal, THRESHOLD, Takes, Threshold};
use crate::{Pos, Result, Step};

pub(super) const EDITING_THRESHOLD: PolicyOption = PolicyOption {
    name: "editing_threshold",
    aliases: &[],
    takes: Takes::Share,
    value_name: "P",
    help: "Policy `edit`: overwrite a written token where another is more probable than this",
};

pub(super) const POST_STEPS: PolicyOption = PolicyOption {
    name: "post_steps",
    aliases: &["max_post_steps"],
    takes: Takes::Count(64),
    value_name: "N",
    help: "Policy `edit`: most steps in which a full block is looked over again",
};

/// `edit`.
pub(super) const KIND: PolicyKind = PolicyKind {
    name: "edit",
    about: "all that are probable enough, overwriting what is written (threshold = 0.95, editing_threshold = 0.9)",
    aliases: &[Alias::of("token_editing")],
    options: &[
        PolicyKey { key: "at", option: &THRESHOLD, default: Some(0.95) },
        PolicyKey { key: "editing", option: &EDITING_THRESHOLD, default: Some(0.9) },
        PolicyKey { key: "post_steps", option: &POST_STEPS, default: Some(16.0) },
    ],
    make: |values| {
        let post_steps = values.number(&POST_STEPS) as usize;
        Box::new(Edit::new(values.number(&THRESHOLD), values.number(&EDITING_THRESHOLD), post_steps))
    },
};

/// Token editing: commits as [`Threshold`] does, and overwrites held tokens where another token is probable enough.
/// Editing goes on after the block is full, until a step changes nothing.
///
/// Source: LLaDA2.1's own `generate`, with the defaults 0.95, 0.9 and 16.
#[derive(Debug, Clone, Copy)]
pub struct Edit {
    /// Probability from which on an open position is committed.
    pub threshold: f32,
    /// Probability above which a held position is overwritten.
    pub editing: f32,
    /// Maximum number of steps after the block is full.
    pub post_steps: usize,
    /// The latest step that committed open positions.
    wrote: Option<usize>,
    /// Steps since the block became full, and whether the latest of them changed nothing.
    full: usize,
    settled: bool,
}

impl Edit {
    /// The policy before its first step.
    pub fn new(threshold: f32, editing: f32, post_steps: usize) -> Self {
        Self { threshold, editing, post_steps, wrote: None, full: 0, settled: false }
    }
}

impl Policy for Edit {
    fn name(&self) -> &str {
        KIND.name
    }
    fn choose(&mut self, step: &Step, proposal: &Proposal) -> Result<Moves> {
        (self.wrote, self.full, self.settled) = (Some(step.taken), 0, false);
        Threshold { threshold: self.threshold, pace: Pace::Even }.choose(step, proposal)
    }
    fn edits(&self, step: &Step) -> bool {
        let full = step.canvas.cells()[step.block.clone()].iter().all(|c| c.decided().is_some());
        !full || !self.settled && self.full < self.post_steps
    }
    fn edit(&mut self, step: &Step, proposal: &Proposal) -> Result<Vec<Pos>> {
        let sure = proposal.candidates.iter().filter(|c| c.prob > self.editing);
        let chosen: Vec<Pos> = sure.map(|c| c.pos).collect();
        if self.wrote != Some(step.taken) {
            self.full += 1;
            self.settled = chosen.is_empty();
        }
        Ok(chosen)
    }
}
