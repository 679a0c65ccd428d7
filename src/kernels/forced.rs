//! Products at an instruction level below the best one.
//!
//! The `gemm` crate detects the processor and uses its best instructions. Where `STENCIL_SIMD` forces a lower level,
//! this module runs the crate's generic product with the microkernels of that level, so the results have the same bits
//! as on a processor without the better instructions.
#![allow(unsafe_code)]

use super::gemm::{Matrix, MatrixMut};
use gemm_common::simd::{MixedSimd, Scalar};
use gemm_common::{Parallelism, gemm::gemm_basic_generic};
use stencil_engine::cpu::Level;

/// The generic product with the microkernels of a module.
macro_rules! product {
    ($module:ident, $lanes:literal, $simd:expr, $out:expr, $a:expr, $b:expr, $alpha:expr, $add:expr) => {{
        use gemm_f32::microkernel::$module::f32::{H_M, H_N, H_UKR, MR_DIV_N, NR, UKR};
        let out = $out;
        let stride = out.row_stride as isize;
        // As in `gemm::gemm`, the microkernels require contiguous columns.
        let (lhs, rhs, column_stride, row_stride) =
            if stride > 1 { ($b.t(), $a.t(), stride, 1) } else { ($a, $b, 1, stride) };
        // SAFETY: the constructors have checked that the last element of each matrix lies in its slice, the caller has
        // checked that the shapes fit, and `out` is a mutable borrow, which overlaps neither operand. A value of the
        // type of `$simd` exists only where the processor has the instructions of the microkernels.
        unsafe {
            gemm_basic_generic::<_, f32, $lanes, { MR_DIV_N * $lanes }, NR, MR_DIV_N, H_M, H_N>(
                $simd,
                lhs.rows,
                rhs.columns,
                lhs.columns,
                out.first,
                column_stride,
                row_stride,
                $add,
                lhs.data.as_ptr(),
                lhs.column_stride as isize,
                lhs.row_stride as isize,
                rhs.data.as_ptr(),
                rhs.column_stride as isize,
                rhs.row_stride as isize,
                1.0,
                $alpha,
                false,
                false,
                false,
                |a, b, c| a * b + c,
                &UKR,
                &H_UKR,
                false,
                Parallelism::None,
            );
        }
    }};
}

/// `out = alpha·a·b`, or `out += alpha·a·b`, on the calling thread.
///
/// # Panics
/// If the shapes do not fit each other.
pub(super) fn multiply(out: MatrixMut, a: Matrix, b: Matrix, alpha: f32, add: bool, level: Level) {
    assert!(out.rows == a.rows && out.columns == b.columns && a.columns == b.rows, "shapes that do not multiply");
    if out.rows == 0 || out.columns == 0 {
        return;
    }
    #[cfg(target_arch = "x86_64")]
    if let (Level::Avx2(_), Some(simd)) = (level, <gemm_common::simd::V3 as MixedSimd<f32, f32, f32, f32>>::try_new()) {
        return product!(fma, 8, simd, out, a, b, alpha, add);
    }
    let _ = level;
    product!(scalar, 1, Scalar, out, a, b, alpha, add)
}
