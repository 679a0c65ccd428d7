//! Cross-entropy of rows of logits.

use super::math::{exp, max, sum, sum_exp};
use rayon::prelude::*;

/// Losses in nats, −log softmax(logits)\[target\]; `logits` has one row per target.
pub fn cross_entropy(losses: &mut [f32], logits: &[f32], targets: &[u32]) {
    let vocab = logits.len() / targets.len().max(1);
    let arch = pulp::Arch::new();
    losses.par_iter_mut().zip(logits.par_chunks_exact(vocab)).zip(targets).with_min_len(8).for_each(
        |((loss, row), &target)| {
            arch.dispatch(|| {
                let shift = max(row);
                *loss = sum_exp(row, shift).ln() + shift - row[target as usize];
            });
        },
    );
}

/// As [`cross_entropy`], and replaces the logits by the gradient of Σ weight·loss.
pub fn cross_entropy_backward(losses: &mut [f32], logits: &mut [f32], targets: &[u32], weights: &[f32]) {
    let vocab = logits.len() / targets.len().max(1);
    let arch = pulp::Arch::new();
    let rows = losses.par_iter_mut().zip(logits.par_chunks_exact_mut(vocab)).zip(targets.par_iter().zip(weights));
    rows.with_min_len(8).for_each(|((loss, row), (&target, &weight))| {
        arch.dispatch(|| {
            let target = target as usize;
            let (shift, score) = (max(row), row[target]);
            row.iter_mut().for_each(|x| *x = exp(*x - shift));
            let total = sum(row);
            *loss = total.ln() + shift - score;
            let scale = weight / total;
            row.iter_mut().for_each(|x| *x *= scale);
            row[target] -= weight;
        });
    });
}
