//! The kernels on candle's tensors: f32 on the CPU, without gradients.
//!
//! Each function computes what candle's operation of the same name computes, in one pass and on all threads. Weights
//! may be stored in f32, bf16 or f16.

use super::activation::{Gate, gated};
use super::attention::{self, Heads, Mask, Sequence};
use super::gemm::Matrix;
use super::math::{self, by_rows, widen_bf16, widen_f16};
use super::norm::{RmsNorm, layer_norm_rows};
use super::rope::turn_rows;
use super::widening::{Rows, gemm_widening};
use candle_core::{CpuStorage, DType, Layout, Result, Storage, Tensor, bail};
use std::ops::Range;

/// Whether the kernels support a tensor: f32 numbers on the CPU.
pub(crate) fn fits(x: &Tensor) -> bool {
    x.device().is_cpu() && x.dtype() == DType::F32
}

/// x·wᵀ + bias: (…, in), (out, in), (out) → (…, out).
///
/// # Errors
/// An `x` that does not [fit](fits), weights of types other than f32, bf16 and f16, and shapes that cannot be
/// multiplied.
pub(crate) fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let (outs, ins) = weight.dims2()?;
    let weight = weight.contiguous()?;
    let (storage, layout) = weight.storage_and_layout();
    let Storage::Cpu(storage) = &*storage else { bail!("linear: the weights are not on the CPU") };
    let shape = (outs, ins);
    match storage {
        CpuStorage::F32(_) => {
            let copy = |from: &[f32], to: &mut [f32]| to.copy_from_slice(from);
            linear_rows(x, shape, bias, &Dense { numbers: numbers(storage, layout)?, width: ins, widen: copy })
        }
        CpuStorage::BF16(_) => {
            linear_rows(x, shape, bias, &Dense { numbers: numbers(storage, layout)?, width: ins, widen: widen_bf16 })
        }
        CpuStorage::F16(_) => {
            linear_rows(x, shape, bias, &Dense { numbers: numbers(storage, layout)?, width: ins, widen: widen_f16 })
        }
        _ => bail!("linear: weights of {:?}", weight.dtype()),
    }
}

/// A weight of plain numbers, row after row.
struct Dense<'a, T> {
    numbers: &'a [T],
    width: usize,
    widen: fn(&[T], &mut [f32]),
}

impl<T: Sync> Rows for Dense<'_, T> {
    fn widen(&self, row: usize, from: usize, to: &mut [f32]) -> Result<()> {
        (self.widen)(&self.numbers[row * self.width + from..][..to.len()], to);
        Ok(())
    }
    fn stored(&self, rows: Range<usize>) -> Range<*const u8> {
        let numbers = self.numbers[rows.start * self.width..rows.end * self.width].as_ptr_range();
        numbers.start.cast()..numbers.end.cast()
    }
}

/// x·wᵀ + bias for a weight (out, in) of these rows.
///
/// # Errors
/// As [`linear`] and [`Rows::widen`].
pub(crate) fn linear_rows(
    x: &Tensor,
    (outs, ins): (usize, usize),
    bias: Option<&Tensor>,
    weight: &impl Rows,
) -> Result<Tensor> {
    if x.dims().last() != Some(&ins) || bias.is_some_and(|b| b.elem_count() != outs) {
        bail!("linear: {:?} and {:?} do not fit {bias:?}", x.shape(), (outs, ins))
    }
    let rows = x.elem_count() / ins.max(1);
    let out = with_floats([Some(x), bias], |[x, bias]| {
        let mut out = gemm_widening(Matrix::new(x, rows, ins), weight, outs)?;
        if !bias.is_empty() {
            by_rows(&mut out, outs, |_, rows| {
                rows.chunks_exact_mut(outs).for_each(|row| row.iter_mut().zip(bias).for_each(|(y, b)| *y += b));
            });
        }
        Ok(out)
    })?;
    let mut shape = x.dims().to_vec();
    shape.pop();
    shape.push(outs);
    Tensor::from_vec(out, shape, x.device())
}

/// x·w / √(mean x² + ε) over the last dimension.
///
/// # Errors
/// Tensors that do not [fit](fits), or have shapes that do not match.
pub(crate) fn rms_norm(x: &Tensor, weight: &Tensor, eps: f32) -> Result<Tensor> {
    check_width("rms-norm", x, weight)?;
    let mut out = vec![0.0; x.elem_count()];
    with_floats([Some(x), Some(weight)], |[x, weight]| {
        RmsNorm { eps }.forward(&mut out, x, weight);
        Ok(())
    })?;
    Tensor::from_vec(out, x.shape(), x.device())
}

/// (x − mean)·w / √(variance + ε) + bias over the last dimension.
///
/// # Errors
/// Tensors that do not [fit](fits), or have shapes that do not match.
pub(crate) fn layer_norm(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, eps: f32) -> Result<Tensor> {
    check_width("layer-norm", x, weight)?;
    bias.map_or(Ok(()), |bias| check_width("layer-norm", x, bias))?;
    let mut out = vec![0.0; x.elem_count()];
    with_floats([Some(x), Some(weight), bias], |[x, weight, bias]| {
        let width = weight.len();
        by_rows(&mut out, width, |first, out| layer_norm_rows(out, &x[first * width..], weight, bias, eps));
        Ok(())
    })?;
    Tensor::from_vec(out, x.shape(), x.device())
}

/// act(gate)·up.
///
/// # Errors
/// Tensors that do not [fit](fits), or have different shapes.
pub(crate) fn gate(kind: Gate, gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    pairwise(gate, up, |out, gate, up| gated(out, kind, gate, up))
}

/// a + b. Unlike candle's sum, no thread spins while another one waits for a processor.
///
/// # Errors
/// Tensors that do not [fit](fits), or have different shapes.
pub(crate) fn add(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    pairwise(a, b, math::add)
}

/// a·b, element by element.
///
/// # Errors
/// Tensors that do not [fit](fits), or have different shapes.
pub(crate) fn times(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    pairwise(a, b, math::times)
}

fn pairwise(a: &Tensor, b: &Tensor, f: impl Fn(&mut [f32], &[f32], &[f32]) + Sync) -> Result<Tensor> {
    if a.shape() != b.shape() {
        bail!("{:?} and {:?} are not of one shape", a.shape(), b.shape())
    }
    let mut out = vec![0.0; a.elem_count()];
    with_floats([Some(a), Some(b)], |[a, b]| {
        by_rows(&mut out, 1, |first, out| f(out, &a[first..], &b[first..]));
        Ok(())
    })?;
    Tensor::from_vec(out, a.shape(), a.device())
}

/// Rotates the first numbers of each head: (n, heads, size) by the angles (n, half), in pairs i and i + half.
///
/// # Errors
/// Tensors that do not [fit](fits), or have shapes that do not match.
pub(crate) fn turn(x: &Tensor, cos: &Tensor, sin: &Tensor) -> Result<Tensor> {
    let (n, heads, size) = x.dims3()?;
    let (rows, half) = cos.dims2()?;
    if rows != n || 2 * half > size || sin.dims() != cos.dims() {
        bail!("rope: {:?} angles for {:?}", cos.shape(), x.shape())
    }
    let out = with_floats([Some(x), Some(cos), Some(sin)], |[x, cos, sin]| {
        let (mut out, width) = (x.to_vec(), heads * size);
        by_rows(&mut out, width, |first, rows| {
            turn_rows(rows, [width, size, half], &cos[first * half..], &sin[first * half..]);
        });
        Ok(out)
    })?;
    Tensor::from_vec(out, x.shape(), x.device())
}

/// softmax(scale·q·kᵀ + mask)·v: (n, heads, size), (m, kv, size), (m, kv, size), mask (n, m) → (n, heads·size).
///
/// # Errors
/// Tensors that do not [fit](fits), or have shapes that do not match.
pub(crate) fn attention(q: &Tensor, k: &Tensor, v: &Tensor, mask: Option<&Tensor>, scale: f32) -> Result<Tensor> {
    let ((n, queries, size), (m, keys, _)) = (q.dims3()?, k.dims3()?);
    let fitting = k.dims() == v.dims() && k.dim(2)? == size && queries.is_multiple_of(keys.max(1));
    if !fitting || mask.is_some_and(|mask| mask.dims() != [n, m]) {
        bail!("attention: {:?}, {:?}, {:?} with {mask:?}", q.shape(), k.shape(), v.shape())
    }
    let mut out = vec![0.0; n * queries * size];
    with_floats([Some(q), Some(k), Some(v), mask], |[q, k, v, terms]| {
        let (k, v) = (Matrix::new(k, m, keys * size), Matrix::new(v, m, keys * size));
        let sequence = Sequence { q: Matrix::new(q, n, queries * size), k, v, offset: 0 };
        let mask = if mask.is_some() { Mask::Added(terms) } else { Mask::Full };
        attention::attention(&mut out, &[sequence], Heads { queries, keys, size, scale }, mask);
        Ok(())
    })?;
    Tensor::from_vec(out, (n, queries * size), q.device())
}

fn check_width(name: &str, x: &Tensor, weight: &Tensor) -> Result<()> {
    match x.dims().last() {
        Some(&width) if width == weight.elem_count() && width > 0 => Ok(()),
        _ => bail!("{name}: {:?} does not fit {:?}", weight.shape(), x.shape()),
    }
}

/// The numbers of a contiguous tensor; others are an error.
fn numbers<'a, T: candle_core::WithDType>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [T]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage.as_slice::<T>()?[start..end]),
        None => bail!("expected a contiguous tensor, found strides {:?}", layout.stride()),
    }
}

/// Calls `f` with the numbers of each tensor; an empty slice where there is no tensor.
fn with_floats<const N: usize, R>(
    tensors: [Option<&Tensor>; N],
    f: impl FnOnce([&[f32]; N]) -> Result<R>,
) -> Result<R> {
    let tensors = tensors.map(|tensor| tensor.map(Tensor::contiguous).transpose());
    let mut held = Vec::with_capacity(N);
    for tensor in &tensors {
        match tensor {
            Ok(tensor) => held.push(tensor.as_ref().map(Tensor::storage_and_layout)),
            Err(e) => bail!("{e}"),
        }
    }
    let mut slices: [&[f32]; N] = [&[]; N];
    for (slice, held) in slices.iter_mut().zip(&held) {
        match held.as_ref().map(|(storage, layout)| (&**storage, layout)) {
            None => {}
            Some((Storage::Cpu(storage), layout)) => *slice = numbers(storage, layout)?,
            Some(_) => bail!("expected a tensor on the CPU"),
        }
    }
    f(slices)
}
