//! Products with the rows of a weight: a few rows at a time become f32 in the cache and meet all positions there, so
//! that a weight costs its memory traffic once, in whatever numbers it is stored.

use super::gemm::{Matrix, MatrixMut, multiply};
use super::scratch::with_scratch;
use rayon::prelude::*;

/// `out = a·bᵀ` for a `b` that is stored in other numbers: `widen(row, from, to)` writes those of a row as f32, from one
/// at a multiple of 1024 on.
///
/// # Panics
/// When the shapes do not fit each other.
pub fn gemm_widening(out: MatrixMut, a: Matrix, widen: impl Fn(usize, usize, &mut [f32]) + Sync) {
    #[cfg(target_arch = "x86_64")]
    if a.column_stride == 1 && matches!(super::simd::level(), super::simd::Level::Avx512) {
        return avx512::gemm_widening(out, a, widen);
    }
    portable(out, a, widen);
}

/// By the general product.
pub(super) fn portable(out: MatrixMut, a: Matrix, widen: impl Fn(usize, usize, &mut [f32]) + Sync) {
    // What fits into a cache of half a megabyte.
    const PANEL: usize = 1 << 17;
    let depth = a.columns;
    assert!(out.rows == a.rows, "shapes that do not multiply");
    let (height, width) = (out.rows.max(1), (PANEL / depth.max(1)).clamp(16, 256));
    let panels: Vec<_> = out.tiles(height, width).collect();
    panels.into_par_iter().with_max_len(1).for_each(|(_, left, out)| {
        with_scratch(out.columns * depth, |rows| {
            rows.chunks_exact_mut(depth.max(1)).zip(left..).for_each(|(to, row)| widen(row, 0, to));
            let b = Matrix::new(rows, out.columns, depth).t();
            multiply(out, a, b, 1.0, false);
        });
    });
}

/// Positions lie in the lanes of vectors, numbers of the weight are spread over them: neither a transposed weight nor
/// sums across lanes are needed.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
pub(super) mod avx512 {
    use super::super::gemm::{Matrix, MatrixMut};
    use super::super::scratch::with_scratch;
    use rayon::prelude::*;
    use std::arch::x86_64::*;
    use std::array;

    const LANES: usize = 16;
    /// Rows of the weight that are in f32 at a time: a multiple of 16 and of the heights of all tiles.
    const ROWS: usize = 48;
    /// Numbers of such a row.
    const DEPTH: usize = 1024;
    /// Between two rows: off the powers of two, at which they would evict each other.
    const STRIDE: usize = DEPTH + LANES;
    /// Positions that meet the rows.
    const POSITIONS: usize = 256;
    /// Positions that are laid out for it at a time, which bounds the memory that it takes.
    const PACKED: usize = 4 * POSITIONS;

    /// Widths, in vectors, of the panels that hold so many positions: as many registers as there are have work.
    fn panels(positions: usize) -> impl Iterator<Item = (usize, usize)> {
        let all = positions.div_ceil(LANES);
        let mut first = 0;
        std::iter::from_fn(move || {
            let width = match all - first {
                0 => return None,
                left @ (1 | 3) => left,
                _ => 2,
            };
            first += width;
            Some(((first - width) * LANES, width))
        })
    }

    /// See the function of this name outside. `a` has contiguous rows.
    pub fn gemm_widening(out: MatrixMut, a: Matrix, widen: impl Fn(usize, usize, &mut [f32]) + Sync) {
        let depth = a.columns;
        assert!(out.rows == a.rows && a.column_stride == 1, "shapes that do not multiply");
        let width = out.columns.max(1);
        for (top, _, out) in out.tiles(PACKED, width) {
            let rows = top..top + out.rows;
            pass(out, a.part(rows, 0..depth), &widen);
        }
    }

    fn pass(out: MatrixMut, a: Matrix, widen: &(impl Fn(usize, usize, &mut [f32]) + Sync)) {
        let depth = a.columns;
        with_scratch(a.rows.next_multiple_of(LANES) * depth, |packed| {
            let mut rest = &mut *packed;
            let mut parts = Vec::new();
            for top in (0..a.rows).step_by(POSITIONS) {
                for (first, width) in panels(POSITIONS.min(a.rows - top)) {
                    let own = rest.split_off_mut(..width * LANES * depth).unwrap_or_default();
                    let rows = top + first..a.rows.min(top + first + width * LANES);
                    parts.push((own, a.part(rows, 0..depth), width * LANES));
                }
            }
            // SAFETY: the caller has looked that the machine has AVX-512.
            parts.into_par_iter().for_each(|(to, from, width)| unsafe { pack(to, from, width) });
            let tasks: Vec<_> = out.tiles(POSITIONS, ROWS).collect();
            tasks.into_par_iter().with_max_len(1).for_each(|(top, left, out)| {
                let positions = out.rows.next_multiple_of(LANES);
                let x = &packed[top * depth..][..positions * depth];
                with_scratch(ROWS * STRIDE + positions * ROWS, |scratch| {
                    let (rows, sums) = scratch.split_at_mut(ROWS * STRIDE);
                    let widen = |row: usize, from: usize, to: &mut [f32]| widen(left + row, from, to);
                    // SAFETY: as above.
                    unsafe { task(out, x, depth, rows, sums, widen) };
                });
            });
        });
    }

    /// The rows of `from` beside each other: number k of row i at `k·width + i`, zeros for rows that are not there.
    #[target_feature(enable = "avx512f")]
    fn pack(to: &mut [f32], from: Matrix, width: usize) {
        let (depth, stride) = (from.columns, from.row_stride);
        for first in (0..width).step_by(LANES) {
            for k in (0..depth).step_by(LANES) {
                let (height, columns) = (LANES.min(depth - k), mask(depth - k));
                let mut block = [_mm512_setzero_ps(); LANES];
                for (i, row) in block.iter_mut().enumerate().take(from.rows.saturating_sub(first)) {
                    let row_start = &from.data[(first + i) * stride + k..];
                    assert!(row_start.len() >= height);
                    // SAFETY: the mask reads `height` numbers at most, which are there.
                    *row = unsafe { _mm512_maskz_loadu_ps(columns, row_start.as_ptr()) };
                }
                transpose(&mut block);
                for (i, column) in block.iter().enumerate().take(height) {
                    let to = &mut to[(k + i) * width + first..][..LANES];
                    // SAFETY: the slice has 16 numbers.
                    unsafe { _mm512_storeu_ps(to.as_mut_ptr(), *column) };
                }
            }
        }
    }

    /// The first `count` lanes.
    fn mask(count: usize) -> __mmask16 {
        if count >= LANES { !0 } else { (1 << count) - 1 }
    }

    /// Some rows of the weight and some positions: `rows` and `sums` are buffers.
    #[target_feature(enable = "avx512f")]
    fn task(
        out: MatrixMut,
        x: &[f32],
        depth: usize,
        rows: &mut [f32],
        sums: &mut [f32],
        widen: impl Fn(usize, usize, &mut [f32]),
    ) {
        for from in (0..depth.max(1)).step_by(DEPTH) {
            let deep = DEPTH.min(depth - from);
            for (row, to) in rows.chunks_exact_mut(STRIDE).enumerate().take(out.columns) {
                widen(row, from, &mut to[..deep]);
            }
            for (first, width) in panels(out.rows) {
                let x = &x[first * depth + from * width * LANES..][..deep * width * LANES];
                let sums = &mut sums[first * ROWS..][..width * LANES * ROWS];
                let (count, add) = (out.columns, from > 0);
                match width {
                    1 => tiles::<24, 1>(rows, x, sums, count, add),
                    2 => tiles::<12, 2>(rows, x, sums, count, add),
                    _ => tiles::<8, 3>(rows, x, sums, count, add),
                }
            }
        }
        for (first, width) in panels(out.rows) {
            write(&out, first, &sums[first * ROWS..][..width * LANES * ROWS], width * LANES);
        }
    }

    /// Products of `count` rows with a panel of V vectors of positions, H rows at a time.
    #[target_feature(enable = "avx512f")]
    fn tiles<const H: usize, const V: usize>(rows: &[f32], x: &[f32], sums: &mut [f32], count: usize, add: bool) {
        let parts = rows.chunks_exact(H * STRIDE).zip(sums.chunks_exact_mut(H * V * LANES));
        for (rows, sums) in parts.take(count.div_ceil(H)) {
            tile::<H, V>(rows, x, sums, add);
        }
    }

    #[target_feature(enable = "avx512f")]
    fn tile<const H: usize, const V: usize>(rows: &[f32], x: &[f32], sums: &mut [f32], add: bool) {
        assert!(rows.len() >= H * STRIDE && sums.len() >= H * V * LANES && x.len() / (V * LANES) <= STRIDE);
        let mut all = [[_mm512_setzero_ps(); V]; H];
        let sums = sums.as_mut_ptr();
        if add {
            for (i, own) in all.iter_mut().enumerate() {
                for (v, sum) in own.iter_mut().enumerate() {
                    // SAFETY: `sums` has H·V vectors.
                    *sum = unsafe { _mm512_loadu_ps(sums.add((i * V + v) * LANES)) };
                }
            }
        }
        let (mut row, mut column) = (rows.as_ptr(), x.as_ptr());
        for _ in 0..x.len() / (V * LANES) {
            // SAFETY: `x` has as many columns of V vectors as this loop has rounds, and each row more numbers than that.
            unsafe {
                let mut at = [_mm512_setzero_ps(); V];
                for (v, at) in at.iter_mut().enumerate() {
                    *at = _mm512_loadu_ps(column.add(v * LANES));
                }
                for (i, own) in all.iter_mut().enumerate() {
                    let weight = _mm512_set1_ps(*row.add(i * STRIDE));
                    for (sum, at) in own.iter_mut().zip(&at) {
                        *sum = _mm512_fmadd_ps(weight, *at, *sum);
                    }
                }
                row = row.add(1);
                column = column.add(V * LANES);
            }
        }
        for (i, own) in all.iter().enumerate() {
            for (v, sum) in own.iter().enumerate() {
                // SAFETY: as above.
                unsafe { _mm512_storeu_ps(sums.add((i * V + v) * LANES), *sum) };
            }
        }
    }

    /// Writes the sums of a panel that starts at position `first`, `width` positions side by side for each row.
    #[target_feature(enable = "avx512f")]
    fn write(out: &MatrixMut, first: usize, sums: &[f32], width: usize) {
        for left in (0..out.columns).step_by(LANES) {
            let columns = mask(out.columns - left);
            for lane in (0..width).step_by(LANES) {
                let mut block = [_mm512_setzero_ps(); LANES];
                for (i, row) in block.iter_mut().enumerate() {
                    let sums = &sums[(left + i) * width + lane..][..LANES];
                    // SAFETY: the slice has 16 numbers.
                    *row = unsafe { _mm512_loadu_ps(sums.as_ptr()) };
                }
                transpose(&mut block);
                for (row, values) in (first + lane..out.rows).zip(&block) {
                    // SAFETY: row and left lie in `out`, and the mask keeps to its columns.
                    unsafe { _mm512_mask_storeu_ps(out.first.add(row * out.row_stride + left), columns, *values) };
                }
            }
        }
    }

    /// Exchanges rows and lanes.
    #[target_feature(enable = "avx512f")]
    fn transpose(rows: &mut [__m512; LANES]) {
        let pairs = |a, b| (_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
        let doubles = |a, b| {
            let (a, b) = (_mm512_castps_pd(a), _mm512_castps_pd(b));
            (_mm512_castpd_ps(_mm512_unpacklo_pd(a, b)), _mm512_castpd_ps(_mm512_unpackhi_pd(a, b)))
        };
        // Within each quarter of the lanes, 4 × 4.
        for four in rows.as_chunks_mut::<4>().0 {
            let [a, b, c, d] = *four;
            let ((a, b), (c, d)) = (pairs(a, b), pairs(c, d));
            let ((w, x), (y, z)) = (doubles(a, c), doubles(b, d));
            *four = [w, x, y, z];
        }
        // The quarters among each other.
        let old = *rows;
        for i in 0..4 {
            let [a, b, c, d] = array::from_fn(|q| old[4 * q + i]);
            let (ab_even, ab_odd) = (_mm512_shuffle_f32x4::<0x88>(a, b), _mm512_shuffle_f32x4::<0xdd>(a, b));
            let (cd_even, cd_odd) = (_mm512_shuffle_f32x4::<0x88>(c, d), _mm512_shuffle_f32x4::<0xdd>(c, d));
            rows[i] = _mm512_shuffle_f32x4::<0x88>(ab_even, cd_even);
            rows[4 + i] = _mm512_shuffle_f32x4::<0x88>(ab_odd, cd_odd);
            rows[8 + i] = _mm512_shuffle_f32x4::<0xdd>(ab_even, cd_even);
            rows[12 + i] = _mm512_shuffle_f32x4::<0xdd>(ab_odd, cd_odd);
        }
    }
}
