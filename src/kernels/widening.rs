//! Products with the rows of a stored weight. A few rows at a time are widened to f32 in the cache and multiplied with
//! all positions, so a weight is read from memory once, whatever its type.
//!
//! The lanes of a vector hold positions, and each number of the weight is broadcast. No weight is transposed and no sum
//! crosses lanes, and the result of a position does not depend on the number of other positions.
#![allow(unsafe_code)]

use super::gemm::{Matrix, MatrixMut};
use super::register::{MOST, Register};
use super::scratch::with_scratch;
use candle_core::Result;
use rayon::prelude::*;
use std::ops::Range;
use stencil_engine::cpu::{Level, level};

/// The rows of a weight.
pub(crate) trait Rows: Sync {
    /// Converts numbers of a row to f32; `from` is a multiple of 1024.
    ///
    /// # Errors
    /// A row that cannot be read; the contents of `to` are then unspecified.
    fn widen(&self, row: usize, from: usize, to: &mut [f32]) -> Result<()>;
    /// The memory of these rows, or of the first of them, for prefetching.
    fn stored(&self, rows: Range<usize>) -> Range<*const u8>;
}

/// Number of rows that are in f32 at a time: a multiple of the lanes and of the heights of all tiles.
const ROWS: usize = 48;
/// Number of columns that are in f32 at a time.
const DEPTH: usize = 1024;
/// Distance between two rows in f32. It is no power of two, so that rows do not evict each other from the cache.
const STRIDE: usize = DEPTH + MOST;
/// Number of positions that are multiplied with the rows at a time.
const POSITIONS: usize = 256;
/// Number of positions that are packed at a time, which bounds the memory of the packed positions.
const PACKED: usize = 4 * POSITIONS;
/// Number of columns between two prefetches.
const STEP: usize = 8;

/// Computes a·bᵀ for a `b` of `count` rows and an `a` of contiguous rows, row after row.
///
/// # Errors
/// As [`Rows::widen`].
///
/// # Panics
/// If the rows of `a` are not contiguous.
pub(crate) fn gemm_widening(a: Matrix, rows: &impl Rows, count: usize) -> Result<Vec<f32>> {
    let size = a.rows.saturating_mul(count);
    let mut out = Vec::with_capacity(size);
    multiply(MatrixMut::uninit(out.spare_capacity_mut(), a.rows, count), a, rows, level())?;
    // SAFETY: the product went through, so it has written every number.
    unsafe { out.set_len(size) };
    Ok(out)
}

/// Writes all of `out` with the instructions of a level.
pub(super) fn multiply(out: MatrixMut, a: Matrix, rows: &impl Rows, level: Level) -> Result<()> {
    match level {
        #[cfg(target_arch = "x86_64")]
        Level::Avx512(proof) => product(out, a, rows, avx512::kernel(proof)),
        #[cfg(target_arch = "x86_64")]
        Level::Avx2(proof) => product(out, a, rows, avx2::kernel(proof)),
        _ => product(out, a, rows, basic::kernel(())),
    }
}

/// The code for a register type. A value holds the proof that the processor has the instructions of the code.
struct Kernel<R, P> {
    lanes: usize,
    proof: P,
    pack: unsafe fn(P, &mut [f32], Matrix, usize),
    task: TaskFunction<R, P>,
}

type TaskFunction<R, P> = unsafe fn(P, Task<R>, &mut [f32], &mut [f32]) -> Result<()>;

/// A task: some rows of the weight and some positions.
struct Task<'a, R> {
    out: MatrixMut<'a>,
    /// The positions as packed by [`pack`], panel after panel.
    x: &'a [f32],
    depth: usize,
    rows: &'a R,
    /// The first row.
    left: usize,
    /// The memory of the next rows, to prefetch.
    next: Range<*const u8>,
}

/// Declares a kernel. The three heights are those of tiles that are one, two and three vectors wide.
macro_rules! kernel {
    ($name:ident, $register:ty, [$one:literal, $two:literal, $three:literal] $(, $features:meta)?) => {
        mod $name {
            use super::{Kernel, Matrix, Result, Register, Rows, Task};

            type Proof = <$register as Register>::Proof;

            pub(super) fn kernel<R: Rows>(proof: Proof) -> Kernel<R, Proof> {
                $(#[$features])?
                fn pack(proof: Proof, to: &mut [f32], from: Matrix, width: usize) {
                    super::pack::<$register>(proof, to, from, width);
                }
                $(#[$features])?
                fn task<R: Rows>(proof: Proof, task: Task<R>, wide: &mut [f32], sums: &mut [f32]) -> Result<()> {
                    super::task::<$register, R, $one, $two, $three>(proof, task, wide, sums)
                }
                Kernel { lanes: <$register as Register>::COUNT, proof, pack, task }
            }
        }
    };
}
kernel!(basic, [f32; 4], [12, 6, 4]);
#[cfg(target_arch = "x86_64")]
kernel!(avx2, super::super::register::Ymm, [12, 6, 4], target_feature(enable = "avx2,fma"));
#[cfg(target_arch = "x86_64")]
kernel!(avx512, super::super::register::Zmm, [24, 12, 8], target_feature(enable = "avx512f"));

/// The first position and the width in vectors of each panel; together the panels hold `positions` positions and use
/// all registers.
#[inline(always)]
fn panels(positions: usize, lanes: usize) -> impl Iterator<Item = (usize, usize)> {
    let all = positions.div_ceil(lanes);
    let mut first = 0;
    std::iter::from_fn(move || {
        let width = match all - first {
            0 => return None,
            left @ (1 | 3) => left,
            _ => 2,
        };
        first += width;
        Some(((first - width) * lanes, width))
    })
}

fn product<R: Rows, P: Copy + Sync>(out: MatrixMut, a: Matrix, rows: &R, kernel: Kernel<R, P>) -> Result<()> {
    let depth = a.columns;
    assert!(out.rows == a.rows && a.column_stride == 1, "shapes that do not multiply");
    let width = out.columns.max(1);
    for (top, _, out) in out.tiles(PACKED, width) {
        pass(out, a.part(top..a.rows.min(top + PACKED), 0..depth), rows, &kernel)?;
    }
    Ok(())
}

fn pass<R: Rows, P: Copy + Sync>(out: MatrixMut, a: Matrix, rows: &R, kernel: &Kernel<R, P>) -> Result<()> {
    let (depth, lanes, outs) = (a.columns, kernel.lanes, out.columns);
    with_scratch(a.rows.next_multiple_of(lanes) * depth, |packed| {
        let mut rest = &mut *packed;
        let mut parts = Vec::new();
        for top in (0..a.rows).step_by(POSITIONS) {
            for (first, width) in panels(POSITIONS.min(a.rows - top), lanes) {
                let own = rest.split_off_mut(..width * lanes * depth).unwrap_or_default();
                let part = top + first..a.rows.min(top + first + width * lanes);
                parts.push((own, a.part(part, 0..depth), width * lanes));
            }
        }
        // SAFETY: the kernel holds a proof that the processor has the instructions that its functions require.
        parts.into_par_iter().for_each(|(to, from, width)| unsafe { (kernel.pack)(kernel.proof, to, from, width) });
        let tasks: Vec<_> = out.tiles(POSITIONS, ROWS).collect();
        tasks.into_par_iter().with_max_len(1).try_for_each(|(top, left, out)| {
            let positions = out.rows.next_multiple_of(lanes);
            let x = &packed[top * depth..][..positions * depth];
            let next = left + out.columns..outs.min(left + out.columns + ROWS);
            let task = Task { out, x, depth, rows, left, next: rows.stored(next) };
            with_scratch(ROWS * STRIDE + positions * ROWS, |scratch| {
                let (wide, sums) = scratch.split_at_mut(ROWS * STRIDE);
                // SAFETY: as above.
                unsafe { (kernel.task)(kernel.proof, task, wide, sums) }
            })
        })
    })
}

/// Packs the rows of `from` side by side: number k of row i is at `k·width + i`. Missing rows are zeros.
#[inline(always)]
fn pack<L: Register>(proof: L::Proof, to: &mut [f32], from: Matrix, width: usize) {
    let (depth, stride) = (from.columns, from.row_stride);
    for first in (0..width).step_by(L::COUNT) {
        for k in (0..depth).step_by(L::COUNT) {
            let height = L::COUNT.min(depth - k);
            let mut block = [L::splat(proof, 0.0); MOST];
            for (i, row) in block[..L::COUNT].iter_mut().enumerate().take(from.rows.saturating_sub(first)) {
                let start = &from.data[(first + i) * stride + k..];
                assert!(start.len() >= height);
                // SAFETY: `height` numbers are there.
                *row = unsafe { L::load_first(proof, start.as_ptr(), height) };
            }
            L::transpose(&mut block);
            for (i, column) in block[..L::COUNT].iter().enumerate().take(height) {
                let to = &mut to[(k + i) * width + first..][..L::COUNT];
                // SAFETY: the slice has room for a vector.
                unsafe { column.store(to.as_mut_ptr()) };
            }
        }
    }
}

/// Computes one task; `wide` and `sums` are buffers.
#[inline(always)]
fn task<L: Register, R: Rows, const ONE: usize, const TWO: usize, const THREE: usize>(
    proof: L::Proof,
    task: Task<R>,
    wide: &mut [f32],
    sums: &mut [f32],
) -> Result<()> {
    let Task { out, x, depth, rows, left, next } = task;
    let mut ahead = Ahead::new(next, panels(out.rows, L::COUNT).count() * out.columns.div_ceil(TWO) * depth / STEP);
    for from in (0..depth.max(1)).step_by(DEPTH) {
        let deep = DEPTH.min(depth - from);
        for (row, to) in wide.chunks_exact_mut(STRIDE).enumerate().take(out.columns) {
            rows.widen(left + row, from, &mut to[..deep])?;
        }
        for (first, width) in panels(out.rows, L::COUNT) {
            let x = &x[first * depth + from * width * L::COUNT..][..deep * width * L::COUNT];
            let sums = &mut sums[first * ROWS..][..width * L::COUNT * ROWS];
            let (count, add) = (out.columns, from > 0);
            match width {
                1 => tiles::<L, ONE, 1>(proof, wide, x, sums, count, add, &mut ahead),
                2 => tiles::<L, TWO, 2>(proof, wide, x, sums, count, add, &mut ahead),
                _ => tiles::<L, THREE, 3>(proof, wide, x, sums, count, add, &mut ahead),
            }
        }
    }
    for (first, width) in panels(out.rows, L::COUNT) {
        write::<L>(proof, &out, first, &sums[first * ROWS..][..width * L::COUNT * ROWS], width * L::COUNT);
    }
    Ok(())
}

/// Memory that is prefetched a few lines at a time during the computation.
struct Ahead {
    left: Range<*const u8>,
    /// Number of cache lines per call.
    share: usize,
}

impl Ahead {
    const LINE: usize = 64;

    fn new(bytes: Range<*const u8>, calls: usize) -> Self {
        let lines = bytes.end.addr().saturating_sub(bytes.start.addr()).div_ceil(Self::LINE);
        Self { left: bytes, share: lines.div_ceil(calls.max(1)) }
    }
    #[inline(always)]
    fn call(&mut self) {
        for _ in 0..self.share {
            if self.left.is_empty() {
                return;
            }
            #[cfg(target_arch = "x86_64")]
            // SAFETY: a hint, which may name any place.
            unsafe {
                use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
                _mm_prefetch::<_MM_HINT_T1>(self.left.start.cast());
            }
            self.left.start = self.left.start.wrapping_add(Self::LINE);
        }
    }
}

/// Products of `count` rows with a panel of V vectors of positions, H rows at a time.
#[inline(always)]
fn tiles<L: Register, const H: usize, const V: usize>(
    proof: L::Proof,
    wide: &[f32],
    x: &[f32],
    sums: &mut [f32],
    count: usize,
    add: bool,
    ahead: &mut Ahead,
) {
    let parts = wide.chunks_exact(H * STRIDE).zip(sums.chunks_exact_mut(H * V * L::COUNT));
    for (wide, sums) in parts.take(count.div_ceil(H)) {
        tile::<L, H, V>(proof, wide, x, sums, add, ahead);
    }
}

#[inline(always)]
fn tile<L: Register, const H: usize, const V: usize>(
    proof: L::Proof,
    wide: &[f32],
    x: &[f32],
    sums: &mut [f32],
    add: bool,
    ahead: &mut Ahead,
) {
    let deep = x.len() / (V * L::COUNT);
    assert!(wide.len() >= H * STRIDE && sums.len() >= H * V * L::COUNT && deep <= STRIDE);
    let mut all = [[L::splat(proof, 0.0); V]; H];
    let sums = sums.as_mut_ptr();
    if add {
        for (i, own) in all.iter_mut().enumerate() {
            for (v, sum) in own.iter_mut().enumerate() {
                // SAFETY: `sums` has H·V vectors.
                *sum = unsafe { L::load(proof, sums.add((i * V + v) * L::COUNT)) };
            }
        }
    }
    let (mut row, mut column) = (wide.as_ptr(), x.as_ptr());
    for from in (0..deep).step_by(STEP) {
        ahead.call();
        for _ in from..deep.min(from + STEP) {
            // SAFETY: `x` has as many columns of V vectors as there are rounds, and each row more numbers than that.
            unsafe {
                let mut at = [L::splat(proof, 0.0); V];
                for (v, at) in at.iter_mut().enumerate() {
                    *at = L::load(proof, column.add(v * L::COUNT));
                }
                for (i, own) in all.iter_mut().enumerate() {
                    let weight = L::splat(proof, *row.add(i * STRIDE));
                    for (sum, at) in own.iter_mut().zip(&at) {
                        *sum = weight.multiply_add(*at, *sum);
                    }
                }
                row = row.add(1);
                column = column.add(V * L::COUNT);
            }
        }
    }
    for (i, own) in all.iter().enumerate() {
        for (v, sum) in own.iter().enumerate() {
            // SAFETY: as above.
            unsafe { sum.store(sums.add((i * V + v) * L::COUNT)) };
        }
    }
}

/// Writes the sums of a panel that starts at position `first`: `width` adjacent positions for each row.
#[inline(always)]
fn write<L: Register>(proof: L::Proof, out: &MatrixMut, first: usize, sums: &[f32], width: usize) {
    for left in (0..out.columns).step_by(L::COUNT) {
        let columns = L::COUNT.min(out.columns - left);
        for lane in (0..width).step_by(L::COUNT) {
            let mut block = [L::splat(proof, 0.0); MOST];
            for (i, row) in block[..L::COUNT].iter_mut().enumerate() {
                let sums = &sums[(left + i) * width + lane..][..L::COUNT];
                // SAFETY: the slice has a vector.
                *row = unsafe { L::load(proof, sums.as_ptr()) };
            }
            L::transpose(&mut block);
            for (row, values) in (first + lane..out.rows).zip(&block[..L::COUNT]) {
                // SAFETY: `row` and `left` lie in `out`, and so do so many columns.
                unsafe { values.store_first(out.first.add(row * out.row_stride + left), columns) };
            }
        }
    }
}
