//! Edges side by side: what counters repeat.
//!
//! An automaton that counts, such as that of `.{1,2000}`, has one shape two thousand times, and each of its edges as
//! often, from a copy to one that is always as far away. Where copies of a state are numbered in turn, as they are by
//! [`TokenAutomaton::lift_all`](crate::automata::TokenAutomaton::lift_all), such edges lie side by side: sixteen sources
//! in a row lead to sixteen targets in a row under one label, and are summed as vectors.

use super::graph::Graph;
use crate::automata::{Edge, Label};
use crate::simd::LANES;

/// Edges of one band.
pub(super) const WIDTH: usize = LANES;
/// Fewer edges than this are not worth the search.
const LEAST_EDGES: usize = 1 << 12;

/// All edges, in bands where they lie side by side.
#[derive(Debug)]
pub(super) struct Bands {
    /// Edges by their target, turned round.
    pub(super) incoming: Side,
    /// Edges by their source.
    pub(super) outgoing: Side,
}

/// The edges at states. Each of the [`WIDTH`] states of a tile has an edge of each of its bands.
#[derive(Debug)]
pub(super) struct Side {
    first_band: Vec<u32>,
    /// The label, and the other end of the edge of the tile's first state.
    bands: Vec<Edge>,
    first_edge: Vec<u32>,
    /// Those in no band.
    edges: Vec<Edge>,
}

impl Bands {
    /// `None` where too few edges lie side by side. `incoming`: the edges to a state, turned round.
    pub(super) fn new<'a, G: Graph>(graph: &'a G, incoming: impl Fn(u32) -> &'a [Edge]) -> Option<Self> {
        let states = 0..graph.states() as u32;
        let edges: usize = states.clone().map(|q| graph.edges(q).len()).sum();
        if edges < LEAST_EDGES {
            return None;
        }
        let incoming = Side::new(states.clone(), incoming);
        let outgoing = Side::new(states, |q| graph.edges(q));
        let inside = (incoming.bands.len() + outgoing.bands.len()) * WIDTH;
        (inside * 2 > edges).then_some(Self { incoming, outgoing })
    }

    pub(super) fn bytes(&self) -> usize {
        let side = |side: &Side| {
            4 * (side.first_band.len() + side.first_edge.len()) + 8 * (side.bands.len() + side.edges.len())
        };
        side(&self.incoming) + side(&self.outgoing)
    }
}

impl Side {
    fn new<'a>(states: std::ops::Range<u32>, edges: impl Fn(u32) -> &'a [Edge]) -> Self {
        let (mut first_band, mut bands) = (vec![0], Vec::new());
        let (mut first_edge, mut rest) = (vec![0], Vec::new());
        let mut tile: Vec<(i64, Label, u32)> = Vec::new();
        for start in states.clone().step_by(WIDTH) {
            let end = states.end.min(start + WIDTH as u32);
            tile.clear();
            for q in start..end {
                tile.extend(edges(q).iter().map(|edge| (edge.target as i64 - q as i64, edge.label, q)));
            }
            tile.sort_unstable();
            let mut single = [const { Vec::new() }; WIDTH];
            for alike in tile.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
                let edge = |q: u32| Edge { label: alike[0].1, target: (q as i64 + alike[0].0) as u32 };
                match alike.len() {
                    WIDTH => bands.push(edge(start)),
                    _ => alike.iter().for_each(|&(_, _, q)| single[(q - start) as usize].push(edge(q))),
                }
            }
            first_band.push(bands.len() as u32);
            for edges in &single[..(end - start) as usize] {
                rest.extend(edges);
                first_edge.push(rest.len() as u32);
            }
        }
        Self { first_band, bands, first_edge, edges: rest }
    }

    #[inline]
    pub(super) fn bands(&self, tile: usize) -> &[Edge] {
        &self.bands[self.first_band[tile] as usize..self.first_band[tile + 1] as usize]
    }
    /// Whether some edges at a tile are in no band.
    #[inline]
    pub(super) fn has_edges(&self, tile: usize) -> bool {
        let end = self.first_edge.len() - 1;
        self.first_edge[tile * WIDTH] < self.first_edge[end.min((tile + 1) * WIDTH)]
    }
    /// The edges at a state that are in no band.
    #[inline]
    pub(super) fn edges(&self, state: u32) -> &[Edge] {
        let state = state as usize;
        &self.edges[self.first_edge[state] as usize..self.first_edge[state + 1] as usize]
    }
}
