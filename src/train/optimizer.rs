//! AdamW for vectors and embeddings, Muon for the matrices between them, and a running mean of all weights.

use super::config::OptimizerConfig;
use crate::models::masked::EMBEDDING;
use crate::{Error, Result};
use candle_core::{CpuStorage, InplaceOp1, Layout, Storage, Tensor, Var, backprop::GradStore, bail};
use rayon::prelude::*;
use std::{collections::BTreeMap, sync::Mutex};

/// A weight with what the optimizer remembers of it.
pub struct Weight {
    /// The weight, shared with the network.
    pub var: Var,
    /// Running mean of the gradient.
    pub first: Vec<f32>,
    /// Running mean of its square; not used by Muon.
    pub second: Vec<f32>,
    /// Running mean of the weight.
    pub mean: Vec<f32>,
}

impl Weight {
    /// A weight that starts as `tensor`.
    pub fn new(tensor: &Tensor) -> Result<Self> {
        let mean = tensor.flatten_all()?.to_vec1::<f32>()?;
        Ok(Self { var: Var::from_tensor(tensor)?, first: vec![0.0; mean.len()], second: vec![0.0; mean.len()], mean })
    }
}

/// All weights by name.
pub type Weights = BTreeMap<String, Weight>;

/// The learning rate of a step: linear warm-up, then cosine decay to a tenth.
pub fn learning_rate(config: &OptimizerConfig, step: usize) -> f64 {
    if step < config.warmup {
        return config.lr * (step + 1) as f64 / config.warmup as f64;
    }
    let length = config.steps.saturating_sub(config.warmup).max(1);
    let done = ((step - config.warmup) as f64 / length as f64).min(1.0);
    config.lr * (0.1 + 0.45 * (1.0 + (std::f64::consts::PI * done).cos()))
}

/// One update; returns the norm of the gradient before clipping.
///
/// # Errors
/// When a weight has no gradient, or the gradient is not finite.
pub fn update(weights: &mut Weights, grads: &GradStore, config: &OptimizerConfig, step: usize) -> Result<f64> {
    let mut square = 0.0;
    let mut found = Vec::with_capacity(weights.len());
    for (name, weight) in weights.iter() {
        let grad = grads.get(&weight.var).ok_or_else(|| Error::model(format!("{name} receives no gradient")))?;
        let grad = grad.flatten_all()?;
        square += f64::from(grad.sqr()?.sum_all()?.to_scalar::<f32>()?);
        found.push(grad);
    }
    let norm = square.sqrt();
    if !norm.is_finite() {
        return Err(Error::model(format!("the gradient is {norm} at step {step}"))
            .help("lower optimizer.lr or raise optimizer.warmup, then resume from the last checkpoint"));
    }
    let correction = |beta: f64| 1.0 - beta.powi(step as i32 + 1);
    let decayed = learning_rate(config, step);
    // Early on the running mean would remember the random start: it averages over the steps so far instead.
    let ema = config.ema.min((1.0 + step as f64) / (10.0 + step as f64));
    for ((name, weight), grad) in weights.iter_mut().zip(&found) {
        let matrix = weight.var.rank() > 1;
        let mut op = Update {
            grad: grad.clone(),
            beta: [config.beta1 as f32, config.beta2 as f32],
            rate: (decayed / correction(config.beta1)) as f32,
            second_scale: (1.0 / correction(config.beta2)) as f32,
            decay: if matrix { (decayed * config.weight_decay) as f32 } else { 0.0 },
            scale: (config.clip / norm.max(config.clip)) as f32,
            ema: ema as f32,
            muon: false,
            state: Mutex::new([&mut weight.first, &mut weight.second, &mut weight.mean]),
        };
        if matrix && name != EMBEDDING && config.muon_lr > 0.0 {
            let (fan_in, fan_out) = weight.var.dims2()?;
            op.grad = op.momentum(config.momentum as f32, fan_in, fan_out)?;
            op.muon = true;
            let shape = (fan_out as f64 / fan_in as f64).max(1.0).sqrt();
            op.rate = (config.muon_lr * decayed / config.lr * shape) as f32;
        }
        weight.var.inplace_op1(&op)?;
    }
    Ok(norm)
}

/// The nearest matrix with orthogonal rows or columns, about: five Newton–Schulz steps of degree five (Muon,
/// Jordan et al. 2024, <https://kellerjordan.github.io/posts/muon>).
fn orthogonalised(matrix: &Tensor) -> candle_core::Result<Tensor> {
    const STEPS: usize = 5;
    let (rows, columns) = matrix.dims2()?;
    let norm = matrix.sqr()?.sum_all()?.sqrt()?.to_scalar::<f32>()?;
    let mut x = matrix.affine(1.0 / (f64::from(norm) + 1e-7), 0.0)?;
    if rows > columns {
        x = x.t()?.contiguous()?;
    }
    for _ in 0..STEPS {
        let square = x.matmul(&x.t()?)?;
        let factor = (square.affine(-4.7750, 0.0)? + square.matmul(&square)?.affine(2.0315, 0.0)?)?;
        x = (x.affine(3.4445, 0.0)? + factor.matmul(&x)?)?;
    }
    if rows > columns { x.t()?.contiguous() } else { Ok(x) }
}

struct Update<'a> {
    /// The gradient, or for Muon the direction to go.
    grad: Tensor,
    beta: [f32; 2],
    /// Learning rate over the bias correction of the first moment.
    rate: f32,
    /// One over the bias correction of the second.
    second_scale: f32,
    decay: f32,
    /// Brings the gradient below the largest norm.
    scale: f32,
    ema: f32,
    muon: bool,
    /// First moment, second moment, running mean.
    state: Mutex<[&'a mut Vec<f32>; 3]>,
}

impl InplaceOp1 for Update<'_> {
    fn name(&self) -> &'static str {
        "update"
    }
    fn cpu_fwd(&self, weight: &mut CpuStorage, layout: &Layout) -> candle_core::Result<()> {
        const CHUNK: usize = 1 << 14;
        let (CpuStorage::F32(weight), Some((start, end))) = (weight, layout.contiguous_offsets()) else {
            bail!("update: expected contiguous f32 weights")
        };
        let weight = &mut weight[start..end];
        let (storage, layout) = self.grad.storage_and_layout();
        let (Storage::Cpu(storage), Some((start, end))) = (&*storage, layout.contiguous_offsets()) else {
            bail!("update: expected a contiguous gradient")
        };
        let grad = &storage.as_slice::<f32>()?[start..end];
        let mut state = self.state.lock().unwrap_or_else(|e| e.into_inner());
        let [first, second, mean] = &mut *state;
        let arch = pulp::Arch::new();
        weight
            .par_chunks_mut(CHUNK)
            .zip(grad.par_chunks(CHUNK))
            .zip(first.par_chunks_mut(CHUNK))
            .zip(second.par_chunks_mut(CHUNK))
            .zip(mean.par_chunks_mut(CHUNK))
            .for_each(|((((w, g), m), v), mean)| arch.dispatch(|| self.chunk(w, g, m, v, mean)));
        Ok(())
    }
}

impl Update<'_> {
    /// Adds the gradient to the momentum; the orthogonalised look-ahead (Nesterov) of it is the direction.
    fn momentum(&self, beta: f32, rows: usize, columns: usize) -> Result<Tensor> {
        let grad = self.grad.to_vec1::<f32>()?;
        let mut state = self.state.lock().unwrap_or_else(|e| e.into_inner());
        let [first, ..] = &mut *state;
        let ahead: Vec<f32> = first
            .iter_mut()
            .zip(grad)
            .map(|(m, g)| {
                let g = g * self.scale;
                *m += (1.0 - beta) * (g - *m);
                g + beta * (*m - g)
            })
            .collect();
        let ahead = Tensor::from_vec(ahead, (rows, columns), self.grad.device())?;
        Ok(orthogonalised(&ahead)?.flatten_all()?)
    }

    #[inline(always)]
    fn chunk(&self, w: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32], mean: &mut [f32]) {
        if self.muon {
            for ((w, g), mean) in w.iter_mut().zip(g).zip(mean) {
                *w -= self.decay * *w + self.rate * g;
                *mean += (1.0 - self.ema) * (*w - *mean);
            }
            return;
        }
        let [beta1, beta2] = self.beta;
        for ((((w, g), m), v), mean) in w.iter_mut().zip(g).zip(m).zip(v).zip(mean) {
            let g = g * self.scale;
            *m += (1.0 - beta1) * (g - *m);
            *v += (1.0 - beta2) * (g * g - *v);
            *w -= self.decay * *w + self.rate * *m / ((*v * self.second_scale).sqrt() + 1e-8);
            *mean += (1.0 - self.ema) * (*w - *mean);
        }
    }
}
