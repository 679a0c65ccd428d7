//! Limits on the size of automata and the time they take.

use crate::{Error, Result};
use std::time::Instant;

/// Limits that keep a careless constraint from taking the machine down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// States of any automaton on the way, before minimisation.
    pub states: usize,
    /// Bytes of any one table on the way. A few such tables exist at a time.
    pub bytes: usize,
    /// Most steps of any one construction; some tens of millions take a second.
    pub work: usize,
    /// How deep expressions may be nested.
    pub depth: usize,
    /// The deadline of a compilation.
    pub deadline: Option<Instant>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { states: 200_000, bytes: 64 << 20, work: 200_000_000, depth: 200, deadline: None }
    }
}

impl Limits {
    /// # Errors
    /// `TooLarge` if a table of `states` × `width` does not fit.
    pub(crate) fn check(&self, states: usize, width: usize, what: &str) -> Result<()> {
        let cells = states.saturating_mul(width);
        self.check_time(what)?;
        if states <= self.states && cells.saturating_mul(4) <= self.bytes && cells < u32::MAX as usize {
            return Ok(());
        }
        Err(self.exceeded(what))
    }

    /// # Errors
    /// `TooLarge` beyond so many steps.
    pub(crate) fn check_work(&self, work: usize, what: &str) -> Result<()> {
        self.check_time(what)?;
        if work <= self.work { Ok(()) } else { Err(self.exceeded(what)) }
    }

    /// # Errors
    /// `TooLarge` after the deadline.
    pub(crate) fn check_time(&self, what: &str) -> Result<()> {
        match self.deadline {
            Some(deadline) if Instant::now() > deadline => {
                Err(Error::too_large(format!("{what} takes too long to compile"))
                    .help("narrow the ranges of repetitions and lengths, or allow more time"))
            }
            _ => Ok(()),
        }
    }

    fn exceeded(&self, what: &str) -> Error {
        Error::too_large(format!(
            "{what} needs an automaton of more than {} states or {} MiB, or too much time to build it",
            self.states,
            self.bytes >> 20
        ))
        .help("narrow the ranges of repetitions and lengths, or split the constraint into smaller ones")
    }
}
