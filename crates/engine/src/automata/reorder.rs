//! State reordering: the copies of a state that a repetition makes are numbered one after the other.
//!
//! A constraint that counts, such as a bound on the number of words, has one copy of each state for each count. Passes over
//! the edges are fastest where copies lie side by side in memory.

use super::token_automaton::{Edge, Label, Rows, TokenAutomaton};
use std::cmp::Reverse;
use std::ops::Range;

/// Fewest copies of a state that are worth finding.
const LEAST: usize = 16;
/// Fewest edges that are worth the search.
const LEAST_EDGES: usize = 1 << 12;
/// Fewest edges of a label, on average, of an automaton that repeats itself.
const LEAST_REPEATED: usize = 64;

/// Renumbers the states of a constraint that counts, so that passes over its edges find similar states side by side. The
/// start stays the first state, *ended* the last.
pub(super) fn reorder(automaton: TokenAutomaton) -> TokenAutomaton {
    let edges: usize = (0..automaton.states() as u32).map(|q| automaton.edges(q).len()).sum();
    if edges < LEAST_EDGES || edges < LEAST_REPEATED * automaton.labels() {
        return automaton;
    }
    let order = order(&automaton);
    let mut number = vec![0; order.len()];
    (0..).zip(&order).for_each(|(i, &q)| number[q as usize] = i);
    automaton.renumbered(&order, &number)
}

/// All states, the copies of a state one after the other.
///
/// A long path whose edges all have the same label visits the copies of a state in order. Their order determines that of
/// the states with edges of one label to them, and that in turn the order of the sources of those.
fn order(automaton: &TokenAutomaton) -> Vec<u32> {
    const NONE: u32 = u32::MAX;
    let states = automaton.states();
    let all = || (0..states as u32).flat_map(|q| automaton.edges(q).iter().map(move |edge| (q, edge)));
    let incoming = Rows::new(states, all().map(|(q, edge)| (edge.target, Edge { label: edge.label, target: q })));
    let mut arcs = vec![Vec::new(); automaton.labels()];
    all().for_each(|(q, edge)| arcs[edge.label as usize].push((q, edge.target)));
    arcs.sort_by_key(|arcs| Reverse(arcs.len()));
    let mut placed = Placed { order: Vec::with_capacity(states), known: vec![false; states] };
    placed.block(vec![automaton.start()]);
    if let Some(ended) = automaton.ended() {
        placed.known[ended as usize] = true;
    }
    let (mut next, mut before) = (vec![NONE; states], vec![NONE; states]);
    for arcs in arcs.iter().take_while(|arcs| arcs.len() >= LEAST) {
        for &(q, to) in arcs {
            if q != to && !placed.known[q as usize] && !placed.known[to as usize] && before[to as usize] == NONE {
                (next[q as usize], before[to as usize]) = (to, q);
            }
        }
        let starts = arcs.iter().filter(|(q, _)| next[*q as usize] != NONE && before[*q as usize] == NONE);
        let path = |&(q, _): &(u32, u32)| -> Vec<u32> {
            std::iter::successors(Some(q), |q| Some(next[*q as usize]).filter(|&q| q != NONE)).collect()
        };
        let mut paths: Vec<Vec<u32>> = starts.map(path).filter(|path| path.len() >= LEAST).collect();
        paths.sort_by_key(|path| Reverse(path.len()));
        let mut blocks: Vec<_> = paths.into_iter().map(|path| placed.block(path)).collect();
        let mut done = 0;
        while done < blocks.len() {
            let mut sources = Vec::new();
            for &to in &placed.order[blocks[done].clone()] {
                let unknown = incoming.get(to).iter().filter(|edge| !placed.known[edge.target as usize]);
                sources.extend(unknown.map(|edge| (edge.label, edge.target, to)));
            }
            // Stable: sources of a label stay in the order of their targets.
            sources.sort_by_key(|&(label, ..)| label);
            let mut alike: Vec<&[(Label, u32, u32)]> = sources.chunk_by(|a, b| a.0 == b.0).collect();
            // First the labels that tell which source belongs to which target.
            let doubled = |group: &[(Label, u32, u32)]| group.windows(2).filter(|pair| pair[0].2 == pair[1].2).count();
            alike.sort_by_key(|group| (doubled(group), Reverse(group.len())));
            for group in alike {
                let unknown = group.iter().filter(|(_, q, _)| !placed.known[*q as usize]);
                let mut pairs: Vec<(u32, u32)> = unknown.map(|&(_, q, to)| (q, to)).collect();
                pairs.dedup_by_key(|pair| pair.1);
                if pairs.len() >= LEAST {
                    blocks.push(placed.block(pairs.into_iter().map(|(q, _)| q).collect()));
                }
            }
            done += 1;
        }
        for &(q, to) in arcs {
            (next[q as usize], before[to as usize]) = (NONE, NONE);
        }
    }
    let rest = (0..states as u32).filter(|&q| !placed.known[q as usize]).collect();
    placed.block(rest);
    placed.order.extend(automaton.ended());
    placed.order
}

/// The states whose place in the order has been found.
struct Placed {
    order: Vec<u32>,
    known: Vec<bool>,
}

impl Placed {
    /// Appends states; returns their places.
    fn block(&mut self, states: Vec<u32>) -> Range<usize> {
        let first = self.order.len();
        states.iter().for_each(|&q| self.known[q as usize] = true);
        self.order.extend(states);
        first..self.order.len()
    }
}
