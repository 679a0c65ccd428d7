//! Sum-product forward–backward.

use super::bands::{Bands, Side, WIDTH};
use super::graph::Graph;
use super::layers::Layers;
use super::number::Number;
use super::row::Mass;
use super::support::Support;
use super::tables::Tables;
use crate::automata::{Class, Edge};
use std::ops::Range;

/// What stands at a position: its decided class, or what may stand there with the masses of its labels.
pub(super) enum Step<'a, N> {
    One(Class),
    Open(&'a Support, &'a [N]),
}

/// What the passes leave behind.
pub(super) struct Messages<N> {
    /// Of each open position the mass of each label of its support.
    pub(super) labels: Vec<Vec<N>>,
    /// a, one for each state of each gap, each gap scaled by a factor of its own.
    pub(super) forward: Vec<N>,
    /// b, likewise.
    pub(super) backward: Vec<N>,
    /// Logarithm of the weight of all fitting texts together.
    pub(super) log_sum: f64,
}

impl<N: Number> Messages<N> {
    /// `decided`: the class of each decided position; `labels`: what [`label_masses`] says of each open one. `None`
    /// where these numbers cannot tell.
    pub(super) fn pass<G: Graph>(
        graph: &G,
        tables: &Tables,
        layers: &Layers,
        decided: &[Option<Class>],
        labels: Vec<Vec<N>>,
    ) -> Option<Self> {
        let mut open = labels.iter();
        let step = |(decided, support): (&Option<Class>, _)| match (decided, support) {
            (None, Some(support)) => Some(Step::Open(support, open.next()?)),
            (decided, _) => decided.map(Step::One),
        };
        let supports = layers.supports.iter().map(|support| support.as_deref());
        let steps: Vec<Step<N>> = decided.iter().zip(supports).map(step).collect::<Option<_>>()?;
        let (forward, log_sum) = forward(graph, tables, layers, &steps)?;
        let backward = backward(graph, tables, layers, &steps, &forward)?;
        Some(Self { labels, forward, backward, log_sum })
    }
}

/// a, and the logarithm of the weight of all fitting texts.
fn forward<N: Number, G: Graph>(
    graph: &G,
    tables: &Tables,
    layers: &Layers,
    steps: &[Step<N>],
) -> Option<(Vec<N>, f64)> {
    let mut messages = vec![N::ZERO; layers.len()];
    messages[0] = N::FULL;
    let mut log_scale = -N::FULL.ln();
    let mut field = Field::new(graph, tables);
    for (pos, step) in steps.iter().enumerate() {
        let (here, next) = (layers.layer(pos), layers.layer(pos + 1));
        let (before, after) = messages.split_at_mut(layers.range(pos + 1).start);
        let (from, after) = (&before[layers.range(pos)], &mut after[..next.len()]);
        match step {
            Step::One(decided) => {
                for (&q, &a) in here.iter().zip(from) {
                    let to = graph.next(q, *decided).and_then(|to| next.binary_search(&to).ok());
                    if let Some(sum) = to.and_then(|to| after.get_mut(to)) {
                        *sum = sum.plus(a);
                    }
                }
            }
            Step::Open(support, masses) => {
                field.weigh(support, masses);
                field.sums(Way::Forward, (here, from), (next, after));
            }
        }
        log_scale += N::rescale(after)?;
    }
    let complete = messages[layers.range(steps.len())].iter().fold(N::ZERO, |sum, &a| sum.plus(a));
    Some((messages, log_scale + complete.ln()))
}

/// b; `None` where a sum of a · b is so small that something might be lost.
fn backward<N: Number, G: Graph>(
    graph: &G,
    tables: &Tables,
    layers: &Layers,
    steps: &[Step<N>],
    forward: &[N],
) -> Option<Vec<N>> {
    let mut messages = vec![N::FULL; layers.len()];
    let mut field = Field::new(graph, tables);
    for (pos, step) in steps.iter().enumerate().rev() {
        let (here, next) = (layers.layer(pos), layers.layer(pos + 1));
        let (before, after) = messages.split_at_mut(layers.range(pos + 1).start);
        let (before, from) = (&mut before[layers.range(pos)], &after[..next.len()]);
        match step {
            Step::One(decided) => {
                for (&q, b) in here.iter().zip(&mut *before) {
                    let to = graph.next(q, *decided).and_then(|to| next.binary_search(&to).ok());
                    *b = to.map_or(N::ZERO, |to| from[to]);
                }
            }
            Step::Open(support, masses) => {
                field.weigh(support, masses);
                field.sums(Way::Backward, (next, from), (here, before));
            }
        }
        N::rescale(before)?;
        if !meeting(&forward[layers.range(pos)], before).sound() {
            return None;
        }
    }
    Some(messages)
}

/// Σ a · b, in sums that need not wait for each other.
fn meeting<N: Number>(forward: &[N], backward: &[N]) -> N {
    let ((a, rest_a), (b, rest_b)) = (forward.as_chunks::<4>(), backward.as_chunks::<4>());
    let mut sums = [N::ZERO; 4];
    for (a, b) in a.iter().zip(b) {
        for i in 0..4 {
            sums[i] = sums[i].plus(a[i].meet(b[i]));
        }
    }
    let rest = rest_a.iter().zip(rest_b).map(|(a, &b)| a.meet(b));
    rest.chain(sums).fold(N::ZERO, N::plus)
}

#[derive(Clone, Copy)]
enum Way {
    Forward,
    Backward,
}

/// A message on all states, zero off its layer, and the masses of the labels on the way to the next.
struct Field<'a, N, G> {
    graph: &'a G,
    tables: &'a Tables,
    bands: Option<&'a Bands>,
    mass: Vec<N>,
    values: Vec<N>,
}

impl<'a, N: Number, G: Graph> Field<'a, N, G> {
    fn new(graph: &'a G, tables: &'a Tables) -> Self {
        let (mass, values) = (vec![N::ZERO; graph.labels()], vec![N::ZERO; graph.states()]);
        Self { graph, tables, bands: tables.bands(graph), mass, values }
    }

    /// The masses of the labels in their places; no other label has any.
    fn weigh(&mut self, support: &Support, masses: &[N]) {
        self.mass.fill(N::ZERO);
        support.labels.iter().zip(masses).for_each(|(&label, &m)| self.mass[label as usize] = m);
    }

    /// For each state of one layer the sum over its edges to the other, mass · value.
    fn sums(&mut self, way: Way, (from, values): (&[u32], &[N]), (to, out): (&[u32], &mut [N])) {
        let Self { mass, graph, tables, .. } = self;
        match without_gaps(from) {
            Some(range) => self.values[range].copy_from_slice(values),
            None => from.iter().zip(values).for_each(|(&q, &value)| self.values[q as usize] = value),
        }
        match (self.bands, way) {
            (None, Way::Forward) => {
                to.iter().zip(out).for_each(|(&q, out)| *out = weigh(tables.incoming(q), mass, &self.values));
            }
            (None, Way::Backward) => {
                to.iter().zip(out).for_each(|(&q, out)| *out = weigh(graph.edges(q), mass, &self.values));
            }
            (Some(bands), Way::Forward) => banded(&bands.incoming, mass, &self.values, (to, out)),
            (Some(bands), Way::Backward) => banded(&bands.outgoing, mass, &self.values, (to, out)),
        }
        match without_gaps(from) {
            Some(range) => self.values[range].fill(N::ZERO),
            None => from.iter().for_each(|&q| self.values[q as usize] = N::ZERO),
        }
    }
}

/// The range of the states, if they are one.
fn without_gaps(states: &[u32]) -> Option<Range<usize>> {
    let (first, last) = (*states.first()? as usize, *states.last()? as usize);
    (last - first + 1 == states.len()).then_some(first..last + 1)
}

/// [`Field::sums`] where edges lie side by side.
fn banded<N: Number>(side: &Side, mass: &[N], values: &[N], (mut to, mut out): (&[u32], &mut [N])) {
    while let Some(&first) = to.first() {
        let tile = first as usize / WIDTH;
        let sums = N::banded(side.bands(tile), mass, values);
        let all = to.get(WIDTH - 1).is_some_and(|&q| q as usize == tile * WIDTH + WIDTH - 1);
        let count = if all { WIDTH } else { to.iter().take_while(|&&q| q as usize / WIDTH == tile).count() };
        let (states, others) = to.split_at(count);
        let (found, beyond) = std::mem::take(&mut out).split_at_mut(count);
        match all {
            true => found.copy_from_slice(&sums),
            false => states.iter().zip(&mut *found).for_each(|(&q, out)| *out = sums[q as usize % WIDTH]),
        }
        if side.has_edges(tile) {
            for (&q, out) in states.iter().zip(found) {
                *out = out.plus(weigh(side.edges(q), mass, values));
            }
        }
        (to, out) = (others, beyond);
    }
}

/// Σ mass · value over some edges, in four sums that need not wait for each other.
#[inline]
fn weigh<N: Number>(edges: &[Edge], mass: &[N], values: &[N]) -> N {
    let term = |edge: &Edge| mass[edge.label as usize].times(values[edge.target as usize]);
    let (groups, rest) = edges.as_chunks::<4>();
    let mut sums = [N::ZERO; 4];
    for group in groups {
        for (sum, edge) in sums.iter_mut().zip(group) {
            *sum = sum.plus(term(edge));
        }
    }
    for (sum, edge) in sums.iter_mut().zip(rest) {
        *sum = sum.plus(term(edge));
    }
    sums[0].plus(sums[1]).plus(sums[2].plus(sums[3]))
}

/// The mass of each label of a support: that of its classes together.
pub(super) fn label_masses<N: Number, G: Graph>(
    graph: &G,
    tables: &Tables,
    support: &Support,
    classes: &[Mass],
) -> Vec<N> {
    let mut mass = vec![N::ZERO; graph.classes()];
    support.classes.iter().zip(classes).for_each(|(&class, m)| mass[class as usize] = m.number());
    if let Some(unions) = tables.unions(graph).filter(|_| support.labels.len() * 2 > graph.labels()) {
        let sums = unions.sums(&mass);
        return support.labels.iter().map(|&label| sums[label as usize]).collect();
    }
    let sum = |&label| graph.label(label).iter().fold(N::ZERO, |sum: N, &class| sum.plus(mass[class as usize]));
    support.labels.iter().map(sum).collect()
}

impl<N: Number> Messages<N> {
    /// Posterior probability of each class of an open position's support.
    pub(super) fn classes<G: Graph>(
        &self,
        graph: &G,
        layers: &Layers,
        (pos, support): (usize, &Support),
        masses: &[Mass],
    ) -> Vec<f64> {
        let mut after = vec![N::ZERO; graph.states()];
        let beyond = self.backward[layers.range(pos + 1)].iter();
        layers.layer(pos + 1).iter().zip(beyond).for_each(|(&q, &b)| after[q as usize] = b);
        let mut labels = vec![N::ZERO; graph.labels()];
        for (&q, a) in layers.layer(pos).iter().zip(&self.forward[layers.range(pos)]) {
            for edge in graph.edges(q) {
                let ratio = &mut labels[edge.label as usize];
                *ratio = ratio.plus(a.meet(after[edge.target as usize]));
            }
        }
        let mut ratio = vec![N::ZERO; graph.classes()];
        for &label in &support.labels {
            for &class in graph.label(label) {
                ratio[class as usize] = ratio[class as usize].plus(labels[label as usize]);
            }
        }
        let weight = |(&class, mass): (&Class, &Mass)| ratio[class as usize].times(mass.number());
        let weights: Vec<N> = support.classes.iter().zip(masses).map(weight).collect();
        let total = weights.iter().fold(N::ZERO, |sum, &w| sum.plus(w));
        weights.iter().map(|w| w.over(total)).collect()
    }
}
