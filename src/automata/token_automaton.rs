//! The constraint as the inference sees it: a deterministic automaton over classes of tokens.

use super::dfa::State;
use crate::{Token, Vocab};
use std::collections::VecDeque;

/// A set of tokens that the constraint does not tell apart.
pub type Class = u32;

/// Where a class of tokens leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    pub class: Class,
    pub target: u32,
}

/// A constraint over the tokens of a vocabulary.
///
/// States are numbered from 0, the start. Where the vocabulary has an end-of-text token, the last state is *ended*:
/// end-of-text leads there from every accepting state, and it loops on end-of-text and padding. Only states that lie
/// on a path from the start to acceptance exist; a constraint that no token sequence satisfies has none.
///
/// Tokens with equal transitions share a [`Class`], numbered by their lowest token; end-of-text and padding have
/// classes of their own. Edges are sparse: a state lists the classes that may follow it, in ascending order.
pub struct TokenAutomaton {
    accept: Vec<bool>,
    ended: Option<State>,
    row: Vec<u32>,
    edges: Vec<Edge>,
    successor_row: Vec<u32>,
    successors: Vec<State>,
    class_of: Vec<Class>,
    member_row: Vec<u32>,
    members: Vec<Token>,
    fewest: Option<usize>,
}

impl TokenAutomaton {
    pub(super) const NO_CLASS: Class = Class::MAX;

    /// Adds the tail, sorts everything into place.
    pub(super) fn assemble(
        mut accept: Vec<bool>,
        mut edges: Vec<(State, Edge)>,
        mut classes: usize,
        mut class_of: Vec<Class>,
        vocab: &Vocab,
    ) -> Self {
        let mut ended = None;
        if let Some(eos) = vocab.eos().filter(|_| !accept.is_empty()) {
            let target = accept.len() as State;
            ended = Some(target);
            let class = classes as Class;
            class_of[eos as usize] = class;
            let last = (0..target).filter(|&q| accept[q as usize]).chain([target]);
            edges.extend(last.map(|from| (from, Edge { class, target })));
            classes += 1;
            if let Some(pad) = vocab.pad().filter(|&pad| pad != eos) {
                let class = classes as Class;
                class_of[pad as usize] = class;
                edges.push((target, Edge { class, target }));
                classes += 1;
            }
            accept.push(true);
        }
        edges.sort_unstable_by_key(|&(from, edge)| (from, edge.class));
        let row = offsets(accept.len(), edges.iter().map(|&(from, _)| from));
        let edges: Vec<Edge> = edges.into_iter().map(|(_, edge)| edge).collect();

        let mut successor_row = vec![0];
        let mut successors = Vec::new();
        for bounds in row.windows(2) {
            let begin = successors.len();
            let mut targets: Vec<State> =
                edges[bounds[0] as usize..bounds[1] as usize].iter().map(|e| e.target).collect();
            targets.sort_unstable();
            targets.dedup();
            successors.extend(targets);
            debug_assert!(successors.len() >= begin);
            successor_row.push(successors.len() as u32);
        }

        let legal = || (0..class_of.len() as Token).filter(|&t| class_of[t as usize] != Self::NO_CLASS);
        let mut members: Vec<Token> = legal().collect();
        members.sort_by_key(|&t| class_of[t as usize]);
        let member_row = offsets(classes, members.iter().map(|&t| class_of[t as usize]));

        let mut new =
            Self { accept, ended, row, edges, successor_row, successors, class_of, member_row, members, fewest: None };
        new.fewest = new.shortest_path();
        new
    }

    /// Whether no sequence of tokens satisfies the constraint.
    pub fn is_empty(&self) -> bool {
        self.accept.is_empty()
    }
    /// Number of states, *ended* included.
    pub fn states(&self) -> usize {
        self.accept.len()
    }
    /// Number of token classes, those of the tail included.
    pub fn classes(&self) -> usize {
        self.member_row.len() - 1
    }
    /// Number of edges over all states.
    pub fn edge_count(&self) -> usize {
        self.edges.len()
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
    pub fn accepting(&self, state: u32) -> bool {
        self.accept[state as usize]
    }
    /// Classes that may follow `state`, ascending, with the states they lead to.
    pub fn edges(&self, state: u32) -> &[Edge] {
        let state = state as usize;
        &self.edges[self.row[state] as usize..self.row[state + 1] as usize]
    }
    /// The states one token after `state`, ascending.
    pub fn successors(&self, state: u32) -> &[u32] {
        let state = state as usize;
        &self.successors[self.successor_row[state] as usize..self.successor_row[state + 1] as usize]
    }
    /// The state after a token of `class`, if it may follow.
    pub fn next(&self, state: u32, class: Class) -> Option<u32> {
        let edges = self.edges(state);
        edges.binary_search_by_key(&class, |e| e.class).ok().map(|i| edges[i].target)
    }
    /// The class of a token; `None` if no text of the constraint contains it.
    pub fn class_of(&self, token: Token) -> Option<Class> {
        self.class_of.get(token as usize).copied().filter(|&c| c != Self::NO_CLASS)
    }
    /// The tokens of a class, ascending.
    pub fn members(&self, class: Class) -> &[Token] {
        let class = class as usize;
        &self.members[self.member_row[class] as usize..self.member_row[class + 1] as usize]
    }
    /// Fewest tokens of any text of the constraint; `None` if there is no text.
    pub fn min_tokens(&self) -> Option<usize> {
        self.fewest
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
            for &to in self.successors(state) {
                if !std::mem::replace(&mut seen[to as usize], true) {
                    queue.push_back((to, tokens + 1));
                }
            }
        }
        None
    }
}

/// Row starts for `rows` rows of items sorted by row.
fn offsets(rows: usize, row_of: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut first = vec![0u32; rows + 1];
    row_of.for_each(|row| first[row as usize + 1] += 1);
    for i in 0..rows {
        first[i + 1] += first[i];
    }
    first
}

impl std::fmt::Debug for TokenAutomaton {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (states, classes, edges) = (self.states(), self.classes(), self.edge_count());
        write!(f, "TokenAutomaton({states} states, {classes} classes, {edges} edges)")
    }
}
