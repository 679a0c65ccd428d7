//! Token automata: constraints as deterministic automata over classes of tokens, which inference runs over.

use super::automaton::State;
use super::{Dfa, Limits, cache, lift, token_product};
use crate::util::FastMap;
use crate::{Language, Result, Token, Vocab};
use std::collections::VecDeque;
use std::sync::Arc;

/// A set of tokens that the constraint does not tell apart.
pub type Class = u32;

/// A set of classes that lead from one state to another; an index into [`TokenAutomaton::label`].
pub type Label = u32;

/// All transitions from one state to `target` by one token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Edge {
    /// The tokens that take it.
    pub label: Label,
    /// The state after one of them.
    pub target: u32,
}

/// A constraint over the tokens of a vocabulary.
///
/// States are numbered from 0, the start. Where the vocabulary has an end-of-text token, the last state is *ended*:
/// end-of-text leads there from every accepting state, and it loops on end-of-text and padding. Only states that lie
/// on a path from the start to acceptance exist; a constraint that no token sequence satisfies has none.
///
/// Tokens with equal transitions share a [`Class`], numbered by their lowest token; end-of-text and padding have
/// classes of their own. Between two states there is at most one [`Edge`], with the set of classes that take it.
/// Equal sets share a [`Label`]. Labels are few, since constraints repeat one shape many times, and what is computed
/// for a label need not be computed again for each of its edges.
pub struct TokenAutomaton {
    accept: Vec<bool>,
    ended: Option<State>,
    edges: Rows<Edge>,
    labels: Rows<Class>,
    members: Rows<Token>,
    pub(super) class_of: Vec<Class>,
    fewest: Option<usize>,
}

impl TokenAutomaton {
    pub(super) const NO_CLASS: Class = Class::MAX;

    /// The automaton of a language over the tokens of a vocabulary.
    ///
    /// The latest results, up to 256 MiB of them, are kept: asking again for the same language over a vocabulary of
    /// the same content costs a look-up. A language that no token sequence writes has an
    /// [empty](Self::is_empty) automaton.
    ///
    /// # Errors
    /// Those of [`Dfa::compile`].
    pub fn compile(language: &Language, vocab: &Vocab, limits: &Limits) -> Result<Arc<Self>> {
        cache::compiled(language, vocab, limits)
    }

    /// The automaton over the vocabulary's tokens that accepts exactly the token sequences whose text, with its
    /// boundaries, `dfa` accepts, followed by the tail.
    ///
    /// # Errors
    /// `TooLarge`.
    pub fn lift(dfa: &Dfa, vocab: &Vocab) -> Result<Self> {
        lift::lift(dfa, vocab, &Limits::default())
    }

    /// Lifts each automaton to the vocabulary's tokens and intersects the results, small ones first.
    ///
    /// # Errors
    /// `TooLarge`.
    pub fn lift_all(factors: &[Dfa], vocab: &Vocab, limits: &Limits) -> Result<Self> {
        token_product::lift_all(factors, vocab, limits)
    }

    /// The token sequences of both, which are of one vocabulary. States that differ in name only are not merged.
    ///
    /// # Errors
    /// `TooLarge`.
    pub fn intersect(&self, other: &Self, limits: &Limits) -> Result<Self> {
        token_product::intersect(self, other, limits)
    }

    /// No token sequence at all, over a vocabulary of so many tokens.
    pub(super) fn none(vocab: usize) -> Self {
        Self::from_edges(Vec::new(), None, &[], &[], vec![Self::NO_CLASS; vocab])
    }

    /// Adds the tail and turns columns into edges.
    ///
    /// `columns`: of each class the pairs (state, state after it), by ascending state.
    pub(super) fn assemble(
        mut accept: Vec<bool>,
        columns: &[Box<[(State, State)]>],
        mut class_of: Vec<Class>,
        vocab: &Vocab,
    ) -> Self {
        let mut classes = columns.len() as Class;
        let by_class = columns.iter().zip(0..).flat_map(|(column, class)| column.iter().map(move |&e| (e, class)));
        let arrows = Rows::new(accept.len(), by_class.map(|((from, to), class)| (from, (to, class))));

        let mut tail: Vec<Class> = Vec::new();
        let ended = accept.len() as State;
        if let Some(eos) = vocab.eos().filter(|_| !accept.is_empty()) {
            let pad = vocab.pad().filter(|&pad| pad != eos);
            for token in [Some(eos), pad].into_iter().flatten() {
                class_of[token as usize] = classes;
                tail.push(classes);
                classes += 1;
            }
        }

        let mut names: FastMap<Vec<Class>, Label> = FastMap::default();
        let mut label = |set: &[Class]| match names.get(set) {
            Some(&known) => known,
            None => {
                let new = names.len() as Label;
                names.insert(set.to_vec(), new);
                new
            }
        };
        let mut edges: Vec<(State, Edge)> = Vec::new();
        let (mut row, mut set) = (Vec::new(), Vec::new());
        for state in 0..ended {
            row.clear();
            row.extend_from_slice(arrows.get(state));
            // Stable: the classes of each target stay in order.
            row.sort_by_key(|&(to, _): &(State, Class)| to);
            for same in row.chunk_by(|a, b| a.0 == b.0) {
                set.clear();
                set.extend(same.iter().map(|&(_, class)| class));
                edges.push((state, Edge { label: label(&set), target: same[0].0 }));
            }
            if let (true, Some(eos)) = (accept[state as usize], tail.get(..1)) {
                edges.push((state, Edge { label: label(eos), target: ended }));
            }
        }
        if !tail.is_empty() {
            edges.push((ended, Edge { label: label(&tail), target: ended }));
            accept.push(true);
        }

        let mut sets = vec![Vec::new(); names.len()];
        names.into_iter().for_each(|(set, label)| sets[label as usize] = set);
        Self::from_edges(accept, (!tail.is_empty()).then_some(ended), &edges, &sets, class_of)
    }

    /// Builds an automaton from edges in any order, and the classes of each label, ascending.
    pub(super) fn from_edges(
        accept: Vec<bool>,
        ended: Option<State>,
        edges: &[(State, Edge)],
        labels: &[Vec<Class>],
        class_of: Vec<Class>,
    ) -> Self {
        let mut edges = Rows::new(accept.len(), edges.iter().copied());
        edges.rows_mut(|row| row.sort_unstable_by_key(|edge| edge.target));
        let sets = labels.iter().zip(0..).flat_map(|(set, label)| set.iter().map(move |&class| (label, class)));
        let labels = Rows::new(labels.len(), sets);
        let classes = class_of.iter().filter(|&&class| class != Self::NO_CLASS).max().map_or(0, |&last| last + 1);
        let legal = (0..).zip(&class_of).filter(|&(_, &class)| class != Self::NO_CLASS);
        let members = Rows::new(classes as usize, legal.map(|(token, &class)| (class, token)));
        let mut new = Self { accept, ended, edges, labels, members, class_of, fewest: None };
        new.fewest = new.shortest_path();
        new
    }

    /// Builds an automaton from edges by ascending state and target, the classes of each label and the tokens of each
    /// class, all ascending. The start is state 0, `ended` the last one.
    pub(crate) fn from_parts(
        accept: Vec<bool>,
        ended: Option<State>,
        edges: Vec<(State, Edge)>,
        labels: Vec<Vec<Class>>,
        members: &[Vec<Token>],
        vocab: usize,
    ) -> Self {
        let mut class_of = vec![Self::NO_CLASS; vocab];
        for (class, tokens) in (0..).zip(members) {
            tokens.iter().for_each(|&token| class_of[token as usize] = class);
        }
        let edges = Rows::new(accept.len(), edges.iter().copied());
        let listed = |rows: &[Vec<u32>]| {
            let items = (0..).zip(rows).flat_map(|(row, items)| items.iter().map(move |&item| (row, item)));
            Rows::new(rows.len(), items)
        };
        let (labels, members) = (listed(&labels), listed(members));
        let mut new = Self { accept, ended, edges, labels, members, class_of, fewest: None };
        new.fewest = new.shortest_path();
        new
    }

    /// The automaton with its states in this order; `number` is the inverse of `order`.
    pub(super) fn renumbered(self, order: &[State], number: &[State]) -> Self {
        let turned = |edge: &Edge| Edge { target: number[edge.target as usize], ..*edge };
        let edges = (0..).zip(order).flat_map(|(i, &q)| self.edges(q).iter().map(move |edge| (i, turned(edge))));
        let mut edges = Rows::new(order.len(), edges);
        edges.rows_mut(|row| row.sort_unstable_by_key(|edge| edge.target));
        let accept = order.iter().map(|&q| self.accept[q as usize]).collect();
        Self { accept, edges, ..self }
    }

    /// Whether no sequence of tokens satisfies the constraint.
    pub fn is_empty(&self) -> bool {
        self.accept.is_empty()
    }
    /// Number of states, *ended* included.
    #[inline]
    pub fn states(&self) -> usize {
        self.accept.len()
    }
    /// Number of token classes, those of the tail included.
    #[inline]
    pub fn classes(&self) -> usize {
        self.members.len()
    }
    /// Number of distinct labels.
    #[inline]
    pub fn labels(&self) -> usize {
        self.labels.len()
    }
    /// Number of tokens in the vocabulary.
    pub fn vocab_len(&self) -> usize {
        self.class_of.len()
    }
    /// The state before the first token.
    pub fn start(&self) -> u32 {
        0
    }
    /// The state after the end of the text, if the vocabulary can end one.
    pub fn ended(&self) -> Option<u32> {
        self.ended
    }
    /// Whether the canvas may be full here: the text is complete, or has ended before.
    #[inline]
    pub fn accepting(&self, state: u32) -> bool {
        self.accept[state as usize]
    }
    /// The edges that leave `state`, by ascending target.
    #[inline]
    pub fn edges(&self, state: u32) -> &[Edge] {
        self.edges.get(state)
    }
    /// The states one token after `state`, ascending.
    pub fn successors(&self, state: u32) -> impl Iterator<Item = u32> + '_ {
        self.edges(state).iter().map(|edge| edge.target)
    }
    /// The classes of a label, ascending.
    #[inline]
    pub fn label(&self, label: Label) -> &[Class] {
        self.labels.get(label)
    }
    /// The state after a token of `class`, if it may follow.
    #[inline]
    pub fn next(&self, state: u32, class: Class) -> Option<u32> {
        let taken = |edge: &&Edge| self.label(edge.label).binary_search(&class).is_ok();
        self.edges(state).iter().find(taken).map(|edge| edge.target)
    }
    /// The class of a token; `None` if no text of the constraint contains it.
    #[inline]
    pub fn class_of(&self, token: Token) -> Option<Class> {
        self.class_of.get(token as usize).copied().filter(|&c| c != Self::NO_CLASS)
    }
    /// The tokens of a class, ascending.
    #[inline]
    pub fn members(&self, class: Class) -> &[Token] {
        self.members.get(class)
    }
    /// Fewest tokens of any text of the constraint; `None` if there is no text.
    pub fn min_tokens(&self) -> Option<usize> {
        self.fewest
    }
    /// Size in memory, in bytes.
    pub fn bytes(&self) -> usize {
        let vectors = self.edges.bytes() + self.labels.bytes() + self.members.bytes();
        self.accept.len() + vectors + size_of_val(&*self.class_of)
    }
    /// Whether this sequence, tail included, fills a canvas of its length.
    pub fn accepts(&self, tokens: &[Token]) -> bool {
        let step = |state: u32, &token: &Token| self.next(state, self.class_of(token)?);
        !self.is_empty() && tokens.iter().try_fold(self.start(), step).is_some_and(|q| self.accepting(q))
    }

    fn shortest_path(&self) -> Option<usize> {
        let mut seen = vec![false; self.states()];
        let mut queue = VecDeque::new();
        if let Some(first) = seen.first_mut() {
            *first = true;
            queue.push_back((self.start(), 0));
        }
        while let Some((state, tokens)) = queue.pop_front() {
            if self.accepting(state) {
                return Some(tokens);
            }
            for to in self.successors(state) {
                if !std::mem::replace(&mut seen[to as usize], true) {
                    queue.push_back((to, tokens + 1));
                }
            }
        }
        None
    }
}

impl std::fmt::Debug for TokenAutomaton {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (states, edges) = (self.states(), self.edges.items.len());
        let (classes, labels) = (self.classes(), self.labels());
        write!(f, "TokenAutomaton({states} states, {edges} edges, {labels} labels, {classes} classes)")
    }
}

/// Rows of different lengths, stored one after the other.
pub(super) struct Rows<T> {
    first: Vec<u32>,
    items: Vec<T>,
}

impl<T: Copy + Default> Rows<T> {
    /// Items of a row keep their order.
    pub(super) fn new(rows: usize, items: impl Iterator<Item = (u32, T)> + Clone) -> Self {
        let mut first = vec![0u32; rows + 1];
        items.clone().for_each(|(row, _)| first[row as usize] += 1);
        let total = first.iter_mut().fold(0, |before, slot| {
            let count = std::mem::replace(slot, before);
            before + count
        });
        let mut sorted = vec![T::default(); total as usize];
        for (row, item) in items {
            sorted[first[row as usize] as usize] = item;
            first[row as usize] += 1;
        }
        // Each start has advanced to the start of the next row.
        first.rotate_right(1);
        first[0] = 0;
        Self { first, items: sorted }
    }
    fn rows_mut(&mut self, change: impl Fn(&mut [T])) {
        for row in self.first.windows(2) {
            change(&mut self.items[row[0] as usize..row[1] as usize]);
        }
    }
    fn bytes(&self) -> usize {
        size_of_val(&*self.first) + size_of_val(&*self.items)
    }
    pub(super) fn len(&self) -> usize {
        self.first.len() - 1
    }
    #[inline]
    pub(super) fn get(&self, row: u32) -> &[T] {
        let row = row as usize;
        &self.items[self.first[row] as usize..self.first[row + 1] as usize]
    }
}
