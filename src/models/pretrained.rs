//! A checkpoint as a denoiser: how positions that are open are shown to the network, and nothing more.

use super::checkpoint::Weights;
use super::families::{Description, Process};
use super::transformer::{Builder, Memory, Pattern, Sequence, Transformer};
use crate::{CanvasView, Denoiser, Error, Result, Scores, Token, Vocab};
use candle_core::Device;
use std::sync::{Arc, Mutex, PoisonError};

/// Score of tokens that stand for no text: finite, and beyond any guide's reach.
const NEVER: f32 = -1e4;

/// A pretrained model of one of the [families](super::families::FAMILIES).
pub struct Pretrained {
    name: String,
    description: Description,
    vocab: Vocab,
    mask: Option<Token>,
    /// Tokens that end a text besides the vocabulary's own end: their mass is counted as that one's.
    ends: Vec<Token>,
    network: Transformer,
    /// Keys and values of texts read lately, the latest last.
    read: Mutex<Vec<(Vec<Token>, Arc<Memory>)>>,
}

impl Pretrained {
    /// Reads the weights that `description` names.
    ///
    /// # Errors
    /// Tensors that are missing, of another shape or type, or belong to no layer; a masked model without a mask.
    pub fn new(
        name: String,
        description: Description,
        vocab: Vocab,
        mask: Option<Token>,
        ends: Vec<Token>,
        weights: &Weights,
    ) -> Result<Self> {
        let size = description.plan.vocab();
        if vocab.len() != size {
            return Err(Error::model(format!("the tokenizer has {} tokens, the model predicts {size}", vocab.len())));
        }
        if matches!(description.process, Process::Masked { .. }) && mask.is_none() {
            return Err(Error::model("neither the configuration nor the tokenizer says which token is the mask")
                .help("add \"mask_token_id\" to config.json"));
        }
        if let Some(token) = ends.iter().copied().chain(mask).find(|&t| t as usize >= size) {
            return Err(Error::model(format!("special token {token} lies outside the vocabulary of {size}")));
        }
        weights.check(&description.plan, &description.ignored)?;
        let mut tensor = |plan: &_| weights.read(plan, &Device::Cpu);
        let network = Builder { tensor: &mut tensor }.transformer(&description.plan)?;
        Ok(Self { name, description, vocab, mask, ends, network, read: Mutex::default() })
    }

    /// Sizes, tokens, and how the model is used.
    pub fn description(&self) -> &Description {
        &self.description
    }
    /// The network itself.
    pub fn network(&self) -> &Transformer {
        &self.network
    }
    /// Shown where a position is open; none in a uniform-state model.
    pub fn mask(&self) -> Option<Token> {
        self.mask
    }
}

/// Most texts whose keys and values are kept, and the bytes they may take together.
const MOST_READ: usize = 64;
const MOST_READ_BYTES: usize = 1 << 30;

impl Pretrained {
    /// Keys and values of a text that no open position changes, kept from the last time it was read. What is kept is
    /// what reading it anew would give, bit for bit.
    fn remember(&self, text: &[Token], pattern: Pattern) -> Result<Arc<Memory>> {
        let lock = || self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, memory)) = lock().iter().find(|(known, _)| known == text) {
            return Ok(memory.clone());
        }
        let sequence = Sequence { remember: true, wanted: 0..0, ..Sequence::whole(text.to_vec(), pattern) };
        let memory = self.network.forward(&[sequence])?.pop().and_then(|answer| answer.memory);
        let memory = Arc::new(memory.ok_or_else(|| Error::model("the network remembered nothing"))?);
        let mut read = lock();
        read.push((text.to_vec(), memory.clone()));
        while read.len() > MOST_READ || read.iter().map(|(_, m)| m.bytes()).sum::<usize>() > MOST_READ_BYTES {
            read.remove(0);
        }
        Ok(memory)
    }

    /// The input for a view, and keys and values of what stands before it.
    fn input(&self, view: &CanvasView) -> Result<Input> {
        let (prompt, len) = (view.prompt.len(), view.prompt.len() + view.tokens.len());
        if len > self.max_len() {
            return Err(Error::input(format!("{len} positions, but the model holds {}", self.max_len()))
                .help("use a shorter prompt or a smaller --len"));
        }
        if view.condition.is_some() {
            return Err(Error::input(format!("the model {} knows no conditions", self.name)));
        }
        let size = self.vocab.len();
        let visible = || view.prompt.iter().copied().map(Some).chain(view.tokens.iter().copied());
        if let Some(token) = visible().flatten().find(|&t| t as usize >= size) {
            return Err(Error::input(format!("token {token} lies outside the model's vocabulary of {size}")));
        }
        let open = visible().position(|t| t.is_none()).unwrap_or(len);
        match self.description.process {
            Process::Uniform { .. } => {
                let tokens = view.tokens.iter().enumerate().map(|(i, t)| t.unwrap_or_else(|| noise(i, size)));
                let past = match prompt {
                    0 => None,
                    _ => Some(self.remember(&view.prompt, Pattern::Causal)?),
                };
                Ok(Input { tokens: tokens.collect(), start: prompt, pattern: Pattern::Canvas, past, noise: 0.0 })
            }
            Process::Masked { pattern, timed } => {
                let mask = self.mask.unwrap_or_default();
                let all: Vec<Token> = visible().map(|t| t.unwrap_or(mask)).collect();
                let share = view.tokens.iter().filter(|t| t.is_none()).count() as f32 / view.tokens.len().max(1) as f32;
                let noise = if timed { -(1.0 - (1.0 - 1e-3) * share).ln() } else { 0.0 };
                // Blocks before the first one with an open position look at no later one: they are read once.
                let start = match pattern {
                    Pattern::Blocks(size) => open.min(len.saturating_sub(1)) / size * size,
                    _ => 0,
                };
                let past = if start > 0 { Some(self.remember(&all[..start], pattern)?) } else { None };
                Ok(Input { tokens: all[start..].to_vec(), start, pattern, past, noise })
            }
        }
    }
}

struct Input {
    tokens: Vec<Token>,
    start: usize,
    pattern: Pattern,
    past: Option<Arc<Memory>>,
    noise: f32,
}

/// A token that stands for nothing, for a position nobody has filled: the same for the same position.
fn noise(pos: usize, vocab: usize) -> Token {
    let mixed = (pos as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 32) as u32 % vocab as u32
}

impl Denoiser for Pretrained {
    fn name(&self) -> &str {
        &self.name
    }
    fn vocab(&self) -> &Vocab {
        &self.vocab
    }
    fn max_len(&self) -> usize {
        self.description.max_len
    }
    fn parameters(&self) -> Option<usize> {
        usize::try_from(self.description.plan.parameters()).ok()
    }

    fn predict(&self, views: &[CanvasView]) -> Result<Vec<Scores>> {
        let inputs = views.iter().map(|view| self.input(view)).collect::<Result<Vec<_>>>()?;
        let shift = usize::from(self.description.shift);
        let mut sequences = Vec::with_capacity(views.len());
        for (view, input) in views.iter().zip(&inputs) {
            // With a shift the first token of all is predicted by its own position.
            let first = match self.is_uniform() {
                true => 0,
                false => view.prompt.len().saturating_sub(input.start).saturating_sub(shift),
            };
            let end = input.tokens.len() - if self.is_uniform() { 0 } else { shift.min(input.tokens.len()) };
            let last = if view.tokens.is_empty() { first } else { end.max(first + 1) };
            sequences.push(Sequence {
                tokens: input.tokens.clone(),
                start: input.start,
                pattern: input.pattern,
                past: input.past.as_deref(),
                wanted: first..last,
                remember: false,
                noise: input.noise,
                belief: None,
            });
        }
        // One at a time: a matrix product may round differently with more rows, and a view gets what it would get alone.
        let mut answers = Vec::with_capacity(views.len());
        for sequence in &sequences {
            answers.extend(self.network.forward(std::slice::from_ref(sequence))?);
        }
        let size = self.vocab.len();
        let mut scores = Vec::with_capacity(views.len());
        for (view, answer) in views.iter().zip(answers) {
            let mut values = answer.logits.flatten_all()?.to_vec1::<f32>()?;
            values.chunks_exact_mut(size).for_each(|row| self.finish(row));
            let missing = (view.tokens.len() * size).saturating_sub(values.len());
            let front = match shift {
                1 if missing == size => values[..size].to_vec(),
                // Rows of decided positions that were not computed: nobody reads them.
                _ => vec![0.0; missing],
            };
            values.splice(0..0, front);
            scores.push(Scores::new(size, values)?);
        }
        Ok(scores)
    }
}

impl Pretrained {
    fn is_uniform(&self) -> bool {
        matches!(self.description.process, Process::Uniform { .. })
    }

    /// All ways to end a text count as one; what stands for no text is out of the question.
    fn finish(&self, row: &mut [f32]) {
        if let Some(eos) = self.vocab.eos() {
            let ends = self.ends.iter().map(|&t| row[t as usize]).chain([row[eos as usize]]);
            let largest = ends.clone().fold(f32::NEG_INFINITY, f32::max);
            if largest.is_finite() {
                row[eos as usize] = largest + ends.map(|x| (x - largest).exp()).sum::<f32>().ln();
            }
        }
        for token in self.ends.iter().copied().chain(self.mask) {
            row[token as usize] = NEVER;
        }
    }
}
