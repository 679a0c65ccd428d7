//! What depends on the constraint alone: made once, used at every step.

use super::graph::Graph;
use crate::automata::{Class, Label};
use crate::simd::LANES;

/// A class with more than one in so many tokens is summed with a mask over the whole row, which costs as much as
/// fetching that many of its tokens one by one.
const MASKED: usize = 16;

/// Edges by their target, and masks of the large classes.
#[derive(Debug)]
pub struct Tables {
    first: Vec<u32>,
    incoming: Vec<(u32, Label)>,
    /// By ascending class.
    masks: Vec<(Class, Box<[u16]>)>,
}

impl Tables {
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
        let mut incoming = vec![(0, 0); first[states] as usize];
        for (source, edge) in edges() {
            let slot = &mut next[edge.target as usize];
            incoming[*slot as usize] = (source, edge.label);
            *slot += 1;
        }
        let large = |&class: &Class| graph.members(class).len() * MASKED > graph.vocab_len();
        let masks = (0..graph.classes() as Class).filter(large).map(|class| (class, mask(graph, class))).collect();
        Self { first, incoming, masks }
    }

    /// Sources and labels of the edges to `state`.
    pub(super) fn incoming(&self, state: u32) -> &[(u32, Label)] {
        &self.incoming[self.first[state as usize] as usize..self.first[state as usize + 1] as usize]
    }

    /// One bit for each token; `None` of a class that is not large.
    pub(super) fn mask(&self, class: Class) -> Option<&[u16]> {
        let found = self.masks.binary_search_by_key(&class, |(class, _)| *class).ok()?;
        Some(&self.masks[found].1)
    }

    /// Bytes that the tables take.
    pub fn bytes(&self) -> usize {
        let masks: usize = self.masks.iter().map(|(_, mask)| mask.len()).sum();
        4 * self.first.len() + 8 * self.incoming.len() + 2 * masks
    }
}

fn mask<G: Graph>(graph: &G, class: Class) -> Box<[u16]> {
    let mut mask = vec![0; graph.vocab_len().div_ceil(LANES)];
    graph.members(class).iter().for_each(|&token| mask[token as usize / LANES] |= 1 << (token as usize % LANES));
    mask.into()
}
