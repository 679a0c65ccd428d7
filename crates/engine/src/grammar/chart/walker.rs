//! The walk over the tokens of one position of a chart.

use super::{Act, Chart, Top};
use crate::Token;
use crate::grammar::gss::{BOTTOM, NONE, NOWHERE, Node, Returned};
use crate::grammar::rtn::State;
use crate::grammar::transitions::{Beside, Return};
use crate::util::Bits;
use crate::vocab::RootedNode;

/// A continuation of a walk, called with each set of stacks that it comes to.
type Then<'t, W> = dyn FnMut(&mut W, Node, &Bits, &mut Vec<State>) -> bool + 't;

/// A walk over tokens from one top, through the frames that they return from.
pub(super) struct Walker<'w, 'a, V> {
    pub(super) chart: &'w mut Chart<'a>,
    pub(super) from: Top,
    pub(super) visit: &'w mut V,
}

impl<'a, V: FnMut(&mut Chart<'a>, &Act) -> bool> Walker<'_, 'a, V> {
    /// Visits all tokens beneath a node of the prefix tree; returns whether `visit` has asked to stop.
    pub(super) fn walk(
        &mut self,
        at: RootedNode,
        beside: Beside,
        shape: Node,
        below: &Bits,
        returns: &mut Vec<State>,
    ) -> bool {
        let walk = self.chart.transitions.walk(at, beside, shape);
        for edge in &walk.edges {
            if self.targets(edge.token, edge.beside, edge.to, below, returns) {
                return true;
            }
        }
        for &Return { at: node, beside, kept, returned } in &walk.returns {
            if self.arrive(node, beside, kept, below, returns) {
                return true;
            }
            let class = self.chart.transitions.stacks.rtn().class(self.chart.transitions.trie.byte(node));
            if self.go_back(class, returned, below, returns, &mut |walker, shape, below, returns| {
                walker.arrive(node, beside, shape, below, returns)
            }) {
                return true;
            }
        }
        false
    }

    /// Visits the token that ends at a node of the prefix tree, and those beneath it.
    fn arrive(&mut self, at: RootedNode, beside: Beside, shape: Node, below: &Bits, returns: &mut Vec<State>) -> bool {
        if shape == NONE {
            return false;
        }
        let token = self.chart.transitions.trie.tokens(at).first().copied();
        let ended = self.chart.transitions.beside().mark(beside);
        if let Some(token) = token.filter(|_| ended != 0)
            && self.targets(token, ended, shape, below, returns)
        {
            return true;
        }
        self.walk(at, beside, shape, below, returns)
    }

    /// Reads the rest of a decided token.
    pub(super) fn spell(
        &mut self,
        token: Token,
        bytes: &[u8],
        beside: Beside,
        shape: Node,
        below: &Bits,
        returns: &mut Vec<State>,
    ) -> bool {
        let Some((&byte, rest)) = bytes.split_first() else {
            let beside = self.chart.transitions.beside().mark(beside);
            return beside != 0 && self.targets(token, beside, shape, below, returns);
        };
        let beside = self.chart.transitions.beside().step(beside, byte);
        if beside == 0 {
            return false;
        }
        let class = self.chart.transitions.stacks.rtn().class(byte);
        let (read, returned) = self.chart.transitions.stacks.read(shape, class);
        if read != NONE && self.spell(token, rest, beside, read, below, returns) {
            return true;
        }
        returned != NOWHERE
            && self.go_back(class, returned, below, returns, &mut |walker, shape, below, returns| {
                walker.spell(token, rest, beside, shape, below, returns)
            })
    }

    /// Returns from the frames and reads a byte there, or further back.
    fn go_back(
        &mut self,
        class: usize,
        returned: Returned,
        frames: &Bits,
        returns: &mut Vec<State>,
        then: &mut Then<'_, Self>,
    ) -> bool {
        // The shape has one variable, which stands for the frames beneath the top.
        for (_, inner) in self.chart.transitions.stacks.returned(returned).to_vec() {
            for (&back, below) in &*self.chart.returned(frames) {
                let Some(state) = self.chart.transitions.stacks.resume(back, inner).filter(|&state| state != BOTTOM)
                else {
                    continue;
                };
                returns.push(back);
                let shape = self.chart.transitions.stacks.over_any(state);
                let (read, returned) = self.chart.transitions.stacks.read(shape, class);
                let done = read != NONE && then(self, read, below, returns)
                    || returned != NOWHERE && self.go_back(class, returned, below, returns, then);
                returns.pop();
                if done {
                    return true;
                }
            }
        }
        false
    }

    /// Visits the stacks of a shape that a token ends with.
    fn targets(&mut self, token: Token, beside: Beside, shape: Node, below: &Bits, returns: &mut Vec<State>) -> bool {
        for (stack, inner) in self.chart.transitions.stacks.paths(shape) {
            // The last entry of a path lies upon the variable.
            let done = match &stack[..] {
                [] => {
                    let mut done = false;
                    for (&back, below) in &*self.chart.returned(below) {
                        let Some(state) = self.chart.transitions.stacks.resume(back, inner) else { continue };
                        returns.push(back);
                        let act = Act { from: self.from, returns, pushes: &[], to: (state, beside), token, below };
                        done = done || (self.visit)(self.chart, &act);
                        returns.pop();
                    }
                    done
                }
                [top, pushes @ ..] => {
                    let act = Act { from: self.from, returns, pushes, to: (*top, beside), token, below };
                    (self.visit)(self.chart, &act)
                }
            };
            if done {
                return true;
            }
        }
        false
    }
}
