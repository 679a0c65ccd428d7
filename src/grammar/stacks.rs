//! Sets of stacks, each kept once: what may be read after a text, however it was parsed.

use super::rtn::{Rtn, State};
use crate::automata::FastMap;
use std::sync::Arc;

/// A set of stacks: pairs of the state on top and the set of stacks beneath it, by ascending state, no state twice.
/// Equal sets have equal numbers, so that two beginnings of a text that leave the same stacks leave the same state.
pub(super) type Node = u32;

/// No stack at all.
pub(super) const NONE: Node = 0;
/// The empty stack: the text is complete.
pub(super) const DONE: Node = 1;

/// The state on top of the empty stack.
pub(super) const BOTTOM: State = 0;
/// States from here on stand for stacks that are not looked at.
const VARIABLE: State = 1 << 30;

/// A set of classes of bytes.
pub(super) type ClassSet = [u64; 4];

/// The variables that a set of up to 64 holds.
pub(super) type Variables = u64;

/// Where a byte leads: the set after it, and the variables that were returned to.
type Reads = Box<[(Node, Variables)]>;

pub(super) struct Stacks {
    rtn: Arc<Rtn>,
    /// Fewest bytes from each state to the end of its automaton.
    bytes_left: Vec<usize>,
    /// Fewest bytes to the end of the text.
    bytes_to_end: Vec<usize>,
    /// For each state what may be read after its automaton has ended: an index into `class_sets`.
    after: Vec<u32>,
    /// Classes that can be read in a state, calls included, returns not.
    first: Vec<ClassSet>,
    nodes: Vec<Box<[(State, Node)]>>,
    ids: FastMap<Box<[(State, Node)]>, Node>,
    /// Whether the text may end here.
    complete: Vec<bool>,
    /// What can be read: an index into `class_sets`.
    follow: Vec<u32>,
    class_sets: Vec<ClassSet>,
    class_set_ids: FastMap<ClassSet, u32>,
    unions: FastMap<(Node, Node), Node>,
    /// Number of the variable with an index and with what its stacks can read.
    variables: FastMap<(usize, u32), Node>,
    variable_keys: Vec<(usize, u32)>,
    /// After a byte of each class, where it has been asked for: the set, and the variables that were returned to.
    reads: Vec<Option<Reads>>,
    buffer: Vec<(State, Node)>,
    visited: Vec<(State, Node)>,
}

const UNREAD: Node = Node::MAX;

impl Stacks {
    pub fn new(rtn: Arc<Rtn>) -> Self {
        let first = first_sets(&rtn);
        let bytes_left = bytes_left(&rtn);
        let mut new = Self {
            rtn,
            bytes_left,
            after: Vec::new(),
            bytes_to_end: Vec::new(),
            first,
            nodes: Vec::new(),
            ids: FastMap::default(),
            complete: Vec::new(),
            follow: Vec::new(),
            class_sets: Vec::new(),
            class_set_ids: FastMap::default(),
            unions: FastMap::default(),
            variables: FastMap::default(),
            variable_keys: Vec::new(),
            reads: Vec::new(),
            buffer: Vec::new(),
            visited: Vec::new(),
        };
        new.intern(&[]);
        new.intern(&[(BOTTOM, NONE)]);
        let after = after_sets(&new.rtn, &new.first);
        new.after = after.into_iter().map(|set| new.class_set(set)).collect();
        new
    }

    pub fn rtn(&self) -> &Rtn {
        &self.rtn
    }
    /// Fewest bytes to the end of the text.
    pub fn bytes_to_end(&self, node: Node) -> usize {
        self.bytes_to_end[node as usize]
    }
    pub fn complete(&self, node: Node) -> bool {
        self.complete[node as usize]
    }

    /// Before the first byte.
    pub fn start(&mut self) -> Node {
        let begun = self.intern(&[(self.rtn.start, DONE)]);
        if self.rtn.nullable { self.union(begun, DONE) } else { begun }
    }

    fn intern(&mut self, entries: &[(State, Node)]) -> Node {
        if let Some(&id) = self.ids.get(entries) {
            return id;
        }
        let id = self.nodes.len() as Node;
        let (mut complete, mut bytes) = (false, usize::MAX);
        let mut follow = ClassSet::default();
        for &(state, below) in entries {
            if state == BOTTOM {
                (complete, bytes) = (true, 0);
            } else if state >= VARIABLE {
                add(&mut follow, &self.class_sets[self.variable_keys[(state - VARIABLE) as usize].1 as usize]);
            } else {
                add(&mut follow, &self.first[state as usize]);
                let left = self.bytes_left[state as usize].saturating_add(self.bytes_to_end[below as usize]);
                bytes = bytes.min(left);
                if self.rtn.accepting(state) {
                    complete |= self.complete[below as usize];
                    add(&mut follow, &self.class_sets[self.follow[below as usize] as usize]);
                }
            }
        }
        let set = self.class_set(follow);
        self.bytes_to_end.push(bytes);
        self.complete.push(complete);
        self.follow.push(set);
        self.reads.push(None);
        self.nodes.push(entries.into());
        self.ids.insert(entries.into(), id);
        id
    }

    fn class_set(&mut self, set: ClassSet) -> u32 {
        let sets = &mut self.class_sets;
        *self.class_set_ids.entry(set).or_insert_with(|| {
            sets.push(set);
            sets.len() as u32 - 1
        })
    }

    /// The stacks with a state on top of any that may be beneath it, as a variable.
    pub fn over_any(&mut self, state: State) -> Node {
        let variable = self.variable(0, self.after[state as usize]);
        self.intern(&[(state, variable)])
    }

    /// The stacks of a set, each from its top down to a variable, which is left out.
    pub fn paths(&self, node: Node) -> Vec<Vec<State>> {
        let mut all = Vec::new();
        for &(state, below) in &*self.nodes[node as usize] {
            if state >= VARIABLE {
                all.push(Vec::new());
            } else {
                all.extend(self.paths(below).into_iter().map(|rest| [vec![state], rest].concat()));
            }
        }
        all
    }

    /// Interns what is in the buffer from `from` on, which need not be sorted.
    fn collect(&mut self, from: usize) -> Node {
        let mut entries = self.buffer.split_off(from);
        entries.sort_unstable();
        entries.dedup();
        let mut at = 0;
        while at + 1 < entries.len() {
            if entries[at].0 == entries[at + 1].0 {
                entries[at].1 = self.union(entries[at].1, entries[at + 1].1);
                entries.remove(at + 1);
            } else {
                at += 1;
            }
        }
        self.intern(&entries)
    }

    pub fn union(&mut self, a: Node, b: Node) -> Node {
        let (a, b) = (a.min(b), a.max(b));
        if a == b || a == NONE {
            return b;
        }
        if let Some(&known) = self.unions.get(&(a, b)) {
            return known;
        }
        let from = self.buffer.len();
        for node in [a, b] {
            self.buffer.extend_from_slice(&self.nodes[node as usize]);
        }
        let union = self.collect(from);
        self.unions.insert((a, b), union);
        union
    }

    /// The set after a byte of a class, and the variables that were returned to: what their stacks read instead is
    /// for the caller to add.
    pub fn read(&mut self, node: Node, class: usize) -> (Node, Variables) {
        if let Some(row) = &self.reads[node as usize]
            && row[class].0 != UNREAD
        {
            return row[class];
        }
        let result = self.read_anew(node, class);
        let width = self.rtn.width;
        self.reads[node as usize].get_or_insert_with(|| vec![(UNREAD, 0); width].into())[class] = result;
        result
    }

    fn read_anew(&mut self, node: Node, class: usize) -> (Node, Variables) {
        if !has(&self.class_sets[self.follow[node as usize] as usize], class) {
            return (NONE, 0);
        }
        let mut returned = 0;
        let from = self.buffer.len();
        self.visited.clear();
        for at in 0..self.nodes[node as usize].len() {
            let (state, below) = self.nodes[node as usize][at];
            self.read_from(state, below, class, &mut returned);
        }
        (self.collect(from), returned)
    }

    fn read_from(&mut self, state: State, below: Node, class: usize, returned: &mut Variables) {
        if state == BOTTOM {
            return;
        }
        if state >= VARIABLE {
            let (index, follow) = self.variable_keys[(state - VARIABLE) as usize];
            if has(&self.class_sets[follow as usize], class) {
                *returned |= 1 << index;
            }
            return;
        }
        if self.visited.contains(&(state, below)) {
            return;
        }
        self.visited.push((state, below));
        if has(&self.first[state as usize], class) {
            let next = self.rtn.next(state, class);
            if next != 0 {
                self.enter(next, below);
            }
            for at in 0..self.rtn.calls(state).len() {
                let (called, back) = self.rtn.calls(state)[at];
                if has(&self.first[called as usize], class) {
                    let beneath = if self.rtn.leaf[back as usize] { below } else { self.intern(&[(back, below)]) };
                    self.read_from(called, beneath, class, returned);
                }
            }
        }
        if self.rtn.accepting(state) {
            for at in 0..self.nodes[below as usize].len() {
                let (state, below) = self.nodes[below as usize][at];
                self.read_from(state, below, class, returned);
            }
        }
    }

    /// Adds a stack to the buffer; a state that only returns is left at once.
    fn enter(&mut self, state: State, below: Node) {
        if self.rtn.leaf[state as usize] {
            self.buffer.extend_from_slice(&self.nodes[below as usize]);
        } else {
            self.buffer.push((state, below));
        }
    }

    /// What all bytes of a text lead to.
    pub fn read_all(&mut self, node: Node, bytes: &[u8]) -> Node {
        bytes.iter().fold(node, |node, &byte| {
            let class = self.rtn.class(byte);
            self.read(node, class).0
        })
    }

    /// The set with a variable in place of each set of stacks beneath its tops, and those sets, by variable. What is
    /// below the tops then matters only where it is returned to. `None` beyond 64 variables.
    pub fn abstracted(&mut self, node: Node) -> Option<(Node, Vec<Node>)> {
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
        let shape = self.collect(from);
        (below_of.len() <= Variables::BITS as usize).then_some((shape, below_of))
    }

    fn variable(&mut self, index: usize, follow: u32) -> Node {
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
            if state >= VARIABLE {
                let index = self.variable_keys[(state - VARIABLE) as usize].0;
                self.buffer.extend_from_slice(&self.nodes[below_of[index] as usize]);
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

fn has(set: &ClassSet, class: usize) -> bool {
    set[class / 64] >> (class % 64) & 1 == 1
}

fn add(set: &mut ClassSet, other: &ClassSet) {
    set.iter_mut().zip(other).for_each(|(a, b)| *a |= b);
}

fn first_sets(rtn: &Rtn) -> Vec<ClassSet> {
    let states = rtn.states() + 1;
    let mut first = vec![ClassSet::default(); states];
    for (state, set) in (0..).zip(&mut first) {
        for class in (0..rtn.width).filter(|&class| rtn.next(state, class) != 0) {
            set[class / 64] |= 1 << (class % 64);
        }
    }
    loop {
        let mut changed = false;
        for state in 1..states as State {
            for &(called, _) in rtn.calls(state) {
                let (mut set, called) = (first[state as usize], first[called as usize]);
                add(&mut set, &called);
                changed |= set != first[state as usize];
                first[state as usize] = set;
            }
        }
        if !changed {
            return first;
        }
    }
}

fn bytes_left(rtn: &Rtn) -> Vec<usize> {
    let states = rtn.states() + 1;
    let mut left = vec![usize::MAX; states];
    loop {
        let mut changed = false;
        for state in 1..states as State {
            let read = (0..rtn.width).map(|class| rtn.next(state, class)).filter(|&next| next != 0);
            let read = read.map(|next| left[next as usize].saturating_add(1));
            let called = rtn.calls(state).iter();
            let called = called.map(|&(called, back)| left[called as usize].saturating_add(left[back as usize]));
            let accepted = if rtn.accepting(state) { 0 } else { usize::MAX };
            let least = read.chain(called).fold(accepted, usize::min);
            changed |= least < left[state as usize];
            left[state as usize] = left[state as usize].min(least);
        }
        if !changed {
            return left;
        }
    }
}

/// What may be read after the automaton of each state has ended.
fn after_sets(rtn: &Rtn, first: &[ClassSet]) -> Vec<ClassSet> {
    let mut after = vec![ClassSet::default(); rtn.automata()];
    loop {
        let before = after.clone();
        for state in 1..=rtn.states() as State {
            for &(called, back) in rtn.calls(state) {
                let beyond = after[rtn.automaton(state)];
                let set = &mut after[rtn.automaton(called)];
                add(set, &first[back as usize]);
                if rtn.accepting(back) {
                    add(set, &beyond);
                }
            }
        }
        if after == before {
            return (0..=rtn.states() as State).map(|state| after[rtn.automaton(state)]).collect();
        }
    }
}
