//! Bidirectional attention over packed sequences, rotary positions included, as one operation with its gradient.

use super::kernels::{add_scaled, dot, softmax};
use super::ops::{floats, with_floats};
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;
use std::sync::Arc;

/// cos and sin of every position's angles: max_len × head/2 each (RoFormer, arXiv 2104.09864; half-split layout).
pub struct Rope {
    half: usize,
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl Rope {
    /// `head` is the size of one head, an even number.
    pub fn new(max_len: usize, head: usize, theta: f64) -> Self {
        let half = head / 2;
        let angles = (0..max_len)
            .flat_map(|pos| (0..half).map(move |i| pos as f64 * theta.powf(-(i as f64) / half as f64)))
            .collect::<Vec<_>>();
        Self {
            half,
            cos: angles.iter().map(|a| a.cos() as f32).collect(),
            sin: angles.iter().map(|a| a.sin() as f32).collect(),
        }
    }
    /// Turns `row` by the angles of `pos` and scales it; `direction` −1 turns back.
    #[inline(always)]
    fn turn(&self, row: &mut [f32], pos: usize, direction: f32, scale: f32) {
        let cos = &self.cos[pos * self.half..][..self.half];
        let sin = &self.sin[pos * self.half..][..self.half];
        let (a, b) = row.split_at_mut(self.half);
        for (((a, b), cos), sin) in a.iter_mut().zip(b).zip(cos).zip(sin) {
            let (x, y, sin) = (*a, *b, sin * direction);
            *a = (x * cos - y * sin) * scale;
            *b = (x * sin + y * cos) * scale;
        }
    }
}

/// softmax(q·kᵀ/√head)·v within each sequence: rows of `[q | k | v]`, (n, 3d) → (n, d).
///
/// The sequences lie one after the other, without padding, so each sees exactly what it would see alone.
pub struct Attention {
    /// Heads that share d evenly.
    pub heads: usize,
    /// Whether a position sees only itself and what stands before it.
    pub causal: bool,
    /// Positions of each sequence; they sum to n.
    pub lengths: Arc<[usize]>,
    /// For at least the longest of them.
    pub rope: Arc<Rope>,
}

/// One head of one sequence, gathered and turned.
struct Head {
    len: usize,
    size: usize,
    /// Queries, scaled: len × size.
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    /// Keys transposed, size × len, so that a row of scores is a sum of long vectors.
    kt: Vec<f32>,
}

impl Head {
    #[inline(always)]
    fn gather(qkv: &[f32], len: usize, d: usize, head: usize, size: usize, rope: &Rope) -> Self {
        let part = |which: usize| {
            let mut out = Vec::with_capacity(len * size);
            for row in qkv.chunks_exact(3 * d) {
                out.extend_from_slice(&row[which * d + head * size..][..size]);
            }
            out
        };
        let (mut q, mut k, v) = (part(0), part(1), part(2));
        let scale = 1.0 / (size as f32).sqrt();
        for (pos, (q, k)) in q.chunks_exact_mut(size).zip(k.chunks_exact_mut(size)).enumerate() {
            rope.turn(q, pos, 1.0, scale);
            rope.turn(k, pos, 1.0, 1.0);
        }
        let kt = transpose(&k, size);
        Self { len, size, q, k, v, kt }
    }
    /// Row `i` of the attention matrix.
    #[inline(always)]
    fn weights(&self, i: usize, causal: bool, out: &mut [f32]) {
        out.fill(0.0);
        for (&q, k) in self.q[i * self.size..][..self.size].iter().zip(self.kt.chunks_exact(self.len)) {
            add_scaled(out, q, k);
        }
        let seen = if causal { i + 1 } else { self.len };
        softmax(&mut out[..seen]);
        out[seen..].fill(0.0);
    }
}

#[inline(always)]
fn transpose(x: &[f32], width: usize) -> Vec<f32> {
    let rows = x.len() / width;
    let mut out = vec![0.0; x.len()];
    for (i, row) in x.chunks_exact(width).enumerate() {
        for (j, &x) in row.iter().enumerate() {
            out[j * rows + i] = x;
        }
    }
    out
}

impl Attention {
    /// Cuts `whole` into the sequences, `width` numbers per position.
    fn sequences<'a>(&self, mut whole: &'a [f32], width: usize) -> Vec<&'a [f32]> {
        self.lengths.iter().map(|len| whole.split_off(..len * width).unwrap_or_default()).collect()
    }
    fn sequences_mut<'a>(&self, mut whole: &'a mut [f32], width: usize) -> Vec<&'a mut [f32]> {
        self.lengths.iter().map(|len| whole.split_off_mut(..len * width).unwrap_or_default()).collect()
    }

    #[inline(always)]
    fn forward(&self, qkv: &[f32], out: &mut [f32], d: usize) {
        let (len, size) = (out.len() / d, d / self.heads);
        let mut p = vec![0.0; len];
        for h in 0..self.heads {
            let head = Head::gather(qkv, len, d, h, size, &self.rope);
            for (i, out) in out.chunks_exact_mut(d).enumerate() {
                head.weights(i, self.causal, &mut p);
                let out = &mut out[h * size..][..size];
                for (&p, v) in p.iter().zip(head.v.chunks_exact(size)) {
                    add_scaled(out, p, v);
                }
            }
        }
    }

    #[inline(always)]
    fn backward(&self, qkv: &[f32], grad: &[f32], out: &mut [f32], d: usize) {
        let (len, size) = (grad.len() / d, d / self.heads);
        let scale = 1.0 / (size as f32).sqrt();
        let (mut p, mut dp) = (vec![0.0; len], vec![0.0; len]);
        for h in 0..self.heads {
            let head = Head::gather(qkv, len, d, h, size, &self.rope);
            let vt = transpose(&head.v, size);
            let mut dq = vec![0.0; len * size];
            let mut dk = vec![0.0; len * size];
            let mut dv = vec![0.0; len * size];
            for i in 0..len {
                let g = &grad[i * d + h * size..][..size];
                head.weights(i, self.causal, &mut p);
                dp.fill(0.0);
                for (&g, v) in g.iter().zip(vt.chunks_exact(len)) {
                    add_scaled(&mut dp, g, v);
                }
                let mean = dot(&p, &dp);
                let (q, dq) = (&head.q[i * size..][..size], &mut dq[i * size..][..size]);
                for (j, (&p, &dp)) in p.iter().zip(&dp).enumerate() {
                    let ds = p * (dp - mean);
                    add_scaled(&mut dv[j * size..][..size], p, g);
                    add_scaled(&mut dk[j * size..][..size], ds, q);
                    add_scaled(dq, ds, &head.k[j * size..][..size]);
                }
            }
            for pos in 0..len {
                let at = pos * size..(pos + 1) * size;
                self.rope.turn(&mut dq[at.clone()], pos, -1.0, scale);
                self.rope.turn(&mut dk[at.clone()], pos, -1.0, 1.0);
                for (which, part) in [&dq, &dk, &dv].into_iter().enumerate() {
                    out[pos * 3 * d + which * d + h * size..][..size].copy_from_slice(&part[at.clone()]);
                }
            }
        }
    }
}

impl CustomOp1 for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }
    fn cpu_fwd(&self, qkv: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, width) = layout.shape().dims2()?;
        let d = width / 3;
        if self.lengths.iter().sum::<usize>() != n {
            bail!("attention: {n} rows are not {:?} positions", self.lengths)
        }
        let qkv = floats(qkv, layout)?;
        let mut out = vec![0.0; n * d];
        let arch = pulp::Arch::new();
        let work = self.sequences(qkv, width).into_par_iter().zip(self.sequences_mut(&mut out, d));
        work.for_each(|(qkv, out)| arch.dispatch(|| self.forward(qkv, out, d)));
        Ok((CpuStorage::F32(out), (n, d).into()))
    }
    fn bwd(&self, qkv: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let width = qkv.dim(1)?;
        let d = width / 3;
        let out = with_floats([qkv, grad], |[qkv, grad]| {
            let mut out = vec![0.0; qkv.len()];
            let arch = pulp::Arch::new();
            let outs = self.sequences_mut(&mut out, width);
            let work = self.sequences(qkv, width).into_par_iter().zip(self.sequences(grad, d)).zip(outs);
            work.for_each(|((qkv, grad), out)| arch.dispatch(|| self.backward(qkv, grad, out, d)));
            out
        })?;
        Ok(Some(Tensor::from_vec(out, qkv.shape(), qkv.device())?))
    }
}
