//! Sets of arrays.

use super::formula::{ANY, Formulas, NEVER, Node};
use std::rc::Rc;

/// A set of arrays: those that satisfy every field.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct ArrayShape {
    /// The formulas of the first items, one for each.
    pub prefix: Vec<Node>,
    /// The formula of every item after the prefix.
    pub rest: Node,
    pub min: usize,
    pub max: Option<usize>,
    pub counts: Vec<Count>,
    /// The JSON Pointer of the keyword that requires the items to differ, if there is one.
    pub unique: Option<Rc<str>>,
    /// The JSON Pointer of the keyword that requires some item to occur twice, if there is one.
    pub repeated: Option<Rc<str>>,
}

/// Bounds on the number of items, from an index on, that are in a set.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Count {
    pub from: usize,
    pub node: Node,
    pub min: usize,
    pub max: Option<usize>,
    /// The JSON Pointer of the keyword that gives the bounds.
    pub at: Rc<str>,
}

impl ArrayShape {
    pub fn any() -> Self {
        Self { prefix: Vec::new(), rest: ANY, min: 0, max: None, counts: Vec::new(), unique: None, repeated: None }
    }

    fn item(&self, index: usize) -> Node {
        self.prefix.get(index).copied().unwrap_or(self.rest)
    }

    /// The intersection of two shapes; `None` if it is plainly empty.
    pub fn and(&self, other: &Self, formulas: &mut Formulas) -> Option<Self> {
        let length = self.prefix.len().max(other.prefix.len());
        let prefix = (0..length).map(|i| formulas.and(self.item(i), other.item(i))).collect();
        let mut counts = self.counts.clone();
        counts.extend(other.counts.iter().filter(|c| !self.counts.contains(c)).cloned());
        let mut both = Self {
            prefix,
            rest: formulas.and(self.rest, other.rest),
            min: self.min.max(other.min),
            max: self.max.into_iter().chain(other.max).min(),
            counts,
            unique: self.unique.clone().or_else(|| other.unique.clone()),
            repeated: self.repeated.clone().or_else(|| other.repeated.clone()),
        };
        both.normalize();
        let empty = both.max.is_some_and(|max| max < both.min) || both.unique.is_some() && both.repeated.is_some();
        (!empty).then_some(both)
    }

    /// The normal form: equal sets of counts and bounds are written in one way.
    pub fn normalize(&mut self) {
        if let Some(first) = self.prefix.iter().position(|&node| node == NEVER) {
            self.max = Some(self.max.map_or(first, |max| max.min(first)));
        } else if self.rest == NEVER {
            self.max = Some(self.max.map_or(self.prefix.len(), |max| max.min(self.prefix.len())));
        }
        if let Some(max) = self.max {
            self.prefix.truncate(max);
            if max <= self.prefix.len() {
                self.rest = NEVER;
            }
        }
        while self.rest == ANY && self.prefix.last() == Some(&ANY) {
            self.prefix.pop();
        }
        if self.max.is_some_and(|max| max <= 1) {
            self.unique = None;
        }
    }

    /// The complement of the shape, as a union of shapes.
    pub fn not(&self, formulas: &mut Formulas) -> Vec<Self> {
        let any = Self::any();
        let mut outside = Vec::new();
        if self.min > 0 {
            outside.push(Self { max: Some(self.min - 1), ..any.clone() });
        }
        if let Some(max) = self.max {
            outside.push(Self { min: max + 1, ..any.clone() });
        }
        for (i, &node) in self.prefix.iter().enumerate().filter(|&(_, &node)| node != ANY) {
            let mut prefix = vec![ANY; i];
            prefix.push(formulas.not(node));
            outside.push(Self { prefix, min: i + 1, ..any.clone() });
        }
        let from = self.prefix.len();
        if self.rest == NEVER && self.max.is_none_or(|max| max > from) {
            outside.push(Self { min: from + 1, ..any.clone() });
        } else if self.rest != ANY && self.rest != NEVER {
            let count = Count { from, node: formulas.not(self.rest), min: 1, max: None, at: Rc::from("") };
            outside.push(Self { counts: vec![count], ..any.clone() });
        }
        for count in &self.counts {
            if count.min > 0 {
                let fewer = Count { min: 0, max: Some(count.min - 1), ..count.clone() };
                outside.push(Self { counts: vec![fewer], ..any.clone() });
            }
            if let Some(max) = count.max {
                let more = Count { min: max + 1, max: None, ..count.clone() };
                outside.push(Self { counts: vec![more], ..any.clone() });
            }
        }
        if self.unique.is_some() {
            outside.push(Self { repeated: self.unique.clone(), min: 2, ..any.clone() });
        }
        if self.repeated.is_some() {
            outside.push(Self { unique: self.repeated.clone(), ..any });
        }
        outside.iter_mut().for_each(Self::normalize);
        outside
    }
}
