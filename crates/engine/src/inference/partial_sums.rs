//! Shared partial sums: the masses of labels that have many classes in common.

use super::graph::Graph;
use crate::automata::{Class, Label};
use crate::inference::simd::Semiring;

/// Most words of the table of all labels' classes: a larger table would cost more than it saves.
const WORDS: usize = 1 << 20;
/// How many of the next smaller labels are searched for one that a label contains.
const CANDIDATES: usize = 512;

/// Every label as the union of a smaller label and further classes, so that the smaller label's sum is reused. Terms are
/// only added, never subtracted: nothing cancels.
#[derive(Debug)]
pub(super) struct PartialSums {
    /// Labels by ascending size: the label, the label that it contains, and where its further classes end in `classes`.
    steps: Vec<(Label, Option<Label>, u32)>,
    classes: Vec<Class>,
}

impl PartialSums {
    /// `None` where labels have few classes each: sharing would save nothing.
    pub(super) fn new<G: Graph>(graph: &G) -> Option<Self> {
        let mut order: Vec<Label> = (0..graph.labels() as Label).collect();
        order.sort_by_key(|&label| graph.label(label).len());
        let words = graph.classes().div_ceil(64);
        let entries: usize = order.iter().map(|&label| graph.label(label).len()).sum();
        if entries < 4 * order.len() || order.len() * words > WORDS {
            return None;
        }
        let mut sets = vec![0u64; order.len() * words];
        let mut new = Self { steps: Vec::with_capacity(order.len()), classes: Vec::new() };
        for (i, &label) in order.iter().enumerate() {
            let classes = graph.label(label);
            let (before, own) = sets.split_at_mut(i * words);
            classes.iter().for_each(|&class| own[class as usize / 64] |= 1 << (class % 64));
            let inside = |j: usize| before[j * words..][..words].iter().zip(&*own).all(|(a, b)| a & !b == 0);
            // A base of one class saves nothing.
            let worth = |j: &usize| graph.label(order[*j]).len() > 1;
            let base = (i.saturating_sub(CANDIDATES)..i).rev().take_while(worth).find(|&j| inside(j));
            let has =
                |class: Class| base.is_some_and(|j| before[j * words + class as usize / 64] >> (class % 64) & 1 == 1);
            new.classes.extend(classes.iter().filter(|&&class| !has(class)));
            new.steps.push((label, base.map(|j| order[j]), new.classes.len() as u32));
        }
        Some(new)
    }

    /// The mass of each label, from those of the classes.
    pub(super) fn sums<S: Semiring>(&self, classes: &[S]) -> Vec<S> {
        let mut sums = vec![S::ZERO; self.steps.len()];
        let mut first = 0;
        for &(label, base, end) in &self.steps {
            let further = self.classes[first..end as usize].iter();
            let start = base.map_or(S::ZERO, |base| sums[base as usize]);
            sums[label as usize] = further.fold(start, |sum, &class| sum.plus(classes[class as usize]));
            first = end as usize;
        }
        sums
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.steps) + size_of_val(&*self.classes)
    }
}
