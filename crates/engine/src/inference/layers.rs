//! Feasibility, the boolean forward–backward pass: which states lie on a complete text, and which labels are legal at
//! each position.

use super::graph::Graph;
use super::layer::{Layer, Run};
use super::support::Support;
use super::tables::Tables;
use crate::automata::{Class, Edge, Label, TokenAutomaton};
use crate::util::Bits;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// The tokens that may stand at a position.
#[derive(Debug, Clone)]
pub(super) enum Choice {
    /// A decided token, by its class.
    One(Class),
    Any,
    /// The tokens that truncation has kept.
    Kept(Arc<Support>),
}

/// The feasible states: for every gap between positions the states that lie on a complete text, ascending.
#[derive(Debug, Clone)]
pub(super) struct Layers {
    /// The index of the first state of each gap among the states of all gaps, and the number of states at the end.
    first: Vec<usize>,
    runs: Vec<Run>,
    /// The runs of each gap; neighbours with the same states share them.
    runs_of: Vec<Range<usize>>,
    /// The support of each position; `None` where a token is decided.
    pub(super) supports: Vec<Option<Arc<Support>>>,
}

impl Layers {
    /// The states at gap `gap`: before position `gap`, after position `gap - 1`.
    pub(super) fn layer(&self, gap: usize) -> Layer<'_> {
        Layer(&self.runs[self.runs_of[gap].clone()])
    }
    /// The indices of the states of a gap among the states of all gaps.
    pub(super) fn range(&self, gap: usize) -> Range<usize> {
        self.first[gap]..self.first[gap + 1]
    }
    /// Number of runs of states.
    pub(super) fn runs(&self) -> usize {
        self.runs.len()
    }
    /// Number of states over all gaps.
    pub(super) fn len(&self) -> usize {
        self.first.last().copied().unwrap_or_default()
    }

    /// Finds the feasible states; `None` if no text fits.
    pub(super) fn new(
        automaton: &TokenAutomaton,
        tables: &Tables,
        choices: &[Choice],
        tokens: (usize, usize),
    ) -> Option<Self> {
        if automaton.is_empty() {
            return None;
        }
        let mut gaps = reached(automaton, choices, tokens);
        let mut counts = Counts::new(automaton.states(), automaton.labels());
        let mut sets = Sets::new(automaton);
        let mut supports = vec![None; choices.len()];
        for (pos, choice) in choices.iter().enumerate().rev() {
            let (before, after) = gaps.split_at_mut(pos + 1);
            let (here, next) = (&mut before[pos], &after[0]);
            match choice {
                Choice::Any => here.intersect(counts.sources(tables, next)),
                choice => {
                    let lost = |q: &u32| !each_successor(automaton, choice, *q, |to| next.has(to));
                    let lost: Vec<u32> = here.iter().filter(lost).collect();
                    lost.into_iter().for_each(|q| here.set(q, false));
                }
            }
            if here.is_empty() {
                return None;
            }
            supports[pos] = match choice {
                Choice::One(_) => None,
                Choice::Any => Some(sets.full(counts.labels(automaton, tables, here, next))),
                Choice::Kept(kept) => Some(kept.clone()),
            };
        }
        if gaps[choices.len()].is_empty() {
            return None;
        }
        let mut all = Self::with(supports);
        for (gap, bits) in gaps.iter().enumerate() {
            match gap > 0 && gaps[gap - 1] == *bits {
                true => all.push_same(),
                false => all.push(bits.runs()),
            }
        }
        Some(all)
    }

    fn with(supports: Vec<Option<Arc<Support>>>) -> Self {
        Self { first: vec![0], runs: Vec::new(), runs_of: Vec::new(), supports }
    }
    /// Appends the states of the next gap, ascending.
    fn push(&mut self, states: impl Iterator<Item = Range<u32>>) {
        let (first_run, mut at) = (self.runs.len(), 0);
        for states in states {
            let len = states.len();
            match self.runs[first_run..].last_mut().filter(|run| run.states.end == states.start) {
                Some(run) => run.states.end = states.end,
                None => self.runs.push(Run { states, at }),
            }
            at += len;
        }
        self.runs_of.push(first_run..self.runs.len());
        self.first.push(self.len() + at);
    }
    /// Appends a gap with the states of the one before.
    fn push_same(&mut self) {
        let gap = self.runs_of.len() - 1;
        self.runs_of.push(self.runs_of[gap].clone());
        self.first.push(self.len() + self.range(gap).len());
    }

    /// Restricts given layers to the states that lie on a complete text with only `choices` as tokens; `None` if no
    /// state is left.
    pub(super) fn from_layers<G: Graph>(graph: &G, choices: &[Choice], mut layers: Vec<Vec<u32>>) -> Option<Self> {
        let mut reached = vec![usize::MAX; graph.states()];
        for (pos, choice) in choices.iter().enumerate() {
            for &from in &layers[pos] {
                each_successor(graph, choice, from, |to| {
                    reached[to as usize] = pos;
                    false
                });
            }
            layers[pos + 1].retain(|&q| reached[q as usize] == pos);
        }
        let mut alive = reached;
        alive.fill(usize::MAX);
        let mut sets = Sets::new(graph);
        let mut supports = vec![None; choices.len()];
        for gap in (0..layers.len()).rev() {
            if let Some(choice) = choices.get(gap) {
                layers[gap].retain(|&q| each_successor(graph, choice, q, |to| alive[to as usize] == gap + 1));
                supports[gap] = match choice {
                    Choice::One(_) => None,
                    Choice::Any => {
                        Some(sets.full(used_labels(graph, &layers[gap], |to| alive[to as usize] == gap + 1)))
                    }
                    Choice::Kept(kept) => Some(kept.clone()),
                };
            }
            if layers[gap].is_empty() {
                return None;
            }
            layers[gap].iter().for_each(|&q| alive[q as usize] = gap);
        }
        let mut all = Self::with(supports);
        layers.iter().for_each(|layer| all.push(layer.iter().map(|&q| q..q + 1)));
        Some(all)
    }

    /// Restricts the layers to texts with only `choices` as tokens; `None` if no state is left.
    pub(super) fn restricted<G: Graph>(&self, graph: &G, choices: &[Choice]) -> Option<Self> {
        Self::from_layers(
            graph,
            choices,
            (0..self.first.len() - 1).map(|gap| self.layer(gap).iter().collect()).collect(),
        )
    }

    /// The layers of the first `len` positions, after which every state of the gap accepts.
    pub(super) fn prefix(&self, len: usize) -> Self {
        let (first, runs_of) = (self.first[..len + 2].to_vec(), self.runs_of[..len + 1].to_vec());
        let runs = self.runs[..runs_of[len].end].to_vec();
        Self { first, runs, runs_of, supports: self.supports[..len].to_vec() }
    }
}

/// Calls `visit` with each state after `from` until `visit` returns true; returns whether it did.
fn each_successor<G: Graph>(graph: &G, choice: &Choice, from: u32, mut visit: impl FnMut(u32) -> bool) -> bool {
    match choice {
        Choice::One(class) => graph.next(from, *class).is_some_and(visit),
        Choice::Any => graph.edges(from).iter().any(|edge| visit(edge.target)),
        Choice::Kept(kept) => graph.edges(from).iter().any(|edge| kept.bears(edge.label) && visit(edge.target)),
    }
}

fn used_labels<G: Graph>(graph: &G, layer: &[u32], next: impl Fn(u32) -> bool) -> Vec<Label> {
    let mut used = vec![false; graph.labels()];
    let edges = layer.iter().flat_map(|&q| graph.edges(q)).filter(|edge| next(edge.target));
    edges.for_each(|edge| used[edge.label as usize] = true);
    (0..used.len() as Label).filter(|&label| used[label as usize]).collect()
}

/// The forward pass: the states that can be reached in each gap. Neighbouring open positions differ in few states, so
/// only the edges of those are visited: an edge is counted while its source is in the layer.
fn reached(automaton: &TokenAutomaton, choices: &[Choice], (min, max): (usize, usize)) -> Vec<Bits> {
    let ended = automaton.ended();
    let none = Bits::none(automaton.states());
    let mut counts = vec![0u32; automaton.states()];
    let (mut counted, mut targets) = (none.clone(), none.clone());
    let mut gaps = vec![none.clone()];
    gaps[0].set(automaton.start(), true);
    for (pos, choice) in choices.iter().enumerate() {
        let here = &gaps[pos];
        let mut next = if let Choice::Any = choice {
            for (q, added) in counted.changes(here) {
                for edge in automaton.edges(q) {
                    let count = &mut counts[edge.target as usize];
                    *count = if added { *count + 1 } else { *count - 1 };
                    if *count == added as u32 {
                        targets.set(edge.target, added);
                    }
                }
            }
            counted.clone_from(here);
            targets.clone()
        } else {
            let mut next = none.clone();
            for q in here.iter() {
                each_successor(automaton, choice, q, |to| {
                    next.set(to, true);
                    false
                });
            }
            next
        };
        if pos >= max {
            let tail = ended.filter(|&ended| next.has(ended));
            next = none.clone();
            tail.into_iter().for_each(|ended| next.set(ended, true));
        }
        if let Some(ended) = ended.filter(|_| pos < min) {
            next.set(ended, false);
        }
        gaps.push(next);
    }
    let last = choices.len();
    let complete = |q: &u32| automaton.accepting(*q) && (Some(*q) == ended || last >= min);
    let incomplete: Vec<u32> = gaps[last].iter().filter(|q| !complete(q)).collect();
    incomplete.into_iter().for_each(|q| gaps[last].set(q, false));
    gaps
}

/// Counts of edges for the backward pass, updated from layer to layer.
struct Counts {
    /// For each state the number of its edges into `next`.
    out: Vec<u32>,
    next: Bits,
    sources: Bits,
    /// For each label the number of its edges from `from` to `to`.
    used: Vec<u32>,
    from: Bits,
    to: Bits,
}

impl Counts {
    fn new(states: usize, labels: usize) -> Self {
        let none = Bits::none(states);
        Self {
            out: vec![0; states],
            next: none.clone(),
            sources: none.clone(),
            used: vec![0; labels],
            from: none.clone(),
            to: none,
        }
    }

    /// The states with an edge into `next`.
    fn sources(&mut self, tables: &Tables, next: &Bits) -> &Bits {
        for (to, added) in self.next.changes(next) {
            for &Edge { target: q, .. } in tables.incoming(to) {
                let count = &mut self.out[q as usize];
                *count = if added { *count + 1 } else { *count - 1 };
                if *count == added as u32 {
                    self.sources.set(q, added);
                }
            }
        }
        self.next.clone_from(next);
        &self.sources
    }

    /// The labels of the edges from `here` to `next`.
    fn labels(&mut self, automaton: &TokenAutomaton, tables: &Tables, here: &Bits, next: &Bits) -> Vec<Label> {
        let mut count = |label: Label, added| {
            let count = &mut self.used[label as usize];
            *count = if added { *count + 1 } else { *count - 1 };
        };
        // Before the first call no edge is counted.
        if !self.from.is_empty() {
            for (to, added) in self.to.changes(next) {
                let known = tables.incoming(to).iter().filter(|edge| self.from.has(edge.target));
                known.for_each(|edge| count(edge.label, added));
            }
        }
        for (q, added) in self.from.changes(here) {
            let live = automaton.edges(q).iter().filter(|edge| next.has(edge.target));
            live.for_each(|edge| count(edge.label, added));
        }
        self.from.clone_from(here);
        self.to.clone_from(next);
        (0..self.used.len() as Label).filter(|&label| self.used[label as usize] > 0).collect()
    }
}

/// Supports by their labels, each made once: most positions share theirs with others.
struct Sets<'g, G> {
    graph: &'g G,
    known: HashMap<Vec<Label>, Arc<Support>>,
}

impl<'g, G: Graph> Sets<'g, G> {
    fn new(graph: &'g G) -> Self {
        Self { graph, known: HashMap::new() }
    }
    fn full(&mut self, labels: Vec<Label>) -> Arc<Support> {
        let make = |labels: &Vec<Label>| Arc::new(Support::full(self.graph, labels.clone()));
        self.known.entry(labels).or_insert_with_key(make).clone()
    }
}
