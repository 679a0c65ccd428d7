//! The network of training and inference, on flat f32 arrays.

use super::config::MaskedConfig;
use super::workspace::{BlockBuffers, Workspace};
use crate::kernels::{Heads, Mask, Matrix, MatrixMut, RmsNorm, Rope, Sequence, attention, cross_entropy, gemm, swiglu};
use std::ops::Range;
use std::sync::Mutex;

/// The name of the embedding, which is also the output head.
pub const EMBEDDING: &str = "embedding.weight";

/// The initial values of a weight.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Init {
    /// All ones.
    Ones,
    /// Normal with mean 0 and this standard deviation.
    Normal(f64),
}

/// A named weight of the network, with its shape and its range in the flat array of weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// The name in the checkpoint.
    pub name: String,
    /// The shape; (in, out) for a matrix.
    pub shape: Vec<usize>,
    /// The initial values for training.
    pub init: Init,
    /// The range in [`MaskedNetwork::weights`] and in gradients.
    pub range: Range<usize>,
}

/// A batch of sequences, packed one after the other without padding.
#[derive(Debug, Clone, Default)]
pub struct PackedSequences {
    /// The tokens of all sequences, each with its condition in front.
    pub tokens: Vec<u32>,
    /// The number of positions of each sequence.
    pub lengths: Vec<usize>,
}

impl PackedSequences {
    /// Appends a sequence.
    pub fn push(&mut self, sequence: impl IntoIterator<Item = u32>) {
        let before = self.tokens.len();
        self.tokens.extend(sequence);
        self.lengths.push(self.tokens.len() - before);
    }

    /// Cuts the batch into parts of bounded size that are computed one after the other. Each part gets the `rows`
    /// (ascending) that lie in it.
    pub(super) fn parts<'a>(&'a self, mut rows: &'a [u32]) -> impl Iterator<Item = Part<'a>> {
        let (mut tokens, mut lengths, mut start, mut first) = (self.tokens.as_slice(), self.lengths.as_slice(), 0, 0);
        std::iter::from_fn(move || {
            let mut size = *lengths.first()?;
            let fits = |len: &&usize| {
                size += **len;
                size <= PART
            };
            let count = 1 + lengths[1..].iter().take_while(fits).count();
            let lengths = lengths.split_off(..count)?;
            let own = tokens.split_off(..lengths.iter().sum())?;
            let end = start + own.len();
            let mine = rows.split_off(..rows.partition_point(|&row| (row as usize) < end))?;
            let part = Part {
                tokens: own,
                lengths,
                positions: lengths.iter().flat_map(|&len| 0..len).collect(),
                rows: mine.iter().map(|&row| row as usize - start).collect(),
                first,
            };
            (start, first) = (end, first + mine.len());
            Some(part)
        })
    }
}

/// Maximum number of positions in a part. The memory of a pass grows with this number, not with the batch.
const PART: usize = 2048;

/// Maximum number of rows whose logits are in memory at once.
const LOGITS: usize = 256;

/// A part of a batch: some of its sequences.
pub(super) struct Part<'a> {
    pub tokens: &'a [u32],
    pub lengths: &'a [usize],
    /// The position of each token in its sequence.
    pub positions: Vec<usize>,
    /// The rows, counted within the part.
    pub rows: Vec<usize>,
    /// The number of rows in earlier parts.
    pub first: usize,
}

impl Part<'_> {
    /// The ranges of rows whose logits are computed together.
    pub fn chunks(&self) -> impl Iterator<Item = Range<usize>> {
        let rows = self.rows.len();
        (0..rows).step_by(LOGITS).map(move |start| start..rows.min(start + LOGITS))
    }
}

/// A transformer, bidirectional or causal: RMS norm before each block, rotary positions, SwiGLU, embeddings shared with
/// the head.
///
/// Sequences do not attend to each other, and results do not depend on the number of threads.
pub struct MaskedNetwork {
    pub(super) vocab: usize,
    /// Width of the residual stream.
    pub(super) d: usize,
    /// Width of the gated layer.
    pub(super) ff: usize,
    pub(super) heads: Heads,
    pub(super) mask: Mask<'static>,
    pub(super) norm: RmsNorm,
    pub(super) rope: Rope,
    pub(super) places: Places,
    parameters: Vec<Parameter>,
    weights: Vec<f32>,
    /// Buffers of finished calls, for reuse.
    idle: Mutex<Vec<Workspace>>,
}

/// The range of each weight in the flat array.
pub(super) struct Places {
    pub embedding: Range<usize>,
    pub blocks: Vec<BlockPlaces>,
    pub norm: Range<usize>,
}

pub(super) struct BlockPlaces {
    pub attention_norm: Range<usize>,
    pub qkv: Range<usize>,
    pub attention_out: Range<usize>,
    pub ff_norm: Range<usize>,
    pub gate_up: Range<usize>,
    pub down: Range<usize>,
}

impl MaskedNetwork {
    /// Builds a network; `weight` returns the numbers of each weight.
    ///
    /// # Errors
    /// Errors of `weight`.
    ///
    /// # Panics
    /// If `weight` returns another count of numbers than the shape requires.
    pub fn build<E>(
        config: &MaskedConfig,
        mut weight: impl FnMut(&Parameter) -> Result<Vec<f32>, E>,
    ) -> Result<Self, E> {
        let (d, ff, vocab) = (config.hidden_size, config.ff_size, config.vocab_size);
        let (mut parameters, mut weights) = (Vec::new(), Vec::new());
        let mut take = |name: &str, shape: &[usize], init| {
            let size = shape.iter().product::<usize>();
            let range = weights.len()..weights.len() + size;
            let parameter = Parameter { name: name.to_string(), shape: shape.to_vec(), init, range: range.clone() };
            let numbers = weight(&parameter)?;
            assert_eq!(numbers.len(), size, "{name} has another size than its shape says");
            weights.extend(numbers);
            parameters.push(parameter);
            Ok(range)
        };
        let embedding = take(EMBEDDING, &[vocab, d], Init::Normal(0.02))?;
        // Blocks add to the residual stream. Their last matrix starts smaller, so that the sum keeps its scale (GPT-2).
        let inner = Init::Normal(1.0 / (d as f64).sqrt());
        let last = |fan_in: usize| Init::Normal(1.0 / (fan_in as f64 * 2.0 * config.layers as f64).sqrt());
        let blocks = (0..config.layers)
            .map(|i| {
                let mut take =
                    |name: &str, shape: &[usize], init| take(&format!("blocks.{i}.{name}.weight"), shape, init);
                Ok(BlockPlaces {
                    attention_norm: take("attention_norm", &[d], Init::Ones)?,
                    qkv: take("attention.qkv", &[d, 3 * d], inner)?,
                    attention_out: take("attention.out", &[d, d], last(d))?,
                    ff_norm: take("ff_norm", &[d], Init::Ones)?,
                    gate_up: take("ff.gate_up", &[d, 2 * ff], inner)?,
                    down: take("ff.down", &[ff, d], last(ff))?,
                })
            })
            .collect::<Result<Vec<_>, E>>()?;
        let norm = take("norm.weight", &[d], Init::Ones)?;
        let size = d / config.heads;
        Ok(Self {
            vocab,
            d,
            ff,
            heads: Heads::even(config.heads, size),
            mask: if config.causal { Mask::Causal } else { Mask::Full },
            norm: RmsNorm { eps: config.norm_eps as f32 },
            // One position more than the maximum of a text, for the condition in front.
            rope: Rope::new(config.max_len + 1, size, config.rope_theta),
            places: Places { embedding, blocks, norm },
            parameters,
            weights,
            idle: Mutex::default(),
        })
    }

    /// All weights in one flat array.
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }
    /// All weights, mutable for the optimizer.
    pub fn weights_mut(&mut self) -> &mut [f32] {
        &mut self.weights
    }
    /// The weights by name, with their ranges in [`weights`](Self::weights).
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// The hidden states after the last norm at `rows` (ascending): (rows, d).
    ///
    /// # Panics
    /// As [`logits`](Self::logits).
    pub fn hidden(&self, packed: &PackedSequences, rows: &[u32]) -> Vec<f32> {
        let mut out = Vec::with_capacity(rows.len() * self.d);
        self.with_workspace(|workspace| {
            for part in packed.parts(rows) {
                self.forward(&part, workspace, false);
                out.extend_from_slice(workspace.normed.get(part.rows.len() * self.d));
            }
        });
        out
    }

    /// The unnormalised log-probabilities at `rows` (ascending): (rows, V).
    ///
    /// # Panics
    /// If a token or row is out of range, or a sequence exceeds the model's length.
    pub fn logits(&self, packed: &PackedSequences, rows: &[u32]) -> Vec<f32> {
        let mut out = vec![0.0; rows.len() * self.vocab];
        let mut rest = out.as_mut_slice();
        self.with_workspace(|workspace| {
            for part in packed.parts(rows) {
                self.forward(&part, workspace, false);
                let own = rest.split_off_mut(..part.rows.len() * self.vocab).unwrap_or_default();
                self.head(own, workspace.normed.get(part.rows.len() * self.d));
            }
        });
        out
    }

    /// −log p in nats of `targets`, the tokens at `rows` (ascending).
    ///
    /// # Panics
    /// As [`logits`](Self::logits), and if there is not one target per row.
    pub fn losses(&self, packed: &PackedSequences, rows: &[u32], targets: &[u32]) -> Vec<f32> {
        assert_eq!(rows.len(), targets.len(), "one target per row");
        let mut losses = vec![0.0; rows.len()];
        self.with_workspace(|workspace| {
            for part in packed.parts(rows) {
                self.forward(&part, workspace, false);
                for chunk in part.chunks() {
                    let Workspace { normed, logits, .. } = &mut *workspace;
                    let normed = &normed.get(part.rows.len() * self.d)[chunk.start * self.d..chunk.end * self.d];
                    let logits = logits.get(chunk.len() * self.vocab);
                    self.head(logits, normed);
                    let own = part.first + chunk.start..part.first + chunk.end;
                    cross_entropy(&mut losses[own.clone()], logits, &targets[own]);
                }
            }
        });
        losses
    }

    /// The output head: logits of final hidden states.
    pub(super) fn head(&self, logits: &mut [f32], normed: &[f32]) {
        let rows = normed.len() / self.d;
        let embedding = Matrix::new(&self.weights[self.places.embedding.clone()], self.vocab, self.d);
        gemm(MatrixMut::new(logits, rows, self.vocab), Matrix::new(normed, rows, self.d), embedding.t(), 1.0, false);
    }

    /// Runs all blocks. Leaves the states of the part's rows in `picked` and, after the last norm, in `normed`. With
    /// `keep`, the blocks' buffers keep the values that the backward pass needs.
    pub(super) fn forward(&self, part: &Part, workspace: &mut Workspace, keep: bool) {
        let (n, d, ff) = (part.tokens.len(), self.d, self.ff);
        let weight = |range: &Range<usize>| &self.weights[range.clone()];
        let Workspace { x, blocks, picked, normed, .. } = workspace;
        blocks.resize_with(if keep { self.places.blocks.len() } else { 1 }.max(blocks.len()), Default::default);
        let x = x.get(n * d);
        let embedding = weight(&self.places.embedding);
        for (x, &token) in x.chunks_exact_mut(d).zip(part.tokens) {
            x.copy_from_slice(&embedding[token as usize * d..][..d]);
        }
        for (i, places) in self.places.blocks.iter().enumerate() {
            let BlockBuffers { x: before, attention_in, qkv, mixed, middle, ff_in, gate_up, gated } =
                &mut blocks[if keep { i } else { 0 }];
            let multiply = |out: &mut [f32], x: &[f32], w: &Range<usize>, fan_in: usize, fan_out: usize, add: bool| {
                let w = Matrix::new(weight(w), fan_in, fan_out);
                gemm(MatrixMut::new(out, n, fan_out), Matrix::new(x, n, fan_in), w, 1.0, add);
            };
            if keep {
                before.copy(x);
            }
            let (attention_in, qkv, mixed) = (attention_in.get(n * d), qkv.get(n * 3 * d), mixed.get(n * d));
            self.norm.forward(attention_in, x, weight(&places.attention_norm));
            multiply(qkv, attention_in, &places.qkv, d, 3 * d, false);
            self.rope.turn(qkv, 3 * d, 2 * d, self.heads.size, &part.positions);
            self.attend(mixed, qkv, part.lengths);
            multiply(x, mixed, &places.attention_out, d, d, true);
            if keep {
                middle.copy(x);
            }
            let (ff_in, gate_up, gated) = (ff_in.get(n * d), gate_up.get(n * 2 * ff), gated.get(n * ff));
            self.norm.forward(ff_in, x, weight(&places.ff_norm));
            multiply(gate_up, ff_in, &places.gate_up, d, 2 * ff, false);
            swiglu(gated, gate_up, ff);
            multiply(x, gated, &places.down, ff, d, true);
        }
        let picked = picked.get(part.rows.len() * d);
        for (picked, &row) in picked.chunks_exact_mut(d).zip(&part.rows) {
            picked.copy_from_slice(&x[row * d..][..d]);
        }
        self.norm.forward(normed.get(part.rows.len() * d), picked, weight(&self.places.norm));
    }

    fn attend(&self, out: &mut [f32], qkv: &[f32], lengths: &[usize]) {
        let d = self.d;
        let mut rest = qkv;
        let sequence = |len: &usize| {
            let own = Matrix::new(rest.split_off(..len * 3 * d).unwrap_or_default(), *len, 3 * d);
            let part = |which: usize| own.part(0..*len, which * d..(which + 1) * d);
            Sequence { q: part(0), k: part(1), v: part(2), offset: 0 }
        };
        attention(out, &lengths.iter().map(sequence).collect::<Vec<_>>(), self.heads, self.mask);
    }

    /// Calls `f` with the buffers of an earlier call, or with new ones.
    pub(super) fn with_workspace<R>(&self, f: impl FnOnce(&mut Workspace) -> R) -> R {
        let mut workspace = self.idle.lock().ok().and_then(|mut idle| idle.pop()).unwrap_or_default();
        let result = f(&mut workspace);
        if let Ok(mut idle) = self.idle.lock() {
            idle.push(workspace);
        }
        result
    }
}
