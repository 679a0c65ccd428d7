//! The backward pass: the operations of the forward pass in reverse.

use super::network::{MaskedNetwork, PackedSequences, Part};
use super::workspace::{BlockBuffers, Workspace};
use crate::kernels::{Matrix, MatrixMut, attention_backward, cross_entropy_backward, gemm, swiglu_backward};
use std::ops::Range;

/// The target tokens of a batch and the weights of their losses.
#[derive(Debug, Clone, Default)]
pub struct Targets {
    /// Positions with a loss, ascending.
    pub rows: Vec<u32>,
    /// The target token of each row.
    pub tokens: Vec<u32>,
    /// The weight of each loss.
    pub weights: Vec<f32>,
}

impl MaskedNetwork {
    /// Returns Σ weight·(−log p(token)) in nats. Adds the gradient to `gradient`, which is laid out as the weights.
    ///
    /// The batch is computed in parts of bounded size whose gradients add up, so memory does not grow with the batch.
    ///
    /// # Panics
    /// If `gradient` or `targets` have wrong lengths, or a token or row is out of range.
    pub fn loss_and_gradient(&self, packed: &PackedSequences, targets: &Targets, gradient: &mut [f32]) -> f64 {
        let rows = targets.rows.len();
        assert_eq!((targets.tokens.len(), targets.weights.len()), (rows, rows), "one target and weight per row");
        assert_eq!(gradient.len(), self.weights().len(), "one gradient per weight");
        let parts = packed.parts(&targets.rows);
        self.with_workspace(|workspace| {
            parts
                .map(|part| {
                    self.forward(&part, workspace, true);
                    let loss = self.head_backward(&part, targets, gradient, workspace);
                    self.blocks_backward(&part, gradient, workspace);
                    loss
                })
                .sum()
        })
    }

    /// Loss and gradient of the part's rows. Leaves the gradient of the last block's output in `dx`.
    fn head_backward(&self, part: &Part, targets: &Targets, gradient: &mut [f32], workspace: &mut Workspace) -> f64 {
        let (d, vocab, rows) = (self.d, self.vocab, part.rows.len());
        let Workspace { picked, normed, logits, losses, dx, dpicked, dnormed, .. } = workspace;
        let (picked, normed, dnormed) = (picked.get(rows * d), normed.get(rows * d), dnormed.get(rows * d));
        let embedding = Matrix::new(&self.weights()[self.places.embedding.clone()], vocab, d);
        let mut loss = 0.0;
        for chunk in part.chunks() {
            let (own, wide) = (part.first + chunk.start..part.first + chunk.end, chunk.start * d..chunk.end * d);
            let logits = logits.get(chunk.len() * vocab);
            self.head(logits, &normed[wide.clone()]);
            losses.resize(chunk.len(), 0.0);
            let weights = &targets.weights[own.clone()];
            cross_entropy_backward(losses, logits, &targets.tokens[own], weights);
            loss += losses.iter().zip(weights).map(|(&l, &w)| f64::from(l) * f64::from(w)).sum::<f64>();
            let logits = Matrix::new(logits, chunk.len(), vocab);
            gemm(MatrixMut::new(&mut dnormed[wide.clone()], chunk.len(), d), logits, embedding, 1.0, false);
            let target = MatrixMut::new(&mut gradient[self.places.embedding.clone()], vocab, d);
            gemm(target, logits.t(), Matrix::new(&normed[wide], chunk.len(), d), 1.0, true);
        }
        let dpicked = dpicked.zeros(rows * d);
        let norm = &self.places.norm;
        self.norm.backward(dpicked, &mut gradient[norm.clone()], picked, &self.weights()[norm.clone()], dnormed);
        let dx = dx.zeros(part.tokens.len() * d);
        for (dpicked, &row) in dpicked.chunks_exact(d).zip(&part.rows) {
            dx[row * d..][..d].iter_mut().zip(dpicked).for_each(|(dx, g)| *dx += g);
        }
        loss
    }

    fn blocks_backward(&self, part: &Part, gradient: &mut [f32], workspace: &mut Workspace) {
        let (n, d, ff) = (part.tokens.len(), self.d, self.ff);
        let weight = |range: &Range<usize>| &self.weights()[range.clone()];
        let Workspace { dx, dh, dgated, blocks, .. } = workspace;
        let (dx, dh, dgated) = (dx.get(n * d), dh.get(n * d), dgated.get(n * ff));
        for (places, buffers) in self.places.blocks.iter().zip(blocks).rev() {
            let BlockBuffers { x, attention_in, qkv, mixed, middle, ff_in, gate_up, gated } = buffers;
            let gate_up = gate_up.get(n * 2 * ff);
            self.multiply_backward(n, dgated, gradient, dx, gated.get(n * ff), &places.down);
            swiglu_backward(gate_up, dgated, ff);
            self.multiply_backward(n, dh, gradient, gate_up, ff_in.get(n * d), &places.gate_up);
            let norm = &places.ff_norm;
            self.norm.backward(dx, &mut gradient[norm.clone()], middle.get(n * d), weight(norm), dh);

            let qkv = qkv.get(n * 3 * d);
            self.multiply_backward(n, dh, gradient, dx, mixed.get(n * d), &places.attention_out);
            attention_backward(qkv, dh, part.lengths, self.heads, self.mask);
            self.rope.turn_back(qkv, 3 * d, 2 * d, self.heads.size, &part.positions);
            self.multiply_backward(n, dh, gradient, qkv, attention_in.get(n * d), &places.qkv);
            let norm = &places.attention_norm;
            self.norm.backward(dx, &mut gradient[norm.clone()], x.get(n * d), weight(norm), dh);
        }
        let embedding = &mut gradient[self.places.embedding.clone()];
        for (dx, &token) in dx.chunks_exact(d).zip(part.tokens) {
            embedding[token as usize * d..][..d].iter_mut().zip(dx).for_each(|(sum, g)| *sum += g);
        }
    }

    /// The backward pass of y = x·w: replaces `dx`, and adds the gradient of w to `gradient`.
    fn multiply_backward(
        &self,
        n: usize,
        dx: &mut [f32],
        gradient: &mut [f32],
        dy: &[f32],
        x: &[f32],
        w: &Range<usize>,
    ) {
        let (fan_in, fan_out) = (x.len() / n, dy.len() / n);
        let dy = Matrix::new(dy, n, fan_out);
        gemm(MatrixMut::new(&mut gradient[w.clone()], fan_in, fan_out), Matrix::new(x, n, fan_in).t(), dy, 1.0, true);
        let w = Matrix::new(&self.weights()[w.clone()], fan_in, fan_out);
        gemm(MatrixMut::new(dx, n, fan_in), dy, w.t(), 1.0, false);
    }
}
