//! Attention over packed sequences, with grouped heads, norms of queries and keys, and cached keys.

use super::ops::{Angles, Linear, Norm, attention};
use candle_core::{Device, Result, Tensor};

/// The attention pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pattern {
    /// Every position attends to every position.
    Full,
    /// Block-causal: a position attends to its own block and earlier blocks. Blocks of this many positions are counted
    /// from position 0.
    Blocks(usize),
    /// Causal: a position attends to itself and earlier positions. Sliding layers attend no further back than their
    /// window.
    Causal,
    /// A position of the canvas attends to the whole canvas and to earlier positions. Of the earlier positions, sliding
    /// layers attend to those in the window of a causal pass over the position before the canvas.
    Canvas,
}

impl Pattern {
    /// Whether the query at `q` attends to the key at `k`. The sequence being computed starts at `start`.
    pub fn sees(self, q: u32, k: u32, start: u32, window: Option<usize>) -> bool {
        match (self, window) {
            (Self::Full, _) => true,
            (Self::Blocks(size), _) => k as usize / size <= q as usize / size,
            (Self::Causal, None) => k <= q,
            (Self::Causal, Some(window)) => k <= q && ((q - k) as usize) < window,
            (Self::Canvas, None) => true,
            (Self::Canvas, Some(window)) => k >= start || ((start - k) as usize) < window,
        }
    }
}

/// Rotated keys, and values, of some positions: one pair (m, kv, head) per layer.
#[derive(Debug, Clone)]
pub struct Memory {
    /// The positions of the keys.
    pub positions: Vec<u32>,
    /// Keys and values of each layer.
    pub layers: Vec<(Tensor, Tensor)>,
}

impl Memory {
    /// Selects the positions for which `keep` holds.
    pub fn select(&self, keep: impl Fn(u32) -> bool) -> Result<Self> {
        let kept: Vec<u32> = (0..).zip(&self.positions).filter(|(_, p)| keep(**p)).map(|(i, _)| i).collect();
        let positions = kept.iter().map(|&i| self.positions[i as usize]).collect();
        let pick = |t: &Tensor| t.index_select(&Tensor::new(kept.as_slice(), t.device())?, 0);
        let layers = self.layers.iter().map(|(k, v)| Ok((pick(k)?, pick(v)?))).collect::<Result<_>>()?;
        Ok(Self { positions, layers })
    }
    /// Appends the positions of `others`.
    pub fn followed_by(&self, others: &Self) -> Result<Self> {
        let positions = [self.positions.as_slice(), &others.positions].concat();
        let join = |(a, b): (&(Tensor, Tensor), &(Tensor, Tensor))| {
            Ok((Tensor::cat(&[&a.0, &b.0], 0)?, Tensor::cat(&[&a.1, &b.1], 0)?))
        };
        let layers = self.layers.iter().zip(&others.layers).map(join).collect::<Result<_>>()?;
        Ok(Self { positions, layers })
    }
    /// The size in bytes.
    pub fn bytes(&self) -> usize {
        let size = |t: &Tensor| t.elem_count() * t.dtype().size_in_bytes();
        self.layers.iter().map(|(k, v)| size(k) + size(v)).sum()
    }
}

/// One sequence of a pack, with its attention.
pub struct Span<'a> {
    /// The rows of the sequence in the pack.
    pub rows: std::ops::Range<usize>,
    /// The position of each row.
    pub positions: &'a [u32],
    pub pattern: Pattern,
    pub past: Option<&'a Memory>,
}

impl Span<'_> {
    /// The mask to add to the products of queries and keys, past keys first; `None` where nothing is hidden.
    fn mask(&self, window: Option<usize>, device: &Device) -> Result<Option<Tensor>> {
        let start = self.positions.first().copied().unwrap_or(0);
        let past = self.past.map_or(&[][..], |p| &p.positions);
        let keys = || past.iter().chain(self.positions);
        let sees = |q: u32, k: u32| self.pattern.sees(q, k, start, window);
        let hidden = |&q: &u32| keys().any(|&k| !sees(q, k));
        if !self.positions.iter().any(hidden) {
            return Ok(None);
        }
        let cell = |q: u32, k: u32| if sees(q, k) { 0.0 } else { f32::NEG_INFINITY };
        let mask: Vec<f32> = self.positions.iter().flat_map(|&q| keys().map(move |&k| cell(q, k))).collect();
        Ok(Some(Tensor::from_vec(mask, (self.positions.len(), past.len() + self.positions.len()), device)?))
    }
}

pub enum Qkv {
    Split { q: Linear, k: Linear, v: Option<Linear> },
    Fused(Linear),
}

/// Attention of one layer.
pub struct Attention {
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    pub qkv: Qkv,
    pub out: Linear,
    pub q_norm: Option<Norm>,
    pub k_norm: Option<Norm>,
    pub v_norm: Option<Norm>,
    pub rope: usize,
    pub scale: f32,
    pub clip: Option<f32>,
    pub window: Option<usize>,
}

impl Attention {
    /// (n, hidden) → (n, hidden). Also returns the keys and values of all rows.
    pub fn forward(
        &self,
        x: &Tensor,
        spans: &[Span],
        layer: usize,
        angles: &[Angles],
    ) -> Result<(Tensor, (Tensor, Tensor))> {
        let (q, k, v) = self.project(x)?;
        let angles = &angles[self.rope];
        let (q, k) = (angles.turn(&q)?, angles.turn(&k)?);
        let mut mixed = Vec::with_capacity(spans.len());
        for span in spans {
            let own = |t: &Tensor| t.narrow(0, span.rows.start, span.rows.len());
            let (q, mut keys, mut values) = (own(&q)?, own(&k)?, own(&v)?);
            if let Some((past_k, past_v)) = span.past.and_then(|past| past.layers.get(layer)) {
                keys = Tensor::cat(&[past_k, &keys], 0)?;
                values = Tensor::cat(&[past_v, &values], 0)?;
            }
            let mask = span.mask(self.window, x.device())?;
            mixed.push(attention(&q, &keys, &values, mask.as_ref(), self.scale)?);
        }
        let mixed = if let [one] = &mixed[..] { one.clone() } else { Tensor::cat(&mixed, 0)? };
        Ok((self.out.forward(&mixed)?, (k, v)))
    }

    /// Projects to queries (n, heads, head), keys and values (n, kv, head), which are normalised but not yet rotated.
    fn project(&self, x: &Tensor) -> Result<(Tensor, Tensor, Tensor)> {
        let (q, k, v) = match &self.qkv {
            Qkv::Split { q, k, v } => {
                let (q, k) = (q.forward(x)?, k.forward(x)?);
                let v = v.as_ref().map_or_else(|| Ok(k.clone()), |v| v.forward(x))?;
                (q, k, v)
            }
            Qkv::Fused(qkv) => {
                let all = qkv.forward(x)?;
                let (q, kv) = (self.heads * self.head_dim, self.kv_heads * self.head_dim);
                (all.narrow(1, 0, q)?, all.narrow(1, q, kv)?, all.narrow(1, q + kv, kv)?)
            }
        };
        let clip = |t: Tensor| self.clip.map_or(Ok(t.clone()), |c| t.clamp(-c, c));
        let (q, k, v) = (clip(q)?, clip(k)?, clip(v)?);
        Ok((
            self.split(&q, self.heads, self.q_norm.as_ref())?,
            self.split(&k, self.kv_heads, self.k_norm.as_ref())?,
            self.split(&v, self.kv_heads, self.v_norm.as_ref())?,
        ))
    }

    /// Splits into heads. A norm as wide as all heads normalises them together; any other norm normalises each head.
    fn split(&self, x: &Tensor, heads: usize, norm: Option<&Norm>) -> Result<Tensor> {
        let shape = (x.dim(0)?, heads, self.head_dim);
        match norm {
            None => x.contiguous()?.reshape(shape),
            Some(norm) if norm.width() == Some(heads * self.head_dim) => norm.forward(x)?.reshape(shape),
            Some(norm) => norm.forward(&x.contiguous()?.reshape(shape)?),
        }
    }
}
