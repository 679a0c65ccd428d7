//! Trimming and minimisation.

use super::dfa::{DEAD, Dfa, State};
use super::{Alphabet, hash::FastMap};
use std::collections::VecDeque;

/// The minimal trimmed automaton of the same language, in a canonical numbering: states in breadth-first order.
///
/// Hopcroft's algorithm (1971), O(n·k·log n) for n states and k symbol classes.
pub(super) fn minimize(mut dfa: Dfa) -> Dfa {
    bury(&mut dfa);
    if dfa.is_empty() {
        return Dfa::none();
    }
    let block = Partition::refine(&dfa);
    narrow(renumber(&dfa, &block))
}

/// Points every transition into a state from which no text can be completed at the dead state.
fn bury(dfa: &mut Dfa) {
    let width = dfa.alphabet.width();
    let states = dfa.accept.len();
    let inverse = Inverse::new(states, dfa.next.iter().enumerate().map(|(i, &to)| (to, (i / width) as State)));
    let mut useful = dfa.accept.clone();
    let mut stack: Vec<State> = (0..states as State).filter(|&q| useful[q as usize]).collect();
    while let Some(state) = stack.pop() {
        for &before in inverse.of(state as usize) {
            if !std::mem::replace(&mut useful[before as usize], true) {
                stack.push(before);
            }
        }
    }
    for to in &mut dfa.next {
        if !useful[*to as usize] {
            *to = DEAD;
        }
    }
    if !useful[dfa.start as usize] {
        dfa.start = DEAD;
    }
}

/// Sources of transitions, grouped by key; edges into the dead state are left out.
struct Inverse {
    first: Vec<u32>,
    sources: Vec<State>,
}

impl Inverse {
    fn new(keys: usize, edges: impl Iterator<Item = (u32, State)> + Clone) -> Self {
        let mut first = vec![0u32; keys + 1];
        for (key, _) in edges.clone().filter(|&(key, _)| key != DEAD) {
            first[key as usize] += 1;
        }
        let mut total = 0;
        for slot in &mut first {
            total += *slot;
            *slot = total;
        }
        let mut sources = vec![0; total as usize];
        for (key, from) in edges.filter(|&(key, _)| key != DEAD) {
            first[key as usize] -= 1;
            sources[first[key as usize] as usize] = from;
        }
        Self { first, sources }
    }
    fn of(&self, key: usize) -> &[State] {
        &self.sources[self.first[key] as usize..self.first[key + 1] as usize]
    }
}

/// A partition of the live states into blocks, each a range of `elements`; a block's marked states come first in it.
struct Partition {
    elements: Vec<State>,
    place: Vec<u32>,
    block: Vec<u32>,
    /// first, end, marked end
    ranges: Vec<(u32, u32, u32)>,
}

impl Partition {
    /// Block of each state, after Hopcroft's refinement. The dead state is block 0 and alone in it.
    fn refine(dfa: &Dfa) -> Vec<u32> {
        let width = dfa.alphabet.width();
        let states = dfa.accept.len();
        let edges = dfa.next.iter().enumerate().map(|(i, &to)| {
            let key = if to == DEAD { DEAD } else { to * width as u32 + (i % width) as u32 };
            (key, (i / width) as State)
        });
        let inverse = Inverse::new(states * width, edges);

        let mut parts = Self::by_acceptance(&dfa.accept);
        // The dead block is the one splitter that may be left out: with all others done, it is done too.
        let mut queue: VecDeque<u32> = (1..parts.ranges.len() as u32).collect();
        let mut queued = vec![true; parts.ranges.len()];
        let mut splitter = Vec::new();
        let mut touched = Vec::new();
        while let Some(block) = queue.pop_front() {
            queued[block as usize] = false;
            splitter.clear();
            splitter.extend_from_slice(parts.members(block));
            for class in 0..width {
                for &to in &splitter {
                    for &from in inverse.of(to as usize * width + class) {
                        parts.mark(from, &mut touched);
                    }
                }
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

    fn by_acceptance(accept: &[bool]) -> Self {
        let states = accept.len() as u32;
        let mut elements = vec![DEAD];
        elements.extend((1..states).filter(|&q| accept[q as usize]));
        let middle = elements.len() as u32;
        elements.extend((1..states).filter(|&q| !accept[q as usize]));
        let mut parts =
            Self { place: vec![0; elements.len()], block: vec![0; elements.len()], ranges: vec![], elements };
        for (first, end) in [(0, 1), (1, middle), (middle, states)] {
            if first == end {
                continue;
            }
            for place in first..end {
                let state = parts.elements[place as usize];
                parts.place[state as usize] = place;
                parts.block[state as usize] = parts.ranges.len() as u32;
            }
            parts.ranges.push((first, end, first));
        }
        parts
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
fn renumber(dfa: &Dfa, block: &[u32]) -> Dfa {
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
    Dfa { alphabet: dfa.alphabet.clone(), next, accept, start: 1 }
}

/// Merges symbol classes with equal columns.
fn narrow(dfa: Dfa) -> Dfa {
    let width = dfa.alphabet.width();
    // Refine {all classes} row by row; most rows split nothing.
    let mut label = vec![0usize; width - 1];
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
        if first.len() == width - 1 {
            return dfa;
        }
    }
    let alphabet = Alphabet::group(|b| label[dfa.alphabet.byte(b)]);
    let kept: Vec<usize> = alphabet.representatives().iter().map(|&b| dfa.alphabet.byte(b)).collect();
    let next =
        dfa.next.chunks_exact(width).flat_map(|row| kept.iter().map(|&c| row[c]).chain([row[width - 1]])).collect();
    Dfa { alphabet, next, ..dfa }
}
