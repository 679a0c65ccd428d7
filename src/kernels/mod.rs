//! Dense f32 arithmetic on the CPU, on plain slices: the inner loops of training and inference.
//!
//! Every function gives the same bits for any number of threads: work is divided by its shape alone, and no sum is
//! split between threads.

mod activation;
mod attention;
mod cross_entropy;
mod forced;
mod gemm;
mod math;
mod multiversion;
mod norm;
mod quantised;
mod register;
mod rope;
mod scratch;
pub(crate) mod tensor;
mod widening;

pub(crate) use activation::{Gate, swiglu, swiglu_backward};
pub(crate) use attention::{Heads, Mask, Sequence, attention, attention_backward};
pub(crate) use cross_entropy::{cross_entropy, cross_entropy_backward};
pub(crate) use gemm::{Matrix, MatrixMut, gemm};
pub(crate) use multiversion::vectorised;
pub(crate) use norm::RmsNorm;
pub(crate) use quantised::Blocks;
pub(crate) use rope::Rope;
pub(crate) use widening::Rows;

#[cfg(test)]
pub(crate) mod tests;
