//! Operations with hand-written gradients. candle's own fused ones have none: a backward pass through them succeeds
//! and the gradients are simply missing.

use super::kernels::{by_rows, dot, exp, max, sigmoid, sum_exp};
use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Storage, Tensor, bail};

/// The numbers of a contiguous f32 tensor on the CPU.
pub(super) fn floats<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage.as_slice::<f32>()?[start..end]),
        None => bail!("expected a contiguous tensor, found strides {:?}", layout.stride()),
    }
}

/// Calls `f` with the numbers of each tensor.
pub(super) fn with_floats<const N: usize, R>(tensors: [&Tensor; N], f: impl FnOnce([&[f32]; N]) -> R) -> Result<R> {
    let tensors = tensors.map(|t| t.contiguous());
    let mut held = Vec::with_capacity(N);
    for tensor in &tensors {
        match tensor {
            Ok(tensor) => held.push(tensor.storage_and_layout()),
            Err(e) => bail!("{e}"),
        }
    }
    let mut slices: [&[f32]; N] = [&[]; N];
    for (slice, (storage, layout)) in slices.iter_mut().zip(&held) {
        match &**storage {
            Storage::Cpu(storage) => *slice = floats(storage, layout)?,
            _ => bail!("expected a tensor on the CPU"),
        }
    }
    Ok(f(slices))
}

/// x·w / √(mean x² + ε), row by row.
pub struct RmsNorm {
    /// Keeps rows of zeros finite.
    pub eps: f32,
}

impl RmsNorm {
    #[inline(always)]
    fn scale(&self, row: &[f32]) -> f32 {
        1.0 / (dot(row, row) / row.len() as f32 + self.eps).sqrt()
    }
}

impl CustomOp2 for RmsNorm {
    fn name(&self) -> &'static str {
        "rms-norm"
    }
    /// `x`: (…, d); `w`: (d).
    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout, w: &CpuStorage, wl: &Layout) -> Result<(CpuStorage, Shape)> {
        let (x, w) = (floats(x, xl)?, floats(w, wl)?);
        let d = w.len();
        let mut out = vec![0.0; x.len()];
        by_rows(&mut out, d, |first, out| {
            for (out, x) in out.chunks_exact_mut(d).zip(x[first * d..].chunks_exact(d)) {
                let r = self.scale(x);
                for ((out, x), w) in out.iter_mut().zip(x).zip(w) {
                    *out = x * r * w;
                }
            }
        });
        Ok((CpuStorage::F32(out), xl.shape().clone()))
    }
    fn bwd(&self, x: &Tensor, w: &Tensor, _: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (dx, dw) = with_floats([x, w, grad], |[x, w, g]| {
            let d = w.len();
            let mut dx = vec![0.0; x.len()];
            by_rows(&mut dx, d, |first, dx| {
                let rows =
                    dx.chunks_exact_mut(d).zip(x[first * d..].chunks_exact(d)).zip(g[first * d..].chunks_exact(d));
                for ((dx, x), g) in rows {
                    let r = self.scale(x);
                    for ((dx, g), w) in dx.iter_mut().zip(g).zip(w) {
                        *dx = g * w;
                    }
                    let pull = dot(dx, x) * r * r * r / d as f32;
                    for (dx, x) in dx.iter_mut().zip(x) {
                        *dx = *dx * r - x * pull;
                    }
                }
            });
            let mut dw = vec![0.0f32; d];
            pulp::Arch::new().dispatch(|| {
                for (x, g) in x.chunks_exact(d).zip(g.chunks_exact(d)) {
                    let r = self.scale(x);
                    for ((dw, x), g) in dw.iter_mut().zip(x).zip(g) {
                        *dw += g * x * r;
                    }
                }
            });
            (dx, dw)
        })?;
        Ok((Some(Tensor::from_vec(dx, x.shape(), x.device())?), Some(Tensor::from_vec(dw, w.shape(), w.device())?)))
    }
}

/// silu(gate)·up over rows that hold `gate` and `up` side by side: (n, 2f) → (n, f).
pub struct SwiGlu;

impl CustomOp1 for SwiGlu {
    fn name(&self) -> &'static str {
        "swiglu"
    }
    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, width) = layout.shape().dims2()?;
        let f = width / 2;
        let x = floats(x, layout)?;
        let mut out = vec![0.0; n * f];
        by_rows(&mut out, f, |first, out| {
            for (out, x) in out.chunks_exact_mut(f).zip(x[first * width..].chunks_exact(width)) {
                let (gate, up) = x.split_at(f);
                for ((out, &gate), up) in out.iter_mut().zip(gate).zip(up) {
                    *out = gate * sigmoid(gate) * up;
                }
            }
        });
        Ok((CpuStorage::F32(out), (n, f).into()))
    }
    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let width = x.dim(1)?;
        let f = width / 2;
        let dx = with_floats([x, grad], |[x, g]| {
            let mut dx = vec![0.0; x.len()];
            by_rows(&mut dx, width, |first, dx| {
                let rows = dx.chunks_exact_mut(width).zip(x[first * width..].chunks_exact(width));
                for ((dx, x), g) in rows.zip(g[first * f..].chunks_exact(f)) {
                    let (gate, up) = x.split_at(f);
                    let (dgate, dup) = dx.split_at_mut(f);
                    for ((((dgate, dup), &gate), up), g) in dgate.iter_mut().zip(dup).zip(gate).zip(up).zip(g) {
                        let s = sigmoid(gate);
                        *dgate = g * up * s * (1.0 + gate * (1.0 - s));
                        *dup = g * gate * s;
                    }
                }
            });
            dx
        })?;
        Ok(Some(Tensor::from_vec(dx, x.shape(), x.device())?))
    }
}

/// Σᵢ wᵢ·(−log softmax(logitsᵢ)\[targetᵢ\]): (n, V) → scalar, in nats.
pub struct CrossEntropy {
    /// One token per row.
    pub targets: Vec<u32>,
    /// One weight per row.
    pub weights: Vec<f32>,
}

impl CustomOp1 for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross-entropy"
    }
    fn cpu_fwd(&self, logits: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, vocab) = layout.shape().dims2()?;
        if n != self.targets.len() || n != self.weights.len() || self.targets.iter().any(|&t| t as usize >= vocab) {
            bail!("cross-entropy: {n} rows of {vocab} logits do not fit {} targets", self.targets.len())
        }
        let logits = floats(logits, layout)?;
        let mut losses = vec![0.0; n];
        // One loss per row of `vocab` numbers: by_rows would judge the work by the n numbers written.
        use rayon::prelude::*;
        losses.par_iter_mut().zip(logits.par_chunks(vocab)).zip(&self.targets).with_min_len(16).for_each(
            |((loss, row), &target)| {
                pulp::Arch::new().dispatch(|| {
                    let shift = max(row);
                    *loss = sum_exp(row, shift).ln() + shift - row[target as usize];
                })
            },
        );
        let loss = losses.iter().zip(&self.weights).map(|(&l, &w)| f64::from(l) * f64::from(w)).sum::<f64>();
        Ok((CpuStorage::F32(vec![loss as f32]), Shape::from(())))
    }
    fn bwd(&self, logits: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let vocab = logits.dim(1)?;
        let grad = grad.to_scalar::<f32>()?;
        let out = with_floats([logits], |[logits]| {
            let mut out = vec![0.0; logits.len()];
            by_rows(&mut out, vocab, |first, out| {
                let rows = out.chunks_exact_mut(vocab).zip(logits[first * vocab..].chunks_exact(vocab));
                for ((out, row), (&target, &weight)) in
                    rows.zip(self.targets[first..].iter().zip(&self.weights[first..]))
                {
                    let shift = max(row);
                    for (out, x) in out.iter_mut().zip(row) {
                        *out = exp(x - shift);
                    }
                    let scale = weight * grad / dot_ones(out);
                    for out in out.iter_mut() {
                        *out *= scale;
                    }
                    out[target as usize] -= weight * grad;
                }
            });
            out
        })?;
        Ok(Some(Tensor::from_vec(out, logits.shape(), logits.device())?))
    }
}

#[inline(always)]
fn dot_ones(xs: &[f32]) -> f32 {
    let (chunks, tail) = xs.as_chunks::<16>();
    let mut lanes = [0.0f32; 16];
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane += x;
        }
    }
    lanes.iter().sum::<f32>() + tail.iter().sum::<f32>()
}
