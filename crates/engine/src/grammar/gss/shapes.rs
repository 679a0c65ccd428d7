//! Shapes: sets of stacks with variables for what is beneath their tops.

use super::{BOTTOM, DONE, Gss, NONE, Node, State, VARIABLE};
use crate::util::FastMap;

impl Gss {
    /// The set with a variable in place of each set of stacks beneath its tops, and those sets, by variable. What is
    /// below the tops then matters only where it is returned to.
    pub fn abstracted(&mut self, node: Node) -> (Node, Vec<Node>) {
        let mut below_of = Vec::new();
        let entries = self.nodes[node as usize].clone();
        let from = self.buffer.len();
        for &(state, below) in &entries {
            // Nothing can be read from an empty stack.
            if state == BOTTOM {
                continue;
            }
            let index = below_of.iter().position(|&b| b == below).unwrap_or_else(|| {
                below_of.push(below);
                below_of.len() - 1
            });
            let variable = self.variable(index, self.follow[below as usize]);
            self.buffer.push((state, variable));
        }
        (self.collect(from), below_of)
    }

    pub(super) fn variable(&mut self, index: usize, follow: u32) -> Node {
        if let Some(&known) = self.variables.get(&(index, follow)) {
            return known;
        }
        let state = VARIABLE + self.variable_keys.len() as State;
        self.variable_keys.push((index, follow));
        let node = self.intern(&[(state, NONE)]);
        self.variables.insert((index, follow), node);
        node
    }

    /// The opposite of [`abstracted`](Self::abstracted).
    pub fn concrete(&mut self, shape: Node, below_of: &[Node], known: &mut FastMap<Node, Node>) -> Node {
        if shape <= DONE {
            return shape;
        }
        if let Some(&known) = known.get(&shape) {
            return known;
        }
        let from = self.buffer.len();
        for at in 0..self.nodes[shape as usize].len() {
            let (state, below) = self.nodes[shape as usize][at];
            let (plain, inner) = self.parts(state);
            if plain >= VARIABLE {
                let index = self.variable_keys[(plain - VARIABLE) as usize].0;
                let stacks = self.resumed(below_of[index], inner);
                self.buffer.extend_from_slice(&self.nodes[stacks as usize]);
            } else {
                let below = self.concrete(below, below_of, known);
                self.buffer.push((state, below));
            }
        }
        let node = self.collect(from);
        known.insert(shape, node);
        node
    }
}
