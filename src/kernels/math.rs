//! Loops over slices in a form that the compiler vectorises.

use super::multiversion::vectorised;
use super::scratch::with_scratch;
use half::{bf16, f16};
use rayon::prelude::*;
use std::ops::Range;

const LANES: usize = 16;

/// Calls `f(first_row, rows)` for chunks of rows, in parallel where the work is large enough.
pub(super) fn by_rows(out: &mut [f32], width: usize, f: impl Fn(usize, &mut [f32]) + Sync) {
    const SMALL: usize = 1 << 14;
    let rows = out.len() / width.max(1);
    if out.len() <= SMALL {
        return f(0, out);
    }
    let height = rows.div_ceil(4 * rayon::current_num_threads());
    out.par_chunks_mut(height * width).enumerate().for_each(|(i, chunk)| f(i * height, chunk));
}

/// Adds to `sum` the sums that `f` computes over ranges of `rows`. Each range is summed separately and the ranges are
/// added in order, so the result does not depend on the number of threads.
pub(super) fn chunk_sums(sum: &mut [f32], rows: usize, f: impl Fn(Range<usize>, &mut [f32]) + Sync) {
    const ROWS: usize = 128;
    let width = sum.len().max(1);
    with_scratch(rows.div_ceil(ROWS) * width, |parts| {
        parts.par_chunks_mut(width).enumerate().for_each(|(i, part)| {
            part.fill(0.0);
            f(i * ROWS..rows.min((i + 1) * ROWS), part);
        });
        for part in parts.chunks(width) {
            sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
        }
    });
}

/// eˣ to about 2 ulp (the Cephes polynomial), inlined; practically zero below −87.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    // Adding 1.5·2²³ rounds to an integer, which is then in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let power = shifted.to_bits() << 23;
    let n = shifted - ROUND;
    let r = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let p = 1.987_569_1e-4;
    let p = p * r + 1.398_2e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_5e-1;
    let p = p * r + 0.5;
    f32::from_bits((p * r * r + r + 1.0).to_bits().wrapping_add(power))
}

#[inline(always)]
pub(super) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

#[inline(always)]
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a, a_tail) = a.as_chunks::<LANES>();
    let (b, b_tail) = b.as_chunks::<LANES>();
    let mut lanes = [0.0f32; LANES];
    for (a, b) in a.iter().zip(b) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += a * b;
        }
    }
    lanes.iter().sum::<f32>() + a_tail.iter().zip(b_tail).map(|(a, b)| a * b).sum::<f32>()
}

/// Σ aᵢbᵢcᵢ.
#[inline(always)]
pub(super) fn dot3(a: &[f32], b: &[f32], c: &[f32]) -> f32 {
    let ((a, a_tail), (b, b_tail)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let (c, c_tail) = c.as_chunks::<LANES>();
    let mut lanes = [0.0f32; LANES];
    for ((a, b), c) in a.iter().zip(b).zip(c) {
        for (((lane, a), b), c) in lanes.iter_mut().zip(a).zip(b).zip(c) {
            *lane += a * b * c;
        }
    }
    let tail = a_tail.iter().zip(b_tail).zip(c_tail).map(|((a, b), c)| a * b * c).sum::<f32>();
    lanes.iter().sum::<f32>() + tail
}

#[inline(always)]
pub(super) fn max(xs: &[f32]) -> f32 {
    let (chunks, tail) = xs.as_chunks::<LANES>();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane = if x > *lane { x } else { *lane };
        }
    }
    lanes.iter().chain(tail).copied().fold(f32::NEG_INFINITY, f32::max)
}

#[inline(always)]
pub(super) fn sum(xs: &[f32]) -> f32 {
    let (chunks, tail) = xs.as_chunks::<LANES>();
    let mut lanes = [0.0f32; LANES];
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane += x;
        }
    }
    lanes.iter().sum::<f32>() + tail.iter().sum::<f32>()
}

/// Σ exp(x − shift).
#[inline(always)]
pub(super) fn sum_exp(xs: &[f32], shift: f32) -> f32 {
    let (chunks, tail) = xs.as_chunks::<LANES>();
    let mut lanes = [0.0f32; LANES];
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane += exp(x - shift);
        }
    }
    lanes.iter().sum::<f32>() + tail.iter().map(|&x| exp(x - shift)).sum::<f32>()
}

#[inline(always)]
pub(super) fn softmax(xs: &mut [f32]) {
    let shift = max(xs);
    for x in xs.iter_mut() {
        *x = exp(*x - shift);
    }
    let scale = 1.0 / sum(xs);
    for x in xs {
        *x *= scale;
    }
}

vectorised! {
    /// a + b.
    pub(super) fn add(out: &mut [f32], a: &[f32], b: &[f32]) {
        for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
            *out = a + b;
        }
    }

    /// a·b.
    pub(super) fn times(out: &mut [f32], a: &[f32], b: &[f32]) {
        for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
            *out = a * b;
        }
    }

    /// Widens numbers to f32.
    pub(super) fn widen_bf16(from: &[bf16], to: &mut [f32]) {
        for (from, to) in from.iter().zip(to) {
            *to = f32::from_bits(u32::from(from.to_bits()) << 16);
        }
    }

    /// Widens numbers to f32.
    pub(super) fn widen_f16(from: &[f16], to: &mut [f32]) {
        for (from, to) in from.iter().zip(to) {
            // Half precision becomes single precision by a multiplication (the exponents differ by 112), which is also
            // right for subnormal numbers.
            let bits = u32::from(from.to_bits());
            let magnitude = f32::from_bits((bits & 0x7fff) << 13) * f32::from_bits(0x7780_0000);
            let special = if bits & 0x7c00 == 0x7c00 { 0x7f80_0000 } else { 0 };
            *to = f32::from_bits(magnitude.to_bits() | special | (bits & 0x8000) << 16);
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_half_is_widened() {
        let halves: Vec<half::f16> = (0..=u16::MAX).map(half::f16::from_bits).collect();
        let mut wide = vec![0.0; halves.len()];
        super::widen_f16(&halves, &mut wide);
        for (half, wide) in halves.iter().zip(wide) {
            assert!(half.to_f32() == wide || half.is_nan() && wide.is_nan(), "{:x}", half.to_bits());
        }
    }

    #[test]
    fn exp_is_accurate() {
        for i in -8000..8000 {
            let x = i as f32 * 0.01;
            let (got, want) = (super::exp(x) as f64, (x as f64).exp());
            assert!((got / want - 1.0).abs() < 3e-7, "exp({x}) = {got}, not {want}");
        }
        assert!(super::exp(-1000.0) < 1e-37);
    }
}
