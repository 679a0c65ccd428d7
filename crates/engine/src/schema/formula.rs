//! Boolean combinations of schemas, interned: equal formulas have the same number.
//!
//! The items of an array and the members of an object are formulas, which are expanded only when they are needed. A
//! recursive schema is a formula that is met again.

use super::{compiler::FEWER, values::Values};
use crate::{Error, Result};
use serde_json::Value;
use std::{collections::HashMap, rc::Rc};

/// The number of a formula.
pub(super) type Node = u32;
/// The number of a schema at a place.
pub(super) type SchemaId = u32;

/// Most members that may be looked at while shapes are intersected; that takes about a second.
const WORK: usize = 3_000_000;

pub(super) const ANY: Node = 0;
pub(super) const NEVER: Node = 1;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Formula {
    Any,
    Never,
    /// The values that a schema allows.
    Schema(SchemaId),
    /// A single value, as JSON.
    Constant(Rc<str>),
    /// A set that stands in no schema, by its number.
    Set(u32),
    /// The complement of a schema, a constant or a set.
    Not(Node),
    /// The intersection of formulas: in ascending order, each once, none of them `All`.
    All(Vec<Node>),
    /// The union of formulas: in ascending order, each once, none of them `One`.
    One(Vec<Node>),
}

pub(super) struct Formulas {
    formulas: Vec<Formula>,
    ids: HashMap<Formula, Node>,
    sets: Vec<Rc<Values>>,
    work: usize,
}

impl Formulas {
    pub fn new() -> Self {
        let mut new = Self { formulas: Vec::new(), ids: HashMap::new(), sets: Vec::new(), work: 0 };
        new.intern(Formula::Any);
        new.intern(Formula::Never);
        new
    }

    /// Adds to the work of intersecting shapes.
    ///
    /// # Errors
    /// `TooLarge`, once the work exceeds its limit.
    pub fn spend(&mut self, members: usize) -> Result<()> {
        self.work += members;
        match self.work > WORK {
            true => Err(Error::too_large("the schema's alternatives take too long to tell apart").help(FEWER)),
            false => Ok(()),
        }
    }

    pub fn len(&self) -> usize {
        self.formulas.len()
    }

    pub fn get(&self, node: Node) -> &Formula {
        &self.formulas[node as usize]
    }

    pub fn set_of(&self, set: u32) -> Rc<Values> {
        self.sets[set as usize].clone()
    }

    pub fn intern(&mut self, formula: Formula) -> Node {
        if let Some(&known) = self.ids.get(&formula) {
            return known;
        }
        let new = self.formulas.len() as Node;
        self.formulas.push(formula.clone());
        self.ids.insert(formula, new);
        new
    }

    pub fn set(&mut self, values: Values) -> Node {
        self.sets.push(Rc::new(values));
        self.intern(Formula::Set(self.sets.len() as u32 - 1))
    }

    /// The formula of one value. Equal values have the same formula, however their numbers were written.
    pub fn constant(&mut self, value: &Value) -> Node {
        self.intern(Formula::Constant(value.to_string().into()))
    }

    pub fn and(&mut self, a: Node, b: Node) -> Node {
        self.all([a, b])
    }

    pub fn all(&mut self, nodes: impl IntoIterator<Item = Node>) -> Node {
        let mut parts = Vec::new();
        for node in nodes {
            match self.get(node) {
                Formula::Any => {}
                Formula::Never => return NEVER,
                Formula::All(inner) => parts.extend(inner),
                _ => parts.push(node),
            }
        }
        parts.sort_unstable();
        parts.dedup();
        if self.contradict(&parts) {
            return NEVER;
        }
        match parts[..] {
            [] => ANY,
            [one] => one,
            _ => self.intern(Formula::All(parts)),
        }
    }

    pub fn one(&mut self, nodes: impl IntoIterator<Item = Node>) -> Node {
        let mut parts = Vec::new();
        for node in nodes {
            match self.get(node) {
                Formula::Never => {}
                Formula::Any => return ANY,
                Formula::One(inner) => parts.extend(inner),
                _ => parts.push(node),
            }
        }
        parts.sort_unstable();
        parts.dedup();
        if self.contradict(&parts) {
            return ANY;
        }
        match parts[..] {
            [] => NEVER,
            [one] => one,
            _ => self.intern(Formula::One(parts)),
        }
    }

    /// Whether a formula and its negation are among the parts.
    fn contradict(&self, parts: &[Node]) -> bool {
        let negated = |&node: &Node| match self.get(node) {
            Formula::Not(inner) => parts.binary_search(inner).is_ok(),
            _ => false,
        };
        parts.iter().any(negated)
    }

    pub fn not(&mut self, node: Node) -> Node {
        match self.get(node).clone() {
            Formula::Any => NEVER,
            Formula::Never => ANY,
            Formula::Not(inner) => inner,
            Formula::All(parts) => {
                let parts: Vec<Node> = parts.into_iter().map(|part| self.not(part)).collect();
                self.one(parts)
            }
            Formula::One(parts) => {
                let parts: Vec<Node> = parts.into_iter().map(|part| self.not(part)).collect();
                self.all(parts)
            }
            Formula::Schema(_) | Formula::Constant(_) | Formula::Set(_) => self.intern(Formula::Not(node)),
        }
    }
}
