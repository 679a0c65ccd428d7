//! The energies of guides: finite numbers added to the scores of a step.

use crate::{Error, Pos, Result, Scores, Token};
use std::sync::Arc;

/// The scores of a step, to which finite energies can be added: L × V log-probabilities in nats, not normalised.
///
/// A table shared by several lanes is copied when the first energy is added to it.
pub struct Energies<'a> {
    scores: &'a mut Arc<Scores>,
    /// The first position whose energy was not finite.
    infinite: Option<Pos>,
}

impl<'a> Energies<'a> {
    /// Energies for a table of scores.
    pub fn new(scores: &'a mut Arc<Scores>) -> Self {
        Self { scores, infinite: None }
    }
    /// Number of positions.
    pub fn len(&self) -> usize {
        self.scores.len()
    }
    /// Whether there is no position.
    pub fn is_empty(&self) -> bool {
        self.scores.is_empty()
    }
    /// Number of tokens.
    pub fn vocab(&self) -> usize {
        self.scores.vocab()
    }
    /// The scores at a position, including the energies added so far.
    pub fn row(&self, pos: Pos) -> &[f32] {
        self.scores.row(pos)
    }
    /// Adds an energy to a token at a position.
    pub fn add(&mut self, pos: Pos, token: Token, nats: f32) {
        self.watch(pos, nats.is_finite());
        Arc::make_mut(self.scores).row_mut(pos)[token as usize] += nats;
    }
    /// Adds an energy for each token at a position: V numbers.
    pub fn add_row(&mut self, pos: Pos, nats: &[f32]) {
        self.add_each(pos, |token, _| nats[token]);
    }
    /// Adds `energy(token, score)` to each token at a position.
    pub fn add_each(&mut self, pos: Pos, mut energy: impl FnMut(usize, f32) -> f32) {
        let mut finite = true;
        for (token, score) in Arc::make_mut(self.scores).row_mut(pos).iter_mut().enumerate() {
            let nats = energy(token, *score);
            finite &= nats.is_finite();
            *score += nats;
        }
        self.watch(pos, finite);
    }

    fn watch(&mut self, pos: Pos, finite: bool) {
        if !finite {
            self.infinite.get_or_insert(pos);
        }
    }

    /// # Errors
    /// When an energy was not finite.
    pub(crate) fn check(self) -> Result<()> {
        match self.infinite {
            None => Ok(()),
            Some(pos) => Err(Error::input(format!("a guide added energies that are not finite, at position {pos}"))
                .help("guides move probability, only constraints forbid")),
        }
    }
}
