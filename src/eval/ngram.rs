//! An interpolated Kneser–Ney model of order four: the baseline for networks.

use super::{Blank, Coded, LanguageModel};
use crate::{Result, Scores, Token, Vocab, util::FastMap};
use rayon::prelude::*;

/// The order: number of tokens of the longest counted sequence.
const ORDER: usize = 4;

/// Interpolated Kneser–Ney smoothing (Kneser and Ney 1995; Chen and Goodman 1999), one discount per order.
///
/// A text starts with its condition, as for a network. Shorter sequences are counted by the number of different tokens
/// in front of them. Sequences at the start of a text are counted by their occurrences, as no token can stand in front
/// of them.
pub struct Ngram {
    vocab: Vocab,
    labels: Vec<String>,
    orders: Vec<Order>,
    /// The unigram probabilities, where no context is known.
    unigram: Vec<f64>,
}

#[derive(Default)]
struct Order {
    counts: FastMap<u128, u32>,
    contexts: FastMap<u128, Context>,
    discount: f64,
}

#[derive(Default, Clone, Copy)]
struct Context {
    total: u64,
    /// Number of different tokens that follow.
    distinct: u32,
}

fn key(tokens: &[Token]) -> u128 {
    // Tokens are shifted by one, so that sequences of different lengths have different keys.
    tokens.iter().fold(0, |key, &t| key << 32 | u128::from(t + 1))
}

impl Ngram {
    /// Fits the model to texts in the tokens of `vocab`; `labels` are the conditions to which the texts' indices refer.
    pub fn fit(vocab: Vocab, labels: Vec<String>, texts: impl IntoIterator<Item = Coded>) -> Self {
        let mut counts: Vec<FastMap<u128, u32>> = (0..ORDER).map(|_| FastMap::default()).collect();
        for text in texts {
            let sequence = sequence(&vocab, &text);
            for end in 2..=sequence.len() {
                // The longest sequence that ends here; counts of shorter sequences are derived from longer ones.
                let start = end.saturating_sub(ORDER);
                *counts[end - start - 1].entry(key(&sequence[start..end])).or_default() += 1;
            }
        }
        for n in (1..ORDER).rev() {
            let (shorter, longer) = counts.split_at_mut(n);
            for sequence in longer[0].keys() {
                *shorter[n - 1].entry(sequence & ((1 << (32 * n)) - 1)).or_default() += 1;
            }
        }
        let orders: Vec<Order> = counts.into_iter().map(Order::new).collect();
        let size = vocab.len();
        let first = &orders[0];
        let all = first.contexts.get(&0).copied().unwrap_or_default();
        let share = |count: f64| if all.total == 0 { 0.0 } else { count / all.total as f64 };
        let rest = if all.total == 0 { 1.0 } else { share(first.discount * f64::from(all.distinct)) };
        let unigram = (0..size as Token).map(|t| {
            let count = first.counts.get(&key(&[t])).map_or(0.0, |&c| f64::from(c) - first.discount);
            share(count) + rest / size as f64
        });
        Self { unigram: unigram.collect(), labels, orders, vocab }
    }

    /// p(token | earlier tokens), of which only the last few matter.
    fn probability(&self, before: &[Token], token: Token) -> f64 {
        let mut p = self.unigram.get(token as usize).copied().unwrap_or(0.0);
        for n in 1..ORDER.min(before.len() + 1) {
            let context = key(&before[before.len() - n..]);
            let order = &self.orders[n];
            if let Some(seen) = order.contexts.get(&context) {
                let count = order.counts.get(&(context << 32 | u128::from(token + 1)));
                let count = count.map_or(0.0, |&c| f64::from(c) - order.discount);
                p = (count + order.discount * f64::from(seen.distinct) * p) / seen.total as f64;
            }
        }
        p
    }
}

impl Order {
    fn new(counts: FastMap<u128, u32>) -> Self {
        let of = |count: u32| counts.values().filter(|&&c| c == count).count() as f64;
        let (once, twice) = (of(1), of(2));
        // The discount is 0.75 where the counts are too small to estimate it.
        let discount = if once > 0.0 && twice > 0.0 { once / (once + 2.0 * twice) } else { 0.75 };
        let mut contexts: FastMap<u128, Context> = FastMap::default();
        for (&sequence, &count) in &counts {
            let context = contexts.entry(sequence >> 32).or_default();
            context.total += u64::from(count);
            context.distinct += 1;
        }
        Self { counts, contexts, discount }
    }
}

/// The condition (one past the vocabulary, then the labels), then the text.
fn sequence(vocab: &Vocab, text: &Coded) -> Vec<Token> {
    let condition = vocab.len() as Token + text.condition.map_or(0, |c| c as Token + 1);
    std::iter::once(condition).chain(text.tokens.iter().copied()).collect()
}

impl LanguageModel for Ngram {
    fn name(&self) -> &str {
        "interpolated Kneser-Ney 4-gram"
    }
    fn vocab(&self) -> &Vocab {
        &self.vocab
    }
    fn max_len(&self) -> usize {
        usize::MAX
    }
    fn conditions(&self) -> &[String] {
        &self.labels
    }
    fn exact(&self) -> bool {
        true
    }
    fn nats(&self, texts: &[Coded], _: u64, _: u64) -> Result<Vec<f64>> {
        let nats = |text: &Coded| {
            let sequence = sequence(&self.vocab, text);
            (1..sequence.len()).map(|i| -self.probability(&sequence[..i], sequence[i]).ln()).sum()
        };
        Ok(texts.par_iter().map(nats).collect())
    }
    fn scores(&self, blanks: &[Blank]) -> Result<Scores> {
        let rows = blanks.par_iter().flat_map_iter(|blank| {
            let tokens = blank.tokens.iter().take(blank.at).copied().flatten().collect();
            let before = sequence(&self.vocab, &Coded { tokens, condition: blank.condition, bytes: 0 });
            (0..self.vocab.len() as Token).map(move |token| self.probability(&before, token).ln() as f32)
        });
        Scores::new(self.vocab.len(), rows.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> Ngram {
        let vocab = Vocab::from_bytes((0..6u8).map(|t| (t > 0).then(|| vec![b' ', b'a' + t])).collect(), Some(0), None)
            .unwrap();
        let text = |tokens: &[Token], condition| Coded { tokens: tokens.to_vec(), condition, bytes: 1 };
        let texts = [
            text(&[1, 2, 3, 0], None),
            text(&[1, 2, 4, 0], None),
            text(&[1, 2, 3, 5, 0], Some(0)),
            text(&[5, 2, 3, 0], None),
        ];
        Ngram::fit(vocab, vec!["x".into()], texts)
    }

    #[test]
    fn probabilities_sum_to_one_in_every_context() {
        let model = model();
        for before in [&[6][..], &[7], &[6, 1], &[6, 1, 2], &[1, 2, 3], &[9, 9, 9], &[6, 5, 4, 3, 2], &[]] {
            let sum: f64 = (0..6).map(|t| model.probability(before, t)).sum();
            assert!((sum - 1.0).abs() < 1e-9, "{before:?}: {sum}");
            assert!((0..6).all(|t| model.probability(before, t) > 0.0));
        }
    }

    #[test]
    fn counts_are_those_of_kneser_and_ney() {
        let model = model();
        // Two different tokens stand before (2, 3) in the texts: 1 and 5.
        assert_eq!(model.orders[1].counts[&key(&[2, 3])], 2);
        // A start of a text is counted as often as it occurs.
        assert_eq!(model.orders[1].counts[&key(&[6, 1])], 2);
        assert_eq!(model.orders[3].counts[&key(&[6, 1, 2, 3])], 1);
        assert!(model.probability(&[6], 1) > model.probability(&[6], 5));
        assert!(model.probability(&[6, 1, 2], 3) > model.probability(&[6, 1, 2], 5));
    }
}
