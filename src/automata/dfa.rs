//! Deterministic automata over bytes and token boundary marks.

use super::{Alphabet, Limits, minimize};
use crate::Result;
use std::collections::{BTreeSet, VecDeque};

/// Index of a state of a [`Dfa`].
pub(crate) type State = u32;

/// The state that nothing leads out of; row 0 of every table.
pub(crate) const DEAD: State = 0;

/// A minimal deterministic automaton: the texts, with their token boundaries, that a [`Language`](super::Language)
/// holds.
///
/// It reads 257 symbols, the bytes and the *token boundary mark*, grouped into classes of equal columns. Reading a
/// token means reading its bytes, then one mark; the position before the first token is a boundary too. Every
/// automaton here obeys two rules that make marks harmless:
/// - a mark read twice is a mark read once: δ(δ(q, mark), mark) = δ(q, mark);
/// - a language that does not speak of boundaries has δ(q, mark) = q everywhere.
///
/// Only states that are reachable and from which a text can still be completed are kept; all others are the dead
/// state.
#[derive(Clone)]
pub struct Dfa {
    pub(super) alphabet: Alphabet,
    /// states × classes, row-major.
    pub(super) next: Vec<State>,
    pub(super) accept: Vec<bool>,
    pub(super) start: State,
}

impl Dfa {
    /// Number of states, the dead one not counted.
    pub fn states(&self) -> usize {
        self.accept.len() - 1
    }

    /// Whether it holds no text at all.
    pub fn is_empty(&self) -> bool {
        self.start == DEAD
    }

    /// Whether the bytes, cut into tokens in some way, are a text of the language.
    pub fn accepts(&self, text: &[u8]) -> bool {
        let states = text.iter().fold(self.begin(), |states, &byte| self.advance(&states, byte));
        states.iter().any(|&q| self.accept[q as usize])
    }

    /// How many of the bytes some text of the language begins with.
    pub fn viable(&self, text: &[u8]) -> usize {
        let mut states = self.begin();
        let alive = text.iter().take_while(|&&byte| {
            states = self.advance(&states, byte);
            !states.is_empty()
        });
        alive.count()
    }

    fn begin(&self) -> BTreeSet<State> {
        BTreeSet::from([self.start])
    }

    /// Every gap between two bytes may be a boundary or not; the first and the last one always are.
    fn advance(&self, states: &BTreeSet<State>, byte: u8) -> BTreeSet<State> {
        let inside = states.iter().map(|&q| self.step(q, self.alphabet.byte(byte)));
        inside.flat_map(|q| [q, self.mark(q)]).filter(|&q| q != DEAD).collect()
    }

    /// A text with the fewest bytes, plain letters preferred; `None` if there is none.
    pub fn shortest(&self) -> Option<String> {
        let classes = self.readable_classes();
        let mut from: Vec<Option<(State, Option<u8>)>> = vec![None; self.accept.len()];
        let mut queue = VecDeque::from([(self.start, self.start, None)]);
        while let Some((state, before, byte)) = queue.pop_front() {
            if state == DEAD || from[state as usize].is_some() {
                continue;
            }
            from[state as usize] = Some((before, byte));
            if self.accept[state as usize] {
                return self.trace(&from, state);
            }
            queue.push_front((self.mark(state), state, None));
            queue.extend(classes.iter().map(|&b| (self.step(state, self.alphabet.byte(b)), state, Some(b))));
        }
        None
    }

    /// Reads the bytes off the breadth-first tree, back to the start.
    fn trace(&self, from: &[Option<(State, Option<u8>)>], mut state: State) -> Option<String> {
        let mut text = Vec::new();
        while let Some((before, byte)) = from[state as usize] {
            text.extend(byte);
            if state == self.start {
                break;
            }
            state = before;
        }
        text.reverse();
        String::from_utf8(text).ok()
    }

    /// One byte of each class, the most readable one, most readable first.
    fn readable_classes(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..=255).collect();
        bytes.sort_by_key(|b| match b {
            b'a'..=b'z' => 0,
            b'0'..=b'9' | b'A'..=b'Z' => 1,
            b' '..=b'~' => 2,
            _ => 3,
        });
        let mut seen = vec![false; self.alphabet.width()];
        bytes.retain(|&b| !std::mem::replace(&mut seen[self.alphabet.byte(b)], true));
        bytes
    }

    pub(super) fn step(&self, state: State, class: usize) -> State {
        self.next[state as usize * self.alphabet.width() + class]
    }
    pub(super) fn mark(&self, state: State) -> State {
        self.step(state, self.alphabet.mark())
    }
    pub(super) fn row(&self, state: State) -> &[State] {
        let width = self.alphabet.width();
        &self.next[state as usize * width..][..width]
    }

    /// The automaton of a finished text: boundaries at both its ends are read for it.
    pub(super) fn framed(mut self) -> Self {
        self.start = self.mark(self.start);
        self.accept = (0..self.accept.len() as State).map(|q| self.accept[self.mark(q) as usize]).collect();
        self.minimized()
    }

    pub(super) fn minimized(self) -> Self {
        minimize::minimize(self)
    }

    /// Every valid UTF-8 text.
    pub(super) fn any() -> Self {
        // Unicode Standard, table 3-7: after each lead byte, how many continuation bytes and how the first is limited.
        let alphabet = Alphabet::group(|b| match b {
            0x00..=0x7f => 0,
            0x80..=0x8f => 1,
            0x90..=0x9f => 2,
            0xa0..=0xbf => 3,
            0xc2..=0xdf => 4,
            0xe0 => 5,
            0xe1..=0xec | 0xee..=0xef => 6,
            0xed => 7,
            0xf0 => 8,
            0xf1..=0xf3 => 9,
            0xf4 => 10,
            _ => 11,
        });
        // States: 1 between characters; 2, 3, 4: one, two, three arbitrary continuation bytes to come;
        // 5 after E0, 6 after ED, 7 after F0, 8 after F4.
        let target = |state: State, byte: u8| match (state, byte) {
            (1, 0x00..=0x7f) => 1,
            (1, 0xc2..=0xdf) => 2,
            (1, 0xe0) => 5,
            (1, 0xed) => 6,
            (1, 0xe1..=0xef) => 3,
            (1, 0xf0) => 7,
            (1, 0xf1..=0xf3) => 4,
            (1, 0xf4) => 8,
            (2, 0x80..=0xbf) => 1,
            (3, 0x80..=0xbf) | (5, 0xa0..=0xbf) | (6, 0x80..=0x9f) => 2,
            (4, 0x80..=0xbf) | (7, 0x90..=0xbf) | (8, 0x80..=0x8f) => 3,
            _ => DEAD,
        };
        let bytes = alphabet.representatives();
        let next = (0..=8).flat_map(|q| bytes.iter().map(move |&b| target(q, b)).chain([q])).collect();
        Self { alphabet, next, accept: (0..=8).map(|q| q == 1).collect(), start: 1 }
    }

    /// The empty set.
    pub(super) fn none() -> Self {
        Self { alphabet: Alphabet::group(|_| ()), next: vec![DEAD; 2], accept: vec![false], start: DEAD }
    }

    /// One text.
    pub(super) fn literal(text: &str, limits: &Limits) -> Result<Self> {
        let mut used = [false; 256];
        text.bytes().for_each(|b| used[b as usize] = true);
        let alphabet = Alphabet::group(|b| if used[b as usize] { b as u32 } else { 256 });
        let width = alphabet.width();
        limits.check(text.len() + 1, width, "the literal text")?;
        let mut next = vec![DEAD; (text.len() + 2) * width];
        for (i, &byte) in text.as_bytes().iter().enumerate() {
            next[(i + 1) * width + alphabet.byte(byte)] = i as State + 2;
        }
        for state in 1..=text.len() + 1 {
            next[state * width + alphabet.mark()] = state as State;
        }
        let accept = (0..=text.len() + 1).map(|q| q == text.len() + 1).collect();
        Ok(Self { alphabet, next, accept, start: 1 })
    }

    /// A token boundary and nothing else.
    pub(super) fn boundary() -> Self {
        Self {
            alphabet: Alphabet::group(|_| ()),
            next: vec![DEAD, DEAD, DEAD, 2, DEAD, 2],
            accept: vec![false, false, true],
            start: 1,
        }
    }

    /// Any bytes, from a boundary to a boundary, cut into `min..=max` tokens.
    pub(super) fn count(min: usize, max: usize, limits: &Limits) -> Result<Self> {
        if min > max {
            return Ok(Self::none());
        }
        // Beyond `min`, an unbounded count needs no counting.
        let top = if max == usize::MAX { min } else { max };
        limits.check(top.saturating_mul(2).saturating_add(2), 2, "counting tokens")?;
        // 1 before the first boundary; 2k+2 at the boundary after k tokens; 2k+3 inside the token after it.
        let last = top as State;
        let mut next = vec![DEAD, DEAD, DEAD, 2];
        let mut accept = vec![false, false];
        for k in 0..=last {
            let (here, inside) = (2 * k + 2, 2 * k + 3);
            let more = k < last || max == usize::MAX;
            next.extend([if more { inside } else { DEAD }, here]);
            next.extend(if more { [inside, (2 * k + 4).min(2 * last + 2)] } else { [DEAD, DEAD] });
            accept.extend([k as usize >= min, false]);
        }
        Ok(Self { alphabet: Alphabet::group(|_| ()), next, accept, start: 1 })
    }
}

impl std::fmt::Debug for Dfa {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Dfa({} states, {} symbol classes)", self.states(), self.alphabet.width())
    }
}
