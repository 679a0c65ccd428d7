//! From networks to what the engine reads: one regular language where nothing is recursive and the result stays small,
//! a context-free grammar otherwise.

use super::network::{Label, Net, NetId, Nets};
use crate::{
    Language, Result,
    automata::Network,
    grammar::{Expr, Grammar, Rule},
};
use std::{collections::HashMap, sync::Arc};

/// Arrows up to which a network is written out wherever it is called.
const REGULAR: usize = 6000;
/// The same, for a part of a grammar.
const TERMINAL: usize = 300;
/// How deep networks are put into each other.
const DEPTH: usize = 40;
/// How deep an expression follows a network before it becomes a rule of its own.
const FOLLOWED: usize = 30;

impl Nets {
    /// The texts of the first network.
    pub fn language(&self) -> Result<Language> {
        let sizes = self.sizes();
        if sizes[0].is_some_and(|(size, depth)| size <= REGULAR && depth <= DEPTH) {
            return Ok(self.inlined(0));
        }
        let inline: Vec<bool> =
            sizes.iter().map(|size| size.is_some_and(|(size, depth)| size <= TERMINAL && depth <= DEPTH)).collect();
        let mut rules = Rules {
            nets: self,
            inline,
            graphs: vec![None; self.nets.len()],
            rules: Vec::new(),
            ids: Default::default(),
        };
        let start = rules.rule(0, 0);
        rules.finish();
        Ok(Language::grammar(Grammar::new(rules.rules, start)?))
    }

    /// Arrows and nesting of each network with all it calls written out; `None` for recursive ones.
    fn sizes(&self) -> Vec<Option<(usize, usize)>> {
        let recursive = self.recursive();
        let components = self.components();
        let mut order: Vec<NetId> = (0..self.nets.len()).collect();
        order.sort_by_key(|&id| components[id]);
        let mut sizes: Vec<Option<(usize, usize)>> = vec![None; self.nets.len()];
        for id in order {
            if recursive[id] {
                continue;
            }
            let arrows = &self.nets[id].arrows;
            sizes[id] = arrows.iter().try_fold((0usize, 1usize), |(size, depth), arrow| match arrow.1 {
                Label::Text(_) => Some((size.saturating_add(1), depth)),
                Label::Call(net) => {
                    sizes[net].map(|(more, below)| (size.saturating_add(more).saturating_add(1), depth.max(below + 1)))
                }
            });
        }
        sizes
    }

    /// A network and all it calls as one regular language.
    fn inlined(&self, id: NetId) -> Language {
        let net = &self.nets[id];
        let mut labels: Vec<Label> = net.arrows.iter().map(|arrow| arrow.1).collect();
        labels.sort_unstable_by_key(|label| match label {
            Label::Text(text) => (0, *text as usize),
            Label::Call(net) => (1, *net),
        });
        labels.dedup();
        let index: HashMap<Label, u32> = labels.iter().copied().zip(0..).collect();
        let arrows = net.arrows.iter().map(|&(a, label, b)| (a, index[&label], b)).collect();
        let labels = labels.iter().map(|&label| match label {
            Label::Text(text) => self.texts[text as usize].clone(),
            Label::Call(net) => self.inlined(net),
        });
        let network = Network { labels: labels.collect(), arrows, accepting: net.accepting.clone() };
        Language::Network(Box::new(network))
    }
}

/// A network, by the nodes that its arrows leave.
struct Graph {
    leaving: Vec<Vec<(Label, u32)>>,
    /// Arrows into each node.
    entries: Vec<usize>,
    accepting: Vec<bool>,
}

impl Graph {
    fn new(net: &Net) -> Self {
        let nodes = net.accepting.len();
        let mut new =
            Self { leaving: vec![Vec::new(); nodes], entries: vec![0; nodes], accepting: net.accepting.clone() };
        for &(from, label, to) in &net.arrows {
            new.leaving[from as usize].push((label, to));
            new.entries[to as usize] += 1;
        }
        new
    }
}

/// Rules for the nodes of networks: what is read from there on.
struct Rules<'n> {
    nets: &'n Nets,
    inline: Vec<bool>,
    graphs: Vec<Option<Arc<Graph>>>,
    rules: Vec<Rule>,
    /// (network, node), in the order of the rules.
    ids: indexmap::IndexSet<(NetId, u32)>,
}

impl Rules<'_> {
    fn rule(&mut self, net: NetId, node: u32) -> usize {
        let (id, new) = self.ids.insert_full((net, node));
        if new {
            self.rules.push(Rule::new(format!("schema-{net}-{node}"), Expr::Union(Vec::new())));
        }
        id
    }

    fn finish(&mut self) {
        let mut at = 0;
        while at < self.ids.len() {
            let (id, node) = self.ids[at];
            let graph = self.graphs[id].get_or_insert_with(|| Arc::new(Graph::new(&self.nets.nets[id]))).clone();
            self.rules[at].body = self.from(id, &graph, node, 0);
            at += 1;
        }
    }

    /// What is read from a node on.
    fn from(&mut self, id: NetId, graph: &Graph, node: u32, depth: usize) -> Expr {
        let mut ways = Vec::new();
        if graph.accepting[node as usize] {
            ways.push(Expr::Concat(Vec::new()));
        }
        for &(label, to) in &graph.leaving[node as usize] {
            let label = match label {
                Label::Text(text) if self.nets.texts[text as usize] == Language::literal("") => {
                    Expr::Concat(Vec::new())
                }
                Label::Text(text) => Expr::Terminal(self.nets.texts[text as usize].clone()),
                Label::Call(called) if self.inline[called] => Expr::Terminal(self.nets.inlined(called)),
                Label::Call(called) => Expr::Rule(self.rule(called, 0)),
            };
            let ends = graph.accepting[to as usize] && graph.leaving[to as usize].is_empty();
            let rest = if ends {
                Expr::Concat(Vec::new())
            } else if graph.entries[to as usize] == 1 && depth < FOLLOWED {
                self.from(id, graph, to, depth + 1)
            } else {
                Expr::Rule(self.rule(id, to))
            };
            ways.push(joined(label, rest));
        }
        match ways.len() {
            1 => ways.swap_remove(0),
            _ => Expr::Union(ways),
        }
    }
}

/// One after the other; neighbouring terminals become one.
fn joined(first: Expr, rest: Expr) -> Expr {
    let mut parts = Vec::new();
    for part in [first, rest] {
        match part {
            Expr::Concat(more) => parts.extend(more),
            other => parts.push(other),
        }
    }
    let mut merged: Vec<Expr> = Vec::new();
    for part in parts {
        match (merged.last_mut(), part) {
            (Some(Expr::Terminal(before)), Expr::Terminal(next)) => {
                let before_it = std::mem::replace(before, Language::Any);
                *before = match before_it {
                    Language::Concat(mut list) => {
                        list.push(next);
                        Language::Concat(list)
                    }
                    other => Language::Concat(vec![other, next]),
                };
            }
            (_, part) => merged.push(part),
        }
    }
    match merged.len() {
        1 => merged.swap_remove(0),
        _ => Expr::Concat(merged),
    }
}
