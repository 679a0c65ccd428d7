//! Dense f32 arithmetic on the CPU, on plain slices: what training and inference spend their time in.
//!
//! Every function gives the same bits for any number of threads: work is cut by its shape alone, and no sum is split
//! between threads.

mod activation;
mod attention;
mod cross_entropy;
mod gemm;
mod lanes;
mod math;
mod norm;
mod quantised;
mod rope;
mod scratch;
pub(crate) mod simd;
pub mod tensor;
mod widening;

pub use activation::{Gate, swiglu, swiglu_backward};
pub use attention::{Heads, Mask, Sequence, attention, attention_backward};
pub use cross_entropy::{cross_entropy, cross_entropy_backward};
pub use gemm::{Matrix, MatrixMut, gemm};
pub use norm::RmsNorm;
pub use quantised::widen_blocks;
pub use rope::{Pairs, Rope};
pub use widening::Rows;

#[cfg(test)]
pub(crate) mod tests;
