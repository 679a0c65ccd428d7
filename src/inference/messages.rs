//! Sum-product forward–backward.

use super::graph::Graph;
use super::layer::Layer;
use super::layers::Layers;
use super::number::{Message, Number, Summed};
use super::row::Mass;
use super::support::Support;
use super::tables::{Sides, Tables};
use crate::automata::{Class, Edge};
use crate::simd::{LANES, NUMBERS, Semiring, WINDOW};
use std::ops::Range;

/// What stands at a position: its decided class, or what may stand there with the masses of its labels.
pub(super) enum Step<'a, N> {
    One(Class),
    Open(&'a Support, &'a [N]),
}

/// What the passes leave behind.
pub(super) struct Messages<M: Message> {
    /// Of each open position the mass of each label of its support.
    pub(super) labels: Vec<Vec<M::Number>>,
    /// a, one for each state of each gap, each gap scaled by a factor of its own.
    pub(super) forward: Vec<M>,
    /// b, likewise.
    pub(super) backward: Vec<M>,
    /// Logarithm of the weight of all fitting texts together.
    pub(super) log_sum: f64,
}

impl<M: Message> Messages<M> {
    /// `decided`: the class of each decided position; `labels`: what [`label_masses`] says of each open one. `None`
    /// where these numbers cannot tell.
    pub(super) fn pass<G: Graph>(
        graph: &G,
        tables: &Tables,
        layers: &Layers,
        decided: &[Option<Class>],
        labels: Vec<Vec<M::Number>>,
    ) -> Option<Self> {
        let mut open = labels.iter();
        let step = |(decided, support): (&Option<Class>, _)| match (decided, support) {
            (None, Some(support)) => Some(Step::Open(support, open.next()?)),
            (decided, _) => decided.map(Step::One),
        };
        let supports = layers.supports.iter().map(|support| support.as_deref());
        let steps: Vec<Step<M::Number>> = decided.iter().zip(supports).map(step).collect::<Option<_>>()?;
        let mut field = Field::new(graph, tables);
        let (forward, scales, log_sum) = forward::<M, G>(&mut field, layers, &steps)?;
        let backward = backward(&mut field, layers, &steps, (&scales, log_sum))?;
        Some(Self { labels, forward, backward, log_sum })
    }
}

/// a, the logarithm of what each of its messages has been divided by, and that of the weight of all fitting texts.
fn forward<M: Message, G: Graph>(
    field: &mut Field<M, G>,
    layers: &Layers,
    steps: &[Step<M::Number>],
) -> Option<(Vec<M>, Vec<f64>, f64)> {
    let mut messages = vec![M::ZERO; layers.len()];
    messages[0] = M::FULL;
    let mut scales = vec![-M::FULL.number().ln()];
    for (pos, step) in steps.iter().enumerate() {
        let (here, next) = (layers.layer(pos), layers.layer(pos + 1));
        let (before, after) = messages.split_at_mut(layers.range(pos + 1).start);
        let (from, after) = (&before[layers.range(pos)], &mut after[..next.len()]);
        match step {
            Step::One(decided) => {
                for (q, &a) in here.iter().zip(from) {
                    let to = field.graph.next(q, *decided).and_then(|to| next.place(to));
                    if let Some(sum) = to.and_then(|to| after.get_mut(to)) {
                        *sum = sum.plus(a);
                    }
                }
            }
            Step::Open(support, masses) => {
                field.weigh(support, masses.iter().map(|&mass| M::of(mass)))?;
                field.sums(Way::Forward, (here, from), (next, after));
            }
        }
        scales.push(scales[pos] + M::rescale(after)?);
    }
    let complete = messages[layers.range(steps.len())].iter().fold(M::ZERO, |sum, &a| sum.plus(a));
    let log_sum = scales[steps.len()] + complete.number().ln();
    Some((messages, scales, log_sum))
}

/// b; `None` where Σ a · b is so small that something might be lost. That sum is the weight of all fitting texts, divided
/// by what the messages have been divided by: it need not be made.
fn backward<M: Message, G: Graph>(
    field: &mut Field<M, G>,
    layers: &Layers,
    steps: &[Step<M::Number>],
    (scales, log_sum): (&[f64], f64),
) -> Option<Vec<M>> {
    let mut messages = vec![M::FULL; layers.len()];
    let full = M::FULL.number().ln();
    let mut scale = -full;
    for (pos, step) in steps.iter().enumerate().rev() {
        let (here, next) = (layers.layer(pos), layers.layer(pos + 1));
        let (before, after) = messages.split_at_mut(layers.range(pos + 1).start);
        let (before, from) = (&mut before[layers.range(pos)], &after[..next.len()]);
        match step {
            Step::One(decided) => {
                for (q, b) in here.iter().zip(&mut *before) {
                    let to = field.graph.next(q, *decided).and_then(|to| next.place(to));
                    *b = to.map_or(M::ZERO, |to| from[to]);
                }
            }
            Step::Open(support, masses) => {
                field.weigh(support, masses.iter().map(|&mass| M::of(mass)))?;
                field.sums(Way::Backward, (next, from), (here, before));
            }
        }
        scale += M::rescale(before)?;
        if log_sum - scales[pos] - scale - 2.0 * full < M::LEAST_MEETING {
            return None;
        }
    }
    Some(messages)
}

#[derive(Clone, Copy)]
pub(super) enum Way {
    Forward,
    Backward,
}

/// A message on all states, zero off its layer, and the masses of the labels on the way to the next.
pub(super) struct Field<'a, M, G> {
    graph: &'a G,
    tables: &'a Tables,
    sides: Option<&'a Sides>,
    mass: Vec<M>,
    values: Vec<M>,
    /// Of the states of whole windows.
    sums: Vec<M>,
}

impl<'a, M: Summed, G: Graph> Field<'a, M, G> {
    pub(super) fn new(graph: &'a G, tables: &'a Tables) -> Self {
        let (states, sides) = (graph.states(), tables.sides(graph));
        let lengths = match sides {
            Some(_) => [NUMBERS, NUMBERS, states.next_multiple_of(WINDOW)],
            None => [graph.labels(), states, 0],
        };
        let [mass, values, sums] = lengths.map(|len| vec![M::ZERO; len]);
        Self { graph, tables, sides, mass, values, sums }
    }

    /// The masses of the labels in their places; no other label has any. `None` where one underflows.
    pub(super) fn weigh(&mut self, support: &Support, masses: impl Iterator<Item = Option<M>>) -> Option<()> {
        self.mass[..self.graph.labels()].fill(M::ZERO);
        for (&label, mass) in support.labels.iter().zip(masses) {
            self.mass[label as usize] = mass?;
        }
        Some(())
    }

    /// For each state of one layer the sum over its edges to the other, mass · value.
    pub(super) fn sums(&mut self, way: Way, (from, values): (Layer, &[M]), (to, out): (Layer, &mut [M])) {
        let Self { mass, graph, tables, .. } = self;
        from.scatter(values, &mut self.values);
        let numbers = self.values.first_chunk().zip(mass.first_chunk());
        match (self.sides.zip(numbers).zip(dense(to)), way) {
            (Some(((sides, (values, mass)), windows)), way) => {
                let edges = if let Way::Forward = way { &sides.incoming } else { &sides.outgoing };
                let first = windows.start * WINDOW;
                M::edge_sums(edges, windows, mass, values, &mut self.sums);
                to.gather(&self.sums, first, out);
            }
            (None, Way::Forward) => {
                let sum = |(q, out): (u32, &mut M)| *out = weigh(tables.incoming(q), mass, &self.values);
                to.iter().zip(out).for_each(sum);
            }
            (None, Way::Backward) => {
                let sum = |(q, out): (u32, &mut M)| *out = weigh(graph.edges(q), mass, &self.values);
                to.iter().zip(out).for_each(sum);
            }
        }
        from.clear(&mut self.values);
    }
}

/// The windows of the states, if these are at least half of what is in them.
fn dense(states: Layer) -> Option<Range<usize>> {
    let windows = states.first()? as usize / WINDOW..states.last()? as usize / WINDOW + 1;
    (2 * states.len() >= windows.len() * WINDOW).then_some(windows)
}

/// Σ mass · value over some edges, in four sums that need not wait for each other.
#[inline]
fn weigh<S: Semiring>(edges: &[Edge], mass: &[S], values: &[S]) -> S {
    let term = |edge: &Edge| mass[edge.label as usize].times(values[edge.target as usize]);
    let (groups, rest) = edges.as_chunks::<4>();
    let mut sums = [S::ZERO; 4];
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
    label_sums(graph, tables, support, classes.iter().map(|mass| mass.number()))
}

/// For each label of a support the sum over its classes.
pub(super) fn label_sums<S: Semiring, G: Graph>(
    graph: &G,
    tables: &Tables,
    support: &Support,
    classes: impl Iterator<Item = S>,
) -> Vec<S> {
    let mut mass = vec![S::ZERO; graph.classes()];
    support.classes.iter().zip(classes).for_each(|(&class, m)| mass[class as usize] = m);
    if let Some(unions) = tables.unions(graph).filter(|_| support.labels.len() * 2 > graph.labels()) {
        let sums = unions.sums(&mass);
        return support.labels.iter().map(|&label| sums[label as usize]).collect();
    }
    let sum = |&label| graph.label(label).iter().fold(S::ZERO, |sum: S, &class| sum.plus(mass[class as usize]));
    support.labels.iter().map(sum).collect()
}

impl<M: Message> Messages<M> {
    /// Posterior probability of each class of an open position's support.
    pub(super) fn classes<G: Graph>(
        &self,
        (graph, tables): (&G, &Tables),
        layers: &Layers,
        (pos, support): (usize, &Support),
        masses: &[Mass],
    ) -> Vec<f64> {
        let zero = M::Number::ZERO;
        let (here, next) = (layers.layer(pos), layers.layer(pos + 1));
        let (from, to) = (&self.forward[layers.range(pos)], &self.backward[layers.range(pos + 1)]);
        let len = graph.states().next_multiple_of(WINDOW) + LANES;
        let (mut after, mut labels) = (vec![zero; len], vec![zero; graph.labels() + 1]);
        next.each(to, |q, b| after[q as usize] = b.number().to_meet());
        match tables.sides(graph).zip(dense(here)) {
            Some((sides, windows)) => {
                let mut before = vec![zero; len];
                here.each(from, |q, a| before[q as usize] = a.number().to_meet());
                M::Number::edge_meetings(&sides.outgoing, windows, (&before, &after), &mut labels);
            }
            None => here.each(from, |q, a| {
                let a = a.number().to_meet();
                for edge in graph.edges(q) {
                    let label = &mut labels[edge.label as usize];
                    *label = label.plus(a.times(after[edge.target as usize]));
                }
            }),
        }
        let mut ratio = vec![zero; graph.classes()];
        for &label in &support.labels {
            for &class in graph.label(label) {
                ratio[class as usize] = ratio[class as usize].plus(labels[label as usize]);
            }
        }
        let weight = |(&class, mass): (&Class, &Mass)| ratio[class as usize].times(mass.number());
        let weights: Vec<M::Number> = support.classes.iter().zip(masses).map(weight).collect();
        let total = weights.iter().fold(zero, |sum, &w| sum.plus(w));
        weights.iter().map(|w| w.over(total)).collect()
    }
}
