//! Normalisation of rows.

use super::math::{by_rows, chunk_sums, dot};

/// x·w / √(mean x² + ε), row by row.
#[derive(Debug, Clone, Copy)]
pub struct RmsNorm {
    /// Keeps rows of zeros finite.
    pub eps: f32,
}

impl RmsNorm {
    #[inline(always)]
    fn scale(&self, row: &[f32]) -> f32 {
        1.0 / (dot(row, row) / row.len() as f32 + self.eps).sqrt()
    }
    /// `out` and `x`: rows as long as `w`.
    pub fn forward(&self, out: &mut [f32], x: &[f32], w: &[f32]) {
        let d = w.len();
        by_rows(out, d, |first, out| {
            for (out, x) in out.chunks_exact_mut(d).zip(x[first * d..].chunks_exact(d)) {
                let r = self.scale(x);
                for ((out, x), w) in out.iter_mut().zip(x).zip(w) {
                    *out = x * r * w;
                }
            }
        });
    }
    /// Adds the gradients to `dx` and `dw`; `g` is the gradient of the output.
    pub fn backward(&self, dx: &mut [f32], dw: &mut [f32], x: &[f32], w: &[f32], g: &[f32]) {
        let d = w.len();
        by_rows(dx, d, |first, dx| {
            let rows = dx.chunks_exact_mut(d).zip(x[first * d..].chunks_exact(d)).zip(g[first * d..].chunks_exact(d));
            for ((dx, x), g) in rows {
                let r = self.scale(x);
                let pull = dot3(x, g, w) * r * r * r / d as f32;
                for (((dx, x), g), w) in dx.iter_mut().zip(x).zip(g).zip(w) {
                    *dx += g * w * r - x * pull;
                }
            }
        });
        chunk_sums(dw, x.len() / d, |rows, sum| {
            let at = rows.start * d..rows.end * d;
            for (x, g) in x[at.clone()].chunks_exact(d).zip(g[at].chunks_exact(d)) {
                let r = self.scale(x);
                for ((sum, x), g) in sum.iter_mut().zip(x).zip(g) {
                    *sum += g * x * r;
                }
            }
        });
    }
}

/// Σ aᵢbᵢcᵢ.
#[inline(always)]
fn dot3(a: &[f32], b: &[f32], c: &[f32]) -> f32 {
    let ((a, a_tail), (b, b_tail), (c, c_tail)) = (a.as_chunks::<16>(), b.as_chunks::<16>(), c.as_chunks::<16>());
    let mut lanes = [0.0f32; 16];
    for ((a, b), c) in a.iter().zip(b).zip(c) {
        for (((lane, a), b), c) in lanes.iter_mut().zip(a).zip(b).zip(c) {
            *lane += a * b * c;
        }
    }
    let tail = a_tail.iter().zip(b_tail).zip(c_tail).map(|((a, b), c)| a * b * c).sum::<f32>();
    lanes.iter().sum::<f32>() + tail
}
