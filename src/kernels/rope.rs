//! Rotary positions (RoFormer, arXiv 2104.09864).

use super::math::by_rows;
use super::multiversion::vectorised;

/// The cosines and sines of every position's angles: max_len × size/2 each.
#[derive(Debug, Clone)]
pub(crate) struct Rope {
    half: usize,
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl Rope {
    /// Rotates the first `size` numbers (even) of each head, in pairs i and i + half, pair i by `pos·theta^(−2i/size)`.
    pub(crate) fn new(max_len: usize, size: usize, theta: f64) -> Self {
        let frequencies: Vec<f64> = (0..size / 2).map(|i| theta.powf(-2.0 * i as f64 / size as f64)).collect();
        Self::from_frequencies(max_len, &frequencies)
    }
    /// Rotates pair i by `pos·frequencies[i]`.
    pub(crate) fn from_frequencies(max_len: usize, frequencies: &[f64]) -> Self {
        let angles = || (0..max_len).flat_map(|pos| frequencies.iter().map(move |f| pos as f64 * f));
        Self {
            half: frequencies.len(),
            cos: angles().map(|a| a.cos() as f32).collect(),
            sin: angles().map(|a| a.sin() as f32).collect(),
        }
    }
    /// Rotates the first `turned` numbers of each row of `rows`, which holds heads of `size` numbers; one position per
    /// row.
    ///
    /// # Panics
    /// If a position exceeds the maximum.
    pub(crate) fn turn(&self, rows: &mut [f32], width: usize, turned: usize, size: usize, positions: &[usize]) {
        by_rows(rows, width, |first, rows| turn(self, rows, [width, turned, size], &positions[first..], 1.0));
    }
    /// The inverse of [`turn`](Self::turn), which is also its gradient.
    pub(crate) fn turn_back(&self, rows: &mut [f32], width: usize, turned: usize, size: usize, positions: &[usize]) {
        by_rows(rows, width, |first, rows| turn(self, rows, [width, turned, size], &positions[first..], -1.0));
    }
}

vectorised! {
    /// `sizes` are the widths of a row, of its rotated part, and of a head.
    fn turn(rope: &Rope, rows: &mut [f32], sizes: [usize; 3], positions: &[usize], direction: f32) {
        let (half, [width, turned, size]) = (rope.half, sizes);
        for (row, &pos) in rows.chunks_exact_mut(width).zip(positions) {
            let (cos, sin) = (&rope.cos[pos * half..][..half], &rope.sin[pos * half..][..half]);
            for head in row[..turned].chunks_exact_mut(size) {
                let (a, b) = head[..2 * half].split_at_mut(half);
                for (((a, b), cos), sin) in a.iter_mut().zip(b).zip(cos).zip(sin) {
                    (*a, *b) = turn_pair(*a, *b, *cos, sin * direction);
                }
            }
        }
    }
}

vectorised! {
    /// Rotates the first numbers of each head, in pairs i and i + half, by the angles of the row. `sizes` are the
    /// widths of a row and of a head, and half the rotated width.
    pub(crate) fn turn_rows(rows: &mut [f32], sizes: [usize; 3], cos: &[f32], sin: &[f32]) {
        let [width, size, half] = sizes;
        let angles = cos.chunks_exact(half).zip(sin.chunks_exact(half));
        for (row, (cos, sin)) in rows.chunks_exact_mut(width).zip(angles) {
            for head in row.chunks_exact_mut(size) {
                let (a, b) = head[..2 * half].split_at_mut(half);
                for (((a, b), cos), sin) in a.iter_mut().zip(b).zip(cos).zip(sin) {
                    (*a, *b) = turn_pair(*a, *b, *cos, *sin);
                }
            }
        }
    }
}

#[inline(always)]
fn turn_pair(a: f32, b: f32, cos: f32, sin: f32) -> (f32, f32) {
    (a * cos - b * sin, a * sin + b * cos)
}
