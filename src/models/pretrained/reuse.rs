//! Reuse of keys and values: exact for finished blocks and encoded prompts, approximate within a block of a
//! bidirectional model, where the request sets a cache.

use super::{DenoiserState, Input, Pretrained};
use crate::models::OrModel;
use crate::models::families::Diffusion;
use crate::models::transformer::{Memory, Pattern, Sequence};
use crate::models::{Cache, Marginals};
use crate::{CanvasView, Denoiser, Error, Pos, Result, Scores, Token};
use candle_core::Tensor;
use std::{
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

/// A cache of the keys and values of recently encoded texts, the latest last.
#[derive(Default)]
pub(super) struct KeyValueCache(Mutex<Vec<(Vec<Token>, Arc<Memory>)>>);

/// Maximum number of cached texts, and the maximum of their bytes together.
const MOST: usize = 64;
const MOST_BYTES: usize = 1 << 30;
/// Logit of a token that the constraints forbid.
const FORBIDDEN: f32 = -1e4;

impl KeyValueCache {
    /// Finds the longest cached prefix of a text whose length is one of `lengths`.
    fn find(&self, text: &[Token], lengths: &[usize]) -> Option<(usize, Arc<Memory>)> {
        let read = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = read.iter().filter(|(known, _)| lengths.contains(&known.len()) && text.starts_with(known));
        known.max_by_key(|(known, _)| known.len()).map(|(known, memory)| (known.len(), memory.clone()))
    }

    /// Caches a text. Cached prefixes of the text are dropped if they have more than `shared` tokens.
    fn keep(&self, text: &[Token], memory: Arc<Memory>, shared: usize) {
        let mut read = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        read.retain(|(known, _)| known.len() <= shared || !text.starts_with(known));
        read.push((text.to_vec(), memory));
        while read.len() > MOST || read.iter().map(|(_, m)| m.bytes()).sum::<usize>() > MOST_BYTES {
            read.remove(0);
        }
    }
}

/// The prediction of a uniform-state network at the previous step, for self-conditioning.
#[derive(Clone)]
struct Belief {
    start: usize,
    logits: Tensor,
}

/// The results of a block's first step that later steps reuse.
#[derive(Clone)]
struct Block {
    range: Range<Pos>,
    /// Keys and values of the positions that later steps do not compute.
    memory: Arc<Memory>,
    /// Scores of the whole canvas.
    scores: Arc<Scores>,
}

impl Pretrained {
    /// The keys and values of a text that does not depend on open positions. The prompt is encoded at once and the rest
    /// block by block, so the keys and values of a text have the same bits whatever is cached.
    pub(super) fn remember(&self, text: &[Token], prompt: usize, pattern: Pattern) -> Result<Arc<Memory>> {
        let (size, from_prompt) = match self.description.process {
            Diffusion::Uniform { canvas, .. } => (canvas, false),
            Diffusion::Masked { pattern: Pattern::Blocks(size), .. } => (size, true),
            Diffusion::Masked { .. } => (text.len(), true),
        };
        let first = if from_prompt { prompt / size * size } else { prompt };
        let mut lengths: Vec<usize> = (first..=text.len()).step_by(size.max(1)).filter(|&len| len > 0).collect();
        if lengths.last() != Some(&text.len()) {
            lengths.push(text.len());
        }
        let mut known = self.key_values.find(text, &lengths);
        let done = known.as_ref().map_or(0, |(len, _)| *len);
        for &len in lengths.iter().filter(|&&len| len > done) {
            let (start, past) = known.as_ref().map_or((0, None), |(len, memory)| (*len, Some(memory)));
            let sequence = Sequence {
                start,
                past: past.map(|memory| &**memory),
                remember: true,
                wanted: 0..0,
                ..Sequence::whole(text[start..len].to_vec(), pattern)
            };
            let own = self.network.forward(&[sequence]).or_model()?.pop().and_then(|answer| answer.memory);
            let own = own.ok_or_else(|| Error::model("the network remembered nothing"))?;
            let memory = Arc::new(past.map_or(Ok(own.clone()), |past| past.followed_by(&own)).or_model()?);
            self.key_values.keep(&text[..len], memory.clone(), first);
            known = Some((len, memory));
        }
        known.map(|(_, memory)| memory).ok_or_else(|| Error::model("there is nothing to remember"))
    }

    /// Predicts with self-conditioning: the network receives its own logits of the previous step or, where constraints
    /// hold, the constrained marginals.
    pub(super) fn believing(
        &self,
        view: &CanvasView,
        state: &mut DenoiserState,
        feedback: Option<&Marginals>,
    ) -> Result<Scores> {
        let input = self.input(view)?;
        let start = input.start;
        let positions = self.positions(view, &input);
        let before = state.take::<Belief>().filter(|belief| belief.start == start);
        let belief = match (before, feedback) {
            (None, _) => None,
            (Some(_), Some(marginals)) => Some(self.projected(marginals, view.prompt.len(), &positions)?),
            (Some(belief), None) => Some((belief.logits / f64::from(state.temperature)).or_model()?),
        };
        let answer = self.ask(Sequence { belief, ..self.question(&input, &positions) })?;
        let scores = self.scores(view, &answer.logits, positions.len())?;
        state.keep(Belief { start, logits: answer.logits });
        Ok(scores)
    }

    /// The constrained marginals as logits for self-conditioning.
    fn projected(&self, marginals: &Marginals, prompt: usize, positions: &Range<usize>) -> Result<Tensor> {
        // Forbidden tokens get a large negative logit: an infinite one would make a mean of embeddings undefined.
        let finite = |&log: &f32| log.max(FORBIDDEN);
        let rows = positions.clone().flat_map(|pos| marginals.row(pos - prompt).iter().map(finite));
        let rows: Vec<f32> = rows.collect();
        Tensor::from_vec(rows, (positions.len(), self.vocab().len()), self.network.device()).or_model()
    }

    /// Predicts with an approximate cache. The first step of a block computes all positions. Later steps compute the
    /// block only (dual), or the block and what follows it (prefix), and reuse the other keys and values, which are
    /// then slightly out of date. Source: Fast-dLLM (arXiv 2505.22618).
    pub(super) fn reusing(&self, view: &CanvasView, state: &mut DenoiserState, cache: Cache) -> Result<Arc<Scores>> {
        let Input { tokens, start: _, pattern, past: _, noise } = self.input(view)?;
        let (prompt, len) = (view.prompt.len(), tokens.len());
        let last = match cache {
            Cache::Prefix => len,
            Cache::Dual => prompt + state.block.end,
        };
        let positions = prompt + state.block.start..last;
        // With a shift, the position before the block predicts the block's first token.
        let start = positions.start.saturating_sub(usize::from(self.description.shift));
        let Some(mut block) = state.take::<Block>().filter(|kept| kept.range == state.block) else {
            let input = Input { tokens, start: 0, pattern, past: None, noise };
            let answer = self.ask(Sequence { remember: true, ..self.question(&input, &(prompt..len)) })?;
            let scores = Arc::new(self.scores(view, &answer.logits, len - prompt)?);
            let memory = answer.memory.ok_or_else(|| Error::model("the network remembered nothing"))?;
            let memory = Arc::new(memory.select(|p| !(start..last).contains(&(p as usize))).or_model()?);
            state.keep(Block { range: state.block.clone(), memory, scores: scores.clone() });
            return Ok(scores);
        };
        let tokens = tokens.get(start..last).ok_or_else(|| Error::model("a block outside its canvas"))?.to_vec();
        let past = (!block.memory.positions.is_empty()).then(|| block.memory.clone());
        let input = Input { tokens, start, pattern, past, noise };
        let answer = self.ask(self.question(&input, &positions))?;
        let own = self.scores(
            &CanvasView { tokens: vec![None; positions.len()], ..view.clone() },
            &answer.logits,
            positions.len(),
        )?;
        // The lane has dropped the scores of the previous step, so the table is not copied; only the new rows are
        // written.
        let scores = Arc::make_mut(&mut block.scores);
        for pos in 0..own.len() {
            scores.row_mut(state.block.start + pos).copy_from_slice(own.row(pos));
        }
        let scores = block.scores.clone();
        state.keep(block);
        Ok(scores)
    }
}
