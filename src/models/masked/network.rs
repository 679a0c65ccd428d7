//! The network: what training and inference both run.

use super::attention::{Attention, Rope};
use super::config::MaskedConfig;
use super::ops::{RmsNorm, SwiGlu};
use candle_core::{Device, Result, Tensor};
use std::sync::Arc;

/// Name of the embedding, which is also the head.
pub const EMBEDDING: &str = "embedding.weight";

/// How a weight starts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Init {
    /// All ones.
    Ones,
    /// Normal with mean 0 and this standard deviation.
    Normal(f64),
}

/// Sequences one after the other, without padding.
#[derive(Debug, Clone, Default)]
pub struct Packed {
    /// All sequences, each with its condition in front.
    pub tokens: Vec<u32>,
    /// Positions of each sequence.
    pub lengths: Vec<usize>,
}

impl Packed {
    /// Appends a sequence.
    pub fn push(&mut self, sequence: impl IntoIterator<Item = u32>) {
        let before = self.tokens.len();
        self.tokens.extend(sequence);
        self.lengths.push(self.tokens.len() - before);
    }
}

/// A transformer, bidirectional or causal: RMS norm before each block, rotary positions, SwiGLU, embeddings shared with the head.
pub struct Network {
    eps: f32,
    heads: usize,
    causal: bool,
    rope: Arc<Rope>,
    embedding: Tensor,
    blocks: Vec<Block>,
    norm: Tensor,
}

struct Block {
    attention_norm: Tensor,
    qkv: Tensor,
    attention_out: Tensor,
    ff_norm: Tensor,
    gate_up: Tensor,
    down: Tensor,
}

impl Network {
    /// Asks `weight` for each weight by name, shape and how it starts. Matrices are (in, out).
    ///
    /// # Errors
    /// Those of `weight`.
    pub fn build<E>(
        config: &MaskedConfig,
        mut weight: impl FnMut(&str, &[usize], Init) -> std::result::Result<Tensor, E>,
    ) -> std::result::Result<Self, E> {
        let (d, ff) = (config.hidden_size, config.ff_size);
        let embedding = weight(EMBEDDING, &[config.vocab_size, d], Init::Normal(0.02))?;
        // Blocks add to the residual stream: their last matrix starts smaller, so that the sum keeps its size (GPT-2).
        let inner = Init::Normal(1.0 / (d as f64).sqrt());
        let last = |fan_in: usize| Init::Normal(1.0 / (fan_in as f64 * 2.0 * config.layers as f64).sqrt());
        let blocks = (0..config.layers)
            .map(|i| {
                let mut named =
                    |name: &str, shape: &[usize], init| weight(&format!("blocks.{i}.{name}.weight"), shape, init);
                Ok(Block {
                    attention_norm: named("attention_norm", &[d], Init::Ones)?,
                    qkv: named("attention.qkv", &[d, 3 * d], inner)?,
                    attention_out: named("attention.out", &[d, d], last(d))?,
                    ff_norm: named("ff_norm", &[d], Init::Ones)?,
                    gate_up: named("ff.gate_up", &[d, 2 * ff], inner)?,
                    down: named("ff.down", &[ff, d], last(ff))?,
                })
            })
            .collect::<std::result::Result<Vec<_>, E>>()?;
        let norm = weight("norm.weight", &[d], Init::Ones)?;
        // One position more than a text may have: the condition stands in front.
        let rope = Arc::new(Rope::new(config.max_len + 1, d / config.heads, config.rope_theta));
        Ok(Self {
            eps: config.norm_eps as f32,
            heads: config.heads,
            causal: config.causal,
            rope,
            embedding,
            blocks,
            norm,
        })
    }

    /// Hidden states of the positions at `rows`: (rows, d).
    pub fn hidden(&self, packed: &Packed, rows: &[u32]) -> Result<Tensor> {
        let device = &Device::Cpu;
        let lengths: Arc<[usize]> = packed.lengths.clone().into();
        let norm = |x: &Tensor, w: &Tensor| x.apply_op2(w, RmsNorm { eps: self.eps });
        let mut x = self.embedding.index_select(&Tensor::new(packed.tokens.as_slice(), device)?, 0)?;
        for block in &self.blocks {
            let (heads, causal) = (self.heads, self.causal);
            let attention = Attention { heads, causal, lengths: lengths.clone(), rope: self.rope.clone() };
            let mixed = norm(&x, &block.attention_norm)?.matmul(&block.qkv)?.apply_op1(attention)?;
            x = (x + mixed.matmul(&block.attention_out)?)?;
            let gated = norm(&x, &block.ff_norm)?.matmul(&block.gate_up)?.apply_op1(SwiGlu)?;
            x = (x + gated.matmul(&block.down)?)?;
        }
        norm(&x.index_select(&Tensor::new(rows, device)?, 0)?, &self.norm)
    }

    /// Unnormalised log-probabilities of the positions at `rows`: (rows, V).
    pub fn logits(&self, packed: &Packed, rows: &[u32]) -> Result<Tensor> {
        self.hidden(packed, rows)?.matmul(&self.embedding.t()?)
    }
}
