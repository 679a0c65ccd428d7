//! Sets of objects.

use super::{
    formula::{ANY, Formulas, NEVER, Node},
    text::{self, Texts},
};
use crate::{Language, Result};
use indexmap::IndexMap;
use std::{
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash, Hasher},
    rc::Rc,
};

/// A set of objects: those that satisfy every field.
#[derive(Debug, Clone)]
pub(super) struct ObjectShape {
    /// The keys with conditions of their own, in the author's order.
    pub keys: IndexMap<Rc<str>, Member>,
    /// Conditions on every other member whose key is in a set.
    pub others: Vec<Others>,
    /// Some other member has a key in the set and a value in the set.
    pub exists: Vec<Others>,
    pub min: usize,
    pub max: Option<usize>,
    /// The JSON Pointer of the keyword that gives `min`.
    pub min_at: Rc<str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Member {
    /// The formula of the value, where the member is present.
    pub node: Node,
    pub required: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Others {
    pub keys: Language,
    pub node: Node,
    /// The JSON Pointer of the keyword that requires the member.
    pub at: Rc<str>,
}

/// Equal shapes may name their keys in another order, but seldom do.
impl PartialEq for ObjectShape {
    fn eq(&self, other: &Self) -> bool {
        let same = |(i, (key, member)): (usize, (&Rc<str>, &Member))| match other.keys.get_index(i) {
            Some((theirs, their)) if theirs == key => their == member,
            _ => other.keys.get(key) == Some(member),
        };
        (self.keys.len(), self.min, self.max) == (other.keys.len(), other.min, other.max)
            && self.keys.iter().enumerate().all(same)
            && (&self.others, &self.exists, &self.min_at) == (&other.others, &other.exists, &other.min_at)
    }
}

impl Eq for ObjectShape {}

impl Hash for ObjectShape {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let one = |entry: (&Rc<str>, &Member)| BuildHasherDefault::<DefaultHasher>::default().hash_one(entry);
        let members = self.keys.iter().map(one).fold(0, u64::wrapping_add);
        (self.keys.len(), members, self.min, self.max).hash(state);
        self.others.iter().chain(&self.exists).for_each(|others| others.node.hash(state));
    }
}

impl ObjectShape {
    pub fn any() -> Self {
        let (keys, others, exists) = (IndexMap::new(), Vec::new(), Vec::new());
        Self { keys, others, exists, min: 0, max: None, min_at: Rc::from("") }
    }

    /// The objects that have the key with a value of the formula.
    pub fn with(key: &str, node: Node) -> Self {
        let mut shape = Self::any();
        shape.require(key, node);
        shape
    }
    /// The objects that do not have the key.
    pub fn without(key: &str) -> Self {
        let mut shape = Self::any();
        shape.keys.insert(Rc::from(key), Member { node: NEVER, required: false });
        shape
    }

    pub fn require(&mut self, key: &str, node: Node) {
        self.keys.insert(Rc::from(key), Member { node, required: true });
    }
    /// Forbids all keys except those with conditions of their own.
    pub fn close(&mut self, at: &str) {
        self.others.push(Others { keys: Language::Any, node: NEVER, at: Rc::from(at) });
    }

    /// The formula of the value of a key without conditions of its own.
    pub fn other(&self, key: &str, formulas: &mut Formulas, texts: &mut Texts) -> Result<Node> {
        let mut node = ANY;
        for others in &self.others {
            if texts.contains(&others.keys, key)? {
                node = formulas.and(node, others.node);
            }
        }
        Ok(node)
    }

    /// The intersection of two shapes.
    pub fn and(&self, other: &Self, formulas: &mut Formulas, texts: &mut Texts) -> Result<Vec<Self>> {
        let mut both = self.clone();
        both.exists.clear();
        for (key, member) in &mut both.keys {
            let theirs = match other.keys.get(key) {
                Some(theirs) => *theirs,
                None => Member { node: other.other(key, formulas, texts)?, required: false },
            };
            member.node = formulas.and(member.node, theirs.node);
            member.required |= theirs.required;
        }
        for (key, theirs) in &other.keys {
            if !self.keys.contains_key(key) {
                let mine = self.other(key, formulas, texts)?;
                let node = formulas.and(theirs.node, mine);
                both.keys.insert(key.clone(), Member { node, required: theirs.required });
            }
        }
        both.others.extend(other.others.iter().filter(|o| !self.others.contains(o)).cloned());
        if other.min > self.min {
            both.min = other.min;
            both.min_at = other.min_at.clone();
        }
        both.max = self.max.into_iter().chain(other.max).min();
        let mut all = vec![both];
        for (mine, theirs) in [(self, other), (other, self)] {
            for exists in &mine.exists {
                let mut next = Vec::new();
                for shape in all {
                    // The other shape may have conditions on the key of this member.
                    for key in theirs.keys.keys().filter(|key| !mine.keys.contains_key(*key)) {
                        if texts.contains(&exists.keys, key)? {
                            let mut named = shape.clone();
                            if let Some(member) = named.keys.get_mut(key) {
                                member.node = formulas.and(member.node, exists.node);
                                member.required = true;
                            }
                            next.push(named);
                        }
                    }
                    let mut unnamed = shape;
                    if !unnamed.exists.contains(exists) {
                        unnamed.exists.push(exists.clone());
                    }
                    next.push(unnamed);
                }
                all = next;
            }
        }
        all.retain(|shape| !shape.is_impossible());
        Ok(all)
    }

    /// Whether the shape is plainly empty.
    fn is_impossible(&self) -> bool {
        let required = self.keys.values().filter(|m| m.required).count();
        let closed = self.others.iter().any(|o| o.node == NEVER && o.keys == Language::Any);
        let possible = self.keys.values().filter(|m| m.node != NEVER).count();
        self.keys.values().any(|m| m.required && m.node == NEVER)
            || self.max.is_some_and(|max| max < self.min.max(required))
            || closed && (!self.exists.is_empty() || possible < self.min)
    }

    /// The complement of the shape, as a union of shapes.
    pub fn not(&self, formulas: &mut Formulas, texts: &mut Texts) -> Result<Vec<Self>> {
        let mut outside = Vec::new();
        if self.min > 0 {
            outside.push(Self { max: Some(self.min - 1), ..Self::any() });
        }
        if let Some(max) = self.max {
            outside.push(Self { min: max + 1, ..Self::any() });
        }
        for (key, member) in &self.keys {
            if member.required {
                outside.push(Self::without(key));
            }
            if member.node != ANY {
                outside.push(Self::with(key, formulas.not(member.node)));
            }
        }
        let named = text::list_of(self.keys.keys().map(|key| &**key));
        let unnamed = text::not(&named);
        for others in self.others.iter().filter(|others| others.node != ANY) {
            let keys = texts.and(&others.keys, &unnamed)?;
            let node = formulas.not(others.node);
            match text::literals(&keys) {
                Some(keys) => outside.extend(keys.into_iter().map(|key| Self::with(key, node))),
                None => outside.push(Self { exists: vec![Others { keys, node, ..others.clone() }], ..Self::any() }),
            }
        }
        for exists in &self.exists {
            let keys = texts.and(&exists.keys, &unnamed)?;
            let node = formulas.not(exists.node);
            outside.push(Self { others: vec![Others { keys, node, ..exists.clone() }], ..Self::any() });
        }
        outside.retain(|shape| !shape.is_impossible());
        Ok(outside)
    }
}
