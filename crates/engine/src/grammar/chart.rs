//! A chart parser over tokens: it decides whether any text fits a canvas, and finds one, for canvases of every size, in
//! polynomial time.
//!
//! Probabilities must count each text once, which takes sets of stacks, of which there may be exponentially many.
//! Whether there is a text at all can be decided with single stacks. Stacks whose frames were pushed by the same token
//! for the same purpose share the frames above: a graph-structured stack (Lang 1974, Tomita 1985) over the tokens of a
//! canvas.

mod walker;

use super::gss::BOTTOM;
use super::pushdown::Question;
use super::rtn::State;
use super::transitions::{Beside, Transitions};
use crate::util::Bits;
use crate::util::FastMap;
use crate::{Error, Result, Token, Vocab};
use std::collections::BTreeMap;
use std::sync::Arc;
use walker::Walker;

/// The most steps; some tens of millions take a second.
const MOST_WORK: usize = 2_000_000_000;

/// A frame: a state to return to, and the frames that it was pushed upon.
#[derive(Clone)]
struct Frame {
    back: State,
    below: Bits,
}

/// The top of a stack: a state of the grammar's network, and one of the automaton beside the grammar.
type Top = (State, Beside);

/// The key of a frame: the top above it when it was pushed, its place among the frames pushed with it, and the states
/// of all of these.
type Pushed = (Top, usize, Vec<State>);

/// The effect of one token on a stack: the states it returns to, one frame after the other; the states it pushes,
/// topmost first; and the top after it.
struct Act<'a> {
    from: Top,
    returns: &'a [State],
    pushes: &'a [State],
    to: Top,
    token: Token,
    /// The frames beneath the pushed ones.
    below: &'a Bits,
}

pub(super) struct Chart<'a> {
    transitions: &'a mut Transitions,
    vocab: &'a Vocab,
    question: Question<'a>,
    frames: Vec<Frame>,
    /// The frames pushed by the tokens before each gap.
    pushed: Vec<FastMap<Pushed, u32>>,
    /// The tops that are possible at each gap, and the frames beneath each.
    tops: Vec<BTreeMap<Top, Bits>>,
    /// The results of [`returned`](Self::returned) at the current position.
    returns: FastMap<Bits, Arc<BTreeMap<State, Bits>>>,
    work: usize,
}

/// The frame beneath all others.
const GROUND: u32 = 0;

impl<'a> Chart<'a> {
    /// A text that fits, tail included; `None` if there is none.
    ///
    /// # Errors
    /// `TooLarge`.
    pub fn witness(
        transitions: &'a mut Transitions,
        vocab: &'a Vocab,
        question: Question<'a>,
    ) -> Result<Option<Vec<Token>>> {
        let mut chart = Self::new(transitions, vocab, question);
        for pos in 0..chart.len() {
            chart.advance(pos)?;
        }
        for end in chart.ends() {
            if let Some((top, frames)) = chart.finished(end) {
                let mut text = chart.trace(end, top, frames)?;
                text.extend(chart.tail(end));
                return Ok(Some(text));
            }
        }
        Ok(None)
    }

    /// Fewest tokens of a text, if no more than there are positions; `None` if there is none.
    ///
    /// # Errors
    /// `TooLarge`.
    pub fn fewest(transitions: &'a mut Transitions, vocab: &'a Vocab, question: Question<'a>) -> Result<Option<usize>> {
        let mut chart = Self::new(transitions, vocab, question);
        for pos in 0..=chart.len() {
            if chart.finished(pos).is_some() {
                return Ok(Some(pos));
            }
            if chart.tops[pos].is_empty() || pos == chart.len() {
                break;
            }
            chart.advance(pos)?;
        }
        Ok(None)
    }

    fn len(&self) -> usize {
        self.question.decided.len()
    }

    /// The lengths, in tokens, after which the rest of the canvas can be a tail.
    fn ends(&self) -> Vec<usize> {
        let (min, max) = self.question.tokens;
        let decided = self.question.decided;
        let tail = |pos: usize, first: bool| match decided[pos] {
            None => self.vocab.eos().is_some(),
            Some(token) => Some(token) == self.vocab.eos() || !first && self.vocab.is_tail(token),
        };
        let fits = |&end: &usize| end == self.len() || tail(end, true) && (end + 1..self.len()).all(|p| tail(p, false));
        (min..=max.min(self.len())).filter(fits).collect()
    }

    fn tail(&self, end: usize) -> Vec<Token> {
        let eos = self.vocab.eos().unwrap_or_default();
        self.question.decided[end..].iter().map(|decided| decided.unwrap_or(eos)).collect()
    }

    fn new(transitions: &'a mut Transitions, vocab: &'a Vocab, question: Question<'a>) -> Self {
        let beside = transitions.beside().start();
        let mut first = BTreeMap::new();
        if beside != 0 {
            first.insert((transitions.stacks.rtn().start, beside), Bits::of(GROUND));
            if transitions.stacks.rtn().nullable {
                first.insert((BOTTOM, beside), Bits::default());
            }
        }
        let ground = Frame { back: BOTTOM, below: Bits::default() };
        let (frames, pushed, tops) = (vec![ground], vec![FastMap::default()], vec![first]);
        Self { transitions, vocab, question, frames, pushed, tops, returns: FastMap::default(), work: 0 }
    }

    fn advance(&mut self, pos: usize) -> Result<()> {
        self.tops.push(BTreeMap::new());
        self.pushed.push(FastMap::default());
        let before = self.frames.len();
        self.step(pos, &mut |chart, act| {
            chart.push(pos + 1, act);
            false
        })?;
        self.merge(pos + 1, before);
        Ok(())
    }

    /// Merges the frames from `before` on that return to the same state and lie upon the same frames.
    fn merge(&mut self, gap: usize, before: usize) {
        let mut known: FastMap<(State, Bits), u32> = FastMap::default();
        let mut names: Vec<u32> = Vec::new();
        let renamed = |bits: &Bits, names: &[u32]| {
            let mut new = Bits::default();
            for frame in bits.iter() {
                new.insert((frame as usize).checked_sub(before).map_or(frame, |at| names[at]));
            }
            new
        };
        // The frames beneath a frame were pushed before it.
        for Frame { back, below } in self.frames.split_off(before) {
            self.work += below.words() + 1;
            let below = renamed(&below, &names);
            let new = self.frames.len() as u32;
            let name = *known.entry((back, below.clone())).or_insert(new);
            if name == new {
                self.frames.push(Frame { back, below });
            }
            names.push(name);
        }
        self.pushed[gap].values_mut().for_each(|frame| *frame = names[*frame as usize - before]);
        self.tops[gap].values_mut().for_each(|frames| *frames = renamed(frames, &names));
    }

    fn push(&mut self, gap: usize, act: &Act) {
        self.work += act.below.words() + 1;
        let mut below = None;
        for at in (0..act.pushes.len()).rev() {
            // Frames pushed together are a chain; only the outermost has what was there before beneath it.
            let key = (act.to, at, act.pushes.to_vec());
            let new = self.frames.len() as u32;
            let frame = *self.pushed[gap].entry(key).or_insert(new);
            if frame == new {
                self.frames.push(Frame { back: act.pushes[at], below: Bits::default() });
            }
            match below {
                None => self.frames[frame as usize].below.add(act.below),
                Some(outer) => self.frames[frame as usize].below.insert(outer),
            }
            below = Some(frame);
        }
        let frames = self.tops[gap].entry(act.to).or_default();
        match below {
            None => frames.add(act.below),
            Some(innermost) => frames.insert(innermost),
        }
    }

    /// Calls `visit` with each effect that a token at `pos` can have, until `visit` returns true.
    fn step(&mut self, pos: usize, visit: &mut impl FnMut(&mut Self, &Act) -> bool) -> Result<()> {
        self.returns.clear();
        let tops: Vec<(Top, Bits)> = self.tops[pos].iter().map(|(top, below)| (*top, below.clone())).collect();
        for (top, below) in tops {
            if top.0 == BOTTOM {
                continue;
            }
            if self.work > MOST_WORK {
                return Err(Error::too_large("deciding whether the grammar has a text for this canvas")
                    .help("use fewer positions, or a simpler grammar"));
            }
            let shape = self.transitions.stacks.over_any(top.0);
            let mut walker = Walker { chart: self, from: top, visit };
            let done = match walker.chart.question.decided[pos] {
                None => walker.walk(0, top.1, shape, &below, &mut Vec::new()),
                Some(token) => match walker.chart.vocab.bytes(token) {
                    Some(bytes) => walker.spell(token, bytes, top.1, shape, &below, &mut Vec::new()),
                    None => false,
                },
            };
            if done {
                break;
            }
        }
        Ok(())
    }

    /// The states that the frames return to, with the frames beneath them. The result is kept: many tokens return from
    /// the same frames.
    fn returned(&mut self, frames: &Bits) -> Arc<BTreeMap<State, Bits>> {
        if let Some(known) = self.returns.get(frames) {
            return known.clone();
        }
        let mut by_state: BTreeMap<State, Bits> = BTreeMap::new();
        for frame in frames.iter() {
            let Frame { back, below } = &self.frames[frame as usize];
            self.work += below.words() + 1;
            by_state.entry(*back).or_default().add(below);
        }
        let by_state = Arc::new(by_state);
        self.returns.insert(frames.clone(), by_state.clone());
        by_state
    }

    /// A top and a stack beneath it with which the text may end after `end` tokens.
    fn finished(&mut self, end: usize) -> Option<(Top, Vec<u32>)> {
        let tops: Vec<(Top, Bits)> = self.tops[end].iter().map(|(top, below)| (*top, below.clone())).collect();
        tops.into_iter().find_map(|(top, below)| {
            let accepted = self.transitions.beside().accepting(top.1);
            accepted.then(|| self.completion(top.0, &below)).flatten().map(|frames| (top, frames))
        })
    }

    /// The frames, topmost first, of a stack whose states may all return without reading; `None` if there is no such
    /// stack.
    fn completion(&mut self, top: State, frames: &Bits) -> Option<Vec<u32>> {
        if top == BOTTOM {
            return Some(Vec::new());
        }
        if !self.transitions.stacks.accepting(top) {
            return None;
        }
        frames.iter().find_map(|frame| {
            let Frame { back, below } = self.frames[frame as usize].clone();
            let back = self.transitions.stacks.resume_after(top, back)?;
            let mut rest = self.completion(back, &below)?;
            rest.insert(0, frame);
            Some(rest)
        })
    }

    /// The tokens of a text that ends with these frames on its stack, topmost first.
    fn trace(&mut self, end: usize, mut top: Top, mut stack: Vec<u32>) -> Result<Vec<Token>> {
        let mut text = Vec::new();
        for pos in (0..end).rev() {
            let mut found = None;
            self.step(pos, &mut |chart, act| {
                if act.to == top && found.is_none() {
                    found = chart.undo(pos, act, &stack).map(|stack| (act.from, stack, act.token));
                }
                found.is_some()
            })?;
            let (before, frames, token) = found.ok_or_else(|| Error::model("a text of the chart lost its way"))?;
            (top, stack) = (before, frames);
            text.push(token);
        }
        text.reverse();
        Ok(text)
    }

    /// The stack before the effect of a token after which it is `stack`; `None` if no such stack is possible.
    fn undo(&self, pos: usize, act: &Act, stack: &[u32]) -> Option<Vec<u32>> {
        let rest = stack.get(act.pushes.len()..)?;
        for (at, frame) in stack[..act.pushes.len()].iter().enumerate() {
            if self.pushed[pos + 1].get(&(act.to, at, act.pushes.to_vec())) != Some(frame) {
                return None;
            }
        }
        // The frames beneath the pushed ones must be those that the returns left.
        let beneath = rest.first().copied();
        let frames = self.tops[pos].get(&act.from)?;
        let mut chain = Vec::new();
        self.chain(frames, act.returns, beneath, &mut chain).then(|| {
            chain.extend(rest);
            chain
        })
    }

    /// Finds frames that return to the states `returns`, one after the other, and have `beneath` under the last.
    fn chain(&self, frames: &Bits, returns: &[State], beneath: Option<u32>, chain: &mut Vec<u32>) -> bool {
        let Some((&first, rest)) = returns.split_first() else {
            return beneath.is_none_or(|frame| frames.contains(frame)) && (beneath.is_some() || frames.is_empty());
        };
        frames.iter().any(|frame| {
            let Frame { back, below } = &self.frames[frame as usize];
            if *back != first {
                return false;
            }
            chain.push(frame);
            let found = self.chain(below, rest, beneath, chain);
            if !found {
                chain.pop();
            }
            found
        })
    }
}
