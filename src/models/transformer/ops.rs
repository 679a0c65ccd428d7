//! The operations of networks. A device-specific kernel would replace a function of this file.

use super::matrix::Matrix;
use super::plan::{Activation, NormKind};
use crate::kernels::{Gate, tensor};
use candle_core::{D, Device, Result, Tensor};
use candle_nn::ops;

/// x·Wᵀ + b.
pub struct Linear {
    /// (out, in).
    pub weight: Matrix,
    pub bias: Option<Tensor>,
}

impl Linear {
    /// (n, in) → (n, out).
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.weight.linear(x, self.bias.as_ref())
    }
}

/// A normalisation over the last dimension.
pub struct Norm {
    pub kind: NormKind,
    pub eps: f64,
    /// The weight; `None` stands for ones.
    pub weight: Option<Tensor>,
    pub bias: Option<Tensor>,
}

impl Norm {
    /// The width of the weight.
    pub fn width(&self) -> Option<usize> {
        self.weight.as_ref().and_then(|w| w.dim(0).ok())
    }

    /// Normalises the last dimension of a tensor of any shape.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = x.contiguous()?;
        let (width, eps) = (x.dim(D::Minus1)?, self.eps as f32);
        let weight = match &self.weight {
            Some(weight) => weight.clone(),
            None => Tensor::ones(width, x.dtype(), x.device())?,
        };
        match (self.kind, &self.bias) {
            (NormKind::Layer, bias) if tensor::fits(&x) => tensor::layer_norm(&x, &weight, bias.as_ref(), eps),
            (_, None) if tensor::fits(&x) => tensor::rms_norm(&x, &weight, eps),
            (NormKind::Layer, Some(bias)) => ops::layer_norm(&x, &weight, bias, eps),
            (NormKind::Layer, None) => ops::layer_norm(&x, &weight, &weight.zeros_like()?, eps),
            (_, bias) => {
                let y = ops::rms_norm(&x, &weight, eps)?;
                bias.as_ref().map_or(Ok(y.clone()), |bias| y.broadcast_add(bias))
            }
        }
    }
}

/// activate(gate)·up.
pub fn gated(kind: Activation, gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    match kind {
        Activation::Silu if tensor::fits(gate) => tensor::gate(Gate::Silu, gate, up),
        Activation::GeluTanh if tensor::fits(gate) => tensor::gate(Gate::GeluTanh, gate, up),
        _ => times(&activate(kind, gate)?, up),
    }
}

/// a + b, of one shape.
pub fn add(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    if tensor::fits(a) { tensor::add(a, b) } else { a + b }
}

/// a·b, of one shape, element by element.
pub fn times(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    if tensor::fits(a) { tensor::times(a, b) } else { a * b }
}

/// The nonlinearity, element by element.
pub fn activate(kind: Activation, x: &Tensor) -> Result<Tensor> {
    match kind {
        Activation::Silu => x.silu(),
        Activation::GeluTanh => x.gelu(),
        Activation::Gelu => x.gelu_erf(),
        Activation::Relu => x.relu(),
    }
}

/// The cosines and sines of the angles of some positions: (n, pairs) each.
pub struct Angles {
    cos: Tensor,
    sin: Tensor,
}

impl Angles {
    pub fn new(frequencies: &[f32], magnitude: f32, positions: &[u32], device: &Device) -> Result<Self> {
        let shape = (positions.len(), frequencies.len());
        let angles = positions.iter().flat_map(|&p| frequencies.iter().map(move |f| p as f32 * f));
        let angles: Vec<f32> = angles.collect();
        let table = |f: fn(f32) -> f32| {
            Tensor::from_vec(angles.iter().map(|&a| f(a) * magnitude).collect::<Vec<f32>>(), shape, device)
        };
        Ok(Self { cos: table(f32::cos)?, sin: table(f32::sin)? })
    }

    /// Rotates the first dimensions of each head: (n, heads, head) → the same shape.
    pub fn turn(&self, x: &Tensor) -> Result<Tensor> {
        if tensor::fits(x) {
            return tensor::turn(x, &self.cos, &self.sin);
        }
        let (_, _, head) = x.dims3()?;
        let half = self.cos.dim(1)?;
        let (cos, sin) = (self.cos.unsqueeze(1)?, self.sin.unsqueeze(1)?);
        let (a, b) = (x.narrow(2, 0, half)?, x.narrow(2, half, half)?);
        let first = (a.broadcast_mul(&cos)? - b.broadcast_mul(&sin)?)?;
        let second = (b.broadcast_mul(&cos)? + a.broadcast_mul(&sin)?)?;
        match head - 2 * half {
            0 => Tensor::cat(&[first, second], 2),
            rest => Tensor::cat(&[first, second, x.narrow(2, 2 * half, rest)?], 2),
        }
    }
}

/// softmax(scale·q·kᵀ + mask)·v of one sequence: (n, heads, head), (m, kv, head), (m, kv, head) → (n, heads·head).
///
/// `mask` (n, m) is added to the products: 0, or −∞ where the query does not attend to the key. Without a mask, every
/// query attends to every key.
pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor, mask: Option<&Tensor>, scale: f32) -> Result<Tensor> {
    if tensor::fits(q) {
        return tensor::attention(q, k, v, mask, scale);
    }
    let (n, heads, head) = q.dims3()?;
    let (m, kv, _) = k.dims3()?;
    let group = heads / kv;
    // Query heads that share keys are adjacent: (kv, group·n, head).
    let q = q.reshape((n, kv, group, head))?.permute((1, 2, 0, 3))?.contiguous()?.reshape((kv, group * n, head))?;
    let q = (q * f64::from(scale))?;
    let kt = k.permute((1, 2, 0))?.contiguous()?;
    let v = v.permute((1, 0, 2))?.contiguous()?;
    let mut scores = q.matmul(&kt)?;
    if let Some(mask) = mask {
        scores = scores.reshape((kv, group, n, m))?.broadcast_add(mask)?.reshape((kv, group * n, m))?;
    }
    let mixed = ops::softmax_last_dim(&scores)?.matmul(&v)?;
    mixed.reshape((kv, group, n, head))?.permute((2, 0, 1, 3))?.contiguous()?.reshape((n, heads * head))
}

/// c·tanh(x/c)
pub fn softcap(x: &Tensor, cap: f32) -> Result<Tensor> {
    (x / f64::from(cap))?.tanh()? * f64::from(cap)
}
