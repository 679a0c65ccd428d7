//! Recursive transition networks: a grammar as deterministic automata that read bytes and call each other.

use super::determinize::determinize;
use super::intersect::{self, Intersected};
use super::lower::{Lowered, Terminals};
use super::nfa::{Bodies, Edges, Nfa, Symbol, components};
use crate::Result;
use crate::automata::{Dfa, Limits};
use crate::language::RuleId;
use std::collections::{BTreeMap, HashMap};

/// Most states of an automaton that is copied to its callers.
const INLINE: usize = 512;

/// Index of a state of a [`Rtn`]; 0 is no state.
pub(super) type State = u32;

/// States of all automata, numbered from 1.
///
/// Each automaton stands for the non-empty texts of a rule. There is no left recursion, so that what can be read next
/// is found in finitely many calls. Rules that are not recursive have been copied to where they are used.
pub(super) struct Rtn {
    class_of: Box<[u8; 256]>,
    /// Number of classes of bytes.
    pub width: usize,
    /// states × classes.
    next: Vec<State>,
    /// For each state the automata it may call: (first state, state to return to).
    calls: Vec<Vec<(State, State)>>,
    accept: Vec<bool>,
    /// The automaton that each state is of.
    automaton: Vec<usize>,
    automata: usize,
    /// Whether each state accepts and has no edges.
    pub leaf: Vec<bool>,
    pub start: State,
    /// Whether the empty text is a text of the grammar.
    pub nullable: bool,
    pub intersected: Intersected,
}

impl Rtn {
    pub fn new(mut lowered: Lowered, limits: &Limits) -> Result<Self> {
        let intersecting = intersect::Automata::compile(&mut lowered, limits)?;
        let terminals = Terminals::compile(&lowered.rules, limits)?;
        let (class_of, bytes) = classes(terminals.automata.iter().chain(intersecting.dfas()));
        let class = |byte: u8| u32::from(class_of[byte as usize]);
        let empty = |rule: RuleId| intersecting.of(rule).is_none_or(|dfa| dfa.accepting(dfa.start()));
        let bodies = Bodies::new(&lowered.rules, &terminals, &class, &bytes, &empty, limits)?;
        let kept = |rule: RuleId| rule == lowered.start || intersecting.of(rule).is_some();
        let automata = link(bodies.rules, lowered.start, &kept, limits)?;

        let mut first = HashMap::new();
        let mut total = 1;
        for (&rule, automaton) in &automata {
            first.insert(rule, total);
            total += automaton.rows.len() as State;
        }
        let width = bytes.len();
        limits.check(total as usize, width, "the grammar")?;
        let mut rtn = Self {
            class_of,
            width,
            next: vec![0; width],
            calls: vec![Vec::new()],
            accept: vec![false],
            automaton: vec![0],
            automata: automata.len(),
            leaf: vec![false],
            start: first[&lowered.start],
            nullable: bodies.nullable[lowered.start],
            intersected: intersecting.table(&bytes, |rule| first.get(&rule).copied()),
        };
        for (number, (rule, automaton)) in automata.iter().enumerate() {
            let offset = first[rule];
            for (row, &accept) in automaton.rows.iter().zip(&automaton.accept) {
                let mut next = vec![0; width];
                let mut calls = Vec::new();
                for &(symbol, to) in row {
                    match symbol {
                        Symbol::Byte(class) => next[class as usize] = to + offset,
                        Symbol::Call(rule) => calls.push((first[&rule], to + offset)),
                        Symbol::Nothing => {}
                    }
                }
                rtn.next.extend(next);
                rtn.calls.push(calls);
                rtn.automaton.push(number);
                rtn.accept.push(accept);
                rtn.leaf.push(accept && row.is_empty());
            }
        }
        Ok(rtn)
    }

    /// Number of states.
    pub fn states(&self) -> usize {
        self.accept.len() - 1
    }
    /// Number of automata.
    pub fn automata(&self) -> usize {
        self.automata
    }
    /// The automaton that a state is of.
    pub fn automaton(&self, state: State) -> usize {
        self.automaton[state as usize]
    }
    pub fn class(&self, byte: u8) -> usize {
        self.class_of[byte as usize] as usize
    }
    /// The state after a byte of a class, without calls.
    pub fn next(&self, state: State, class: usize) -> State {
        self.next[state as usize * self.width + class]
    }
    pub fn calls(&self, state: State) -> &[(State, State)] {
        &self.calls[state as usize]
    }
    pub fn accepting(&self, state: State) -> bool {
        self.accept[state as usize]
    }

    /// The network as an automaton over bytes; `None` if recursion is left.
    pub fn regular(&self) -> Option<Dfa> {
        if self.calls.iter().any(|calls| !calls.is_empty()) {
            return None;
        }
        let mut rows: Vec<Vec<State>> = self.next.chunks_exact(self.width).map(<[State]>::to_vec).collect();
        let mut accept = self.accept.clone();
        // Edges may lead back to the start, so the empty text needs a start state of its own.
        rows.push(rows[self.start as usize].clone());
        accept.push(accept[self.start as usize] || self.nullable);
        Some(Dfa::from_table(|byte| self.class(byte), &rows, accept, rows.len() as State - 1))
    }
}

/// The class of each byte, and one byte of each class. Bytes that no terminal tells apart share a class.
fn classes<'a>(automata: impl Iterator<Item = &'a Dfa> + Clone) -> (Box<[u8; 256]>, Vec<u8>) {
    let mut ids: HashMap<Vec<usize>, u8> = HashMap::new();
    let mut class_of = Box::new([0; 256]);
    let mut bytes = Vec::new();
    for byte in 0..=255u8 {
        let column = automata.clone().map(|dfa| dfa.class(byte)).collect();
        class_of[byte as usize] = *ids.entry(column).or_insert_with(|| {
            bytes.push(byte);
            (bytes.len() - 1) as u8
        });
    }
    (class_of, bytes)
}

/// A deterministic and minimal automaton of a rule; its start is state 0.
pub(super) struct Automaton {
    pub rows: Vec<Edges>,
    pub accept: Vec<bool>,
}

impl Automaton {
    fn calls(&self, rule: RuleId) -> bool {
        self.rows.iter().flatten().any(|&(symbol, _)| symbol == Symbol::Call(rule))
    }

    fn nfa(&self) -> Nfa {
        let accept = self.rows.len() as u32;
        let mut edges = self.rows.clone();
        for (edges, &accepts) in edges.iter_mut().zip(&self.accept) {
            if accepts {
                edges.push((Symbol::Nothing, accept));
            }
        }
        edges.push(Vec::new());
        Nfa { edges, start: 0, accept }
    }
}

/// The automata that remain after every automaton that can be copied to its callers has been; `kept` rules always
/// remain.
fn link(
    mut bodies: Vec<Nfa>,
    start: RuleId,
    kept: &dyn Fn(RuleId) -> bool,
    limits: &Limits,
) -> Result<BTreeMap<RuleId, Automaton>> {
    let mut automata: BTreeMap<RuleId, Automaton> = BTreeMap::new();
    let called = |rule: RuleId| -> Vec<RuleId> { bodies[rule].calls().collect() };
    let groups = components(bodies.len(), called);
    for group in groups {
        // Inside a group, rules that do not call themselves are copied to their callers one by one, the smallest first.
        let mut left = group.clone();
        let mut done: Vec<RuleId> = Vec::new();
        while !left.is_empty() {
            let size = |rule: &RuleId| bodies[*rule].edges.len();
            let at = (0..left.len()).filter(|&i| left[i] != start || left.len() == 1).min_by_key(|&i| size(&left[i]));
            let rule = left.swap_remove(at.unwrap_or(0));
            let automaton = finish(&mut bodies[rule], rule, limits)?;
            let inline = !automaton.calls(rule) && automaton.rows.len() <= INLINE && !kept(rule);
            if inline {
                let body = automaton.nfa();
                for (caller, edges) in bodies.iter_mut().enumerate() {
                    if caller != rule && edges.calls().any(|called| called == rule) {
                        copy_in(edges, rule, &body);
                        limits.check(edges.edges.len(), 8, "the grammar")?;
                        if let Some(automaton) = automata.get_mut(&caller) {
                            *automaton = finish(edges, caller, limits)?;
                        }
                    }
                }
            } else {
                automata.insert(rule, automaton);
                done.push(rule);
            }
        }
    }
    // Rules that are not called any more are dropped.
    let mut used = vec![start];
    let mut at = 0;
    while let Some(&rule) = used.get(at) {
        for &(symbol, _) in automata[&rule].rows.iter().flatten() {
            if let Symbol::Call(rule) = symbol
                && !used.contains(&rule)
            {
                used.push(rule);
            }
        }
        at += 1;
    }
    automata.retain(|rule, _| used.contains(rule));
    Ok(automata)
}

/// The deterministic automaton of a body, in which calls of the rule itself at the very end are loops.
fn finish(body: &mut Nfa, rule: RuleId, limits: &Limits) -> Result<Automaton> {
    let automaton = determinize(body, limits)?;
    let last = |to: u32| automaton.accept[to as usize] && automaton.rows[to as usize].is_empty();
    let tail = |&(symbol, to): &(Symbol, u32)| symbol == Symbol::Call(rule) && last(to);
    if !automaton.rows.iter().flatten().any(tail) {
        return Ok(automaton);
    }
    let mut nfa = automaton.nfa();
    for edge in nfa.edges.iter_mut().take(automaton.rows.len()).flatten() {
        if tail(edge) {
            *edge = (Symbol::Nothing, 0);
        }
    }
    // No edge may lead into the start.
    let start = nfa.state();
    nfa.edge(start, Symbol::Nothing, nfa.start);
    nfa.start = start;
    *body = nfa;
    determinize(body, limits)
}

fn copy_in(caller: &mut Nfa, rule: RuleId, body: &Nfa) {
    for state in 0..caller.edges.len() as u32 {
        let (calls, others): (Edges, Edges) =
            caller.edges[state as usize].iter().partition(|(symbol, _)| *symbol == Symbol::Call(rule));
        caller.edges[state as usize] = others;
        for (_, to) in calls {
            caller.splice(body, state, to);
        }
    }
}
