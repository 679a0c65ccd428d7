//! Matrix products: views of slices with strides, cut into tiles for the threads; the `gemm` crate computes each tile.
#![allow(unsafe_code)]

use super::forced;
use gemm::Parallelism;
use rayon::prelude::*;
use std::{marker::PhantomData, mem::MaybeUninit, ops::Range};
use stencil_engine::cpu;

/// A matrix view of a slice: element (i, j) is at `i·row_stride + j·column_stride`.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    pub(super) data: &'a [f32],
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) row_stride: usize,
    pub(super) column_stride: usize,
}

/// A writable matrix view with contiguous rows, `row_stride` apart.
pub(crate) struct MatrixMut<'a> {
    /// Pointer to the first element. Memory between the rows is not touched, since it may belong to another view.
    pub(super) first: *mut f32,
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) row_stride: usize,
    borrowed: PhantomData<&'a mut [f32]>,
}

// SAFETY: it is a mutable borrow of f32, which may move to other threads as `&mut [f32]` may.
unsafe impl Send for MatrixMut<'_> {}

/// Panics unless a matrix of contiguous rows, `row_stride` apart, lies within `len` numbers. No offset of its elements
/// overflows then, and its stride is an `isize`.
fn check_extent(rows: usize, columns: usize, row_stride: usize, len: usize) {
    let extent = match (rows, columns) {
        (0, _) | (_, 0) => Some(0),
        _ => (rows - 1).checked_mul(row_stride).and_then(|last| last.checked_add(columns)),
    };
    let fits = columns <= row_stride && isize::try_from(row_stride).is_ok() && extent.is_some_and(|n| n <= len);
    assert!(fits, "a matrix of {rows} × {columns}, rows {row_stride} apart, beyond its slice of {len}");
}

impl<'a> Matrix<'a> {
    /// A matrix stored row after row.
    ///
    /// # Panics
    /// If the slice is too short.
    pub(crate) fn new(data: &'a [f32], rows: usize, columns: usize) -> Self {
        Self::strided(data, rows, columns, columns)
    }
    /// A matrix of contiguous rows that start `row_stride` apart.
    ///
    /// # Panics
    /// If the slice is too short.
    pub(crate) fn strided(data: &'a [f32], rows: usize, columns: usize, row_stride: usize) -> Self {
        check_extent(rows, columns, row_stride, data.len());
        Self { data, rows, columns, row_stride, column_stride: 1 }
    }
    /// The submatrix of these rows and columns.
    ///
    /// # Panics
    /// If the submatrix lies outside.
    pub(crate) fn part(self, rows: Range<usize>, columns: Range<usize>) -> Self {
        assert!(rows.end <= self.rows && columns.end <= self.columns, "a part outside its matrix");
        let (height, width) = (rows.len(), columns.len());
        // The constructor has checked the offsets of all elements.
        let first = match (height, width) {
            (0, _) | (_, 0) => 0,
            _ => rows.start * self.row_stride + columns.start * self.column_stride,
        };
        Self { data: &self.data[first..], rows: height, columns: width, ..self }
    }
    /// Number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }
    /// The transposed view.
    pub(crate) fn t(self) -> Self {
        Self {
            data: self.data,
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
        }
    }
}

impl<'a> MatrixMut<'a> {
    /// A matrix stored row after row.
    ///
    /// # Panics
    /// If the slice is too short.
    pub(crate) fn new(data: &'a mut [f32], rows: usize, columns: usize) -> Self {
        Self::strided(data, rows, columns, columns)
    }
    /// A matrix stored row after row in uninitialised memory, which must be written before it is read.
    ///
    /// # Panics
    /// If the slice is too short.
    pub(super) fn uninit(data: &'a mut [MaybeUninit<f32>], rows: usize, columns: usize) -> Self {
        check_extent(rows, columns, columns, data.len());
        Self { first: data.as_mut_ptr().cast(), rows, columns, row_stride: columns, borrowed: PhantomData }
    }
    /// A matrix of contiguous rows that start `row_stride` apart.
    ///
    /// # Panics
    /// If the slice is too short.
    pub(crate) fn strided(data: &'a mut [f32], rows: usize, columns: usize, row_stride: usize) -> Self {
        check_extent(rows, columns, row_stride, data.len());
        Self { first: data.as_mut_ptr(), rows, columns, row_stride, borrowed: PhantomData }
    }
    /// Cuts the matrix into tiles of at most `height` rows and `width` columns, column by column.
    pub(super) fn tiles(self, height: usize, width: usize) -> impl Iterator<Item = (usize, usize, MatrixMut<'a>)> {
        let (rows, columns, row_stride) = (self.rows, self.columns, self.row_stride);
        (0..columns).step_by(width).flat_map(move |left| (0..rows).step_by(height).map(move |top| (top, left))).map(
            move |(top, left)| {
                // SAFETY: (top, left) is an element of this matrix, and the constructor has checked that all elements lie
                // in the slice. The parts share no element, and this matrix is used up, so each may be written while
                // the others are.
                let first = unsafe { self.first.add(top * row_stride + left) };
                let (rows, columns) = (height.min(rows - top), width.min(columns - left));
                (top, left, MatrixMut { first, rows, columns, row_stride, borrowed: PhantomData })
            },
        )
    }
}

/// The rows and columns of a tile. A tile is large enough that packing the operands costs little, and small enough that
/// each thread gets some. The size depends on the shape alone, so results do not depend on the number of threads.
fn tile(rows: usize, columns: usize, depth: usize) -> (usize, usize) {
    const TILES: usize = 16;
    const SMALLEST: usize = 1 << 22;
    let (mut height, mut width) = (256.min(rows).max(1), 512.min(columns).max(1));
    while rows.div_ceil(height) * columns.div_ceil(width) < TILES && height * width * depth > 2 * SMALLEST {
        if width > height { width = width.div_ceil(2) } else { height = height.div_ceil(2) }
    }
    (height, width)
}

/// `out = alpha·a·b`, or `out += alpha·a·b`.
///
/// # Panics
/// If the shapes do not fit each other.
pub(crate) fn gemm(out: MatrixMut, a: Matrix, b: Matrix, alpha: f32, add: bool) {
    assert!(out.rows == a.rows && out.columns == b.columns && a.columns == b.rows, "shapes that do not multiply");
    let (height, width) = tile(out.rows, out.columns, a.columns);
    if (height, width) == (out.rows, out.columns) {
        return multiply(out, a, b, alpha, add);
    }
    let tiles: Vec<_> = out.tiles(height, width).collect();
    tiles.into_par_iter().with_max_len(1).for_each(|(top, left, out)| {
        let a = a.part(top..top + out.rows, 0..a.columns);
        let b = b.part(0..b.rows, left..left + out.columns);
        multiply(out, a, b, alpha, add);
    });
}

/// As [`gemm`], on the calling thread.
pub(super) fn multiply(out: MatrixMut, a: Matrix, b: Matrix, alpha: f32, add: bool) {
    if cpu::lowered() {
        return forced::multiply(out, a, b, alpha, add, cpu::level());
    }
    assert!(out.rows == a.rows && out.columns == b.columns && a.columns == b.rows, "shapes that do not multiply");
    if out.rows == 0 || out.columns == 0 {
        return;
    }
    // SAFETY: the constructors have checked, without overflow, that the last element of each matrix lies in its slice
    // and that its stride is an `isize`; the shapes fit each other. `out` is a mutable borrow, so it overlaps neither a
    // nor b.
    unsafe {
        gemm::gemm(
            out.rows,
            out.columns,
            a.columns,
            out.first,
            1,
            out.row_stride as isize,
            add,
            a.data.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            1.0,
            alpha,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}
