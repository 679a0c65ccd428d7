//! Thompson's construction for rules: automata that read bytes and call other rules, without empty texts and left
//! recursion.

use super::lower::Terminals;
use crate::automata::Limits;
use crate::language::{Expr, Rule, RuleId};
use crate::{Error, Result};

/// The symbol of an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Symbol {
    Nothing,
    /// A byte of a class.
    Byte(u32),
    /// A text of a rule.
    Call(RuleId),
}

pub(super) type Edges = Vec<(Symbol, u32)>;

/// A non-deterministic automaton. No edge leads into its start or out of its accepting state.
#[derive(Debug, Clone)]
pub(super) struct Nfa {
    pub edges: Vec<Edges>,
    pub start: u32,
    pub accept: u32,
}

impl Nfa {
    fn empty_set() -> Self {
        Self { edges: vec![Vec::new(); 2], start: 0, accept: 1 }
    }

    pub fn state(&mut self) -> u32 {
        self.edges.push(Vec::new());
        self.edges.len() as u32 - 1
    }
    pub fn edge(&mut self, from: u32, symbol: Symbol, to: u32) {
        self.edges[from as usize].push((symbol, to));
    }

    /// The states that are reached from `state` over edges that read nothing, `state` included.
    pub fn closure(&self, state: u32) -> Vec<u32> {
        let mut found = vec![state];
        let mut at = 0;
        while let Some(&from) = found.get(at) {
            for &(symbol, to) in &self.edges[from as usize] {
                if symbol == Symbol::Nothing && !found.contains(&to) {
                    found.push(to);
                }
            }
            at += 1;
        }
        found
    }

    /// Whether the accepting state is reached over edges whose symbols pass.
    fn accepts_over(&self, passes: impl Fn(Symbol) -> bool) -> bool {
        let mut seen = vec![false; self.edges.len()];
        let mut open = vec![self.start];
        while let Some(state) = open.pop() {
            if !std::mem::replace(&mut seen[state as usize], true) {
                open.extend(self.edges[state as usize].iter().filter(|(s, _)| passes(*s)).map(|&(_, to)| to));
            }
        }
        seen[self.accept as usize]
    }

    /// Rules that are called.
    pub fn calls(&self) -> impl Iterator<Item = RuleId> + '_ {
        self.edges.iter().flatten().filter_map(|(symbol, _)| match symbol {
            Symbol::Call(rule) => Some(*rule),
            _ => None,
        })
    }

    /// Puts a copy of `other` between two states.
    pub fn splice(&mut self, other: &Self, from: u32, to: u32) {
        let offset = self.edges.len() as u32;
        let moved = |edges: &Edges| edges.iter().map(|&(symbol, to)| (symbol, to + offset)).collect();
        self.edges.extend(other.edges.iter().map(moved));
        self.edge(from, Symbol::Nothing, other.start + offset);
        self.edge(other.accept + offset, Symbol::Nothing, to);
    }
}

/// The automata of all rules, for their non-empty texts and without left recursion; and which rules have the empty
/// text.
pub(super) struct Bodies {
    pub rules: Vec<Nfa>,
    pub nullable: Vec<bool>,
}

impl Bodies {
    /// `empty` says whether the rule may have the empty text at all.
    ///
    /// # Errors
    /// `TooLarge`.
    pub fn new(
        rules: &[Rule],
        terminals: &Terminals,
        class: &dyn Fn(u8) -> u32,
        bytes: &[u8],
        empty: &dyn Fn(RuleId) -> bool,
        limits: &Limits,
    ) -> Result<Self> {
        let mut work = 0;
        let mut bodies = Vec::new();
        for rule in rules {
            let mut nfa = Nfa::empty_set();
            let mut builder = Builder { nfa: &mut nfa, terminals, class, bytes, limits, work: &mut work };
            builder.add(&rule.body, 0, 1).map_err(|e| e.context(format_args!("the rule `{}`", rule.name)))?;
            bodies.push(nfa);
        }
        let nullable = least(bodies.len(), |known, rule| {
            let reads_nothing = |symbol| match symbol {
                Symbol::Nothing => true,
                Symbol::Byte(_) => false,
                Symbol::Call(rule) => known[rule],
            };
            empty(rule) && bodies[rule].accepts_over(reads_nothing)
        });
        for nfa in &mut bodies {
            for edges in &mut nfa.edges {
                let skip = |&(symbol, to): &(Symbol, u32)| match symbol {
                    Symbol::Call(rule) if nullable[rule] => Some((Symbol::Nothing, to)),
                    _ => None,
                };
                let skips: Edges = edges.iter().filter_map(skip).collect();
                edges.extend(skips);
            }
        }
        let left = |rule: RuleId| -> Vec<RuleId> {
            let nfa: &Nfa = &bodies[rule];
            let first = nfa.closure(nfa.start).into_iter().flat_map(|p| &nfa.edges[p as usize]);
            first.filter_map(|(symbol, _)| if let Symbol::Call(rule) = symbol { Some(*rule) } else { None }).collect()
        };
        let mut proper = vec![Nfa::empty_set(); bodies.len()];
        for group in components(bodies.len(), left) {
            limits.check(group.iter().map(|&r| bodies[r].edges.len()).sum::<usize>() * group.len(), 8, "a grammar")?;
            for &rule in &group {
                proper[rule] = without_left_recursion(&bodies, &group, rule);
            }
        }
        // Calls of rules that have no text are dropped.
        let productive = least(proper.len(), |known, rule| {
            proper[rule].accepts_over(|symbol| if let Symbol::Call(rule) = symbol { known[rule] } else { true })
        });
        for edges in proper.iter_mut().flat_map(|nfa| &mut nfa.edges) {
            edges.retain(|(symbol, _)| if let Symbol::Call(rule) = symbol { productive[*rule] } else { true });
        }
        Ok(Self { rules: proper, nullable })
    }
}

/// The non-empty texts of a rule, left recursion turned into loops.
///
/// Rules of one group begin with each other: A → B α | β. As a system of equations over rows of languages this is
/// A = A·M + β, solved by β·M*: a text of a group begins with some β, and each α makes what has been read so far of one
/// rule a text of another. So all bodies of the group are joined, and where a body begins with a rule of the group it
/// goes on from where that rule ends.
fn without_left_recursion(bodies: &[Nfa], group: &[RuleId], rule: RuleId) -> Nfa {
    let mut joined = Nfa { edges: vec![Vec::new()], start: 0, accept: 0 };
    let mut offsets = Vec::new();
    for &member in group {
        let offset = joined.edges.len() as u32;
        offsets.push(offset);
        let moved = |edges: &Edges| edges.iter().map(|&(symbol, to)| (symbol, to + offset)).collect();
        joined.edges.extend(bodies[member].edges.iter().map(moved));
    }
    let place = |of: RuleId| group.iter().position(|&member| member == of);
    for (&member, &offset) in group.iter().zip(&offsets) {
        let nfa = &bodies[member];
        for state in nfa.closure(nfa.start) {
            for &(symbol, to) in &nfa.edges[state as usize] {
                let begun = if let Symbol::Call(first) = symbol { place(first) } else { None };
                match (symbol, begun) {
                    (Symbol::Nothing, _) => {}
                    (_, Some(first)) => {
                        let end = bodies[group[first]].accept + offsets[first];
                        joined.edge(end, Symbol::Nothing, to + offset);
                    }
                    _ => joined.edge(0, symbol, to + offset),
                }
            }
        }
    }
    // No edge may leave the accepting state.
    joined.accept = joined.state();
    let end = place(rule).map_or(0, |i| bodies[rule].accept + offsets[i]);
    let accept = joined.accept;
    joined.edge(end, Symbol::Nothing, accept);
    joined
}

/// The least set of rules that is closed under `holds`, which is given the rules already in the set.
fn least(rules: usize, holds: impl Fn(&[bool], RuleId) -> bool) -> Vec<bool> {
    let mut known = vec![false; rules];
    loop {
        let next: Vec<bool> = (0..rules).map(|rule| known[rule] || holds(&known, rule)).collect();
        if next == known {
            return known;
        }
        known = next;
    }
}

/// Strongly connected components, successors first (Tarjan 1972, without recursion).
pub(super) fn components(nodes: usize, successors: impl Fn(usize) -> Vec<usize>) -> Vec<Vec<usize>> {
    const NEW: usize = usize::MAX;
    let (mut index, mut low) = (vec![NEW; nodes], vec![0; nodes]);
    let (mut stack, mut on_stack, mut found) = (Vec::new(), vec![false; nodes], Vec::new());
    let mut count = 0;
    for root in 0..nodes {
        if index[root] != NEW {
            continue;
        }
        let mut path: Vec<(usize, Vec<usize>)> = Vec::new();
        let mut enter = Some(root);
        loop {
            if let Some(node) = enter.take() {
                (index[node], low[node]) = (count, count);
                count += 1;
                stack.push(node);
                on_stack[node] = true;
                path.push((node, successors(node)));
            }
            let Some((node, rest)) = path.last_mut() else { break };
            let node = *node;
            match rest.pop() {
                Some(next) if index[next] == NEW => enter = Some(next),
                Some(next) if on_stack[next] => low[node] = low[node].min(index[next]),
                Some(_) => {}
                None => {
                    path.pop();
                    if let Some((before, _)) = path.last() {
                        low[*before] = low[*before].min(low[node]);
                    }
                    if low[node] == index[node] {
                        let cut = stack.iter().rposition(|&n| n == node);
                        debug_assert!(cut.is_some(), "a node stays on the stack until its component is found");
                        let cut = cut.unwrap_or(0);
                        let group = stack.split_off(cut);
                        group.iter().for_each(|&n| on_stack[n] = false);
                        found.push(group);
                    }
                }
            }
        }
    }
    found
}

struct Builder<'a> {
    nfa: &'a mut Nfa,
    terminals: &'a Terminals,
    class: &'a dyn Fn(u8) -> u32,
    /// One byte of each class.
    bytes: &'a [u8],
    limits: &'a Limits,
    work: &'a mut usize,
}

impl Builder<'_> {
    /// Puts the texts of `expr` between two states.
    fn add(&mut self, expr: &Expr, from: u32, to: u32) -> Result<()> {
        *self.work += 1;
        self.limits.check(self.nfa.edges.len() + *self.work, 8, "the grammar")?;
        match expr {
            Expr::Rule(rule) => self.nfa.edge(from, Symbol::Call(*rule), to),
            Expr::Terminal(language) => self.terminal(language, from, to)?,
            Expr::Concat(parts) => {
                let mut at = from;
                for part in parts {
                    let next = self.nfa.state();
                    self.add(part, at, next)?;
                    at = next;
                }
                self.nfa.edge(at, Symbol::Nothing, to);
            }
            Expr::Union(parts) => {
                for part in parts {
                    self.add(part, from, to)?;
                }
            }
            Expr::Network(network) => {
                let first = self.nfa.edges.len() as u32;
                for (node, &accepts) in (first..).zip(&network.accepting) {
                    self.nfa.state();
                    if accepts {
                        self.nfa.edge(node, Symbol::Nothing, to);
                    }
                }
                for &(a, label, b) in &network.arrows {
                    self.add(&network.labels[label as usize], first + a, first + b)?;
                }
                if !network.accepting.is_empty() {
                    self.nfa.edge(from, Symbol::Nothing, first);
                }
            }
            Expr::Repeat { inner, min, max } => {
                if max.is_some_and(|max| max < *min) {
                    return Err(Error::input(format!("at least {min} repetitions, but at most {}", max.unwrap_or(0))));
                }
                let mut at = from;
                for _ in 0..*min {
                    let next = self.nfa.state();
                    self.add(inner, at, next)?;
                    at = next;
                }
                match max {
                    None => {
                        let (head, tail) = (self.nfa.state(), self.nfa.state());
                        self.nfa.edge(at, Symbol::Nothing, head);
                        self.add(inner, head, tail)?;
                        self.nfa.edge(tail, Symbol::Nothing, head);
                        self.nfa.edge(head, Symbol::Nothing, to);
                    }
                    Some(max) => {
                        for _ in *min..*max {
                            self.nfa.edge(at, Symbol::Nothing, to);
                            let next = self.nfa.state();
                            self.add(inner, at, next)?;
                            at = next;
                        }
                        self.nfa.edge(at, Symbol::Nothing, to);
                    }
                }
            }
        }
        Ok(())
    }

    fn terminal(&mut self, language: &crate::Language, from: u32, to: u32) -> Result<()> {
        let dfa = self.terminals.of(language);
        if dfa.is_empty() {
            return Ok(());
        }
        let offset = self.nfa.edges.len() as u32 - 1;
        for _ in 0..dfa.states() {
            self.nfa.state();
        }
        *self.work += dfa.states();
        self.limits.check(self.nfa.edges.len() + *self.work, 8, "the grammar")?;
        self.nfa.edge(from, Symbol::Nothing, dfa.start() + offset);
        for state in 1..=dfa.states() as u32 {
            for &byte in self.bytes {
                let next = dfa.step(state, byte);
                if next != 0 {
                    self.nfa.edge(state + offset, Symbol::Byte((self.class)(byte)), next + offset);
                }
            }
            if dfa.accepting(state) {
                self.nfa.edge(state + offset, Symbol::Nothing, to);
            }
        }
        Ok(())
    }
}
