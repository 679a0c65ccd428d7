//! Shapes: sets of stacks in which variables stand for the stacks beneath the tops.

use super::{BOTTOM, DONE, Gss, Node, VARIABLE};
use crate::util::FastMap;

/// The shape of a set: a variable in place of each set of stacks beneath its tops; and those sets, by variable.
/// Equal shapes read alike until they return to a variable.
pub(in crate::grammar) fn abstracted(gss: &mut Gss, node: Node) -> (Node, Vec<Node>) {
    let mut below_of = Vec::new();
    let entries = gss.nodes[node as usize].clone();
    let from = gss.buffer.len();
    for &(state, below) in &entries {
        // Nothing can be read from an empty stack.
        if state == BOTTOM {
            continue;
        }
        let index = below_of.iter().position(|&b| b == below).unwrap_or_else(|| {
            below_of.push(below);
            below_of.len() - 1
        });
        let variable = gss.variable(index, gss.follow[below as usize]);
        gss.buffer.push((state, variable));
    }
    (gss.collect(from), below_of)
}

/// The inverse of [`abstracted`].
pub(in crate::grammar) fn concrete(
    gss: &mut Gss,
    shape: Node,
    below_of: &[Node],
    known: &mut FastMap<Node, Node>,
) -> Node {
    if shape <= DONE {
        return shape;
    }
    if let Some(&known) = known.get(&shape) {
        return known;
    }
    let from = gss.buffer.len();
    for at in 0..gss.nodes[shape as usize].len() {
        let (state, below) = gss.nodes[shape as usize][at];
        let (plain, inner) = gss.parts(state);
        if plain >= VARIABLE {
            let index = gss.variable_keys[(plain - VARIABLE) as usize].0;
            let stacks = gss.resumed(below_of[index], inner);
            gss.buffer.extend_from_slice(&gss.nodes[stacks as usize]);
        } else {
            let below = concrete(gss, below, below_of, known);
            gss.buffer.push((state, below));
        }
    }
    let node = gss.collect(from);
    known.insert(shape, node);
    node
}
