//! The sum-product algorithm: forward and backward messages over the layers of feasible states.

use super::graph::Graph;
use super::layer::Layer;
use super::layers::Layers;
use super::number::{Message, Number, Summed};
use super::row::Mass;
use super::support::Support;
use super::tables::{Sides, Tables};
use crate::automata::{Class, Edge};
use crate::inference::simd::{LANES, NUMBERS, Semiring, WINDOW};
use std::ops::Range;
use std::sync::Arc;

/// One position of the passes: the class of its decided token, or its support with the masses of the labels.
pub(super) enum Step<'a, N> {
    One(Class),
    Open(&'a Support, &'a [N]),
}

/// The messages of both passes.
pub(super) struct Messages<M: Message> {
    /// The masses of the labels of the support, for each open position.
    pub(super) labels: Vec<Vec<M::Number>>,
    /// Forward messages a: for each gap one entry for each state of its layer, scaled by a factor of the gap's own.
    pub(super) forward: Vec<Vec<M>>,
    /// Backward messages b, in the same form.
    pub(super) backward: Vec<Vec<M>>,
    /// Logarithm of the weight of all fitting texts together.
    pub(super) log_sum: f64,
    tables: Arc<Tables>,
}

impl<M: Message> Drop for Messages<M> {
    fn drop(&mut self) {
        let pool = M::pool(&self.tables);
        pool.keep(std::mem::take(&mut self.forward));
        pool.keep(std::mem::take(&mut self.backward));
    }
}

impl<M: Message> Messages<M> {
    /// Runs both passes. `decided` holds the class of each decided position, `labels` the [`label_masses`] of each open
    /// one. `None` where numbers of this type could be inexact.
    pub(super) fn pass<G: Graph>(
        graph: &G,
        tables: &Arc<Tables>,
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
        let forward = forward::<M, G>(&mut field, layers, &steps)?;
        let backward = backward(&mut field, layers, &steps, &forward)?;
        let tables = tables.clone();
        Some(Self { labels, forward: forward.messages, backward, log_sum: forward.log_sum, tables })
    }
}

/// Forward messages, with the logarithm of the divisor of each, and of the weight of all fitting texts.
struct Forward<M> {
    messages: Vec<Vec<M>>,
    scales: Vec<f64>,
    log_sum: f64,
    /// The smallest logarithm that the largest entry of a message had before it was scaled.
    least: f64,
}

fn forward<'l, M: Message, G: Graph>(
    field: &mut Field<'_, 'l, M, G>,
    layers: &'l Layers,
    steps: &[Step<M::Number>],
) -> Option<Forward<M>> {
    let full = M::FULL.number().ln();
    let (mut messages, mut scales, mut least) = (vec![vec![M::FULL]], vec![-full], full);
    field.put(layers.layer(0), &messages[0]);
    for (pos, step) in steps.iter().enumerate() {
        let (here, next, from) = (layers.layer(pos), layers.layer(pos + 1), &messages[pos]);
        let (after, divided) = match step {
            Step::One(decided) => {
                let mut after = vec![M::ZERO; next.len()];
                for (q, &a) in here.iter().zip(from) {
                    let to = field.graph.next(q, *decided).and_then(|to| next.place(to));
                    if let Some(sum) = to.and_then(|to| after.get_mut(to)) {
                        *sum = sum.plus(a);
                    }
                }
                let divided = M::rescale(&mut after)?;
                field.put(next, &after);
                (after, divided)
            }
            Step::Open(support, masses) => {
                field.weigh(support, masses.iter().map(|&mass| M::of(mass)))?;
                field.advance(Way::Forward, next)?
            }
        };
        least = least.min(full + divided);
        scales.push(scales[pos] + divided);
        messages.push(after);
    }
    let complete = messages[steps.len()].iter().fold(M::ZERO, |sum, &a| sum.plus(a));
    let log_sum = scales[steps.len()] + complete.number().ln();
    Some(Forward { messages, scales, log_sum, least })
}

/// Backward messages; `None` where Σ a · b is so small that underflow might matter. The sum need not be computed: it is
/// the weight of all fitting texts over the divisors of both messages.
fn backward<'l, M: Message, G: Graph>(
    field: &mut Field<'_, 'l, M, G>,
    layers: &'l Layers,
    steps: &[Step<M::Number>],
    forward: &Forward<M>,
) -> Option<Vec<Vec<M>>> {
    let full = M::FULL.number().ln();
    let mut messages = vec![vec![M::FULL; layers.layer(steps.len()).len()]];
    field.put(layers.layer(steps.len()), &messages[0]);
    let (mut scale, mut least, mut meeting) = (-full, forward.least, f64::INFINITY);
    for (pos, step) in steps.iter().enumerate().rev() {
        let (here, next, from) = (layers.layer(pos), layers.layer(pos + 1), &messages[steps.len() - 1 - pos]);
        let (before, divided) = match step {
            Step::One(decided) => {
                let after = |q| field.graph.next(q, *decided).and_then(|to| next.place(to));
                let mut before: Vec<M> = here.iter().map(|q| after(q).map_or(M::ZERO, |to| from[to])).collect();
                let divided = M::rescale(&mut before)?;
                field.put(here, &before);
                (before, divided)
            }
            Step::Open(support, masses) => {
                field.weigh(support, masses.iter().map(|&mass| M::of(mass)))?;
                field.advance(Way::Backward, here)?
            }
        };
        least = least.min(full + divided);
        scale += divided;
        meeting = meeting.min(forward.log_sum - forward.scales[pos] - scale - 2.0 * full);
        if meeting < M::least_meeting(least) {
            return None;
        }
        messages.push(before);
    }
    messages.reverse();
    Some(messages)
}

#[derive(Clone, Copy)]
pub(super) enum Way {
    Forward,
    Backward,
}

/// The state of a pass: the current message, spread over all states with zeros outside its layer, and the masses of the
/// labels by which it goes on.
pub(super) struct Field<'a, 'l, M, G> {
    graph: &'a G,
    tables: &'a Tables,
    sides: Option<&'a Sides>,
    mass: Vec<M>,
    values: Vec<M>,
    /// The layer of `values`, which are zero elsewhere.
    layer: Layer<'l>,
    /// The buffer of the next message, zero outside the layer of the message before the current one.
    sums: Vec<M>,
    before: Layer<'l>,
}

impl<'a, 'l, M: Summed, G: Graph> Field<'a, 'l, M, G> {
    pub(super) fn new(graph: &'a G, tables: &'a Tables) -> Self {
        let (states, sides) = (graph.states(), tables.sides(graph));
        let lengths = match sides {
            Some(_) => [NUMBERS; 3],
            None => [graph.labels(), states, 0],
        };
        let [mass, values, sums] = lengths.map(|len| vec![M::ZERO; len]);
        Self { graph, tables, sides, mass, values, layer: Layer(&[]), sums, before: Layer(&[]) }
    }

    /// Makes `values` the current message.
    pub(super) fn put(&mut self, layer: Layer<'l>, values: &[M]) {
        self.layer.clear(&mut self.values);
        layer.scatter(values, &mut self.values);
        self.layer = layer;
    }

    /// Sets the masses of the support's labels, and those of all others to zero. `None` where one underflows.
    pub(super) fn weigh(&mut self, support: &Support, masses: impl Iterator<Item = Option<M>>) -> Option<()> {
        self.mass[..self.graph.labels()].fill(M::ZERO);
        for (&label, mass) in support.labels.iter().zip(masses) {
            self.mass[label as usize] = mass?;
        }
        Some(())
    }

    /// Advances to the next layer. Returns the scaled message, for each state of the layer the sum of mass · value over
    /// its edges, and the logarithm of the divisor. `None` where the result could be inexact.
    pub(super) fn advance(&mut self, way: Way, to: Layer<'l>) -> Option<(Vec<M>, f64)> {
        let mut out = M::pool(self.tables).take();
        let Self { mass, values, sums, graph, tables, .. } = self;
        let numbers = values.first_chunk().zip(mass.first_chunk());
        let Some(((sides, (numbers, mass)), windows)) = self.sides.zip(numbers).zip(dense(to)) else {
            match way {
                Way::Forward => out.extend(to.iter().map(|q| weigh(tables.incoming(q), mass, values))),
                Way::Backward => out.extend(to.iter().map(|q| weigh(graph.edges(q), mass, values))),
            }
            let divided = M::rescale(&mut out)?;
            self.put(to, &out);
            return Some((out, divided));
        };
        let edges = if let Way::Forward = way { &sides.incoming } else { &sides.outgoing };
        let states = windows.start * WINDOW..windows.end * WINDOW;
        if !self.before.within(&states) {
            self.before.clear(sums);
        }
        M::edge_sums(edges, windows, mass, numbers, &mut sums[states.clone()]);
        to.clear_between(states.clone(), sums);
        let divided = M::rescale(&mut sums[states])?;
        to.gather(sums, &mut out);
        std::mem::swap(values, sums);
        (self.before, self.layer) = (self.layer, to);
        Some((out, divided))
    }
}

/// The windows that hold the states of a layer, if these fill at least a quarter of the windows: a window costs the
/// same however many of its states are in the layer.
fn dense(states: Layer) -> Option<Range<usize>> {
    let windows = states.first()? as usize / WINDOW..states.last()? as usize / WINDOW + 1;
    (4 * states.len() >= windows.len() * WINDOW).then_some(windows)
}

/// Σ mass · value over some edges, in four independent sums, so that additions overlap.
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

/// The mass of each label of a support: the sum of the masses of its classes.
pub(super) fn label_masses<N: Number, G: Graph>(
    graph: &G,
    tables: &Tables,
    support: &Support,
    classes: &[Mass],
) -> Vec<N> {
    label_sums(graph, tables, support, classes.iter().map(|mass| mass.number()))
}

/// The sum over the classes of each label of a support.
pub(super) fn label_sums<S: Semiring, G: Graph>(
    graph: &G,
    tables: &Tables,
    support: &Support,
    classes: impl Iterator<Item = S>,
) -> Vec<S> {
    let mut mass = vec![S::ZERO; graph.classes()];
    support.classes.iter().zip(classes).for_each(|(&class, m)| mass[class as usize] = m);
    if let Some(partial) = tables.partial_sums(graph).filter(|_| support.labels.len() * 2 > graph.labels()) {
        let sums = partial.sums(&mass);
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
        let (from, to) = (&self.forward[pos], &self.backward[pos + 1]);
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
