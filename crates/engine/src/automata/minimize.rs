//! Trimming and minimisation.

use super::automaton::{Automaton, DEAD, State};
use super::symbols::Symbols;
use crate::util::FastMap;
use std::collections::VecDeque;

/// The minimal trimmed automaton of the same language, in a canonical numbering: states in breadth-first order.
///
/// Hopcroft's algorithm (1971) on the live transitions only: O(m·log n) for m of them and n states.
pub(super) fn minimize<S: Symbols>(dfa: Automaton<S>) -> Automaton<S> {
    let inverse = Inverse::new(&dfa);
    let useful = inverse.reaching(&dfa.accept);
    if !useful[dfa.start as usize] {
        return Automaton::none(&dfa.symbols);
    }
    let block = Partition::refine(&dfa, &inverse, &useful);
    drop(inverse);
    narrow(renumber(&dfa, &block))
}

/// For each live state, the transitions into it: (class, source).
struct Inverse {
    first: Vec<u32>,
    edges: Vec<(u32, State)>,
}

impl Inverse {
    fn new<S: Symbols>(dfa: &Automaton<S>) -> Self {
        let mut first = vec![0u32; dfa.accept.len() + 1];
        for &to in dfa.next.iter().filter(|&&to| to != DEAD) {
            first[to as usize] += 1;
        }
        let mut total = 0;
        for slot in &mut first {
            total += *slot;
            *slot = total;
        }
        let mut edges = vec![(0, DEAD); total as usize];
        for (from, row) in (0..).zip(dfa.next.chunks_exact(dfa.symbols.width())) {
            for (class, &to) in (0..).zip(row) {
                if to != DEAD {
                    first[to as usize] -= 1;
                    edges[first[to as usize] as usize] = (class, from);
                }
            }
        }
        Self { first, edges }
    }

    fn into(&self, state: State) -> &[(u32, State)] {
        &self.edges[self.first[state as usize] as usize..self.first[state as usize + 1] as usize]
    }

    /// States from which one of `goals` can be reached.
    fn reaching(&self, goals: &[bool]) -> Vec<bool> {
        let mut found = goals.to_vec();
        let mut stack: Vec<State> = (0..).zip(goals).filter_map(|(q, &goal)| goal.then_some(q)).collect();
        while let Some(state) = stack.pop() {
            for &(_, before) in self.into(state) {
                if !std::mem::replace(&mut found[before as usize], true) {
                    stack.push(before);
                }
            }
        }
        found
    }
}

/// A partition of the states into blocks, each a range of `elements`; a block's marked states come first in it.
struct Partition {
    elements: Vec<State>,
    place: Vec<u32>,
    block: Vec<u32>,
    /// For each block the first index, the end, and the end of its marked states.
    ranges: Vec<(u32, u32, u32)>,
}

impl Partition {
    /// Block of each state, after Hopcroft's refinement. Block 0 holds the states that are not `useful`.
    fn refine<S: Symbols>(dfa: &Automaton<S>, inverse: &Inverse, useful: &[bool]) -> Vec<u32> {
        let mut parts = Self::by_signature(dfa, useful);
        // Block 0 is the one splitter that may be left out: refinement by all other blocks implies refinement by the
        // last, and the signatures have refined by it before.
        let mut queue: VecDeque<u32> = (1..parts.ranges.len() as u32).collect();
        let mut queued = vec![true; parts.ranges.len()];
        let mut touched = Vec::new();
        let mut sources = Vec::new();
        let mut ends = vec![0; dfa.symbols.width()];
        while let Some(block) = queue.pop_front() {
            queued[block as usize] = false;
            // Sort the transitions into this block by class.
            ends.fill(0);
            for &state in parts.members(block) {
                inverse.into(state).iter().for_each(|&(class, _)| ends[class as usize] += 1);
            }
            let total = ends.iter_mut().fold(0, |before, end| {
                let count = std::mem::replace(end, before);
                before + count
            });
            sources.resize(total, DEAD);
            for &state in parts.members(block) {
                for &(class, from) in inverse.into(state) {
                    sources[ends[class as usize]] = from;
                    ends[class as usize] += 1;
                }
            }
            let mut begin = 0;
            for &end in &ends {
                for &from in &sources[begin..end] {
                    parts.mark(from, &mut touched);
                }
                begin = end;
                for old in touched.drain(..) {
                    let Some(new) = parts.split(old) else { continue };
                    queued.push(true);
                    if queued[old as usize] || parts.members(new).len() <= parts.members(old).len() {
                        queue.push_back(new);
                    } else {
                        queued[new as usize] = false;
                        queued[old as usize] = true;
                        queue.push_back(old);
                    }
                }
            }
        }
        parts.block
    }

    /// States in one block accept alike and are killed by the same classes.
    fn by_signature<S: Symbols>(dfa: &Automaton<S>, useful: &[bool]) -> Self {
        let words = dfa.symbols.width().div_ceil(64);
        let signature = |state: usize| {
            let mut bits = vec![0u64; words + 1];
            bits[words] = 1 + dfa.accept[state] as u64;
            for (class, &to) in dfa.row(state as State).iter().enumerate() {
                bits[class / 64] |= (useful[to as usize] as u64) << (class % 64);
            }
            bits
        };
        let useless = vec![0; words + 1];
        let mut ids = FastMap::default();
        ids.insert(useless.clone(), 0);
        let block: Vec<u32> = (0..useful.len())
            .map(|state| {
                let new = ids.len() as u32;
                *ids.entry(if useful[state] { signature(state) } else { useless.clone() }).or_insert(new)
            })
            .collect();
        let mut elements: Vec<State> = (0..useful.len() as State).collect();
        elements.sort_by_key(|&state| block[state as usize]);
        let mut place = vec![0; elements.len()];
        (0..).zip(&elements).for_each(|(at, &state)| place[state as usize] = at);
        let mut end = 0;
        let ranges = elements.chunk_by(|&a, &b| block[a as usize] == block[b as usize]).map(|members| {
            let first = end;
            end += members.len() as u32;
            (first, end, first)
        });
        Self { ranges: ranges.collect(), elements, place, block }
    }

    fn members(&self, block: u32) -> &[State] {
        let (first, end, _) = self.ranges[block as usize];
        &self.elements[first as usize..end as usize]
    }

    fn mark(&mut self, state: State, touched: &mut Vec<u32>) {
        let block = self.block[state as usize];
        let (first, _, marked) = &mut self.ranges[block as usize];
        let place = self.place[state as usize];
        if place < *marked {
            return;
        }
        if *first == *marked {
            touched.push(block);
        }
        let other = self.elements[*marked as usize];
        self.elements.swap(place as usize, *marked as usize);
        self.place[other as usize] = place;
        self.place[state as usize] = *marked;
        *marked += 1;
    }

    /// Moves the marked states into a new block, unless all are marked.
    fn split(&mut self, block: u32) -> Option<u32> {
        let (first, end, marked) = self.ranges[block as usize];
        self.ranges[block as usize].2 = first;
        if marked == end {
            return None;
        }
        let new = self.ranges.len() as u32;
        self.ranges[block as usize] = (marked, end, marked);
        self.ranges.push((first, marked, first));
        for place in first..marked {
            self.block[self.elements[place as usize] as usize] = new;
        }
        Some(new)
    }
}

/// One state per reachable block, in breadth-first order from the start.
fn renumber<S: Symbols>(dfa: &Automaton<S>, block: &[u32]) -> Automaton<S> {
    const UNSEEN: State = State::MAX;
    let mut number = vec![UNSEEN; dfa.accept.len()];
    number[block[DEAD as usize] as usize] = DEAD;
    number[block[dfa.start as usize] as usize] = 1;
    let mut order = vec![DEAD, dfa.start];
    let mut next = Vec::new();
    let mut at = 0;
    while at < order.len() {
        for &to in dfa.row(order[at]) {
            let name = &mut number[block[to as usize] as usize];
            if *name == UNSEEN {
                *name = order.len() as State;
                order.push(to);
            }
            next.push(*name);
        }
        at += 1;
    }
    let accept = order.iter().map(|&q| dfa.accept[q as usize]).collect();
    Automaton { symbols: dfa.symbols.clone(), next, accept, start: 1 }
}

/// Merges symbol classes with equal columns.
pub(super) fn narrow<S: Symbols>(dfa: Automaton<S>) -> Automaton<S> {
    let width = dfa.symbols.width();
    // Refine {all classes} row by row; most rows split nothing.
    let mut label = vec![0usize; width];
    let mut first = vec![0usize];
    for row in dfa.next.chunks_exact(width) {
        if label.iter().zip(row).all(|(&l, &to)| row[first[l]] == to) {
            continue;
        }
        let mut ids: FastMap<(usize, State), usize> = FastMap::default();
        first.clear();
        for (class, l) in label.iter_mut().enumerate() {
            *l = *ids.entry((*l, row[class])).or_insert_with(|| {
                first.push(class);
                first.len() - 1
            });
        }
        if first.len() == width {
            return dfa;
        }
    }
    let (symbols, kept) = dfa.symbols.merge(&label);
    if kept.len() == width {
        return dfa;
    }
    let next = dfa.next.chunks_exact(width).flat_map(|row| kept.iter().map(|&c| row[c])).collect();
    Automaton { symbols, next, ..dfa }
}
