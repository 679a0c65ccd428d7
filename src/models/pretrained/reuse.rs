//! What is not computed again: exactly, of finished blocks and encoded prompts; approximately, within a block of a
//! bidirectional model, where somebody asks for it.

use super::{Input, Pretrained};
use crate::models::OrModel;
use crate::models::families::Process;
use crate::models::transformer::{Memory, Pattern, Sequence};
use crate::models::{Cache, Session};
use crate::{CanvasView, Denoiser, Error, Pos, Result, Scores, Token};
use candle_core::Tensor;
use std::{
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

/// Keys and values of texts read lately, the latest last.
#[derive(Default)]
pub(super) struct Read(Mutex<Vec<(Vec<Token>, Arc<Memory>)>>);

/// Most texts that are kept, and the bytes they may take together.
const MOST: usize = 64;
const MOST_BYTES: usize = 1 << 30;

impl Read {
    /// The longest known beginning of a text whose length is one of `lengths`.
    fn find(&self, text: &[Token], lengths: &[usize]) -> Option<(usize, Arc<Memory>)> {
        let read = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = read.iter().filter(|(known, _)| lengths.contains(&known.len()) && text.starts_with(known));
        known.max_by_key(|(known, _)| known.len()).map(|(known, memory)| (known.len(), memory.clone()))
    }

    /// Keeps a text; of those it continues, only ones of `shared` tokens or fewer stay.
    fn keep(&self, text: &[Token], memory: Arc<Memory>, shared: usize) {
        let mut read = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        read.retain(|(known, _)| known.len() <= shared || !text.starts_with(known));
        read.push((text.to_vec(), memory));
        while read.len() > MOST || read.iter().map(|(_, m)| m.bytes()).sum::<usize>() > MOST_BYTES {
            read.remove(0);
        }
    }
}

/// What a uniform-state network said of its canvas a step ago.
struct Belief {
    start: usize,
    logits: Tensor,
}

/// What the first step of a block has left for the others.
struct Block {
    range: Range<Pos>,
    /// Of everything outside of what the other steps compute.
    memory: Arc<Memory>,
    /// Scores of the whole canvas.
    scores: Scores,
}

impl Pretrained {
    /// Keys and values of a text that no open position changes. The prompt is read at once, what follows block by
    /// block, so that a text has the same keys and values to the bit whatever has been read before.
    pub(super) fn remember(&self, text: &[Token], prompt: usize, pattern: Pattern) -> Result<Arc<Memory>> {
        let (size, from_prompt) = match self.description.process {
            Process::Uniform { canvas, .. } => (canvas, false),
            Process::Masked { pattern: Pattern::Blocks(size), .. } => (size, true),
            Process::Masked { .. } => (text.len(), true),
        };
        let first = if from_prompt { prompt / size * size } else { prompt };
        let mut lengths: Vec<usize> = (first..=text.len()).step_by(size.max(1)).filter(|&len| len > 0).collect();
        if lengths.last() != Some(&text.len()) {
            lengths.push(text.len());
        }
        let mut known = self.read.find(text, &lengths);
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
            self.read.keep(&text[..len], memory.clone(), first);
            known = Some((len, memory));
        }
        known.map(|(_, memory)| memory).ok_or_else(|| Error::model("there is nothing to remember"))
    }

    /// A uniform-state network is told what it said a step ago of the same canvas.
    pub(super) fn believing(&self, view: &CanvasView, session: &mut Session) -> Result<Scores> {
        let input = self.input(view)?;
        let start = input.start;
        let before = session.kept.take().and_then(|kept| kept.downcast::<Belief>().ok()).filter(|b| b.start == start);
        let belief = before.map(|b| b.logits / f64::from(session.temperature)).transpose().or_model()?;
        let positions = self.positions(view, &input);
        let answer = self.ask(Sequence { belief, ..self.question(&input, &positions) })?;
        let rows = self.rows(&answer.logits, positions.len())?;
        session.kept = Some(Box::new(Belief { start, logits: answer.logits }));
        self.scores(view, rows)
    }

    /// The first step of a block computes everything; the others only the block (dual), or the block and what follows
    /// it (prefix), behind keys and values that are no longer quite right. Source: Fast-dLLM (arXiv 2505.22618).
    pub(super) fn reusing(&self, view: &CanvasView, session: &mut Session, cache: Cache) -> Result<Scores> {
        let Input { tokens, start: _, pattern, past: _, noise } = self.input(view)?;
        let (prompt, len) = (view.prompt.len(), tokens.len());
        let last = match cache {
            Cache::Prefix => len,
            Cache::Dual => prompt + session.block.end,
        };
        let positions = prompt + session.block.start..last;
        // With a shift the token before the block predicts its first one.
        let start = positions.start.saturating_sub(usize::from(self.description.shift));
        let kept = session.kept.take().and_then(|kept| kept.downcast::<Block>().ok());
        let Some(mut block) = kept.filter(|kept| kept.range == session.block) else {
            let input = Input { tokens, start: 0, pattern, past: None, noise };
            let answer = self.ask(Sequence { remember: true, ..self.question(&input, &(prompt..len)) })?;
            let scores = self.scores(view, self.rows(&answer.logits, len - prompt)?)?;
            let memory = answer.memory.ok_or_else(|| Error::model("the network remembered nothing"))?;
            let memory = Arc::new(memory.select(|p| !(start..last).contains(&(p as usize))).or_model()?);
            session.kept = Some(Box::new(Block { range: session.block.clone(), memory, scores: scores.clone() }));
            return Ok(scores);
        };
        let tokens = tokens.get(start..last).ok_or_else(|| Error::model("a block outside its canvas"))?.to_vec();
        let past = (!block.memory.positions.is_empty()).then(|| block.memory.clone());
        let input = Input { tokens, start, pattern, past, noise };
        let answer = self.ask(self.question(&input, &positions))?;
        let rows = self.rows(&answer.logits, positions.len())?;
        for (pos, row) in (session.block.start..).zip(rows.chunks_exact(self.vocab().len())) {
            block.scores.row_mut(pos).copy_from_slice(row);
        }
        let scores = block.scores.clone();
        session.kept = Some(block);
        Ok(scores)
    }
}
