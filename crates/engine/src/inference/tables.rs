//! What depends on the constraint alone: made once, used at every step.

use super::graph::Graph;
use super::known::Known;
use super::number::Wide;
use super::unions::Unions;
use crate::automata::{Class, Edge};
use crate::inference::simd::{Edges, Lists, MaxPlus};
use std::sync::{Mutex, OnceLock, PoisonError};

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

/// Memory of messages that are gone, for those to come: the system need not clear its pages again.
#[derive(Debug)]
pub(super) struct Spare<T>(Mutex<Vec<Vec<T>>>);

/// Bytes that are kept at most.
const MOST_SPARE: usize = 64 << 20;

impl<T> Spare<T> {
    /// An empty vector.
    pub(super) fn take(&self) -> Vec<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }
    pub(super) fn keep(&self, vectors: Vec<Vec<T>>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(vectors);
        let mut bytes = 0;
        kept.retain_mut(|vector| {
            vector.clear();
            bytes += vector.capacity() * size_of::<T>();
            bytes <= MOST_SPARE
        });
    }
}

impl<T> Default for Spare<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

/// For each kind of number that messages are made of.
#[derive(Debug, Default)]
pub(super) struct Spares {
    pub(super) single: Spare<f32>,
    pub(super) double: Spare<f64>,
    pub(super) wide: Spare<Wide>,
    pub(super) logs: Spare<MaxPlus>,
}

/// Edges by their target, and what is laid out when it is needed first.
#[derive(Debug)]
pub struct Tables {
    first: Vec<u32>,
    /// As edges the other way round: `target` is the source.
    incoming: Vec<Edge>,
    /// The tokens of the classes, made when a whole row is read first.
    lists: OnceLock<Lists>,
    /// Of the labels, made when a position is open first.
    unions: OnceLock<Option<Unions>>,
    /// Made when a position is open first.
    sides: OnceLock<Option<Sides>>,
    pub(super) spares: Spares,
    pub(super) known: Known,
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
        Self {
            first,
            incoming,
            lists: OnceLock::new(),
            unions: OnceLock::new(),
            sides: OnceLock::new(),
            spares: Spares::default(),
            known: Known::default(),
        }
    }

    /// The edges to `state`, turned round: their target is the source.
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
        let lists = self.lists.get().map_or(0, Lists::bytes);
        let unions = self.unions.get().and_then(Option::as_ref).map_or(0, Unions::bytes);
        let sides = self.sides.get().and_then(Option::as_ref);
        let sides = sides.map_or(0, |sides| sides.incoming.bytes() + sides.outgoing.bytes());
        4 * self.first.len() + 8 * self.incoming.len() + lists + unions + sides
    }
}
