//! A graph-structured stack: sets of stacks that share their nodes, one set for all the ways to parse the beginning of
//! a text.

pub(super) mod shapes;

use super::first_follow::{ClassSet, add, bytes_left, first_sets, follow_sets, has};
use super::intersect::{Inner, LEAVE, OUTSIDE};
use super::rtn::{Rtn, State};
use crate::util::FastMap;
use std::sync::Arc;

/// The number of a set of stacks: pairs of a state on top and the set of stacks beneath it, by ascending state, no
/// state twice. Equal sets have equal numbers, so that two beginnings of a text with the same stacks lead to the same
/// configuration.
pub(super) type Node = u32;

/// The empty set.
pub(super) const NONE: Node = 0;
/// The set of the empty stack alone: the text is complete.
pub(super) const DONE: Node = 1;

/// The state on top of the empty stack.
pub(super) const BOTTOM: State = 0;
/// States from here on are variables: they stand for stacks that a walk does not look at.
const VARIABLE: State = 1 << 30;
/// States from here on are pairs of a state of the network and a state of the automaton that intersects the rule.
const PAIR: State = 1 << 29;

/// The number of a list of variables that were returned to, each with the state that the intersecting automaton of the
/// ended rule was in.
pub(super) type Returned = u32;

/// The empty list.
pub(super) const NOWHERE: Returned = 0;

/// The result of reading a byte of each class: the set after it, and the variables that were returned to.
type Reads = Box<[(Node, Returned)]>;

pub(super) struct Gss {
    rtn: Arc<Rtn>,
    /// Fewest bytes from each state to the end of its automaton.
    bytes_left: Vec<usize>,
    /// Fewest bytes to the end of the text.
    bytes_to_end: Vec<usize>,
    /// The FOLLOW set of each state: an index into `class_sets`.
    after: Vec<u32>,
    /// The FIRST set of each state.
    first: Vec<ClassSet>,
    nodes: Vec<Box<[(State, Node)]>>,
    ids: FastMap<Box<[(State, Node)]>, Node>,
    /// Whether the text may end here.
    complete: Vec<bool>,
    /// The classes of bytes that can be read with a set of stacks: an index into `class_sets`.
    follow: Vec<u32>,
    class_sets: Vec<ClassSet>,
    class_set_ids: FastMap<ClassSet, u32>,
    unions: FastMap<(Node, Node), Node>,
    /// The node of each variable, by its index and the set of classes that its stacks can read.
    variables: FastMap<(usize, u32), Node>,
    variable_keys: Vec<(usize, u32)>,
    /// The results of reading a byte, by set of stacks; `None` until they are first needed.
    reads: Vec<Option<Reads>>,
    pairs: Vec<(State, Inner)>,
    pair_ids: FastMap<(State, Inner), State>,
    /// The results of [`resumed`](Self::resumed).
    resumed: FastMap<(Node, Inner), Node>,
    returned: Vec<Box<[(usize, Inner)]>>,
    returned_ids: FastMap<Box<[(usize, Inner)]>, Returned>,
    buffer: Vec<(State, Node)>,
    visited: Vec<(State, Node)>,
}

const UNREAD: Node = Node::MAX;

impl Gss {
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
            pairs: Vec::new(),
            pair_ids: FastMap::default(),
            resumed: FastMap::default(),
            returned: vec![Box::default()],
            returned_ids: FastMap::from_iter([(Box::default(), NOWHERE)]),
            buffer: Vec::new(),
            visited: Vec::new(),
        };
        new.intern(&[]);
        new.intern(&[(BOTTOM, NONE)]);
        let after = follow_sets(&new.rtn, &new.first);
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

    /// The stacks before the first byte.
    pub fn start(&mut self) -> Node {
        let begun = self.intern(&[(self.rtn.start, DONE)]);
        if self.rtn.nullable { self.union(begun, DONE) } else { begun }
    }

    fn intern(&mut self, entries: &[(State, Node)]) -> Node {
        if let Some(&id) = self.ids.get(entries) {
            return id;
        }
        let (mut complete, mut bytes) = (false, usize::MAX);
        let mut follow = ClassSet::default();
        for &(state, below) in entries {
            let (state, inner) = self.parts(state);
            if state == BOTTOM {
                (complete, bytes) = (true, 0);
            } else if state >= VARIABLE {
                add(&mut follow, &self.class_sets[self.variable_keys[(state - VARIABLE) as usize].1 as usize]);
            } else {
                add(&mut follow, &self.first[state as usize]);
                let left = self.bytes_left[state as usize].saturating_add(self.bytes_to_end[below as usize]);
                bytes = bytes.min(left);
                if self.rtn.accepting(state) {
                    let resumed = self.resumed(below, inner);
                    complete |= self.complete[resumed as usize];
                    add(&mut follow, &self.class_sets[self.follow[below as usize] as usize]);
                }
            }
        }
        let set = self.class_set(follow);
        let id = self.nodes.len() as Node;
        self.bytes_to_end.push(bytes);
        self.complete.push(complete);
        self.follow.push(set);
        self.reads.push(None);
        self.nodes.push(entries.into());
        self.ids.insert(entries.into(), id);
        id
    }

    /// A state of the network, and the state of the automaton that intersects its rule.
    fn parts(&self, state: State) -> (State, Inner) {
        if (PAIR..VARIABLE).contains(&state) { self.pairs[(state - PAIR) as usize] } else { (state, OUTSIDE) }
    }

    fn pair(&mut self, state: State, inner: Inner) -> State {
        if inner == OUTSIDE {
            return state;
        }
        let new = PAIR + self.pairs.len() as State;
        let id = *self.pair_ids.entry((state, inner)).or_insert(new);
        if id == new {
            self.pairs.push((state, inner));
        }
        id
    }

    /// Whether the state may return without reading anything more.
    pub fn accepting(&self, state: State) -> bool {
        self.rtn.accepting(self.parts(state).0)
    }

    /// The state on top after a return to `back` from a rule whose intersecting automaton is in `inner`; `None` if that
    /// automaton does not accept there.
    pub fn resume(&mut self, back: State, inner: Inner) -> Option<State> {
        match (inner, self.parts(back)) {
            (OUTSIDE, _) => Some(back),
            (_, (state, LEAVE)) => self.rtn.intersected.accepting(inner).then_some(state),
            (_, (state, _)) => Some(self.pair(state, inner)),
        }
    }

    /// The state on top after `from` has returned to `back`; `None` if it may not.
    pub fn resume_after(&mut self, from: State, back: State) -> Option<State> {
        let inner = self.parts(from).1;
        self.resume(back, inner)
    }

    /// The stacks after a return to `below` from a rule whose intersecting automaton is in `inner`.
    pub fn resumed(&mut self, below: Node, inner: Inner) -> Node {
        if inner == OUTSIDE {
            return below;
        }
        if let Some(&known) = self.resumed.get(&(below, inner)) {
            return known;
        }
        let from = self.buffer.len();
        for at in 0..self.nodes[below as usize].len() {
            let (back, rest) = self.nodes[below as usize][at];
            if let Some(state) = self.resume(back, inner) {
                self.enter(state, rest);
            }
        }
        let node = self.collect(from);
        self.resumed.insert((below, inner), node);
        node
    }

    fn class_set(&mut self, set: ClassSet) -> u32 {
        let sets = &mut self.class_sets;
        *self.class_set_ids.entry(set).or_insert_with(|| {
            sets.push(set);
            sets.len() as u32 - 1
        })
    }

    /// A state on top of a variable, which stands for any stacks beneath it.
    pub fn over_any(&mut self, state: State) -> Node {
        let variable = self.variable(0, self.after[self.parts(state).0 as usize]);
        self.intern(&[(state, variable)])
    }

    /// The set of a variable alone.
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

    /// The stacks of a set, each as a list from its top down to a variable, which is left out. Where nothing is above
    /// the variable, the second value is the state that it is returned to with.
    pub fn paths(&self, node: Node) -> Vec<(Vec<State>, Inner)> {
        let mut all = Vec::new();
        for &(state, below) in &*self.nodes[node as usize] {
            let (plain, inner) = self.parts(state);
            if plain >= VARIABLE {
                all.push((Vec::new(), inner));
            } else {
                all.extend(self.paths(below).into_iter().map(|(rest, _)| ([vec![state], rest].concat(), OUTSIDE)));
            }
        }
        all
    }

    /// Interns the entries of the buffer from `from` on, in any order, as a set of stacks.
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

    /// The set after a byte of a class, and the variables that were returned to. The caller must add what the stacks of
    /// those variables become when they read the byte.
    pub fn read(&mut self, node: Node, class: usize) -> (Node, Returned) {
        if let Some(row) = &self.reads[node as usize]
            && row[class].0 != UNREAD
        {
            return row[class];
        }
        let result = self.read_anew(node, class);
        let width = self.rtn.width;
        self.reads[node as usize].get_or_insert_with(|| vec![(UNREAD, NOWHERE); width].into())[class] = result;
        result
    }

    fn read_anew(&mut self, node: Node, class: usize) -> (Node, Returned) {
        if !has(&self.class_sets[self.follow[node as usize] as usize], class) {
            return (NONE, NOWHERE);
        }
        let mut returned = Vec::new();
        let from = self.buffer.len();
        self.visited.clear();
        for at in 0..self.nodes[node as usize].len() {
            let (state, below) = self.nodes[node as usize][at];
            self.read_from(state, below, class, &mut returned);
        }
        let read = self.collect(from);
        returned.sort_unstable();
        returned.dedup();
        let returned = returned.into_boxed_slice();
        let new = self.returned.len() as Returned;
        let list = *self.returned_ids.entry(returned).or_insert_with_key(|list| {
            self.returned.push(list.clone());
            new
        });
        (read, list)
    }

    /// The variables of a list, by index, with the states that they are returned to with.
    pub fn returned(&self, list: Returned) -> &[(usize, Inner)] {
        &self.returned[list as usize]
    }

    fn read_from(&mut self, top: State, below: Node, class: usize, returned: &mut Vec<(usize, Inner)>) {
        let (state, inner) = self.parts(top);
        if state == BOTTOM {
            return;
        }
        if state >= VARIABLE {
            let (index, follow) = self.variable_keys[(state - VARIABLE) as usize];
            if has(&self.class_sets[follow as usize], class) {
                returned.push((index, inner));
            }
            return;
        }
        if self.visited.contains(&(top, below)) {
            return;
        }
        self.visited.push((top, below));
        if has(&self.first[state as usize], class) {
            let next = self.rtn.next(state, class);
            if next != 0
                && let Some(inner) = self.rtn.intersected.step(inner, class)
            {
                let next = self.pair(next, inner);
                self.enter(next, below);
            }
            for at in 0..self.rtn.calls(state).len() {
                let (called, back) = self.rtn.calls(state)[at];
                if has(&self.first[called as usize], class) {
                    let (called, beneath) = self.call(called, back, inner, below);
                    self.read_from(called, beneath, class, returned);
                }
            }
        }
        if self.rtn.accepting(state) {
            let resumed = self.resumed(below, inner);
            for at in 0..self.nodes[resumed as usize].len() {
                let (state, below) = self.nodes[resumed as usize][at];
                self.read_from(state, below, class, returned);
            }
        }
    }

    /// The state that is called, and the stacks it will return to.
    fn call(&mut self, called: State, back: State, inner: Inner, below: Node) -> (State, Node) {
        if let Some(begin) = self.rtn.intersected.begin(called) {
            let leave = self.pair(back, LEAVE);
            return (self.pair(called, begin), self.intern(&[(leave, below)]));
        }
        let beneath = if self.rtn.leaf[back as usize] { below } else { self.intern(&[(back, below)]) };
        (self.pair(called, inner), beneath)
    }

    /// Adds a stack to the buffer; a state that can only return is popped at once.
    fn enter(&mut self, top: State, below: Node) {
        let (state, inner) = self.parts(top);
        if state < VARIABLE && self.rtn.leaf[state as usize] {
            let resumed = self.resumed(below, inner);
            self.buffer.extend_from_slice(&self.nodes[resumed as usize]);
        } else {
            self.buffer.push((top, below));
        }
    }

    /// The set after all bytes of a text.
    pub fn read_all(&mut self, node: Node, bytes: &[u8]) -> Node {
        bytes.iter().fold(node, |node, &byte| {
            let class = self.rtn.class(byte);
            self.read(node, class).0
        })
    }
}
