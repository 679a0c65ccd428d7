//! The graph that the passes run over: states and labelled edges.

use crate::Token;
use crate::automata::{Class, Edge, Label, TokenAutomaton};

/// States and the tokens that lead from one to another: all that the passes know of a constraint.
///
/// The passes are generic over it and compiled for each implementation, so a [`TokenAutomaton`] costs what it would
/// without. States may be made as they are found, say those of a pushdown automaton whose stacks are interned: a graph
/// need only be complete for the states of the layers that a canvas is solved with, see
/// [`Feasible::from_layers`](super::Feasible::from_layers).
///
/// A token must lead from a state to at most one other: a text is one path, otherwise it would be counted twice. The
/// tail is part of the graph: the end of the text leads to a state that loops on end-of-text and padding.
pub trait Graph: Sync {
    /// Number of states; they are numbered from 0.
    fn states(&self) -> usize;
    /// The state before the first token.
    fn start(&self) -> u32;
    /// The edges that leave `state`; at most one for each target.
    fn edges(&self, state: u32) -> &[Edge];
    /// Number of distinct labels.
    fn labels(&self) -> usize;
    /// The classes of a label, ascending.
    fn label(&self, label: Label) -> &[Class];
    /// Number of classes. No token is in two.
    fn classes(&self) -> usize;
    /// The tokens of a class, ascending; at least one.
    fn members(&self, class: Class) -> &[Token];
    /// The class of a token; `None` if no text contains it.
    fn class_of(&self, token: Token) -> Option<Class>;
    /// Number of tokens in the vocabulary.
    fn vocab_len(&self) -> usize;

    /// The state after a token of `class`, if it may follow.
    fn next(&self, state: u32, class: Class) -> Option<u32> {
        let taken = |edge: &&Edge| self.label(edge.label).binary_search(&class).is_ok();
        self.edges(state).iter().find(taken).map(|edge| edge.target)
    }
}

impl Graph for TokenAutomaton {
    #[inline]
    fn states(&self) -> usize {
        self.states()
    }
    #[inline]
    fn start(&self) -> u32 {
        self.start()
    }
    #[inline]
    fn edges(&self, state: u32) -> &[Edge] {
        self.edges(state)
    }
    #[inline]
    fn labels(&self) -> usize {
        self.labels()
    }
    #[inline]
    fn label(&self, label: Label) -> &[Class] {
        self.label(label)
    }
    #[inline]
    fn classes(&self) -> usize {
        self.classes()
    }
    #[inline]
    fn members(&self, class: Class) -> &[Token] {
        self.members(class)
    }
    #[inline]
    fn class_of(&self, token: Token) -> Option<Class> {
        self.class_of(token)
    }
    #[inline]
    fn vocab_len(&self) -> usize {
        self.vocab_len()
    }
    #[inline]
    fn next(&self, state: u32, class: Class) -> Option<u32> {
        self.next(state, class)
    }
}
