//! The keywords about a value as a whole: types, constants, numbers, strings, and combinations of schemas.

use super::{
    Compiler,
    dialect::Dialect,
    format,
    formula::{Formula, Node, SchemaId},
    number,
    number::Decimal,
    object::ObjectShape,
    pattern,
    place::Place,
    text,
    values::Values,
};
use crate::{Error, Language, Result, util::nearest};
use serde_json::{Map, Value};
use std::rc::Rc;

const TYPES: [&str; 7] = ["null", "boolean", "integer", "number", "string", "array", "object"];

/// A number of characters, items or keys that no generated text reaches.
const ENDLESS: usize = 1 << 24;

/// Most characters that an automaton counts.
const COUNTED: usize = 6000;

/// A schema being read.
pub(super) struct Reader<'c, 'a> {
    pub compiler: &'c mut Compiler<'a>,
    pub place: Place<'a>,
    pub map: &'a Map<String, Value>,
    pub draft: Dialect,
    /// The values that the schema's own keywords allow.
    pub values: Values,
    /// Further formulas that must hold.
    pub also: Vec<Node>,
}

impl<'a> Compiler<'a> {
    /// The set of values that a schema allows.
    pub fn read(&mut self, id: SchemaId) -> Result<Values> {
        let place = self.place(id);
        let Value::Object(map) = place.value else { return Ok(Values::all()) };
        let draft = self.documents.draft(&place);
        let mut reader = Reader { compiler: self, place, map, draft, values: Values::all(), also: Vec::new() };
        reader.read()?;
        let Reader { values, also, .. } = reader;
        if also.is_empty() {
            return Ok(values);
        }
        let also = self.formulas.all(also);
        let also = self.expand(also)?;
        self.both(&values, &also)
    }
}

impl<'a> Reader<'_, 'a> {
    fn read(&mut self) -> Result<()> {
        if self.map.contains_key("$ref") && self.draft.ref_stands_alone() {
            return self.reference("$ref", false);
        }
        self.types()?;
        self.constants()?;
        self.numbers()?;
        self.strings()?;
        self.arrays()?;
        self.objects()?;
        self.reference("$ref", false)?;
        self.reference("$dynamicRef", true)?;
        self.reference("$recursiveRef", true)?;
        self.combinations()?;
        self.unevaluated()
    }

    pub fn pointer(&self, key: &str) -> String {
        format!("{}/{key}", self.place.pointer)
    }

    /// An error at a keyword.
    pub fn wrong(&self, key: &str, message: impl std::fmt::Display) -> Error {
        Error::input(format!("`{key}` {message}")).pointer(self.pointer(key))
    }

    /// The value of a keyword, if the dialect has it.
    pub fn keyword(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|_| self.draft.has(key))
    }

    /// The schema under a keyword.
    pub fn sub(&mut self, key: &str) -> Result<Option<Node>> {
        if !self.draft.has(key) {
            return Ok(None);
        }
        match self.compiler.documents.child(&self.place, key) {
            Some(place) => self.compiler.schema(place).map(Some),
            None => Ok(None),
        }
    }

    /// The schemas in the list or map under a keyword, with their keys.
    pub fn subs(&mut self, key: &str) -> Result<Vec<(String, Node)>> {
        if !self.draft.has(key) {
            return Ok(Vec::new());
        }
        let Some(outer) = self.compiler.documents.child(&self.place, key) else { return Ok(Vec::new()) };
        let keys: Vec<String> = match outer.value {
            Value::Array(list) => (0..list.len()).map(|i| i.to_string()).collect(),
            Value::Object(map) => map.keys().cloned().collect(),
            _ => return Err(self.wrong(key, "must hold schemas")),
        };
        let mut nodes = Vec::new();
        for name in keys {
            let Some(place) = self.compiler.documents.child(&outer, &name) else { continue };
            nodes.push((name, self.compiler.schema(place)?));
        }
        Ok(nodes)
    }

    fn nodes(&mut self, key: &str) -> Result<Vec<Node>> {
        let nodes: Vec<Node> = self.subs(key)?.into_iter().map(|(_, node)| node).collect();
        match nodes.is_empty() && self.map.contains_key(key) {
            true => Err(self.wrong(key, "is empty").help("give it at least one schema, or leave it out")),
            false => Ok(nodes),
        }
    }

    /// The value of a keyword that must be a whole number from 0 on. An upper bound that no text reaches is dropped.
    pub fn size(&self, key: &str) -> Result<Option<usize>> {
        let Some(value) = self.keyword(key) else { return Ok(None) };
        let number = match value {
            Value::Number(n) => Decimal::of(n).filter(Decimal::is_integer),
            _ => None,
        };
        let text = number.map(|n| n.text()).filter(|text| !text.starts_with('-'));
        let text = text.ok_or_else(|| self.wrong(key, "must be a whole number from 0 on"))?;
        let size = text.parse().unwrap_or(ENDLESS).min(ENDLESS);
        Ok(Some(size).filter(|&size| size < ENDLESS || !key.starts_with("max")))
    }

    pub fn narrow(&mut self, to: &Values) -> Result<()> {
        self.values = self.values.and(to, &mut self.compiler.formulas, &mut self.compiler.texts)?;
        Ok(())
    }

    /// Records two bounds that contradict each other.
    pub fn suspect(&mut self, low: &str, high: &str) {
        let message = format!("`{low}` is greater than `{high}`");
        let error = Error::unsatisfiable(message).pointer(self.pointer(low)).help("swap or widen them");
        self.compiler.suspects.push(error);
    }

    fn types(&mut self) -> Result<()> {
        let names: Vec<&Value> = match self.map.get("type") {
            None => return Ok(()),
            Some(Value::Array(names)) => names.iter().collect(),
            Some(name) => vec![name],
        };
        let mut sets = Vec::new();
        for name in names {
            let name = name.as_str().ok_or_else(|| self.wrong("type", "must be the name of a type, or several"))?;
            let values = Values::of_type(name).ok_or_else(|| {
                let error = self.wrong("type", format!("names {name:?}, which is no type"));
                match nearest(name, TYPES) {
                    Some(near) => error.help(format!("did you mean {near:?}?")),
                    None => error.help(format!("there are {}", TYPES.join(", "))),
                }
            })?;
            sets.push(Rc::new(values));
        }
        self.narrow(&Values::union(&sets))
    }

    fn constants(&mut self) -> Result<()> {
        if let Some(value) = self.keyword("const") {
            let constant = Values::constant(value, &mut self.compiler.formulas)?;
            self.narrow(&constant)?;
        }
        let Some(list) = self.map.get("enum") else { return Ok(()) };
        let list = list.as_array().ok_or_else(|| self.wrong("enum", "must be a list"))?;
        let (mut strings, mut numbers, mut others) = (Vec::new(), Vec::new(), Vec::new());
        for value in list {
            let one = Values::constant(value, &mut self.compiler.formulas)?;
            match (value, one) {
                (Value::String(text), _) => strings.push(text.as_str()),
                (Value::Number(_), one) => numbers.extend(text::literals(&one.numbers).map(|t| t.join(""))),
                (_, one) => others.push(Rc::new(one)),
            }
        }
        let distinct = |texts: Vec<&str>| {
            let mut seen = std::collections::HashSet::new();
            text::list_of(texts.into_iter().filter(|t| seen.insert(t.to_string())).collect::<Vec<_>>())
        };
        let mut union = Values::union(&others);
        union.strings = distinct(strings);
        union.numbers = distinct(numbers.iter().map(String::as_str).collect());
        self.narrow(&union)
    }

    fn numbers(&mut self) -> Result<()> {
        let mut bounds = Vec::new();
        for key in ["minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "multipleOf"] {
            let Some(value) = self.map.get(key) else { continue };
            // In draft-04 a separate keyword makes the bound exclusive.
            let flag = |key: &str| self.draft == Dialect::Draft4 && self.map.get(key) == Some(&Value::Bool(true));
            if self.draft == Dialect::Draft4 && key.starts_with("exclusive") {
                let bound = if key.ends_with("Minimum") { "minimum" } else { "maximum" };
                match value.is_boolean() {
                    true if self.map.contains_key(bound) || !flag(key) => continue,
                    true => return Err(self.wrong(key, format!("needs `{bound}` beside it"))),
                    false => return Err(self.wrong(key, "must be true or false in draft-04")),
                }
            }
            let number = value.as_number().ok_or_else(|| self.wrong(key, "must be a number"))?;
            let number = Decimal::of(number).ok_or_else(|| self.wrong(key, "is too large"))?;
            let language = match key {
                "minimum" => Ok(number.at_least(!flag("exclusiveMinimum"))),
                "exclusiveMinimum" => Ok(number.at_least(false)),
                "maximum" => Ok(number.at_most(!flag("exclusiveMaximum"))),
                "exclusiveMaximum" => Ok(number.at_most(false)),
                _ => number.multiples(),
            };
            let pointer = self.pointer(key);
            let language = self.compiler.keep(&pointer, language, Language::Any)?;
            self.narrow(&Values { numbers: language.clone(), ..Values::all() })?;
            bounds.push((key, language));
        }
        for (i, (low, a)) in bounds.iter().enumerate() {
            for (high, b) in &bounds[i + 1..] {
                let both = vec![Language::regex(number::NUMBER), a.clone(), b.clone()];
                if low.to_lowercase().contains("min") && self.compiler.texts.is_empty(&Language::Intersect(both))? {
                    self.suspect(low, high);
                }
            }
        }
        Ok(())
    }

    fn strings(&mut self) -> Result<()> {
        let (min, max) = (self.size("minLength")?, self.size("maxLength")?);
        if min.is_some() || max.is_some() {
            let least = min.unwrap_or(0);
            let pattern = match max {
                Some(max) if least > max => {
                    self.suspect("minLength", "maxLength");
                    None
                }
                Some(max) => Some(format!("(?s).{{{least},{max}}}")),
                None => Some(format!("(?s).{{{least},}}")),
            };
            let language = pattern.map_or(Language::none(), Language::Regex);
            let key = if max.is_some() { "maxLength" } else { "minLength" };
            let built = match max.filter(|&max| max >= least).unwrap_or(least) > COUNTED {
                true => Err(Error::too_large(format!("`{key}` counts farther than {COUNTED} characters"))
                    .help("leave the bound out if it does not matter")),
                false => Ok(language),
            };
            let pointer = self.pointer(key);
            let language = self.compiler.keep(&pointer, built, Language::Any)?;
            self.narrow(&Values { strings: language, ..Values::all() })?;
        }
        for key in ["pattern", "format"] {
            let Some(value) = self.map.get(key) else { continue };
            let text = value.as_str().ok_or_else(|| self.wrong(key, "must be a string"))?;
            if key == "format"
                && let Some(numbers) = format::numbers(text).filter(|_| self.compiler.formats)
            {
                self.narrow(&Values { numbers, ..Values::all() })?;
                continue;
            }
            let language = match key {
                "pattern" => self.pattern(text),
                _ if self.compiler.formats => format::language(text),
                _ => continue,
            };
            let pointer = self.pointer(key);
            let language = self.compiler.keep(&pointer, language, Language::Any)?;
            self.narrow(&Values { strings: language, ..Values::all() })?;
        }
        Ok(())
    }

    /// The strings in which a pattern occurs.
    pub fn pattern(&mut self, pattern: &str) -> Result<Language> {
        let language = pattern::search(pattern)?;
        self.compiler.texts.dfa(&language).map_err(|e| {
            // The span of the error refers to the translated pattern.
            let error = Error::new(e.kind(), format!("the pattern /{pattern}/: {}", e.message()));
            e.helps().iter().fold(error, |error, help| error.help(help.clone()))
        })?;
        Ok(language)
    }

    fn reference(&mut self, key: &str, dynamic: bool) -> Result<()> {
        let Some(value) = self.keyword(key) else { return Ok(()) };
        let reference = value.as_str().ok_or_else(|| self.wrong(key, "must be a string"))?;
        let target = self.compiler.documents.resolve(&self.place, reference, dynamic);
        let place = target.map_err(|e| e.pointer(self.pointer(key)))?;
        let node = self.compiler.schema(place)?;
        self.also.push(node);
        Ok(())
    }

    fn combinations(&mut self) -> Result<()> {
        let all = self.nodes("allOf")?;
        self.also.extend(all);
        let any = self.nodes("anyOf")?;
        if !any.is_empty() {
            let node = self.compiler.formulas.one(any);
            self.also.push(node);
        }
        let one = self.nodes("oneOf")?;
        if !one.is_empty() {
            let node = self.compiler.exactly_one(&one)?;
            self.also.push(node);
        }
        if let Some(node) = self.sub("not")? {
            let not = self.compiler.formulas.not(node);
            self.also.push(not);
        }
        if let Some(condition) = self.sub("if")? {
            let (then, otherwise) = (self.sub("then")?, self.sub("else")?);
            let formulas = &mut self.compiler.formulas;
            let then = formulas.and(condition, then.unwrap_or(super::formula::ANY));
            let not = formulas.not(condition);
            let otherwise = formulas.and(not, otherwise.unwrap_or(super::formula::ANY));
            let node = formulas.one([then, otherwise]);
            self.also.push(node);
        }
        for key in ["dependentSchemas", "dependencies"] {
            let lists = |value: &Value| value.is_array();
            let mixed = self.map.get(key).and_then(Value::as_object).is_some_and(|map| map.values().any(lists));
            let schemas = if mixed { self.dependencies(key)? } else { self.subs(key)? };
            for (name, node) in schemas {
                let node = self.compiler.unless_present(&name, node);
                self.also.push(node);
            }
        }
        Ok(())
    }

    /// `dependencies` on schemas; `read_containers` reads the dependencies on keys.
    fn dependencies(&mut self, key: &str) -> Result<Vec<(String, Node)>> {
        let Some(outer) = self.compiler.documents.child(&self.place, key) else { return Ok(Vec::new()) };
        let Value::Object(map) = outer.value else { return Ok(Vec::new()) };
        let mut nodes = Vec::new();
        for name in map.iter().filter(|(_, value)| !value.is_array()).map(|(name, _)| name) {
            let Some(place) = self.compiler.documents.child(&outer, name) else { continue };
            nodes.push((name.clone(), self.compiler.schema(place)?));
        }
        Ok(nodes)
    }
}

impl Compiler<'_> {
    /// Values of exactly one of the formulas.
    pub fn exactly_one(&mut self, nodes: &[Node]) -> Result<Node> {
        self.formulas.spend(nodes.len() * nodes.len() / 4)?;
        let nots: Vec<Node> = nodes.iter().map(|&node| self.formulas.not(node)).collect();
        let mut ways = Vec::new();
        for (i, &node) in nodes.iter().enumerate() {
            let others = nots.iter().enumerate().filter(|&(j, _)| j != i);
            ways.push(self.formulas.all(others.map(|(_, &not)| not).chain([node])));
        }
        Ok(self.formulas.one(ways))
    }

    /// The values that are not objects with the key, or that satisfy the formula.
    pub fn unless_present(&mut self, key: &str, node: Node) -> Node {
        let absent = self.formulas.set(Values::objects(ObjectShape::without(key)));
        self.formulas.one([absent, node])
    }

    /// The schema of a formula that is a single schema.
    pub fn schema_of(&self, node: Node) -> Option<SchemaId> {
        match self.formulas.get(node) {
            Formula::Schema(id) => Some(*id),
            _ => None,
        }
    }
}
