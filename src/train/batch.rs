//! Batches of the masked objective.

use super::{config::ObjectiveConfig, data::Example};
use crate::models::masked::{MaskedConfig, Packed, Targets};
use rand::{Rng, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

/// Random numbers that depend on the seed, what they are for and a counter, and on nothing else.
pub fn rng(seed: u64, purpose: u64, counter: u64) -> ChaCha8Rng {
    let mut key = [0u8; 32];
    for (part, number) in key.chunks_exact_mut(8).zip([seed, purpose, counter]) {
        part.copy_from_slice(&number.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}

/// Walks the examples in a new order each epoch. Its place is two numbers, so a run can resume.
pub struct Order {
    seed: u64,
    /// Times all examples have been seen.
    pub epoch: u64,
    /// Examples seen in this epoch.
    pub next: usize,
    indices: Vec<usize>,
}

impl Order {
    /// The order of `examples` examples, at this place.
    pub fn new(seed: u64, examples: usize, epoch: u64, next: usize) -> Self {
        let mut order = Self { seed, epoch, next, indices: (0..examples).collect() };
        order.shuffle();
        order
    }
    fn shuffle(&mut self) {
        self.indices.sort_unstable();
        self.indices.shuffle(&mut rng(self.seed, 1, self.epoch));
    }
    /// Indices of the next texts, with at most `positions` positions in all and at least one text.
    pub fn take(&mut self, positions: usize, length: impl Fn(usize) -> usize) -> Vec<usize> {
        let mut taken = Vec::new();
        let mut total = 0;
        loop {
            if self.next >= self.indices.len() {
                self.epoch += 1;
                self.next = 0;
                self.shuffle();
            }
            let index = self.indices[self.next];
            total += length(index);
            if total > positions && !taken.is_empty() {
                return taken;
            }
            taken.push(index);
            self.next += 1;
        }
    }
}

/// Of a canvas's extra end-of-text tokens: uᵀᴬᴵᴸ of the room, u uniform.
const TAIL: i32 = 12;

/// How many positions a text takes on average.
pub fn expected_length(tokens: usize, objective: &ObjectiveConfig) -> usize {
    tokens + 1 + objective.extra_eos / (TAIL as usize + 1)
}

/// What the network sees and what it should say.
#[derive(Default)]
pub struct Batch {
    /// The sequences, a condition in front of each.
    pub packed: Packed,
    /// The losses; their weights are divided by the number of positions, so that the sum is nats per token.
    pub targets: Targets,
}

/// Masks a batch: t is spread evenly over the texts (low discrepancy), one random offset for all.
pub fn masked(examples: &[&Example], model: &MaskedConfig, objective: &ObjectiveConfig, rng: &mut impl Rng) -> Batch {
    let mut batch = Batch::default();
    let offset: f64 = rng.random();
    let mut positions = 0;
    for (i, example) in examples.iter().enumerate() {
        let t = (offset + i as f64 / examples.len() as f64).fract().max(objective.min_t);
        let room = (model.max_len - 1).saturating_sub(example.tokens.len()).min(objective.extra_eos);
        // Most canvases end close to their text, a few far behind it.
        let ends = 1 + (rng.random::<f64>().powi(TAIL) * (room + 1) as f64) as usize;
        let text = example.tokens.iter().copied().chain(std::iter::repeat_n(model.eos_token, ends));
        let shown = !rng.random_bool(objective.condition_dropout);
        let condition = example.label.filter(|_| shown).and_then(|label| model.conditions.get(label));
        let mut seen = vec![condition.map_or(model.null_token, |c| c.token)];
        for token in text {
            let row = batch.packed.tokens.len() + seen.len();
            let masked = rng.random_bool(t);
            let revised = !masked && rng.random_bool(objective.revise);
            seen.push(match masked {
                true => model.mask_token,
                false if revised && rng.random_bool(0.5) => random_token(examples, rng).unwrap_or(token),
                false => token,
            });
            if masked || revised {
                batch.targets.rows.push(row as u32);
                batch.targets.tokens.push(token);
                batch.targets.weights.push(if masked { (1.0 / t) as f32 } else { 1.0 });
            }
        }
        positions += seen.len() - 1;
        batch.packed.push(seen);
    }
    batch.targets.weights.iter_mut().for_each(|w| *w /= positions as f32);
    batch
}

/// A token of the batch, as often as it occurs there.
fn random_token(examples: &[&Example], rng: &mut impl Rng) -> Option<u32> {
    let example = examples.get(rng.random_range(0..examples.len()))?;
    example.tokens.get(rng.random_range(0..example.tokens.len().max(1))).copied()
}
