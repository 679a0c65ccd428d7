//! Transition tables: the deterministic automata that all constructions work on.

use super::symbols::{Bytes, Chars, Symbols};
use super::{Limits, minimize, product, words};
use crate::Result;

/// Index of a state.
pub(super) type State = u32;

/// The dead state, which no transition leaves; row 0 of every table.
pub(super) const DEAD: State = 0;

/// A deterministic automaton. Where it reads marks, a mark read twice is a mark read once:
/// δ(δ(q, mark), mark) = δ(q, mark).
#[derive(Clone)]
pub(super) struct Automaton<S> {
    pub(super) symbols: S,
    /// states × classes, row-major.
    pub(super) next: Vec<State>,
    pub(super) accept: Vec<bool>,
    pub(super) start: State,
}

impl<S: Symbols> Automaton<S> {
    /// Number of states, the dead one not counted.
    pub(super) fn states(&self) -> usize {
        self.accept.len() - 1
    }
    /// Whether it accepts nothing. Only correct for trimmed automata.
    pub(super) fn is_empty(&self) -> bool {
        self.start == DEAD
    }
    pub(super) fn step(&self, state: State, class: usize) -> State {
        self.next[state as usize * self.symbols.width() + class]
    }
    pub(super) fn row(&self, state: State) -> &[State] {
        let width = self.symbols.width();
        &self.next[state as usize * width..][..width]
    }
    pub(super) fn minimized(self) -> Self {
        minimize::minimize(self)
    }

    /// Texts of both.
    pub(super) fn intersect(&self, other: &Self, limits: &Limits) -> Result<Self> {
        product::product(self, other, |a, b| a != DEAD && b != DEAD, |a, b| a && b, limits)
    }

    /// Texts of `all` outside this language.
    pub(super) fn complement(&self, all: &Self, limits: &Limits) -> Result<Self> {
        product::product(self, all, |_, b| b != DEAD, |a, b| b && !a, limits)
    }

    /// The empty set.
    pub(super) fn none(symbols: &S) -> Self {
        let (symbols, kept) = symbols.merge(&vec![0; symbols.width()]);
        Self { symbols, next: vec![DEAD; kept.len()], accept: vec![false], start: DEAD }
    }

    /// A chain of states, one more than `classes`, with one transition from each to the next; only the last accepts.
    fn chain(symbols: S, classes: impl ExactSizeIterator<Item = usize>, limits: &Limits) -> Result<Self> {
        let (states, width) = (classes.len() + 1, symbols.width());
        limits.check(states, width, "the literal text")?;
        let mut next = vec![DEAD; (states + 1) * width];
        for (state, class) in (1..).zip(classes) {
            next[state * width + class] = state as State + 1;
        }
        if let Some(mark) = symbols.mark() {
            (1..=states).for_each(|state| next[state * width + mark] = state as State);
        }
        Ok(Self { symbols, next, accept: (0..=states).map(|state| state == states).collect(), start: 1 })
    }
}

impl Automaton<Chars> {
    /// Every text.
    pub(super) fn any() -> Self {
        Self { symbols: Chars::all(), next: vec![DEAD, 1], accept: vec![false, true], start: 1 }
    }

    /// One text.
    pub(super) fn literal(text: &str, limits: &Limits) -> Result<Self> {
        let symbols = Chars::single_out(text.chars());
        let classes: Vec<usize> = text.chars().map(|c| symbols.class(c as u32)).collect();
        Self::chain(symbols, classes.into_iter(), limits)
    }

    /// One of these texts.
    pub(super) fn words(texts: &[&str], limits: &Limits) -> Result<Self> {
        let symbols = Chars::single_out(texts.iter().flat_map(|text| text.chars()));
        let classes = |text: &&str| text.chars().map(|c| symbols.class(c as u32) as u32).collect();
        words::build(symbols.clone(), texts.iter().map(classes).collect(), limits)
    }
}

impl Automaton<Bytes> {
    /// One text.
    pub(super) fn literal(text: &str, limits: &Limits) -> Result<Self> {
        let mut used = [false; 256];
        text.bytes().for_each(|b| used[b as usize] = true);
        let symbols = Bytes::group(|b| used[b as usize].then_some(b));
        let classes: Vec<usize> = text.bytes().map(|b| symbols.class(b)).collect();
        Self::chain(symbols, classes.into_iter(), limits)
    }

    /// One of these texts.
    pub(super) fn words(texts: &[&str], limits: &Limits) -> Result<Self> {
        let mut used = [false; 256];
        texts.iter().flat_map(|text| text.bytes()).for_each(|b| used[b as usize] = true);
        let symbols = Bytes::group(|b| used[b as usize].then_some(b));
        let classes = |text: &&str| text.bytes().map(|b| symbols.class(b) as u32).collect();
        words::build(symbols.clone(), texts.iter().map(classes).collect(), limits)
    }

    /// A token boundary and nothing else.
    pub(super) fn boundary() -> Self {
        let next = vec![DEAD, DEAD, DEAD, 2, DEAD, 2];
        Self { symbols: Bytes::group(|_| ()), next, accept: vec![false, false, true], start: 1 }
    }

    /// Any bytes, from a boundary to a boundary, cut into `min..=max` tokens.
    pub(super) fn count(min: usize, max: usize, limits: &Limits) -> Result<Self> {
        let symbols = Bytes::group(|_| ());
        if min > max {
            return Ok(Self::none(&symbols));
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
        Ok(Self { symbols, next, accept, start: 1 })
    }

    pub(super) fn mark(&self, state: State) -> State {
        self.step(state, self.symbols.width() - 1)
    }

    /// The automaton of a finished text: the boundaries at both of its ends are read in advance.
    pub(super) fn framed(mut self) -> Self {
        self.start = self.mark(self.start);
        self.accept = (0..self.accept.len() as State).map(|q| self.accept[self.mark(q) as usize]).collect();
        self.minimized()
    }
}
