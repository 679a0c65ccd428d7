//! Sum-product forward–backward.

use super::graph::Graph;
use super::number::Number;
use super::reach::{Choice, Layers};

/// What the passes leave behind. Open positions are counted on their own: the k-th of them has row k.
pub(super) struct Messages<N> {
    /// open × classes: M_i(c), the mass of each class.
    pub(super) mass: Vec<N>,
    /// open × classes: posterior probability that position i holds a token of class c.
    pub(super) class: Vec<f64>,
    /// b, one for each state of each gap, each gap scaled by a factor of its own.
    pub(super) backward: Vec<N>,
    /// Logarithm of the weight of all fitting texts together.
    pub(super) log_sum: f64,
}

impl<N: Number> Messages<N> {
    /// `mass` holds one row of class masses for each open position. `None` where these numbers cannot tell.
    pub(super) fn pass<G: Graph>(graph: &G, layers: &Layers, choices: &[Choice], mass: Vec<N>) -> Option<Self> {
        let classes = graph.classes();
        // Holds a at first; each gap's a is replaced by its b when it has been used.
        let (mut messages, log_sum) = forward(graph, layers, choices, &mass)?;
        messages[layers.range(choices.len())].fill(N::ONE);
        let mut class = vec![0.0; mass.len()];
        let mut row = mass.len();
        let mut after = vec![N::ZERO; graph.states()];
        let mut label_mass = vec![N::ZERO; graph.labels()];
        let mut label_ratio = vec![N::ZERO; graph.labels()];
        let mut class_ratio = vec![N::ZERO; classes];
        let mut backward = Vec::new();
        for (pos, &choice) in choices.iter().enumerate().rev() {
            let next = layers.layer(pos + 1);
            next.iter().zip(&messages[layers.range(pos + 1)]).for_each(|(&q, &b)| after[q as usize] = b);
            let forward = &mut messages[layers.range(pos)];
            let here = layers.layer(pos).iter().zip(&*forward);
            backward.clear();
            if let Choice::One(decided) = choice {
                let beyond = |q| graph.next(q, decided).map_or(N::ZERO, |to| after[to as usize]);
                backward.extend(here.map(|(&q, _)| beyond(q)));
            } else {
                row -= classes;
                let mass = &mass[row..row + classes];
                sum_labels(graph, mass, &mut label_mass);
                label_ratio.fill(N::ZERO);
                backward.extend(here.map(|(&q, &a)| {
                    graph.edges(q).iter().fold(N::ZERO, |sum, edge| {
                        let (label, beyond) = (edge.label as usize, after[edge.target as usize]);
                        label_ratio[label] = label_ratio[label].plus(a.times(beyond));
                        sum.plus(label_mass[label].times(beyond))
                    })
                }));
                spread_labels(graph, &label_ratio, &mut class_ratio);
                class_ratio.iter_mut().zip(mass).for_each(|(r, &m)| *r = r.times(m));
                let total = class_ratio.iter().fold(N::ZERO, |sum, &r| sum.plus(r));
                class[row..row + classes].iter_mut().zip(&class_ratio).for_each(|(p, r)| *p = r.over(total));
            }
            N::rescale(&mut backward)?;
            let products = forward.iter().zip(&backward).map(|(a, &b)| a.times(b));
            if !products.fold(N::ZERO, N::plus).sound() {
                return None;
            }
            forward.copy_from_slice(&backward);
            next.iter().for_each(|&q| after[q as usize] = N::ZERO);
        }
        Some(Self { mass, class, backward: messages, log_sum })
    }
}

/// a, one for each state of each gap, and the logarithm of the weight of all fitting texts.
fn forward<N: Number, G: Graph>(graph: &G, layers: &Layers, choices: &[Choice], mass: &[N]) -> Option<(Vec<N>, f64)> {
    let mut messages = Vec::with_capacity(layers.len());
    messages.push(N::ONE);
    let mut log_scale = 0.0;
    let mut masses = mass.chunks_exact(graph.classes().max(1));
    let mut label_mass = vec![N::ZERO; graph.labels()];
    let mut after = vec![N::ZERO; graph.states()];
    for (pos, &choice) in choices.iter().enumerate() {
        let here = layers.layer(pos).iter().zip(&messages[layers.range(pos)]);
        if let Choice::One(decided) = choice {
            for (&q, &a) in here {
                if let Some(to) = graph.next(q, decided) {
                    after[to as usize] = after[to as usize].plus(a);
                }
            }
        } else {
            sum_labels(graph, masses.next().unwrap_or_default(), &mut label_mass);
            for (&q, &a) in here {
                for edge in graph.edges(q) {
                    let sum = &mut after[edge.target as usize];
                    *sum = sum.plus(a.times(label_mass[edge.label as usize]));
                }
            }
        }
        messages.extend(layers.layer(pos + 1).iter().map(|&q| after[q as usize]));
        // States off every fitting text have been written to as well.
        after.fill(N::ZERO);
        log_scale += N::rescale(&mut messages[layers.range(pos + 1)])?;
    }
    let complete = messages[layers.range(choices.len())].iter().fold(N::ZERO, |sum, &a| sum.plus(a));
    Some((messages, log_scale + complete.ln()))
}

/// The mass of each label: that of its classes together.
fn sum_labels<N: Number, G: Graph>(graph: &G, mass: &[N], label_mass: &mut [N]) {
    for (sum, label) in label_mass.iter_mut().zip(0..) {
        *sum = graph.label(label).iter().fold(N::ZERO, |sum, &class| sum.plus(mass[class as usize]));
    }
}

/// The opposite way: what each class gets from all labels it is in.
fn spread_labels<N: Number, G: Graph>(graph: &G, label_ratio: &[N], class_ratio: &mut [N]) {
    class_ratio.fill(N::ZERO);
    for (&ratio, label) in label_ratio.iter().zip(0..) {
        for &class in graph.label(label) {
            class_ratio[class as usize] = class_ratio[class as usize].plus(ratio);
        }
    }
}
