//! From networks to a language: a regular one where no network is recursive and the result stays small, a context-free
//! grammar otherwise.

use super::network::{Label, Net, NetId, Nets};
use crate::{
    Language, Result,
    language::Network,
    language::{Expr, Grammar, Rule},
};
use std::collections::HashMap;

/// Most arrows of a network that is inlined wherever it is called.
const REGULAR: usize = 6000;
/// The same, for a part of a grammar.
const TERMINAL: usize = 300;
/// Deepest nesting of inlined networks.
const DEPTH: usize = 40;

impl Nets {
    /// The language of the first network.
    pub fn language(&self) -> Result<Language> {
        let sizes = self.sizes();
        if sizes[0].is_some_and(|(size, depth)| size <= REGULAR && depth <= DEPTH) {
            return Ok(self.inlined(0));
        }
        let inline: Vec<bool> =
            sizes.iter().map(|size| size.is_some_and(|(size, depth)| size <= TERMINAL && depth <= DEPTH)).collect();
        let mut called = indexmap::IndexSet::from([0]);
        let mut rules = Vec::new();
        while let Some(&id) = called.get_index(rules.len()) {
            let body = self.nets[id].labelled(|label| match label {
                Label::Text(text) => Expr::Terminal(self.texts[text as usize].clone()),
                Label::Call(net) if inline[net] => Expr::Terminal(self.inlined(net)),
                Label::Call(net) => Expr::Rule(called.insert_full(net).0),
            });
            let name = match self.places.get(&id).map(String::as_str) {
                Some("") => "the schema".into(),
                Some(pointer) => format!("the schema at {pointer}"),
                None => format!("value {id}"),
            };
            rules.push(Rule::new(name, Expr::Network(Box::new(body))));
        }
        Ok(Language::grammar(Grammar::new(rules, 0)?))
    }

    /// Arrows and nesting of each network with all calls inlined; `None` for recursive networks.
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

    /// A network with all calls inlined, as one regular language.
    fn inlined(&self, id: NetId) -> Language {
        Language::Network(Box::new(self.nets[id].labelled(|label| match label {
            Label::Text(text) => self.texts[text as usize].clone(),
            Label::Call(net) => self.inlined(net),
        })))
    }
}

impl Net {
    /// The same graph with other labels.
    fn labelled<L>(&self, label: impl FnMut(Label) -> L) -> Network<L> {
        let mut labels: Vec<Label> = self.arrows.iter().map(|arrow| arrow.1).collect();
        labels.sort_unstable();
        labels.dedup();
        let index: HashMap<Label, u32> = labels.iter().copied().zip(0..).collect();
        let arrows = self.arrows.iter().map(|&(a, label, b)| (a, index[&label], b)).collect();
        Network { labels: labels.into_iter().map(label).collect(), arrows, accepting: self.accepting.clone() }
    }
}
