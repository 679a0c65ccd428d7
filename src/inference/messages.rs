//! Sum-product forward–backward.

use super::graph::Graph;
use super::layers::Layers;
use super::number::Number;
use super::row::Mass;
use super::support::Support;
use crate::automata::Class;

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
        let (forward, log_sum) = forward(graph, layers, &steps)?;
        let backward = backward(graph, layers, &steps, &forward)?;
        Some(Self { labels, forward, backward, log_sum })
    }
}

/// a, and the logarithm of the weight of all fitting texts.
fn forward<N: Number, G: Graph>(graph: &G, layers: &Layers, steps: &[Step<N>]) -> Option<(Vec<N>, f64)> {
    let mut messages = Vec::with_capacity(layers.len());
    messages.push(N::ONE);
    let mut log_scale = 0.0;
    let mut mass = vec![N::ZERO; graph.labels()];
    let mut after = vec![N::ZERO; graph.states()];
    for (pos, step) in steps.iter().enumerate() {
        let here = layers.layer(pos).iter().zip(&messages[layers.range(pos)]);
        match step {
            Step::One(decided) => {
                for (&q, &a) in here {
                    if let Some(to) = graph.next(q, *decided) {
                        after[to as usize] = after[to as usize].plus(a);
                    }
                }
            }
            Step::Open(support, masses) => {
                spread(support, masses, &mut mass);
                for (&q, &a) in here {
                    for edge in graph.edges(q) {
                        let sum = &mut after[edge.target as usize];
                        *sum = sum.plus(a.times(mass[edge.label as usize]));
                    }
                }
            }
        }
        messages.extend(layers.layer(pos + 1).iter().map(|&q| after[q as usize]));
        // States off every fitting text have been written to as well.
        after.fill(N::ZERO);
        log_scale += N::rescale(&mut messages[layers.range(pos + 1)])?;
    }
    let complete = messages[layers.range(steps.len())].iter().fold(N::ZERO, |sum, &a| sum.plus(a));
    Some((messages, log_scale + complete.ln()))
}

/// b; `None` where a sum of a · b is so small that something might be lost.
fn backward<N: Number, G: Graph>(graph: &G, layers: &Layers, steps: &[Step<N>], forward: &[N]) -> Option<Vec<N>> {
    let mut messages = vec![N::ONE; layers.len()];
    let mut mass = vec![N::ZERO; graph.labels()];
    let mut after = vec![N::ZERO; graph.states()];
    for (pos, step) in steps.iter().enumerate().rev() {
        let next = layers.layer(pos + 1);
        let (here, beyond) = messages.split_at_mut(layers.range(pos + 1).start);
        next.iter().zip(&*beyond).for_each(|(&q, &b)| after[q as usize] = b);
        let here = &mut here[layers.range(pos)];
        if let Step::Open(support, masses) = step {
            spread(support, masses, &mut mass);
        }
        for (&q, b) in layers.layer(pos).iter().zip(&mut *here) {
            *b = match step {
                Step::One(decided) => graph.next(q, *decided).map_or(N::ZERO, |to| after[to as usize]),
                Step::Open(..) => graph
                    .edges(q)
                    .iter()
                    .fold(N::ZERO, |sum, edge| sum.plus(mass[edge.label as usize].times(after[edge.target as usize]))),
            };
        }
        N::rescale(here)?;
        let products = forward[layers.range(pos)].iter().zip(&*here).map(|(a, &b)| a.times(b));
        if !products.fold(N::ZERO, N::plus).sound() {
            return None;
        }
        next.iter().for_each(|&q| after[q as usize] = N::ZERO);
    }
    Some(messages)
}

/// The masses of the labels in their places; no other label has any.
fn spread<N: Number>(support: &Support, masses: &[N], mass: &mut [N]) {
    mass.fill(N::ZERO);
    support.labels.iter().zip(masses).for_each(|(&label, &m)| mass[label as usize] = m);
}

/// The mass of each label of a support: that of its classes together.
pub(super) fn label_masses<N: Number, G: Graph>(graph: &G, support: &Support, classes: &[Mass]) -> Vec<N> {
    let mut mass = vec![N::ZERO; graph.classes()];
    support.classes.iter().zip(classes).for_each(|(&class, m)| mass[class as usize] = m.number());
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
                *ratio = ratio.plus(a.times(after[edge.target as usize]));
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
