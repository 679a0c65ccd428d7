//! What depends on the constraint alone: made once, used at every step.

use super::graph::Graph;
use super::unions::Unions;
use crate::automata::{Class, Edge};
use crate::simd::{Edges, LANES, Lists};
use std::sync::OnceLock;

/// A class with more than one in so many tokens is summed with a mask over the whole row, which costs as much as
/// fetching that many of its tokens one by one.
const MASKED: usize = 6;

/// Fewer edges than this are not worth being laid out anew.
const LEAST_EDGES: usize = 1 << 12;

/// All edges, laid out for layers of many states.
#[derive(Debug)]
pub(super) struct Sides {
    /// Edges by their target, turned round.
    pub(super) incoming: Edges,
    /// Edges by their source.
    pub(super) outgoing: Edges,
}

/// Edges by their target, and masks of the large classes.
#[derive(Debug)]
pub struct Tables {
    first: Vec<u32>,
    /// As edges the other way round: `target` is the source.
    incoming: Vec<Edge>,
    /// By ascending class.
    masks: Vec<(Class, Box<[u16]>)>,
    /// The tokens of the other classes, made when a whole row is read first.
    lists: OnceLock<Lists>,
    /// Of the labels, made when a position is open first.
    unions: OnceLock<Option<Unions>>,
    /// Made when a position is open first.
    sides: OnceLock<Option<Sides>>,
}

impl Tables {
    /// For a graph that is used once: what pays later only is left out.
    pub(super) fn once<G: Graph>(graph: &G) -> Self {
        Self { sides: OnceLock::from(None), unions: OnceLock::from(None), ..Self::new(graph) }
    }

    /// Reads all edges of the graph once.
    pub fn new<G: Graph>(graph: &G) -> Self {
        let states = graph.states();
        let mut first = vec![0u32; states + 1];
        let edges = || (0..states as u32).flat_map(|q| graph.edges(q).iter().map(move |e| (q, e)));
        edges().for_each(|(_, edge)| first[edge.target as usize + 1] += 1);
        for q in 0..states {
            first[q + 1] += first[q];
        }
        let mut next = first.clone();
        let mut incoming = vec![Edge::default(); first[states] as usize];
        for (source, edge) in edges() {
            let slot = &mut next[edge.target as usize];
            incoming[*slot as usize] = Edge { label: edge.label, target: source };
            *slot += 1;
        }
        let large = |&class: &Class| graph.members(class).len() * MASKED > graph.vocab_len();
        let masks = (0..graph.classes() as Class).filter(large).map(|class| (class, mask(graph, class))).collect();
        Self { first, incoming, masks, lists: OnceLock::new(), unions: OnceLock::new(), sides: OnceLock::new() }
    }

    /// The edges to `state`, turned round: their target is the source.
    #[inline]
    pub(super) fn incoming(&self, state: u32) -> &[Edge] {
        &self.incoming[self.first[state as usize] as usize..self.first[state as usize + 1] as usize]
    }

    /// One bit for each token; `None` of a class that is not large.
    pub(super) fn mask(&self, class: Class) -> Option<&[u16]> {
        let found = self.masks.binary_search_by_key(&class, |(class, _)| *class).ok()?;
        Some(&self.masks[found].1)
    }

    /// The tokens of each class that is not large. They are read alone where no class is large and most of the
    /// vocabulary is legal nowhere.
    pub(super) fn lists<G: Graph>(&self, graph: &G) -> &Lists {
        let small = || (0..graph.classes() as Class).filter(|&class| self.mask(class).is_none());
        let make = || {
            let tokens: usize = small().map(|class| graph.members(class).len()).sum();
            let alone = self.masks.is_empty() && tokens * 2 < graph.vocab_len();
            Lists::new(graph.vocab_len(), small().map(|class| (class, graph.members(class))), alone)
        };
        self.lists.get_or_init(make)
    }

    /// How labels are made of each other, where that saves anything.
    pub(super) fn unions<G: Graph>(&self, graph: &G) -> Option<&Unions> {
        self.unions.get_or_init(|| Unions::new(graph)).as_ref()
    }

    /// The edges laid out for layers of many states, where there are many edges, and not too many states.
    pub(super) fn sides<G: Graph>(&self, graph: &G) -> Option<&Sides> {
        let (states, labels) = (graph.states(), graph.labels());
        let make = || {
            let incoming = Edges::new(states, labels, |state| self.incoming(state))?;
            let outgoing = Edges::new(states, labels, |state| graph.edges(state))?;
            Some(Sides { incoming, outgoing })
        };
        self.sides.get_or_init(|| if self.incoming.len() < LEAST_EDGES { None } else { make() }).as_ref()
    }

    /// Bytes that the tables take.
    pub fn bytes(&self) -> usize {
        let masks: usize = self.masks.iter().map(|(_, mask)| mask.len()).sum();
        let lists = self.lists.get().map_or(0, Lists::bytes);
        let unions = self.unions.get().and_then(Option::as_ref).map_or(0, Unions::bytes);
        let sides = self.sides.get().and_then(Option::as_ref);
        let sides = sides.map_or(0, |sides| sides.incoming.bytes() + sides.outgoing.bytes());
        4 * self.first.len() + 8 * self.incoming.len() + 2 * masks + lists + unions + sides
    }
}

fn mask<G: Graph>(graph: &G, class: Class) -> Box<[u16]> {
    let mut mask = vec![0; graph.vocab_len().div_ceil(LANES)];
    graph.members(class).iter().for_each(|&token| mask[token as usize / LANES] |= 1 << (token as usize % LANES));
    mask.into()
}
