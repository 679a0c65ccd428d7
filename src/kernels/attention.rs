//! Attention, one block of queries at a time: scores, softmax and the weighted sum of values stay in the cache.

use super::gemm::{Matrix, MatrixMut, gemm};
use super::math::{dot, softmax};
use super::multiversion::vectorised;
use super::scratch::with_scratch;
use rayon::prelude::*;

/// Number of queries in a block.
const BLOCK: usize = 128;

/// The heads in a row of queries or keys.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Heads {
    /// Number of query heads.
    pub(crate) queries: usize,
    /// Number of key and value heads; each serves `queries / keys` query heads.
    pub(crate) keys: usize,
    /// Width of a head.
    pub(crate) size: usize,
    /// Factor on the products of queries and keys.
    pub(crate) scale: f32,
}

impl Heads {
    /// As many key heads as query heads, with the scale 1/√size.
    pub(crate) fn even(count: usize, size: usize) -> Self {
        Self { queries: count, keys: count, size, scale: 1.0 / (size as f32).sqrt() }
    }
}

/// The keys that a query attends to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Mask<'a> {
    /// All keys.
    Full,
    /// The keys at the query's own and earlier positions.
    Causal,
    /// A mask that is added to the products: one row per query, one number per key, −∞ for a hidden key.
    Added(&'a [f32]),
}

impl Mask<'_> {
    /// The number of keys that the query at `pos` attends to, of `keys`: the first ones.
    #[inline(always)]
    fn visible(self, pos: usize, keys: usize) -> usize {
        match self {
            Mask::Full | Mask::Added(_) => keys,
            Mask::Causal => keys.min(pos + 1),
        }
    }
}

/// Queries, keys and values of one sequence: one row per position, heads side by side.
#[derive(Clone, Copy)]
pub(crate) struct Sequence<'a> {
    /// One row per query.
    pub(crate) q: Matrix<'a>,
    /// One row per key.
    pub(crate) k: Matrix<'a>,
    /// One row per key.
    pub(crate) v: Matrix<'a>,
    /// Position of the first query among the keys.
    pub(crate) offset: usize,
}

/// softmax(scale·q·kᵀ)·v within each sequence. `out` holds one row per query, sequence after sequence.
pub(crate) fn attention(out: &mut [f32], sequences: &[Sequence], heads: Heads, mask: Mask) {
    let width = heads.queries * heads.size;
    let mut rest = out;
    let mut blocks = Vec::new();
    for sequence in sequences {
        let rows = sequence.q.rows();
        let own = MatrixMut::new(rest.split_off_mut(..rows * width).unwrap_or_default(), rows, width);
        blocks.extend(own.tiles(BLOCK, heads.size).map(|(first, left, out)| (sequence, first, left / heads.size, out)));
    }
    blocks.into_par_iter().for_each(|(sequence, first, head, out)| block(out, sequence, first, head, heads, mask));
}

/// One block of queries of one head.
fn block(out: MatrixMut, sequence: &Sequence, first: usize, head: usize, heads: Heads, mask: Mask) {
    let Sequence { q, k, v, offset } = *sequence;
    let rows = first..first + out.rows;
    let columns = |head: usize| head * heads.size..(head + 1) * heads.size;
    let (own, shared) = (columns(head), columns(head * heads.keys / heads.queries));
    let seen = mask.visible(offset + rows.end - 1, k.rows());
    with_scratch(rows.len() * seen, |scores| {
        let weights = MatrixMut::new(scores, rows.len(), seen);
        gemm(weights, q.part(rows.clone(), own), k.part(0..seen, shared.clone()).t(), heads.scale, false);
        normalise(scores, seen, mask, first, offset);
        gemm(out, Matrix::new(scores, rows.len(), seen), v.part(0..seen, shared), 1.0, false);
    });
}

vectorised! {
    /// Softmax of each row over the visible keys, zeros elsewhere. The first row belongs to query `first`.
    fn normalise(scores: &mut [f32], width: usize, mask: Mask, first: usize, offset: usize) {
        for (i, row) in scores.chunks_exact_mut(width).enumerate() {
            let (seen, hidden) = row.split_at_mut(mask.visible(offset + first + i, width));
            if let Mask::Added(terms) = mask {
                for (x, term) in seen.iter_mut().zip(&terms[(first + i) * width..]) {
                    *x += term;
                }
            }
            softmax(seen);
            hidden.fill(0.0);
        }
    }

    /// Replaces the gradients of the weights `p` by the gradients of the scores.
    fn normalise_backward(ds: &mut [f32], p: &[f32], width: usize) {
        for (p, ds) in p.chunks_exact(width).zip(ds.chunks_exact_mut(width)) {
            let mean = dot(p, ds);
            for (ds, p) in ds.iter_mut().zip(p) {
                *ds = p * (*ds - mean);
            }
        }
    }
}

/// Replaces rows of `[q | k | v]` by their gradients; `grad` (n, d) is the gradient of [`attention`]'s output.
///
/// The sequences are packed one after the other. Each attends within itself, from offset 0, with as many key heads as
/// query heads.
pub(crate) fn attention_backward(qkv: &mut [f32], grad: &[f32], lengths: &[usize], heads: Heads, mask: Mask) {
    let width = heads.queries * heads.size;
    let (mut qkv, mut grad) = (qkv, grad);
    let mut work = Vec::with_capacity(lengths.len());
    for len in lengths {
        let own = qkv.split_off_mut(..len * 3 * width).unwrap_or_default();
        work.push((own, grad.split_off(..len * width).unwrap_or_default()));
    }
    work.into_par_iter().for_each(|(qkv, grad)| sequence_backward(qkv, grad, heads, mask));
}

fn sequence_backward(qkv: &mut [f32], grad: &[f32], heads: Heads, mask: Mask) {
    let (size, width) = (heads.size, heads.queries * heads.size);
    let len = grad.len() / width;
    let all = || 0..len;
    with_scratch(2 * len * len + 3 * len * size, |scratch| {
        let (p, rest) = scratch.split_at_mut(len * len);
        let (ds, rest) = rest.split_at_mut(len * len);
        let (dq, rest) = rest.split_at_mut(len * size);
        let (dk, dv) = rest.split_at_mut(len * size);
        for h in 0..heads.queries {
            let whole = Matrix::new(qkv, len, 3 * width);
            let part = |which: usize| whole.part(all(), which * width + h * size..which * width + (h + 1) * size);
            let (q, k, v) = (part(0), part(1), part(2));
            let g = Matrix::new(grad, len, width).part(all(), h * size..(h + 1) * size);
            gemm(MatrixMut::new(p, len, len), q, k.t(), heads.scale, false);
            normalise(p, len, mask, 0, 0);
            gemm(MatrixMut::new(ds, len, len), g, v.t(), 1.0, false);
            normalise_backward(ds, p, len);
            gemm(MatrixMut::new(dv, len, size), Matrix::new(p, len, len).t(), g, 1.0, false);
            gemm(MatrixMut::new(dk, len, size), Matrix::new(ds, len, len).t(), q, heads.scale, false);
            gemm(MatrixMut::new(dq, len, size), Matrix::new(ds, len, len), k, heads.scale, false);
            for (i, row) in qkv.chunks_exact_mut(3 * width).enumerate() {
                for (which, gradient) in [&*dq, &*dk, &*dv].into_iter().enumerate() {
                    row[which * width + h * size..][..size].copy_from_slice(&gradient[i * size..][..size]);
                }
            }
        }
    });
}
