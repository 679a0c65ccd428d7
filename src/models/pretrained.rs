//! A pretrained checkpoint as a denoiser. It decides how open positions are shown to the network.

mod reuse;

use super::families::{Description, Diffusion};
use super::transformer::{Builder, Memory, Pattern, Sequence, SequenceOutput, Tensors, Transformer};
use super::{DenoiserState, Hidden, Item, Prediction, Process, SamplingDefaults, Uses, Want};
use crate::models::{OrModel, log_sum_exp};
use crate::{CanvasView, Denoiser, Error, Result, Scores, Token, Vocab};
use candle_core::{CpuStorage, Storage, Tensor};
use reuse::KeyValueCache;
use std::{ops::Range, sync::Arc};

/// The score of tokens without text: finite, and out of reach of any guide.
const NEVER: f32 = -1e4;

/// A pretrained model of one of the [families](super::families::FAMILIES).
pub struct Pretrained {
    name: String,
    description: Description,
    vocab: Vocab,
    mask: Option<Token>,
    /// Tokens that end a text besides the vocabulary's end token; their probability is added to that of the end token.
    ends: Vec<Token>,
    network: Transformer,
    /// Keys and values of recently encoded texts.
    key_values: KeyValueCache,
}

impl Pretrained {
    /// Loads the weights of the network in `description`.
    ///
    /// # Errors
    /// Tensors that are missing, have another shape or type, or belong to no layer; a masked model without a mask
    /// token.
    pub fn new(
        name: String,
        description: Description,
        vocab: Vocab,
        mask: Option<Token>,
        ends: Vec<Token>,
        weights: &mut dyn Tensors,
    ) -> Result<Self> {
        let size = description.plan.vocab();
        if vocab.len() != size {
            return Err(Error::model(format!("the tokenizer has {} tokens, the model predicts {size}", vocab.len())));
        }
        if matches!(description.process, Diffusion::Masked { .. }) && mask.is_none() {
            return Err(Error::model("neither the configuration nor the tokenizer says which token is the mask")
                .help("add \"mask_token_id\" to config.json"));
        }
        if let Some(token) = ends.iter().copied().chain(mask).find(|&t| t as usize >= size) {
            return Err(Error::model(format!("special token {token} lies outside the vocabulary of {size}")));
        }
        let network = Builder { tensors: weights }.transformer(&description.plan)?;
        Ok(Self { name, description, vocab, mask, ends, network, key_values: KeyValueCache::default() })
    }

    /// The description of the model: sizes, special tokens, process.
    pub fn description(&self) -> &Description {
        &self.description
    }
    /// The network.
    pub fn network(&self) -> &Transformer {
        &self.network
    }
    /// The mask token, which stands at open positions; none in a uniform-state model.
    pub fn mask(&self) -> Option<Token> {
        self.mask
    }
}

impl Pretrained {
    /// The network's input for a view, and the keys and values of the text before the input.
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
        let (start, pattern, past, noise) = match self.description.process {
            Diffusion::Uniform { canvas, .. } => {
                let start = prompt + view.tokens.len().saturating_sub(1) / canvas * canvas;
                (start, Pattern::Canvas, Pattern::Causal, 0.0)
            }
            Diffusion::Masked { pattern, timed } => {
                let share = view.tokens.iter().filter(|t| t.is_none()).count() as f32 / view.tokens.len().max(1) as f32;
                let noise = if timed { -(1.0 - (1.0 - 1e-3) * share).ln() } else { 0.0 };
                // Finished blocks before the first block with an open position attend to no later block, so their keys
                // and values are computed once.
                let start = match pattern {
                    Pattern::Blocks(size) => open.min(len.saturating_sub(1)) / size * size,
                    _ => 0,
                };
                (start, pattern, pattern, noise)
            }
        };
        let shown = |(i, token): (usize, Option<Token>)| token.or(self.mask).unwrap_or_else(|| noise_at(i, size));
        let mut tokens: Vec<Token> = visible().enumerate().map(shown).collect();
        let past = if start > 0 { Some(self.remember(&tokens[..start], prompt, past)?) } else { None };
        tokens.drain(..start);
        Ok(Input { tokens, start, pattern, past, noise })
    }

    /// The positions of the view that `input` computes.
    fn positions(&self, view: &CanvasView, input: &Input) -> Range<usize> {
        view.prompt.len().max(input.start)..view.prompt.len() + view.tokens.len()
    }

    /// The question for the logits of positions that `input` covers.
    fn question<'a>(&self, input: &'a Input, positions: &Range<usize>) -> Sequence<'a> {
        // With a shift, the first token of the sequence is predicted by its own position.
        let row = |pos: usize| pos.saturating_sub(usize::from(self.description.shift)).max(input.start) - input.start;
        let wanted = if positions.is_empty() { 0..0 } else { row(positions.start)..row(positions.end - 1) + 1 };
        Sequence {
            tokens: input.tokens.clone(),
            start: input.start,
            pattern: input.pattern,
            past: input.past.as_deref(),
            wanted,
            remember: false,
            noise: input.noise,
            belief: None,
        }
    }

    /// Asks the network one question.
    fn ask(&self, question: Sequence) -> Result<SequenceOutput> {
        let answer = self.network.forward(&[question]).or_model()?.pop();
        answer.ok_or_else(|| Error::model("the network gave no answer"))
    }

    /// A table with one row for each position of a view, from the rows of its last `len` positions, copied once. With a
    /// shift, the first row may be used twice. Rows of earlier positions are zeros: those positions are decided, and no
    /// reader uses their rows.
    fn table(&self, view: &CanvasView, rows: &Tensor, len: usize) -> Result<Vec<f32>> {
        let width = rows.dim(1).or_model()?;
        let mut values = vec![0.0; (view.tokens.len() - len) * width];
        values.reserve_exact(len * width);
        let (storage, layout) = rows.storage_and_layout();
        let dense = match (&*storage, layout.contiguous_offsets()) {
            (Storage::Cpu(CpuStorage::F32(all)), Some((from, to))) => Some(&all[from..to]),
            _ => None,
        };
        let mut put = |rows: &[f32]| {
            if rows.len() + width == len * width && !rows.is_empty() {
                values.extend_from_slice(&rows[..width]);
            }
            values.extend_from_slice(rows);
        };
        match dense {
            Some(rows) => put(rows),
            None => put(&rows.flatten_all().or_model()?.to_vec1::<f32>().or_model()?),
        }
        Ok(values)
    }

    /// The scores of a view, from the logits of its last `len` positions.
    fn scores(&self, view: &CanvasView, logits: &Tensor, len: usize) -> Result<Scores> {
        let (size, mut values) = (self.vocab.len(), self.table(view, logits, len)?);
        let first = (view.tokens.len() - len) * size;
        values[first..].chunks_exact_mut(size).for_each(|row| self.finish(row));
        Scores::new(size, values)
    }

    /// Asks the network about many views. Each view gets the same answer in a batch and alone.
    fn ask_all<T>(
        &self,
        views: &[CanvasView],
        read: impl Fn(&CanvasView, &SequenceOutput, usize) -> Result<T>,
    ) -> Result<Vec<T>> {
        // Positions in one forward. More positions gain nothing: these already share the cost of reading a weight.
        const TOGETHER: usize = 256;
        let mut answers = Vec::with_capacity(views.len());
        let mut left = views;
        while !left.is_empty() {
            let mut inputs = Vec::new();
            let mut sum = 0;
            for view in left {
                sum += view.prompt.len() + view.tokens.len();
                if !inputs.is_empty() && (sum > TOGETHER || !self.network.batches()) {
                    break;
                }
                inputs.push(self.input(view)?);
            }
            let (views, rest) = left.split_at(inputs.len());
            let wanted: Vec<_> = views.iter().zip(&inputs).map(|(view, input)| self.positions(view, input)).collect();
            let questions: Vec<_> = inputs.iter().zip(&wanted).map(|(input, at)| self.question(input, at)).collect();
            for ((view, wanted), answer) in views.iter().zip(wanted).zip(self.network.forward(&questions).or_model()?) {
                answers.push(read(view, &answer, wanted.len())?);
            }
            left = rest;
        }
        Ok(answers)
    }
}

struct Input {
    tokens: Vec<Token>,
    /// The position of the first token.
    start: usize,
    pattern: Pattern,
    past: Option<Arc<Memory>>,
    noise: f32,
}

/// The noise token at an open position of a uniform-state model: the same token for the same position.
fn noise_at(pos: usize, vocab: usize) -> Token {
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

    fn process(&self) -> Process {
        self.description.kind()
    }
    fn defaults(&self) -> SamplingDefaults {
        self.description.defaults()
    }
    fn uses(&self) -> Uses {
        self.description.uses()
    }

    fn predict(&self, views: &[CanvasView]) -> Result<Vec<Scores>> {
        self.ask_all(views, |view, answer, len| self.scores(view, &answer.logits, len))
    }

    fn hidden(&self, views: &[CanvasView]) -> Result<Vec<Hidden>> {
        self.ask_all(views, |view, answer, len| {
            Hidden::new(answer.hidden.dim(1).or_model()?, self.table(view, &answer.hidden, len)?)
        })
    }

    fn answer(&self, items: &mut [Item]) -> Result<()> {
        let uniform = self.process() == Process::Uniform;
        let (mut own, mut views, mut hidden) = (Vec::new(), Vec::new(), Vec::new());
        for item in items {
            match (item.want, &item.state) {
                (Want::Hidden, _) => hidden.push(item),
                (Want::Scores, Some(state)) if uniform || state.cache.is_some() => own.push(item),
                (Want::Scores, _) => views.push(item),
            }
        }
        let shown = |items: &[&mut Item]| -> Vec<CanvasView> { items.iter().map(|item| item.view.clone()).collect() };
        for (scores, item) in self.predict(&shown(&views))?.into_iter().zip(views) {
            item.prediction = Some(Prediction::Scores(Arc::new(scores)));
        }
        for (states, item) in self.hidden(&shown(&hidden))?.into_iter().zip(hidden) {
            item.prediction = Some(Prediction::Hidden(Arc::new(states)));
        }
        for item in own {
            let (view, feedback) = (item.view.clone(), item.feedback.clone());
            let Some(state) = item.state.as_deref_mut() else { continue };
            let scores = match state.cache {
                Some(cache) if !uniform => self.reusing(&view, state, cache)?,
                _ => Arc::new(self.believing(&view, state, feedback.as_deref())?),
            };
            item.prediction = Some(Prediction::Scores(scores));
        }
        Ok(())
    }
}

impl Pretrained {
    /// Adds the probability of all end tokens to the end token's, and rules out tokens without text.
    fn finish(&self, row: &mut [f32]) {
        if let Some(eos) = self.vocab.eos() {
            let ends = self.ends.iter().map(|&t| row[t as usize]).chain([row[eos as usize]]);
            if ends.clone().fold(f32::NEG_INFINITY, f32::max).is_finite() {
                row[eos as usize] = log_sum_exp(ends);
            }
        }
        let writes_nothing = |t: &Token| self.vocab.bytes(*t).is_none();
        for token in self.ends.iter().copied().chain(self.mask).filter(writes_nothing) {
            row[token as usize] = NEVER;
        }
    }
}
