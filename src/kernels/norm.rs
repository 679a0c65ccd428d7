//! Normalisation of rows.

use super::math::{by_rows, chunk_sums, dot, dot3, sum};
use super::multiversion::vectorised;

/// x·w / √(mean x² + ε), row by row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RmsNorm {
    /// The constant ε, which keeps rows of zeros finite.
    pub(crate) eps: f32,
}

impl RmsNorm {
    /// Normalises the rows of `x` into `out`; rows have the length of `w`.
    pub(crate) fn forward(&self, out: &mut [f32], x: &[f32], w: &[f32]) {
        by_rows(out, w.len(), |first, out| forward(out, &x[first * w.len()..], w, self.eps));
    }
    /// Adds the gradients to `dx` and `dw`; `g` is the gradient of the output.
    pub(crate) fn backward(&self, dx: &mut [f32], dw: &mut [f32], x: &[f32], w: &[f32], g: &[f32]) {
        let d = w.len();
        by_rows(dx, d, |first, dx| backward(dx, &x[first * d..], w, &g[first * d..], self.eps));
        chunk_sums(dw, x.len() / d, |rows, sum| {
            let at = rows.start * d..rows.end * d;
            weight_backward(sum, &x[at.clone()], &g[at], self.eps);
        });
    }
}

#[inline(always)]
fn scale(row: &[f32], eps: f32) -> f32 {
    1.0 / (dot(row, row) / row.len() as f32 + eps).sqrt()
}

vectorised! {
    fn forward(out: &mut [f32], x: &[f32], w: &[f32], eps: f32) {
        for (out, x) in out.chunks_exact_mut(w.len()).zip(x.chunks_exact(w.len())) {
            let r = scale(x, eps);
            for ((out, x), w) in out.iter_mut().zip(x).zip(w) {
                *out = x * r * w;
            }
        }
    }

    fn backward(dx: &mut [f32], x: &[f32], w: &[f32], g: &[f32], eps: f32) {
        let d = w.len();
        for ((dx, x), g) in dx.chunks_exact_mut(d).zip(x.chunks_exact(d)).zip(g.chunks_exact(d)) {
            let r = scale(x, eps);
            let pull = dot3(x, g, w) * r * r * r / d as f32;
            for (((dx, x), g), w) in dx.iter_mut().zip(x).zip(g).zip(w) {
                *dx += g * w * r - x * pull;
            }
        }
    }

    fn weight_backward(sum: &mut [f32], x: &[f32], g: &[f32], eps: f32) {
        let d = sum.len();
        for (x, g) in x.chunks_exact(d).zip(g.chunks_exact(d)) {
            let r = scale(x, eps);
            for ((sum, x), g) in sum.iter_mut().zip(x).zip(g) {
                *sum += g * x * r;
            }
        }
    }

    /// (x − mean)·w / √(variance + ε) + bias, row by row; without bias where it is empty.
    pub(crate) fn layer_norm_rows(out: &mut [f32], x: &[f32], w: &[f32], bias: &[f32], eps: f32) {
        let d = w.len();
        for (out, x) in out.chunks_exact_mut(d).zip(x.chunks_exact(d)) {
            let mean = sum(x) / d as f32;
            for (out, x) in out.iter_mut().zip(x) {
                *out = x - mean;
            }
            let r = 1.0 / (dot(out, out) / d as f32 + eps).sqrt();
            for (out, w) in out.iter_mut().zip(w) {
                *out *= r * w;
            }
            for (out, bias) in out.iter_mut().zip(bias) {
                *out += bias;
            }
        }
    }
}
