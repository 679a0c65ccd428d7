//! The energies of guides: finite numbers added to the scores of a step.

use crate::{Error, Pos, Result, Scores, Token};
use std::sync::Arc;

/// The scores of a step, to which finite energies can be added: L × V log-probabilities in nats, not normalised.
///
/// A table shared by several lanes is copied when the first energy is added to it.
pub struct Energies<'a> {
    scores: &'a mut Arc<Scores>,
    /// The first energies that cannot be added: their position, and what is wrong with them.
    fault: Option<(Pos, &'static str)>,
}

impl<'a> Energies<'a> {
    /// Energies for a table of scores.
    pub fn new(scores: &'a mut Arc<Scores>) -> Self {
        Self { scores, fault: None }
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
    ///
    /// # Panics
    /// When the position lies behind the positions in play.
    pub fn row(&self, pos: Pos) -> &[f32] {
        self.scores.row(pos)
    }
    /// Adds an energy to a token at a position.
    pub fn add(&mut self, pos: Pos, token: Token, nats: f32) {
        if !self.reaches(pos) || token as usize >= self.vocab() {
            return self.fault(pos, "for a token that the model does not have");
        }
        let score = &mut Arc::make_mut(self.scores).row_mut(pos)[token as usize];
        let sound = finite(*score, nats);
        *score += nats;
        self.watch(pos, sound);
    }
    /// Adds an energy for each token at a position: V numbers.
    pub fn add_row(&mut self, pos: Pos, nats: &[f32]) {
        if nats.len() != self.vocab() {
            return self.fault(pos, "for another number of tokens than the model has");
        }
        self.add_each(pos, |token, _| nats[token]);
    }
    /// Adds `energy(token, score)` to each token at a position.
    pub fn add_each(&mut self, pos: Pos, mut energy: impl FnMut(usize, f32) -> f32) {
        if !self.reaches(pos) {
            return;
        }
        let mut sound = true;
        for (token, score) in Arc::make_mut(self.scores).row_mut(pos).iter_mut().enumerate() {
            let nats = energy(token, *score);
            sound &= finite(*score, nats);
            *score += nats;
        }
        self.watch(pos, sound);
    }

    /// Whether a position is in play. Energies elsewhere are a fault of the guide.
    fn reaches(&mut self, pos: Pos) -> bool {
        let inside = pos < self.len();
        if !inside {
            self.fault(pos, "behind the positions in play, which are `len` of the energies");
        }
        inside
    }
    fn watch(&mut self, pos: Pos, sound: bool) {
        if !sound {
            self.fault(pos, "that are not finite");
        }
    }
    fn fault(&mut self, pos: Pos, what: &'static str) {
        self.fault.get_or_insert((pos, what));
    }

    /// # Errors
    /// Energies that are not finite or do not belong to the table: the first of them.
    pub(crate) fn check(self) -> Result<()> {
        match self.fault {
            None => Ok(()),
            Some((pos, what)) => Err(Error::input(format!("a guide added energies {what}, at position {pos}"))
                .help("guides move probability, only constraints forbid")),
        }
    }
}

/// Whether an energy is finite and leaves a finite score so.
fn finite(score: f32, nats: f32) -> bool {
    nats.is_finite() & ((score + nats).is_finite() | !score.is_finite())
}
