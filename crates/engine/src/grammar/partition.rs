//! Partition refinement: classes of tokens, split as new sets of tokens come up.

use crate::Token;
use crate::automata::{Class, Label};
use crate::util::FastMap;

/// Sets of tokens as sets of classes: no token is in two classes, and each set is a union of classes.
pub(super) struct Partition {
    class_of: Vec<Class>,
    members: Vec<Vec<Token>>,
    labels: Vec<Vec<Class>>,
    /// The labels that a class is in.
    bearers: Vec<Vec<Label>>,
    by_tokens: FastMap<Box<[Token]>, Label>,
    by_labels: FastMap<Box<[Label]>, Label>,
    sizes: Vec<usize>,
    counts: Vec<u32>,
}

pub(super) const NO_CLASS: Class = Class::MAX;

impl Partition {
    pub fn new(vocab: usize) -> Self {
        Self {
            class_of: vec![NO_CLASS; vocab],
            members: Vec::new(),
            labels: Vec::new(),
            bearers: Vec::new(),
            by_tokens: FastMap::default(),
            by_labels: FastMap::default(),
            sizes: Vec::new(),
            counts: Vec::new(),
        }
    }

    #[cfg(test)]
    pub fn class_of(&self) -> &[Class] {
        &self.class_of
    }
    /// The tokens of each class, in no order.
    pub fn members(&self) -> &[Vec<Token>] {
        &self.members
    }
    /// The classes of a label, in no order.
    pub fn label(&self, label: Label) -> &[Class] {
        &self.labels[label as usize]
    }

    /// Number of tokens of a label.
    pub fn size(&self, label: Label) -> usize {
        self.sizes[label as usize]
    }

    /// The label of a set of distinct tokens.
    pub fn tokens(&mut self, mut tokens: Vec<Token>) -> Label {
        tokens.sort_unstable();
        let tokens = tokens.into_boxed_slice();
        if let Some(&known) = self.by_tokens.get(&tokens) {
            return known;
        }
        let mut touched: Vec<Class> = Vec::new();
        let fresh = self.members.len() as Class;
        for &token in &tokens {
            let class = &mut self.class_of[token as usize];
            if *class == NO_CLASS {
                *class = fresh;
            } else if *class != fresh {
                self.counts[*class as usize] += 1;
                if self.counts[*class as usize] == 1 {
                    touched.push(*class);
                }
            }
        }
        let new: Vec<Token> = tokens.iter().copied().filter(|&t| self.class_of[t as usize] == fresh).collect();
        let mut classes = Vec::new();
        if !new.is_empty() {
            classes.push(self.add_class(new));
        }
        for class in touched {
            let count = std::mem::take(&mut self.counts[class as usize]) as usize;
            if count == self.members[class as usize].len() {
                classes.push(class);
                continue;
            }
            let inside = |t: &Token| tokens.binary_search(t).is_ok();
            let (split, rest): (Vec<Token>, Vec<Token>) =
                std::mem::take(&mut self.members[class as usize]).into_iter().partition(inside);
            self.members[class as usize] = rest;
            let new = self.add_class(split);
            for bearer in self.bearers[class as usize].clone() {
                self.labels[bearer as usize].push(new);
                self.bearers[new as usize].push(bearer);
            }
            classes.push(new);
        }
        let label = self.add_label(classes);
        self.by_tokens.insert(tokens, label);
        label
    }

    /// The label of the union of labels that share no class.
    pub fn union(&mut self, mut labels: Vec<Label>) -> Label {
        if let [label] = labels[..] {
            return label;
        }
        labels.sort_unstable();
        let labels = labels.into_boxed_slice();
        if let Some(&known) = self.by_labels.get(&labels) {
            return known;
        }
        let classes = labels.iter().flat_map(|&label| &self.labels[label as usize]).copied().collect();
        let label = self.add_label(classes);
        self.by_labels.insert(labels, label);
        label
    }

    fn add_class(&mut self, members: Vec<Token>) -> Class {
        let class = self.members.len() as Class;
        members.iter().for_each(|&token| self.class_of[token as usize] = class);
        self.members.push(members);
        self.bearers.push(Vec::new());
        self.counts.push(0);
        class
    }

    fn add_label(&mut self, classes: Vec<Class>) -> Label {
        let label = self.labels.len() as Label;
        classes.iter().for_each(|&class| self.bearers[class as usize].push(label));
        self.sizes.push(classes.iter().map(|&class| self.members[class as usize].len()).sum());
        self.labels.push(classes);
        label
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_stay_the_sets_they_were() {
        let mut partition = Partition::new(8);
        let sets = [vec![0, 1, 2, 3, 4], vec![3, 4, 5], vec![0, 5, 7], vec![2], vec![3, 4, 5]];
        let labels: Vec<Label> = sets.iter().map(|set| partition.tokens(set.clone())).collect();
        assert_eq!(labels[1], labels[4]);
        let both = partition.union(vec![labels[1], labels[3]]);
        for (label, set) in labels.into_iter().zip(sets.clone()).chain([(both, vec![2, 3, 4, 5])]) {
            let members = partition.label(label).iter().flat_map(|&class| &partition.members()[class as usize]);
            let mut tokens: Vec<Token> = members.copied().collect();
            tokens.sort_unstable();
            assert_eq!(tokens, set);
            tokens.iter().for_each(|&t| assert!(partition.label(label).contains(&partition.class_of()[t as usize])));
        }
    }
}
