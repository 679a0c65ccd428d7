//! Tables that depend on the constraint alone: they are built once and used at every step.

use super::cache::LayerCache;
use super::graph::Graph;
use super::partial_sums::PartialSums;
use super::pool::Pools;
use crate::automata::{Class, Edge};
use crate::inference::simd::{Edges, Lists};
use std::sync::OnceLock;

/// Fewer edges than this are not worth being laid out anew.
const LEAST_EDGES: usize = 1 << 12;

/// All edges, laid out for layers of many states.
#[derive(Debug)]
pub(super) struct Sides {
    /// Edges by their target, reversed.
    pub(super) incoming: Edges,
    /// Edges by their source.
    pub(super) outgoing: Edges,
}

/// Indexes of a graph that are built once and used at every step: its edges by their target, and tables that are built
/// when they are first needed.
#[derive(Debug)]
pub struct Tables {
    first: Vec<u32>,
    /// The edges by their target, reversed: the field `target` holds the source.
    incoming: Vec<Edge>,
    /// The tokens of the classes; built when a whole row is read for the first time.
    lists: OnceLock<Lists>,
    /// How sums over labels share terms; built when a position is open for the first time.
    partial_sums: OnceLock<Option<PartialSums>>,
    /// Edges laid out for SIMD; built when a position is open for the first time.
    sides: OnceLock<Option<Sides>>,
    pub(super) pools: Pools,
    pub(super) cache: LayerCache,
}

impl Tables {
    /// Tables of a graph that is used once: those that pay only at later steps are left out.
    pub(super) fn once<G: Graph>(graph: &G) -> Self {
        Self { sides: OnceLock::from(None), partial_sums: OnceLock::from(None), ..Self::new(graph) }
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
        Self {
            first,
            incoming,
            lists: OnceLock::new(),
            partial_sums: OnceLock::new(),
            sides: OnceLock::new(),
            pools: Pools::default(),
            cache: LayerCache::default(),
        }
    }

    /// The edges into `state`, reversed: the field `target` holds the source.
    #[inline]
    pub(super) fn incoming(&self, state: u32) -> &[Edge] {
        &self.incoming[self.first[state as usize] as usize..self.first[state as usize + 1] as usize]
    }

    /// The tokens of each class. They are read alone where most of the vocabulary is legal nowhere.
    pub(super) fn lists<G: Graph>(&self, graph: &G) -> &Lists {
        let classes = || (0..graph.classes() as Class).map(|class| (class, graph.members(class)));
        let make = || {
            let tokens: usize = classes().map(|(_, members)| members.len()).sum();
            Lists::new(graph.vocab_len(), classes(), tokens * 2 < graph.vocab_len())
        };
        self.lists.get_or_init(make)
    }

    /// How sums over labels share terms, where that saves anything.
    pub(super) fn partial_sums<G: Graph>(&self, graph: &G) -> Option<&PartialSums> {
        self.partial_sums.get_or_init(|| PartialSums::new(graph)).as_ref()
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
        let lists = self.lists.get().map_or(0, Lists::bytes);
        let partial_sums = self.partial_sums.get().and_then(Option::as_ref).map_or(0, PartialSums::bytes);
        let sides = self.sides.get().and_then(Option::as_ref);
        let sides = sides.map_or(0, |sides| sides.incoming.bytes() + sides.outgoing.bytes());
        4 * self.first.len() + 8 * self.incoming.len() + lists + partial_sums + sides
    }
}
