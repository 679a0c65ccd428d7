//! Batches: the inputs of the network and its targets.

use super::{config::ObjectiveConfig, config::ObjectiveKind, data::Example};
use crate::models::masked::{MaskedConfig, PackedSequences, Targets};
use rand::Rng;

/// Exponent of the number of extra end-of-text tokens: a share uᵀᴬᴵᴸ of the room, u uniform.
const TAIL: i32 = 12;

/// The mean number of positions of a text.
pub fn expected_length(tokens: usize, objective: &ObjectiveConfig) -> usize {
    match objective.kind {
        ObjectiveKind::Causal => tokens + 1,
        ObjectiveKind::Masked => {
            let once = tokens + 1 + objective.extra_eos / (TAIL as usize + 1);
            if objective.complementary { 2 * once } else { once }
        }
    }
}

/// A batch: the inputs of the network and its targets.
#[derive(Default)]
pub struct Batch {
    /// The sequences, each with a condition in front.
    pub packed: PackedSequences,
    /// The targets. Divided by the number of positions, the weighted sum of losses is nats per token.
    pub targets: Targets,
    /// Number of positions, without conditions.
    pub positions: usize,
}

impl Batch {
    fn target(&mut self, row: usize, token: u32, weight: f64) {
        self.targets.rows.push(row as u32);
        self.targets.tokens.push(token);
        self.targets.weights.push(weight as f32);
    }
}

/// Makes a batch of the objective.
pub fn batch(examples: &[Example], model: &MaskedConfig, objective: &ObjectiveConfig, rng: &mut impl Rng) -> Batch {
    match objective.kind {
        ObjectiveKind::Masked => masked(examples, model, objective, rng),
        ObjectiveKind::Causal => causal(examples, model, objective, rng),
    }
}

/// The token in front of a text: its condition, which is sometimes dropped.
fn condition(example: &Example, model: &MaskedConfig, objective: &ObjectiveConfig, rng: &mut impl Rng) -> u32 {
    let shown = !rng.random_bool(objective.condition_dropout);
    let condition = example.label.filter(|_| shown).and_then(|label| model.conditions.get(label));
    condition.map_or(model.null_token, |c| c.token)
}

/// Masks a batch. The masking rates t are spread evenly over the texts (low discrepancy), with one random offset for
/// all.
///
/// A masked position has weight 1/t. With complementary masks each text comes twice, the second time with the other
/// positions masked at 1 − t, so that every token is learnt once.
fn masked(examples: &[Example], model: &MaskedConfig, objective: &ObjectiveConfig, rng: &mut impl Rng) -> Batch {
    let mut batch = Batch::default();
    let offset: f64 = rng.random();
    for (i, example) in examples.iter().enumerate() {
        let t = (offset + i as f64 / examples.len() as f64).fract();
        let room = (model.max_len - 1).saturating_sub(example.tokens.len()).min(objective.extra_eos);
        // Most canvases end close to their text, a few far behind it.
        let ends = 1 + (rng.random::<f64>().powi(TAIL) * (room + 1) as f64) as usize;
        let ends = if example.ends { ends } else { 0 };
        let text: Vec<u32> = example.tokens.iter().copied().chain(std::iter::repeat_n(model.eos_token, ends)).collect();
        let first = condition(example, model, objective, rng);
        let mask: Vec<bool> = text.iter().map(|_| rng.random_bool(t.max(objective.min_t).min(1.0))).collect();
        let sides = [(t, true), (1.0 - t, false)];
        for (t, hidden) in sides.into_iter().take(if objective.complementary { 2 } else { 1 }) {
            let mut seen = vec![first];
            for (&token, &mask) in text.iter().zip(&mask) {
                let row = batch.packed.tokens.len() + seen.len();
                if mask == hidden {
                    batch.target(row, token, 1.0 / t.max(objective.min_t));
                    seen.push(model.mask_token);
                    continue;
                }
                let revised = rng.random_bool(objective.revise);
                let wrong = revised && rng.random_bool(0.5);
                seen.push(if wrong { random_token(examples, rng).unwrap_or(token) } else { token });
                if revised {
                    batch.target(row, token, 1.0);
                }
            }
            batch.positions += text.len();
            batch.packed.push(seen);
        }
    }
    batch
}

/// Makes a causal batch: every token is predicted from earlier tokens.
fn causal(examples: &[Example], model: &MaskedConfig, objective: &ObjectiveConfig, rng: &mut impl Rng) -> Batch {
    let mut batch = Batch::default();
    for example in examples {
        let first = condition(example, model, objective, rng);
        let text: Vec<u32> = example.tokens.iter().copied().chain(example.ends.then_some(model.eos_token)).collect();
        let start = batch.packed.tokens.len();
        for (i, &token) in text.iter().enumerate() {
            batch.target(start + i, token, 1.0);
        }
        batch.positions += text.len();
        let seen = text.len().saturating_sub(1);
        batch.packed.push(std::iter::once(first).chain(text.iter().copied().take(seen)));
    }
    batch
}

/// A random token of the batch, in proportion to its frequency.
fn random_token(examples: &[Example], rng: &mut impl Rng) -> Option<u32> {
    let example = examples.get(rng.random_range(0..examples.len()))?;
    example.tokens.get(rng.random_range(0..example.tokens.len().max(1))).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::masked::{Condition, MODEL_TYPE};
    use crate::random::rng;

    fn model() -> MaskedConfig {
        MaskedConfig {
            model_type: MODEL_TYPE.into(),
            name: "tiny".into(),
            vocab_size: 100,
            hidden_size: 4,
            layers: 1,
            heads: 1,
            ff_size: 4,
            max_len: 30,
            rope_theta: 1e4,
            norm_eps: 1e-5,
            mask_token: 1,
            eos_token: 0,
            null_token: 2,
            conditions: vec![Condition { label: "x".into(), token: 3 }],
            causal: false,
            lengths: Vec::new(),
        }
    }
    fn examples() -> Vec<Example> {
        let text = |n: u32| (10..20 + n).collect::<Vec<u32>>();
        (0..8).map(|n| Example { tokens: text(n), label: (n % 2 == 0).then_some(0), bytes: 9, ends: n != 5 }).collect()
    }
    fn objective(kind: ObjectiveKind, complementary: bool) -> ObjectiveConfig {
        ObjectiveConfig { kind, complementary, condition_dropout: 0.0, ..ObjectiveConfig::default() }
    }

    #[test]
    fn complementary_masks_learn_each_token_once_per_pair() {
        let objective = ObjectiveConfig { revise: 0.0, ..objective(ObjectiveKind::Masked, true) };
        let batch = batch(&examples(), &model(), &objective, &mut rng(1, 2, 3));
        assert_eq!(batch.packed.lengths.len(), 16);
        let mut start = 0;
        for pair in batch.packed.lengths.chunks(2) {
            assert_eq!(pair[0], pair[1]);
            let [a, b] = [start, start + pair[0]].map(|s| &batch.packed.tokens[s..s + pair[0]]);
            assert_eq!(a[0], b[0]);
            for (a, b) in a[1..].iter().zip(&b[1..]) {
                assert!((*a == 1) != (*b == 1), "masked in exactly one of the two");
            }
            start += 2 * pair[0];
        }
        assert_eq!(batch.targets.rows.len(), batch.positions / 2);
        assert!(batch.targets.rows.is_sorted());
    }

    #[test]
    fn the_weights_of_a_masked_batch_average_to_one_per_position() {
        for complementary in [false, true] {
            let objective = ObjectiveConfig { revise: 0.0, ..objective(ObjectiveKind::Masked, complementary) };
            let (mut weight, mut positions) = (0.0, 0);
            for i in 0..300 {
                let batch = batch(&examples(), &model(), &objective, &mut rng(1, 2, i));
                weight += batch.targets.weights.iter().map(|&w| f64::from(w)).sum::<f64>();
                positions += batch.positions;
            }
            let mean = weight / positions as f64;
            assert!((mean - 1.0).abs() < 0.03, "complementary {complementary}: {mean}");
        }
    }

    #[test]
    fn a_causal_batch_shifts_and_ends_only_what_ends() {
        let batch = batch(&examples(), &model(), &objective(ObjectiveKind::Causal, false), &mut rng(1, 2, 3));
        let [packed, targets] = [&batch.packed.tokens, &batch.targets.tokens];
        assert_eq!(packed.len(), targets.len());
        assert!(batch.targets.rows.iter().copied().eq(0..packed.len() as u32));
        let mut start = 0;
        for (i, &len) in batch.packed.lengths.iter().enumerate() {
            let (seen, said) = (&packed[start..start + len], &targets[start..start + len]);
            assert_eq!(seen[0], if i % 2 == 0 { 3 } else { 2 });
            assert_eq!(seen[1..], said[..len - 1]);
            assert_eq!(said[len - 1] == 0, i != 5);
            start += len;
        }
    }
}
