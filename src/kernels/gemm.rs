//! Matrix products: views of slices with strides, cut into tiles for the threads; the `gemm` crate computes each tile.
#![allow(unsafe_code)]

use gemm::Parallelism;
use rayon::prelude::*;
use std::ops::Range;

/// A matrix in a slice: element (i, j) stands at `i·row_stride + j·column_stride`.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

/// A matrix to write to, its rows contiguous and `row_stride` apart.
pub struct MatrixMut<'a> {
    data: &'a mut [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
}

/// Numbers from the first to the last element.
fn extent(rows: usize, columns: usize, row_stride: usize) -> usize {
    if rows == 0 || columns == 0 { 0 } else { (rows - 1) * row_stride + columns }
}

impl<'a> Matrix<'a> {
    /// Row after row.
    pub fn new(data: &'a [f32], rows: usize, columns: usize) -> Self {
        Self::strided(data, rows, columns, columns)
    }
    /// Contiguous rows that start `row_stride` apart.
    ///
    /// # Panics
    /// When the slice is too short.
    pub fn strided(data: &'a [f32], rows: usize, columns: usize, row_stride: usize) -> Self {
        assert!(columns <= row_stride && extent(rows, columns, row_stride) <= data.len(), "a matrix beyond its slice");
        Self { data, rows, columns, row_stride, column_stride: 1 }
    }
    /// The part in these rows and columns.
    ///
    /// # Panics
    /// When it lies outside.
    pub fn part(self, rows: Range<usize>, columns: Range<usize>) -> Self {
        assert!(rows.end <= self.rows && columns.end <= self.columns, "a part outside its matrix");
        let (height, width) = (rows.len(), columns.len());
        let first =
            if height * width == 0 { 0 } else { rows.start * self.row_stride + columns.start * self.column_stride };
        Self { data: &self.data[first..], rows: height, columns: width, ..self }
    }
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }
    /// Rows and columns exchanged.
    pub fn t(self) -> Self {
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
    /// Row after row.
    pub fn new(data: &'a mut [f32], rows: usize, columns: usize) -> Self {
        Self::strided(data, rows, columns, columns)
    }
    /// Contiguous rows that start `row_stride` apart.
    ///
    /// # Panics
    /// When the slice is too short.
    pub fn strided(data: &'a mut [f32], rows: usize, columns: usize, row_stride: usize) -> Self {
        assert!(columns <= row_stride && extent(rows, columns, row_stride) <= data.len(), "a matrix beyond its slice");
        Self { data, rows, columns, row_stride }
    }
}

/// Rows and columns of a tile: large enough that packing the operands costs nothing beside the product, small enough
/// that there are some for each thread. The shape alone decides, so that results do not depend on the threads.
fn tile(rows: usize, columns: usize, depth: usize) -> (usize, usize) {
    const TILES: usize = 16;
    const SMALLEST: usize = 1 << 22;
    let (mut height, mut width) = (256.min(rows), 512.min(columns));
    while rows.div_ceil(height) * columns.div_ceil(width) < TILES && height * width * depth > 2 * SMALLEST {
        if width > height { width = width.div_ceil(2) } else { height = height.div_ceil(2) }
    }
    (height, width)
}

/// `out = alpha·a·b`, or `out += alpha·a·b`.
///
/// # Panics
/// When the shapes do not fit each other.
pub fn gemm(out: MatrixMut, a: Matrix, b: Matrix, alpha: f32, add: bool) {
    assert!(out.rows == a.rows && out.columns == b.columns && a.columns == b.rows, "shapes that do not multiply");
    if out.rows == 0 || out.columns == 0 {
        return;
    }
    let (height, width) = tile(out.rows, out.columns, a.columns);
    let (down, across) = (out.rows.div_ceil(height), out.columns.div_ceil(width));
    let (rows, columns, row_stride) = (out.rows, out.columns, out.row_stride);
    let target = Target(out.data.as_mut_ptr());
    let compute = |index: usize| {
        // Down first: neighbours share the columns of b.
        let (top, left) = (index % down * height, index / down * width);
        let (height, width) = (height.min(rows - top), width.min(columns - left));
        // SAFETY: the constructors have checked that the last element of each matrix lies in its slice, the tile lies
        // in the matrix, and tiles of different `index` share no element of `out`, which is borrowed mutably.
        unsafe {
            gemm::gemm(
                height,
                width,
                a.columns,
                target.get().add(top * row_stride + left),
                1,
                row_stride as isize,
                add,
                a.data.as_ptr().add(top * a.row_stride),
                a.column_stride as isize,
                a.row_stride as isize,
                b.data.as_ptr().add(left * b.column_stride),
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
    };
    match down * across {
        1 => compute(0),
        tiles => (0..tiles).into_par_iter().with_max_len(1).for_each(compute),
    }
}

/// Where the tiles are written.
struct Target(*mut f32);

impl Target {
    fn get(&self) -> *mut f32 {
        self.0
    }
}

// SAFETY: threads write through the pointer to disjoint tiles only (see `gemm`).
unsafe impl Sync for Target {}
