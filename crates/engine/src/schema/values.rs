//! Sets of JSON values, type by type.

use super::{
    array::ArrayShape,
    compiler::FEWER,
    formula::{Formula, Formulas},
    number::{self, Decimal},
    object::ObjectShape,
    text::{self, Texts},
};
use crate::{Error, Language, Result};
use indexmap::IndexSet;
use serde_json::Value;
use std::rc::Rc;

/// Most shapes in the union of a set of arrays or objects.
const SHAPES: usize = 3000;

/// A set of JSON values: what it holds of each type. Arrays and objects are unions of shapes, each a conjunction.
#[derive(Debug, Clone)]
pub(super) struct Values {
    pub null: bool,
    /// `false`, `true`
    pub booleans: [bool; 2],
    /// The canonical texts of the numbers; [`Language::Any`] stands for every number.
    pub numbers: Language,
    /// The decoded strings.
    pub strings: Language,
    pub arrays: Vec<ArrayShape>,
    pub objects: Vec<ObjectShape>,
}

impl Values {
    pub fn all() -> Self {
        Self {
            null: true,
            booleans: [true; 2],
            numbers: Language::Any,
            strings: Language::Any,
            arrays: vec![ArrayShape::any()],
            objects: vec![ObjectShape::any()],
        }
    }

    pub fn none() -> Self {
        Self {
            null: false,
            booleans: [false; 2],
            numbers: Language::none(),
            strings: Language::none(),
            arrays: Vec::new(),
            objects: Vec::new(),
        }
    }

    /// All values that are not objects, and the objects of one shape.
    pub fn objects(shape: ObjectShape) -> Self {
        Self { objects: vec![shape], ..Self::all() }
    }
    /// All values that are not arrays, and the arrays of one shape.
    pub fn arrays(shape: ArrayShape) -> Self {
        Self { arrays: vec![shape], ..Self::all() }
    }

    /// The values of a type by its name; `None` if there is no such type.
    pub fn of_type(name: &str) -> Option<Self> {
        let (none, all) = (Self::none(), Self::all());
        Some(match name {
            "null" => Self { null: true, ..none },
            "boolean" => Self { booleans: [true; 2], ..none },
            "integer" => Self { numbers: Language::regex(number::INTEGER), ..none },
            "number" => Self { numbers: Language::Any, ..none },
            "string" => Self { strings: Language::Any, ..none },
            "array" => Self { arrays: all.arrays, ..none },
            "object" => Self { objects: all.objects, ..none },
            _ => return None,
        })
    }

    /// The set of one value.
    pub fn constant(value: &Value, formulas: &mut Formulas) -> Result<Self> {
        let mut set = Self::none();
        match value {
            Value::Null => set.null = true,
            Value::Bool(b) => set.booleans[*b as usize] = true,
            Value::Number(n) => {
                let number =
                    Decimal::of(n).ok_or_else(|| Error::unsupported(format!("the number {n} is too large")))?;
                set.numbers = Language::literal(number.text());
            }
            Value::String(text) => set.strings = Language::literal(text),
            Value::Array(items) => {
                let prefix = items.iter().map(|item| formulas.constant(item)).collect::<Vec<_>>();
                let length = prefix.len();
                let (rest, max) = (formulas.intern(Formula::Never), Some(length));
                set.arrays.push(ArrayShape { prefix, rest, min: length, max, ..ArrayShape::any() });
            }
            Value::Object(members) => {
                let mut shape = ObjectShape::any();
                for (key, value) in members {
                    shape.require(key, formulas.constant(value));
                }
                shape.close("");
                set.objects.push(shape);
            }
        }
        Ok(set)
    }

    /// The union of sets.
    pub fn union(sets: &[Rc<Self>]) -> Self {
        let arrays: IndexSet<&ArrayShape> = sets.iter().flat_map(|set| &set.arrays).collect();
        let objects: IndexSet<&ObjectShape> = sets.iter().flat_map(|set| &set.objects).collect();
        Self {
            null: sets.iter().any(|set| set.null),
            booleans: [0, 1].map(|b| sets.iter().any(|set| set.booleans[b])),
            numbers: text::any_of(sets.iter().map(|set| &set.numbers)),
            strings: text::any_of(sets.iter().map(|set| &set.strings)),
            arrays: arrays.into_iter().cloned().collect(),
            objects: objects.into_iter().cloned().collect(),
        }
    }

    pub fn and(&self, other: &Self, formulas: &mut Formulas, texts: &mut Texts) -> Result<Self> {
        let mut arrays = IndexSet::new();
        for (a, b) in pairs(&self.arrays, &other.arrays)? {
            arrays.extend(a.and(b, formulas));
        }
        let mut objects = IndexSet::new();
        for (a, b) in pairs(&self.objects, &other.objects)? {
            formulas.spend(a.keys.len() + b.keys.len() + 1)?;
            objects.extend(a.and(b, formulas, texts)?);
        }
        Ok(Self {
            null: self.null && other.null,
            booleans: [0, 1].map(|b| self.booleans[b] && other.booleans[b]),
            numbers: texts.and(&self.numbers, &other.numbers)?,
            strings: texts.and(&self.strings, &other.strings)?,
            arrays: arrays.into_iter().collect(),
            objects: objects.into_iter().collect(),
        })
    }

    pub fn not(&self, formulas: &mut Formulas, texts: &mut Texts) -> Result<Self> {
        let mut rest = Self {
            null: !self.null,
            booleans: self.booleans.map(|b| !b),
            numbers: text::not(&self.numbers),
            strings: text::not(&self.strings),
            ..Self::all()
        };
        for shape in &self.arrays {
            let outside = Self { arrays: shape.not(formulas), ..Self::all() };
            rest.arrays = Self { arrays: rest.arrays, ..Self::none() }.and(&outside, formulas, texts)?.arrays;
        }
        for shape in &self.objects {
            let outside = Self { objects: shape.not(formulas, texts)?, ..Self::all() };
            rest.objects = Self { objects: rest.objects, ..Self::none() }.and(&outside, formulas, texts)?.objects;
        }
        Ok(rest)
    }
}

/// All pairs, if they are not too many.
fn pairs<'s, T>(a: &'s [T], b: &'s [T]) -> Result<impl Iterator<Item = (&'s T, &'s T)>> {
    if a.len().saturating_mul(b.len()) > SHAPES {
        return Err(Error::too_large(format!("the alternatives multiply to more than {SHAPES} cases")).help(FEWER));
    }
    Ok(a.iter().flat_map(move |a| b.iter().map(move |b| (a, b))))
}
