//! Gated activations.

use super::math::{by_rows, sigmoid};
use super::multiversion::vectorised;

/// The nonlinearity of a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    /// SiLU: x·σ(x).
    Silu,
    /// The tanh approximation of GELU, x·Φ(x): x·σ(2·√(2/π)·(x + 0.044715·x³)).
    GeluTanh,
}

/// silu(gate)·up over rows that hold `gate` and `up` side by side: `x` is (n, 2f), `out` (n, f).
pub(crate) fn swiglu(out: &mut [f32], x: &[f32], f: usize) {
    by_rows(out, f, |first, out| swiglu_rows(out, &x[first * 2 * f..], f));
}

/// Replaces `x` (n, 2f) by its gradient; `g` (n, f) is the gradient of [`swiglu`]'s output.
pub(crate) fn swiglu_backward(x: &mut [f32], g: &[f32], f: usize) {
    by_rows(x, 2 * f, |first, x| swiglu_backward_rows(x, &g[first * f..], f));
}

vectorised! {
    /// act(gate)·up.
    pub(crate) fn gated(out: &mut [f32], kind: Gate, gate: &[f32], up: &[f32]) {
        let values = out.iter_mut().zip(gate).zip(up);
        match kind {
            Gate::Silu => {
                for ((out, &x), up) in values {
                    *out = x * sigmoid(x) * up;
                }
            }
            Gate::GeluTanh => {
                for ((out, &x), up) in values {
                    *out = x * sigmoid(1.595_769 * (x + 0.044_715 * x * x * x)) * up;
                }
            }
        }
    }

    fn swiglu_rows(out: &mut [f32], x: &[f32], f: usize) {
        for (out, x) in out.chunks_exact_mut(f).zip(x.chunks_exact(2 * f)) {
            let (gate, up) = x.split_at(f);
            for ((out, &gate), up) in out.iter_mut().zip(gate).zip(up) {
                *out = gate * sigmoid(gate) * up;
            }
        }
    }

    fn swiglu_backward_rows(x: &mut [f32], g: &[f32], f: usize) {
        for (x, g) in x.chunks_exact_mut(2 * f).zip(g.chunks_exact(f)) {
            let (gate, up) = x.split_at_mut(f);
            let ((gate, gate_tail), (up, up_tail)) = (gate.as_chunks_mut::<16>(), up.as_chunks_mut::<16>());
            let (g, g_tail) = g.as_chunks::<16>();
            for ((gate, up), g) in gate.iter_mut().zip(up).zip(g) {
                // The rows are copied: the compiler cannot tell that two parts of a row do not overlap.
                let (mut dgate, mut dup) = (*gate, *up);
                for ((gate, up), g) in dgate.iter_mut().zip(&mut dup).zip(g) {
                    (*gate, *up) = swiglu_pair(*gate, *up, *g);
                }
                (*gate, *up) = (dgate, dup);
            }
            for ((gate, up), g) in gate_tail.iter_mut().zip(up_tail).zip(g_tail) {
                (*gate, *up) = swiglu_pair(*gate, *up, *g);
            }
        }
    }
}

/// The gradients of gate and up.
#[inline(always)]
fn swiglu_pair(gate: f32, up: f32, g: f32) -> (f32, f32) {
    let s = sigmoid(gate);
    (g * up * s * (1.0 + gate * (1.0 - s)), g * gate * s)
}
