//! One transformer for all families of checkpoints, described by a plan.
//!
//! Sequences are packed without padding and do not attend to each other.

mod attention;
mod build;
mod feed_forward;
mod matrix;
mod ops;
pub mod plan;
mod rope;

pub use attention::{Memory, Pattern};
pub use build::{Builder, Tensors};
pub use matrix::{Matrix, QuantisedMatrix};
pub use plan::TransformerPlan;
pub use rope::RopeScaling;

use attention::{Attention, Span};
use candle_core::{DType, Device, Result, Tensor};
use feed_forward::{FeedForward, Mlp};
use ops::{Angles, Linear, Norm, add, softcap, times};
use plan::RopePlan;
use std::ops::Range;

/// One sequence of a batch.
#[derive(Debug, Clone)]
pub struct Sequence<'a> {
    /// The tokens of the sequence.
    pub tokens: Vec<u32>,
    /// Position of the first token.
    pub start: usize,
    /// The attention pattern.
    pub pattern: Pattern,
    /// Cached keys and values of earlier positions.
    pub past: Option<&'a Memory>,
    /// The indices into `tokens` for which logits are computed.
    pub wanted: Range<usize>,
    /// Whether to return keys and values.
    pub remember: bool,
    /// Noise level, for networks that are conditioned on it.
    pub noise: f32,
    /// The logits (tokens, V) of the previous step, for networks with self-conditioning.
    pub belief: Option<Tensor>,
}

impl Sequence<'_> {
    /// A whole text from position 0, with all logits.
    pub fn whole(tokens: Vec<u32>, pattern: Pattern) -> Self {
        let wanted = 0..tokens.len();
        Self { tokens, start: 0, pattern, past: None, wanted, remember: false, noise: 0.0, belief: None }
    }
}

/// The result of a forward for one sequence.
#[derive(Debug, Clone)]
pub struct SequenceOutput {
    /// The logits: (wanted, V), f32.
    pub logits: Tensor,
    /// The last hidden states, from which the logits are computed: (wanted, hidden), f32.
    pub hidden: Tensor,
    /// The keys and values of the sequence's own positions, if `remember` is set.
    pub memory: Option<Memory>,
}

struct Noise {
    width: usize,
    first: Linear,
    second: Linear,
    modulation: Linear,
}

impl Noise {
    /// The SiLU of the embedded levels: (sequences, condition). Source: DiT, arXiv 2212.09748.
    fn condition(&self, levels: &[f32], device: &Device) -> Result<Tensor> {
        let half = self.width / 2;
        let frequency = |i: usize| (-(1e4f32.ln()) * i as f32 / half as f32).exp();
        let row = |&level: &f32| {
            let angles = move |f: fn(f32) -> f32| (0..half).map(move |i| f(level * frequency(i)));
            angles(f32::cos).chain(angles(f32::sin)).collect::<Vec<f32>>()
        };
        let waves: Vec<f32> = levels.iter().flat_map(row).collect();
        let waves = Tensor::from_vec(waves, (levels.len(), 2 * half), device)?;
        self.second.forward(&self.first.forward(&waves)?.silu()?)?.silu()
    }
}

struct SelfConditioning {
    pre: Norm,
    mlp: Mlp,
    post: Norm,
}

struct Layer {
    attention_norm: Norm,
    attention: Attention,
    attention_post: Option<Norm>,
    ff_norm: Norm,
    feed_forward: FeedForward,
    ff_post: Option<Norm>,
    modulation: Option<Linear>,
    factors: Option<[Tensor; 2]>,
}

/// A transformer with its weights.
pub struct Transformer {
    embedding: Tensor,
    embedding_scale: f32,
    ropes: Vec<RopePlan>,
    layers: Vec<Layer>,
    norm: Norm,
    head: Linear,
    logit_scale: f32,
    softcap: Option<f32>,
    noise: Option<Noise>,
    self_conditioning: Option<SelfConditioning>,
}

/// Shift, scale and gate of adaLN: x·(1 + scale) + shift in front of a part, and a gate on its output.
struct Modulation {
    /// Parts of (n, hidden) each.
    parts: Vec<Tensor>,
}

impl Modulation {
    fn new(linear: &Linear, condition: &Tensor, of_row: &Tensor, parts: usize) -> Result<Self> {
        let all = linear.forward(condition)?.index_select(of_row, 0)?;
        Ok(Self { parts: all.chunk(parts, 1)? })
    }
    fn apply(&self, x: &Tensor, shift: usize) -> Result<Tensor> {
        add(&times(x, &(&self.parts[shift + 1] + 1.0)?)?, &self.parts[shift])
    }
    fn gate(&self, x: &Tensor, gate: usize) -> Result<Tensor> {
        times(x, &self.parts[gate])
    }
}

impl Transformer {
    /// Whether a sequence gets the same bits in a batch and alone. This holds for products on the CPU, which do not
    /// depend on the other rows.
    pub fn batches(&self) -> bool {
        self.embedding.device().is_cpu()
    }

    /// The device of the weights.
    pub fn device(&self) -> &Device {
        self.embedding.device()
    }

    /// Runs one forward for all sequences. A batch either encodes ([`Pattern::Causal`]) or decodes.
    pub fn forward(&self, sequences: &[Sequence]) -> Result<Vec<SequenceOutput>> {
        let device = self.embedding.device();
        let tokens: Vec<u32> = sequences.iter().flat_map(|s| s.tokens.iter().copied()).collect();
        let positions: Vec<u32> =
            sequences.iter().flat_map(|s| (s.start..s.start + s.tokens.len()).map(|p| p as u32)).collect();
        let mut spans = Vec::with_capacity(sequences.len());
        let mut first = 0;
        for s in sequences {
            let rows = first..first + s.tokens.len();
            first = rows.end;
            spans.push(Span { positions: &positions[rows.clone()], rows, pattern: s.pattern, past: s.past });
        }
        let encodes = sequences.iter().any(|s| s.pattern == Pattern::Causal);
        let of_row: Vec<u32> = (0..).zip(sequences).flat_map(|(i, s)| vec![i; s.tokens.len()]).collect();
        let of_row = Tensor::new(of_row, device)?;
        let levels: Vec<f32> = sequences.iter().map(|s| s.noise).collect();
        let condition = self.noise.as_ref().map(|noise| noise.condition(&levels, device)).transpose()?;
        let angles = self.ropes.iter().map(|r| Angles::new(&r.frequencies, r.magnitude, &positions, device));
        let angles = angles.collect::<Result<Vec<_>>>()?;

        let mut x = self.embed(&Tensor::new(tokens, device)?)?;
        if let (Some(own), false) = (&self.self_conditioning, encodes) {
            x = self.believe(own, &x, sequences)?;
        }
        let mut memories: Vec<Vec<(Tensor, Tensor)>> = vec![Vec::new(); sequences.len()];
        for (i, layer) in self.layers.iter().enumerate() {
            let modulation = match (&layer.modulation, &condition) {
                (Some(linear), Some(condition)) => Some(Modulation::new(linear, condition, &of_row, 6)?),
                _ => None,
            };
            let (next, (k, v)) = layer.forward(&x, &spans, i, &angles, modulation.as_ref(), encodes)?;
            x = next;
            for ((s, span), memory) in sequences.iter().zip(&spans).zip(&mut memories) {
                if s.remember {
                    let own = |t: &Tensor| t.narrow(0, span.rows.start, span.rows.len())?.contiguous();
                    memory.push((own(&k)?, own(&v)?));
                }
            }
        }
        let (hidden, logits) = self.head(&x, &spans, sequences, condition.as_ref(), &of_row)?;
        let mut answers = Vec::with_capacity(sequences.len());
        let mut row = 0;
        for ((s, span), layers) in sequences.iter().zip(&spans).zip(memories) {
            let memory = s.remember.then(|| Memory { positions: span.positions.to_vec(), layers });
            let wanted = |all: &Tensor| all.narrow(0, row, s.wanted.len());
            answers.push(SequenceOutput { logits: wanted(&logits)?, hidden: wanted(&hidden)?, memory });
            row += s.wanted.len();
        }
        Ok(answers)
    }

    fn embed(&self, tokens: &Tensor) -> Result<Tensor> {
        let x = self.embedding.index_select(tokens, 0)?.to_dtype(DType::F32)?;
        if self.embedding_scale == 1.0 { Ok(x) } else { x * f64::from(self.embedding_scale) }
    }

    /// Self-conditioning: adds the previous step's prediction as a mean of embeddings; adds nothing at a first step.
    fn believe(&self, own: &SelfConditioning, x: &Tensor, sequences: &[Sequence]) -> Result<Tensor> {
        let mut signals = Vec::with_capacity(sequences.len());
        for s in sequences {
            signals.push(match &s.belief {
                Some(logits) => (self.mean_embedding(logits)? * f64::from(self.embedding_scale))?,
                None => Tensor::zeros((s.tokens.len(), x.dim(1)?), DType::F32, x.device())?,
            });
        }
        let signal = own.mlp.forward(&own.pre.forward(&Tensor::cat(&signals, 0)?)?)?;
        own.post.forward(&add(x, &signal)?)
    }

    /// The mean embedding under the softmax of logits: (n, V) → (n, hidden).
    fn mean_embedding(&self, logits: &Tensor) -> Result<Tensor> {
        // The number of rows of the table that are widened at a time.
        const ROWS: usize = 1 << 14;
        let shares = candle_nn::ops::softmax_last_dim(logits)?;
        let vocab = self.embedding.dim(0)?;
        let part = |first: usize| {
            let rows = ROWS.min(vocab - first);
            let table = self.embedding.narrow(0, first, rows)?.to_dtype(DType::F32)?;
            shares.narrow(1, first, rows)?.contiguous()?.matmul(&table)
        };
        let mut sum = part(0)?;
        for first in (ROWS..vocab).step_by(ROWS) {
            sum = (sum + part(first)?)?;
        }
        Ok(sum)
    }

    /// The last hidden states and the logits of the wanted rows.
    fn head(
        &self,
        x: &Tensor,
        spans: &[Span],
        sequences: &[Sequence],
        condition: Option<&Tensor>,
        of_row: &Tensor,
    ) -> Result<(Tensor, Tensor)> {
        let wanted = spans.iter().zip(sequences);
        let rows: Vec<u32> =
            wanted.flat_map(|(span, s)| s.wanted.clone().map(|row| (span.rows.start + row) as u32)).collect();
        if rows.is_empty() {
            let none = |width: usize| Tensor::zeros((0, width), DType::F32, x.device());
            return Ok((none(x.dim(1)?)?, none(self.head.weight.dims()?.0)?));
        }
        let rows = Tensor::new(rows, x.device())?;
        let mut x = self.norm.forward(&x.index_select(&rows, 0)?)?;
        if let (Some(noise), Some(condition)) = (&self.noise, condition) {
            x = Modulation::new(&noise.modulation, condition, &of_row.index_select(&rows, 0)?, 2)?.apply(&x, 0)?;
        }
        let mut logits = self.head.forward(&x)?;
        if self.logit_scale != 1.0 {
            logits = (logits * f64::from(self.logit_scale))?;
        }
        if let Some(cap) = self.softcap {
            logits = softcap(&logits, cap)?;
        }
        Ok((x, logits))
    }
}

impl Layer {
    fn forward(
        &self,
        x: &Tensor,
        spans: &[Span],
        index: usize,
        angles: &[Angles],
        modulation: Option<&Modulation>,
        encodes: bool,
    ) -> Result<(Tensor, (Tensor, Tensor))> {
        let pre = |norm: &Norm, x: &Tensor, shift: usize| {
            let y = norm.forward(x)?;
            modulation.map_or(Ok(y.clone()), |m| m.apply(&y, shift))
        };
        let post = |norm: &Option<Norm>, y: Tensor, gate: usize| {
            let y = norm.as_ref().map_or(Ok(y.clone()), |norm| norm.forward(&y))?;
            modulation.map_or(Ok(y.clone()), |m| m.gate(&y, gate))
        };
        let (mixed, memory) = self.attention.forward(&pre(&self.attention_norm, x, 0)?, spans, index, angles)?;
        let x = add(x, &post(&self.attention_post, mixed, 2)?)?;
        let y = self.feed_forward.forward(&pre(&self.ff_norm, &x, 3)?, &x)?;
        let mut x = add(&x, &post(&self.ff_post, y, 5)?)?;
        if let Some([encoder, decoder]) = &self.factors {
            x = x.broadcast_mul(if encodes { encoder } else { decoder })?;
        }
        Ok((x, memory))
    }
}
