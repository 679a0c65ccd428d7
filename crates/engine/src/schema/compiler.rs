//! The expansion of formulas over schemas into sets of values.

use super::{
    SchemaOptions, Unenforced,
    formula::{ANY, Formula, Formulas, NEVER, Node, SchemaId},
    object::Member,
    place::{Documents, Place},
    text::Texts,
    values::Values,
};
use crate::{Error, ErrorKind, Result};
use serde_json::Value;
use std::{
    collections::{HashMap, HashSet},
    rc::Rc,
};

/// Most formulas, and most steps of expanding them: beyond that, alternatives have multiplied.
const FORMULAS: usize = 60_000;
const STEPS: usize = 200_000;

/// The help where alternatives multiply.
pub(super) const FEWER: &str =
    "use fewer `anyOf`, `oneOf`, `not` and `if` at once, or require the key that tells the alternatives apart";

/// The state of compiling one schema.
pub(super) struct Compiler<'a> {
    pub documents: Documents<'a>,
    pub formulas: Formulas,
    pub texts: Texts,
    pub options: SchemaOptions,
    /// Whether `format` must hold, or is a remark.
    pub formats: bool,
    /// The keywords that lenient reading left to the check.
    pub unenforced: Vec<Unenforced>,
    /// Contradictions found so far, reported if the schema allows no value.
    pub suspects: Vec<Error>,
    /// The formulas of sets of one value, by their contents.
    pub singles: HashMap<String, Node>,
    schemas: Vec<Place<'a>>,
    ids: HashMap<(*const Value, u32), SchemaId>,
    expanded: HashMap<Node, Rc<Values>>,
    expanding: HashSet<Node>,
    steps: usize,
}

impl<'a> Compiler<'a> {
    pub fn new(root: &'a Value, options: SchemaOptions) -> Result<(Self, Node)> {
        let (documents, place) = Documents::new(root)?;
        let formats = options.format.unwrap_or(!documents.formats_are_remarks());
        let mut new = Self {
            documents,
            formulas: Formulas::new(),
            texts: Texts::default(),
            options,
            formats,
            unenforced: Vec::new(),
            suspects: Vec::new(),
            singles: HashMap::new(),
            schemas: Vec::new(),
            ids: HashMap::new(),
            expanded: HashMap::new(),
            expanding: HashSet::new(),
            steps: 0,
        };
        let node = new.schema(place)?;
        Ok((new, node))
    }

    /// The formula of the schema at a place.
    pub fn schema(&mut self, place: Place<'a>) -> Result<Node> {
        match place.value {
            Value::Bool(true) => Ok(ANY),
            Value::Bool(false) => Ok(NEVER),
            Value::Object(map) if map.is_empty() => Ok(ANY),
            Value::Object(_) => {
                let key = (std::ptr::from_ref(place.value), place.scope);
                let id = *self.ids.entry(key).or_insert_with(|| {
                    self.schemas.push(place);
                    self.schemas.len() as SchemaId - 1
                });
                Ok(self.formulas.intern(Formula::Schema(id)))
            }
            _ => Err(Error::input("a schema is an object, or true or false").pointer(&*place.pointer)),
        }
    }

    pub fn place(&self, id: SchemaId) -> Place<'a> {
        self.schemas[id as usize].clone()
    }

    /// The part; or, where the reading is lenient and the part cannot be enforced, `otherwise`.
    pub fn keep<T>(&mut self, pointer: &str, part: Result<T>, otherwise: T) -> Result<T> {
        match part {
            Err(e) if self.options.lenient && matches!(e.kind(), ErrorKind::Unsupported | ErrorKind::TooLarge) => {
                let keyword = Unenforced { pointer: pointer.to_string(), why: e.message().to_string() };
                if !self.unenforced.contains(&keyword) {
                    self.unenforced.push(keyword);
                }
                Ok(otherwise)
            }
            part => part.map_err(|e| e.pointer(pointer)),
        }
    }

    /// The set of values of a formula.
    pub fn expand(&mut self, node: Node) -> Result<Rc<Values>> {
        if let Some(known) = self.expanded.get(&node) {
            return Ok(known.clone());
        }
        self.steps += 1;
        if self.steps > STEPS || self.formulas.len() > FORMULAS {
            let message = format!("the schema's alternatives multiply to more than {FORMULAS} combinations");
            let error = Error::too_large(message).help(FEWER);
            return Err(self.blame(node, error));
        }
        if !self.expanding.insert(node) {
            return Err(Error::input("a `$ref` leads back to itself, so that the schema says nothing")
                .help("a schema may hold itself inside a property or an item, not at the same place"));
        }
        let formula = self.formulas.get(node).clone();
        let values = self.compute(formula).map_err(|e| self.blame(node, e));
        self.expanding.remove(&node);
        let values = Rc::new(values?);
        self.expanded.insert(node, values.clone());
        Ok(values)
    }

    /// Adds the JSON Pointer of the formula's schema to an error without one.
    pub fn blame(&self, node: Node, error: Error) -> Error {
        match self.formulas.get(node) {
            Formula::Schema(id) => error.pointer(&*self.schemas[*id as usize].pointer),
            Formula::Not(inner) => self.blame(*inner, error),
            Formula::All(parts) | Formula::One(parts) => parts.iter().fold(error, |e, &part| self.blame(part, e)),
            _ => error,
        }
    }

    fn compute(&mut self, formula: Formula) -> Result<Values> {
        match formula {
            Formula::Any => Ok(Values::all()),
            Formula::Never => Ok(Values::none()),
            Formula::Schema(id) => self.read(id),
            Formula::Set(set) => Ok((*self.formulas.set_of(set)).clone()),
            Formula::Constant(text) => {
                let value = serde_json::from_str(&text).map_err(|e| Error::input(e.to_string()))?;
                Values::constant(&value, &mut self.formulas)
            }
            Formula::Not(inner) => {
                let inner = self.expand(inner)?;
                inner.not(&mut self.formulas, &mut self.texts)
            }
            Formula::One(parts) => {
                let parts: Vec<Rc<Values>> = parts.into_iter().map(|part| self.expand(part)).collect::<Result<_>>()?;
                Ok(Values::union(&parts))
            }
            Formula::All(parts) => {
                let negated = |this: &Self, part: Node| matches!(this.formulas.get(part), Formula::Not(_));
                let (without, with): (Vec<Node>, Vec<Node>) = parts.into_iter().partition(|&p| negated(self, p));
                let mut all = Values::all();
                for part in with {
                    let part = self.expand(part)?;
                    all = self.both(&all, &part)?;
                }
                for part in without {
                    let Formula::Not(inner) = *self.formulas.get(part) else { continue };
                    // Disjoint sets need no subtraction.
                    let inner = self.expand(inner)?;
                    let common = self.both(&all, &inner)?;
                    if !common.is_plainly_empty() {
                        let part = self.expand(part)?;
                        all = self.both(&all, &part)?;
                    }
                }
                Ok(all)
            }
        }
    }

    /// The intersection of two sets of values, without shapes that are plainly empty.
    pub fn both(&mut self, a: &Values, b: &Values) -> Result<Values> {
        let mut both = a.and(b, &mut self.formulas, &mut self.texts)?;
        for language in [&mut both.numbers, &mut both.strings] {
            if self.texts.is_empty(language)? {
                *language = crate::Language::none();
            }
        }
        let mut kept = Vec::new();
        for shape in std::mem::take(&mut both.objects) {
            let required = |m: &&Member| m.required;
            let nodes: Vec<Node> = shape.keys.values().filter(required).map(|m| m.node).collect();
            if !nodes.into_iter().any(|node| self.is_plainly_empty(node)) {
                kept.push(shape);
            }
        }
        both.objects = kept;
        let mut kept = Vec::new();
        for shape in std::mem::take(&mut both.arrays) {
            let nodes: Vec<Node> = shape.prefix.iter().take(shape.min).copied().collect();
            if !nodes.into_iter().any(|node| self.is_plainly_empty(node)) {
                kept.push(shape);
            }
        }
        both.arrays = kept;
        Ok(both)
    }

    /// Whether a formula has plainly no value. False does not mean that there is one.
    fn is_plainly_empty(&mut self, node: Node) -> bool {
        match self.formulas.get(node) {
            Formula::Never => true,
            // Only an intersection of formulas can be a contradiction.
            Formula::All(_) => self.expand(node).is_ok_and(|values| values.is_plainly_empty()),
            _ => false,
        }
    }
}

impl Values {
    fn is_plainly_empty(&self) -> bool {
        !self.null
            && self.booleans == [false; 2]
            && super::text::is_none(&self.numbers)
            && super::text::is_none(&self.strings)
            && self.arrays.is_empty()
            && self.objects.is_empty()
    }
}
