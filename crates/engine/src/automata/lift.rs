//! Lifting a byte automaton to the tokens of a vocabulary.
//!
//! The *column* of a byte string maps each state to the state after reading it. The constraint tells tokens apart by
//! their columns only: tokens with equal columns form one class. Columns are built byte by byte along the vocabulary's
//! prefix tree and each distinct one is kept once, so the work is (distinct columns × byte classes) maps over the
//! states, however many tokens there are.

use super::automaton::{Automaton, DEAD, State};
use super::symbols::{Bytes, Symbols};
use super::token_automaton::{Rows, TokenAutomaton};
use super::{Dfa, Limits};
use crate::util::{FastHasher, FastMap};
use crate::vocab::TokenTrie;
use crate::{Error, Result, Token, Vocab};
use std::hash::{BuildHasher, BuildHasherDefault};

/// Most entries that all distinct columns together may have (8 bytes each).
const MOST_ENTRIES: usize = 32 << 20;

/// Live entries of a column, by ascending source: (state, state after reading).
type Column = Box<[(State, State)]>;

const UNKNOWN: u32 = u32::MAX;
/// Index of the column that is dead everywhere.
const EMPTY: u32 = 0;

/// Distinct columns, numbered from 0 in order of appearance.
#[derive(Default)]
struct Distinct {
    columns: Vec<Column>,
    /// Columns by hash, with linear probing: a hash that is taken is followed by the next number.
    ids: FastMap<u64, u32>,
    entries: usize,
}

impl Distinct {
    fn intern(&mut self, column: &[(State, State)]) -> u32 {
        let mut hash = BuildHasherDefault::<FastHasher>::default().hash_one(column);
        while let Some(&id) = self.ids.get(&hash) {
            if *self.columns[id as usize] == *column {
                return id;
            }
            hash = hash.wrapping_add(1);
        }
        let id = self.columns.len() as u32;
        self.ids.insert(hash, id);
        self.entries += column.len();
        self.columns.push(column.into());
        id
    }
}

/// The columns of byte strings, and for each the column after a further symbol class, computed when it is first needed.
struct Columns<'a> {
    dfa: &'a Automaton<Bytes>,
    limits: &'a Limits,
    /// The automaton's table by class, since the transitions of one class are read for many states at a time.
    by_class: Vec<Box<[State]>>,
    distinct: Distinct,
    after: Vec<u32>,
    buffer: Vec<(State, State)>,
}

impl<'a> Columns<'a> {
    fn new(dfa: &'a Automaton<Bytes>, limits: &'a Limits) -> Self {
        let states = 0..dfa.accept.len() as State;
        let column = |class| states.clone().map(|state| dfa.step(state, class)).collect();
        let by_class = (0..dfa.symbols.width()).map(column).collect();
        let mut new =
            Self { dfa, limits, by_class, distinct: Distinct::default(), after: Vec::new(), buffer: Vec::new() };
        new.intern();
        new
    }

    /// The number of the column in the buffer.
    fn intern(&mut self) -> u32 {
        let id = self.distinct.intern(&self.buffer);
        self.after.resize(self.distinct.columns.len() * self.dfa.symbols.width(), UNKNOWN);
        id
    }

    fn after(&mut self, column: u32, class: usize) -> Result<u32> {
        let cell = column as usize * self.dfa.symbols.width() + class;
        if self.after[cell] == UNKNOWN {
            self.buffer.clear();
            let next = &self.by_class[class];
            for &(from, to) in &self.distinct.columns[column as usize] {
                let to = next[to as usize];
                if to != DEAD {
                    self.buffer.push((from, to));
                }
            }
            let known = self.distinct.columns.len();
            self.after[cell] = self.intern();
            if known.is_multiple_of(64) && self.distinct.columns.len() > known {
                self.limits.check_time("the constraint over this vocabulary")?;
            }
            if self.distinct.entries > MOST_ENTRIES {
                return Err(Error::too_large(format!(
                    "the constraint, with {} states, is too large for this vocabulary",
                    self.dfa.states()
                ))
                .help("narrow the ranges of repetitions and lengths, or split the constraint into smaller ones"));
            }
        }
        Ok(self.after[cell])
    }
}

/// [`TokenAutomaton::lift`], within limits of the caller's.
pub(super) fn lift(dfa: &Dfa, vocab: &Vocab, limits: &Limits) -> Result<TokenAutomaton> {
    let dfa = &dfa.0;
    let mut columns = Columns::new(dfa, limits);
    let written = token_columns(&mut columns, vocab.trie())?;
    let columns: Vec<Column> = columns.distinct.columns;

    let mut class_of = vec![TokenAutomaton::NO_CLASS; vocab.len()];
    let mut is_used = vec![false; columns.len()];
    for (token, column) in written {
        class_of[token as usize] = column;
        is_used[column as usize] = true;
    }
    let used = is_used.iter().zip(&columns).filter(|(used, _)| **used);
    let number = trim(dfa, used.map(|(_, column)| &**column));

    // Columns that differed only in trimmed states are equal from here on.
    let mut classes = Distinct::default();
    let mut live = Vec::new();
    let mut class_of_column = vec![UNKNOWN; columns.len()];
    for class in class_of.iter_mut().filter(|class| **class != TokenAutomaton::NO_CLASS) {
        let column = *class as usize;
        if class_of_column[column] == UNKNOWN {
            live.clear();
            let renamed = columns[column].iter().map(|&(a, b)| (number[a as usize], number[b as usize]));
            live.extend(renamed.filter(|&(from, to)| from != UNKNOWN && to != UNKNOWN));
            class_of_column[column] = if live.is_empty() { TokenAutomaton::NO_CLASS } else { classes.intern(&live) };
        }
        *class = class_of_column[column];
    }
    let mut accept = Vec::new();
    for state in (0..number.len()).filter(|&q| number[q] != UNKNOWN) {
        let name = number[state] as usize;
        accept.resize(accept.len().max(name + 1), false);
        accept[name] = dfa.accept[state];
    }
    Ok(TokenAutomaton::assemble(accept, &classes.columns, class_of, vocab))
}

/// The tokens whose column is not empty, each with its column, the mark at its end included.
fn token_columns(columns: &mut Columns, trie: &TokenTrie) -> Result<Vec<(Token, u32)>> {
    let dfa = columns.dfa;
    let mut boundary = vec![false; dfa.accept.len()];
    (0..dfa.accept.len() as State).for_each(|q| boundary[dfa.mark(q) as usize] = true);
    boundary[dfa.start as usize] = true;
    columns.buffer.extend((1..dfa.accept.len() as State).filter(|&q| boundary[q as usize]).map(|q| (q, q)));
    let mark = dfa.symbols.width() - 1;
    let mut written = Vec::new();
    // The column of each prefix of the current node, and where its subtree ends.
    let mut path = vec![(u32::MAX, columns.intern())];
    let mut at = 0;
    while let Some(node) = trie.nodes.get(at) {
        while path.last().is_some_and(|&(end, _)| end as usize <= at) {
            path.pop();
        }
        let before = path.last().map_or(EMPTY, |&(_, column)| column);
        let column = columns.after(before, dfa.symbols.class(node.byte))?;
        if column == EMPTY {
            at = node.end as usize;
            continue;
        }
        let tokens = trie.tokens(at);
        if !tokens.is_empty() {
            let column = columns.after(column, mark)?;
            if column != EMPTY {
                written.extend(tokens.iter().map(|&token| (token, column)));
            }
        }
        path.push((node.end, column));
        at += 1;
    }
    Ok(written)
}

/// New numbers of the states that lie on some path of tokens from the start to acceptance, in breadth-first order;
/// `UNKNOWN` for the others.
fn trim<'a>(dfa: &Automaton<Bytes>, columns: impl Iterator<Item = &'a [(State, State)]> + Clone) -> Vec<State> {
    let states = dfa.accept.len();
    let every = Rows::new(states, columns.flatten().copied());
    let mut arrows: Vec<(State, State)> = Vec::new();
    let mut latest = vec![UNKNOWN; states];
    for from in 0..states as State {
        let targets = every.get(from).iter().filter(|&&to| std::mem::replace(&mut latest[to as usize], from) != from);
        arrows.extend(targets.map(|&to| (from, to)));
    }
    drop(every);
    let successors = Rows::new(states, arrows.iter().copied());
    let predecessors = Rows::new(states, arrows.iter().map(|&(from, to)| (to, from)));
    let mut useful = dfa.accept.clone();
    let mut stack: Vec<State> = (0..states as State).filter(|&q| useful[q as usize]).collect();
    while let Some(state) = stack.pop() {
        for &before in predecessors.get(state) {
            if !std::mem::replace(&mut useful[before as usize], true) {
                stack.push(before);
            }
        }
    }
    let mut number = vec![UNKNOWN; states];
    if !useful[dfa.start as usize] {
        return number;
    }
    let mut order = vec![dfa.start];
    number[dfa.start as usize] = 0;
    let mut at = 0;
    while at < order.len() {
        for &to in successors.get(order[at]) {
            if useful[to as usize] && number[to as usize] == UNKNOWN {
                number[to as usize] = order.len() as State;
                order.push(to);
            }
        }
        at += 1;
    }
    number
}
