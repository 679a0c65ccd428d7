//! A denoiser and a policy that know nothing, for tests in which neither may matter.

use rand::{Rng, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use stencil_lm::{CanvasView, Cell, Denoiser, Moves, Policy, Pos, Proposal, Result, Scores, Step, Vocab};

/// Scores that mean nothing, and now and then rule out almost everything.
pub struct Noise {
    pub vocab: Vocab,
    pub max_len: usize,
}

impl Denoiser for Noise {
    fn name(&self) -> &str {
        "noise"
    }
    fn vocab(&self) -> &Vocab {
        &self.vocab
    }
    fn max_len(&self) -> usize {
        self.max_len
    }
    fn predict(&self, views: &[CanvasView]) -> Result<Vec<Scores>> {
        let score = |view: &CanvasView| {
            let seed = view.tokens.iter().fold(view.tokens.len() as u64, |h, t| {
                h.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ t.map_or(7, |t| t as u64 + 11)
            });
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let wild = rng.random_bool(0.1); // beyond what plain floating point holds
            let spread: f32 = if wild { 3000.0 } else { *[0.1, 3.0, 30.0].choose(&mut rng).unwrap() };
            let value = |_| if rng.random_bool(0.05) { f32::NEG_INFINITY } else { rng.random_range(-spread..=spread) };
            Scores::new(self.vocab.len(), (0..view.tokens.len() * self.vocab.len()).map(value).collect())
        };
        views.iter().map(score).collect()
    }
}

/// Commits at random, and reopens each held position with a probability.
#[derive(Clone)]
pub struct Whim {
    pub seed: u64,
    pub reopen: f64,
}

impl Policy for Whim {
    fn reopen(&mut self, step: &Step) -> Vec<Pos> {
        let mut rng = step.rng(self.seed);
        let held = step.canvas.cells().iter().enumerate().filter(|(_, c)| matches!(c, Cell::Held { .. }));
        held.filter(|_| rng.random_bool(self.reopen)).map(|(pos, _)| pos).collect()
    }
    fn choose(&mut self, step: &Step, proposal: &Proposal) -> Result<Moves> {
        let mut rng = step.rng(self.seed ^ 1);
        let share: f64 = rng.random();
        Ok(Moves::commit(proposal.candidates.iter().map(|c| c.pos).filter(|_| rng.random_bool(share))))
    }
}
