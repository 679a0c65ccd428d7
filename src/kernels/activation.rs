//! Gated activations.

use super::math::{by_rows, sigmoid};

/// silu(gate)·up over rows that hold `gate` and `up` side by side: `x` is (n, 2f), `out` (n, f).
pub fn swiglu(out: &mut [f32], x: &[f32], f: usize) {
    by_rows(out, f, |first, out| {
        for (out, x) in out.chunks_exact_mut(f).zip(x[first * 2 * f..].chunks_exact(2 * f)) {
            let (gate, up) = x.split_at(f);
            for ((out, &gate), up) in out.iter_mut().zip(gate).zip(up) {
                *out = gate * sigmoid(gate) * up;
            }
        }
    });
}

/// Replaces `x` (n, 2f) by its gradient; `g` (n, f) is the gradient of [`swiglu`]'s output.
pub fn swiglu_backward(x: &mut [f32], g: &[f32], f: usize) {
    by_rows(x, 2 * f, |first, x| {
        for (x, g) in x.chunks_exact_mut(2 * f).zip(g[first * f..].chunks_exact(f)) {
            let (gate, up) = x.split_at_mut(f);
            for ((gate, up), g) in gate.iter_mut().zip(up).zip(g) {
                let (x, s) = (*gate, sigmoid(*gate));
                *gate = g * *up * s * (1.0 + x * (1.0 - s));
                *up = g * x * s;
            }
        }
    });
}
