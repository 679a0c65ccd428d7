//! Deterministic automata over bytes and token boundary marks.

use super::automaton::{Automaton, DEAD, State};
use super::symbols::{Bytes, Symbols};
use super::{Limits, compile};
use crate::{Language, Result};
use std::collections::{BTreeSet, VecDeque};

/// A minimal deterministic automaton: the texts, with their token boundaries, that a [`Language`]
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
pub struct Dfa(pub(super) Automaton<Bytes>);

impl Dfa {
    /// The minimal automaton of the language.
    ///
    /// # Errors
    /// `Input` and `Unsupported` for patterns, with a byte range of the pattern as span; `TooLarge` beyond the
    /// limits. Messages start with the names of the [`Named`](Language::Named) parts around what is to blame.
    pub fn compile(language: &Language, limits: &Limits) -> Result<Self> {
        compile::whole(language, limits)
    }

    /// One minimal automaton, or several that must all accept, where one might be large.
    ///
    /// # Errors
    /// Those of [`compile`](Self::compile).
    pub fn factors(language: &Language, limits: &Limits) -> Result<Vec<Self>> {
        compile::factors(language, limits)
    }

    /// Number of states, the dead one not counted.
    pub fn states(&self) -> usize {
        self.0.states()
    }

    /// Whether the language is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the bytes, cut into tokens in some way, are a text of the language.
    pub fn accepts(&self, text: &[u8]) -> bool {
        let states = text.iter().fold(self.begin(), |states, &byte| self.advance(&states, byte));
        states.iter().any(|&q| self.0.accept[q as usize])
    }

    /// The length, in bytes, of the longest beginning of `text` that some text of the language begins with.
    pub fn viable(&self, text: &[u8]) -> usize {
        let mut states = self.begin();
        let alive = text.iter().take_while(|&&byte| {
            states = self.advance(&states, byte);
            !states.is_empty()
        });
        alive.count()
    }

    /// The state before the first byte, after the boundary there; 0 if there is no text.
    pub(crate) fn start(&self) -> State {
        self.0.start
    }
    /// The state after a byte; 0 if nothing can follow.
    pub(crate) fn step(&self, state: State, byte: u8) -> State {
        self.0.step(state, self.0.symbols.class(byte))
    }
    /// The state after a token boundary.
    pub(crate) fn mark(&self, state: State) -> State {
        self.0.mark(state)
    }
    pub(crate) fn accepting(&self, state: State) -> bool {
        self.0.accept[state as usize]
    }
    /// The symbol class of a byte; bytes of one class are never told apart.
    pub(crate) fn class(&self, byte: u8) -> usize {
        self.0.symbols.class(byte)
    }
    /// Whether the language depends on token boundaries.
    pub(crate) fn reads_marks(&self) -> bool {
        (1..self.0.accept.len() as State).any(|q| self.0.mark(q) != q)
    }
    /// Texts of both.
    pub(crate) fn intersect(&self, other: &Self, limits: &Limits) -> Result<Self> {
        self.0.intersect(&other.0, limits).map(Self)
    }
    /// A text and no other.
    pub(super) fn of_text(text: &str) -> Self {
        let mut class = [0; 256];
        let mut classes = 1;
        for byte in text.bytes() {
            let class = &mut class[byte as usize];
            if *class == 0 {
                *class = classes;
                classes += 1;
            }
        }
        let mut rows = vec![vec![DEAD; classes]; text.len() + 2];
        for ((state, row), byte) in (1..).zip(&mut rows[1..]).zip(text.bytes()) {
            row[class[byte as usize]] = state + 1;
        }
        let accept = (0..rows.len()).map(|state| state == text.len() + 1).collect();
        Self::from_table(|byte| class[byte as usize], &rows, accept, 1)
    }
    /// From a table of states × classes, row 0 dead; `class` gives the class of each byte. No mark is read.
    pub(crate) fn from_table(
        class: impl Fn(u8) -> usize,
        rows: &[Vec<State>],
        accept: Vec<bool>,
        start: State,
    ) -> Self {
        let symbols = Bytes::group(&class);
        let bytes = symbols.representatives();
        let row = |(state, row): (State, &Vec<State>)| -> Vec<State> {
            bytes.iter().map(|&b| row[class(b)]).chain([state]).collect()
        };
        let next = (0..).zip(rows).flat_map(row).collect();
        Self(Automaton { symbols, next, accept, start }.minimized())
    }

    /// The lengths, ascending, of the beginnings of `text` that are texts of the language. Only for languages that do
    /// not depend on token boundaries.
    pub(crate) fn prefixes(&self, text: &[u8]) -> Vec<usize> {
        let mut state = self.0.start;
        let mut found = Vec::new();
        for read in 0..=text.len() {
            if state == DEAD {
                break;
            }
            if self.0.accept[state as usize] {
                found.push(read);
            }
            if let Some(&byte) = text.get(read) {
                state = self.0.step(state, self.0.symbols.class(byte));
            }
        }
        found
    }

    /// All texts, if there are at most `most`. Only for languages that do not depend on token boundaries.
    pub(crate) fn texts(&self, most: usize) -> Option<Vec<String>> {
        let (mut found, mut level) = (Vec::new(), vec![(self.0.start, Vec::new())]);
        level.retain(|(state, _)| *state != DEAD);
        // Every beginning leads to a text, and no text is longer than there are states.
        for _ in 0..=self.0.accept.len() {
            found.extend(level.iter().filter(|(q, _)| self.0.accept[*q as usize]).map(|(_, text)| text.clone()));
            if level.len() > most || found.len() > most {
                return None;
            }
            let step = |(state, text): (State, Vec<u8>)| {
                let ways = (0..=255).map(move |byte| (self.step(state, byte), byte)).filter(|(q, _)| *q != DEAD);
                ways.map(move |(q, byte)| (q, text.iter().copied().chain([byte]).collect()))
            };
            level = level.into_iter().flat_map(step).collect();
        }
        level.is_empty().then(|| found.into_iter().filter_map(|text| String::from_utf8(text).ok()).collect())
    }

    fn begin(&self) -> BTreeSet<State> {
        BTreeSet::from([self.0.start])
    }

    /// Every gap between two bytes may be a boundary or not; the first and the last one always are.
    fn advance(&self, states: &BTreeSet<State>, byte: u8) -> BTreeSet<State> {
        let inside = states.iter().map(|&q| self.0.step(q, self.0.symbols.class(byte)));
        inside.flat_map(|q| [q, self.0.mark(q)]).filter(|&q| q != DEAD).collect()
    }

    /// A text with the fewest bytes, plain letters preferred; `None` if there is none.
    pub fn shortest(&self) -> Option<String> {
        let classes = self.readable_classes();
        let mut from: Vec<Option<(State, Option<u8>)>> = vec![None; self.0.accept.len()];
        let mut queue = VecDeque::from([(self.0.start, self.0.start, None)]);
        while let Some((state, before, byte)) = queue.pop_front() {
            if state == DEAD || from[state as usize].is_some() {
                continue;
            }
            from[state as usize] = Some((before, byte));
            if self.0.accept[state as usize] {
                return self.trace(&from, state);
            }
            queue.push_front((self.0.mark(state), state, None));
            queue.extend(classes.iter().map(|&b| (self.0.step(state, self.0.symbols.class(b)), state, Some(b))));
        }
        None
    }

    /// Reads the bytes off the breadth-first tree, back to the start.
    fn trace(&self, from: &[Option<(State, Option<u8>)>], mut state: State) -> Option<String> {
        let mut text = Vec::new();
        while let Some((before, byte)) = from[state as usize] {
            text.extend(byte);
            if state == self.0.start {
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
        let mut seen = vec![false; self.0.symbols.width()];
        bytes.retain(|&b| !std::mem::replace(&mut seen[self.0.symbols.class(b)], true));
        bytes
    }
}

impl std::fmt::Debug for Dfa {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Dfa({} states, {} symbol classes)", self.states(), self.0.symbols.width())
    }
}
