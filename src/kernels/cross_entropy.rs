//! Cross-entropy of rows of logits.

use super::math::{exp, max, sum, sum_exp};
use super::multiversion::vectorised;
use rayon::prelude::*;

/// Losses in nats, −log softmax(logits)\[target\]; `logits` has one row per target.
pub(crate) fn cross_entropy(losses: &mut [f32], logits: &[f32], targets: &[u32]) {
    let vocab = logits.len() / targets.len().max(1);
    let rows = losses.par_iter_mut().zip(logits.par_chunks_exact(vocab.max(1))).zip(targets);
    rows.with_min_len(8).for_each(|((loss, row), &target)| *loss = row_loss(row, target as usize));
}

/// As [`cross_entropy`]; also replaces the logits by the gradient of Σ weight·loss.
pub(crate) fn cross_entropy_backward(losses: &mut [f32], logits: &mut [f32], targets: &[u32], weights: &[f32]) {
    let vocab = logits.len() / targets.len().max(1);
    let rows = losses.par_iter_mut().zip(logits.par_chunks_exact_mut(vocab.max(1)));
    rows.zip(targets.par_iter().zip(weights)).with_min_len(8).for_each(|((loss, row), (&target, &weight))| {
        *loss = row_backward(row, target as usize, weight);
    });
}

vectorised! {
    fn row_loss(row: &[f32], target: usize) -> f32 {
        let shift = max(row);
        sum_exp(row, shift).ln() + shift - row[target]
    }

    fn row_backward(row: &mut [f32], target: usize, weight: f32) -> f32 {
        let (shift, score) = (max(row), row[target]);
        for x in row.iter_mut() {
            *x = exp(*x - shift);
        }
        let total = sum(row);
        let scale = weight / total;
        for x in row.iter_mut() {
            *x *= scale;
        }
        row[target] -= weight;
        total.ln() + shift - score
    }
}
