//! The keywords about arrays and objects.

use super::{
    array::{ArrayShape, Count},
    formula::{ANY, NEVER, Node},
    object::{Member, ObjectShape, Others},
    place::escape,
    read::Reader,
    text,
    values::Values,
};
use crate::{Language, Result};
use serde_json::Value;
use std::rc::Rc;

impl Reader<'_, '_> {
    pub fn arrays(&mut self) -> Result<()> {
        let listed = self.draft.listed_items();
        let prefix = match self.map.get(listed) {
            Some(Value::Array(_)) => self.subs(listed)?.into_iter().map(|(_, node)| node).collect(),
            _ => Vec::new(),
        };
        let has_list = self.map.get("items").is_some_and(Value::is_array);
        let rest = match (listed, has_list) {
            ("items", true) => self.sub("additionalItems")?,
            (_, true) => {
                return Err(self.wrong("items", "must be a schema").help("a list of schemas is called `prefixItems`"));
            }
            _ => self.sub("items")?,
        };
        let (min, max) = (self.size("minItems")?, self.size("maxItems")?);
        if let (Some(least), Some(most)) = (min, max)
            && least > most
        {
            self.suspect("minItems", "maxItems");
        }
        let mut shape =
            ArrayShape { prefix, rest: rest.unwrap_or(ANY), min: min.unwrap_or(0), max, ..ArrayShape::any() };
        if let Some(node) = self.sub("contains")? {
            let (min, max) = (self.size("minContains")?.unwrap_or(1), self.size("maxContains")?);
            if max.is_some_and(|max| max < min) {
                self.suspect("minContains", "maxContains");
            }
            if min > 0 || max.is_some() {
                shape.counts.push(Count { from: 0, node, min, max, at: self.pointer("contains").into() });
            }
        }
        if self.map.get("uniqueItems") == Some(&Value::Bool(true)) {
            shape.unique = Some(self.pointer("uniqueItems").into());
        }
        shape.normalize();
        if shape != ArrayShape::any() {
            self.narrow(&Values::arrays(shape))?;
        }
        Ok(())
    }

    pub fn objects(&mut self) -> Result<()> {
        let mut shape = ObjectShape::any();
        let mut patterns = Vec::new();
        for (pattern, node) in self.subs("patternProperties")? {
            let at: Rc<str> = format!("{}/{}", self.pointer("patternProperties"), escape(&pattern)).into();
            let keys = self.pattern(&pattern);
            let keys = self.compiler.keep(&at, keys, Language::none())?;
            patterns.push(keys.clone());
            shape.others.push(Others { keys, node, at });
        }
        let properties = self.subs("properties")?;
        for (key, node) in &properties {
            let matched = shape.other(key, &mut self.compiler.formulas, &mut self.compiler.texts)?;
            let node = self.compiler.formulas.and(*node, matched);
            shape.keys.insert(Rc::from(&**key), Member { node, required: false });
        }
        if let Some(node) = self.sub("additionalProperties")?.filter(|&node| node != ANY) {
            let spoken_of = patterns.into_iter().fold(Language::none(), |a, b| text::or(&a, &b));
            let at = self.pointer("additionalProperties").into();
            shape.others.push(Others { keys: text::not(&spoken_of), node, at });
        }
        if let Some(node) = self.sub("propertyNames")? {
            let names = self.compiler.expand(node)?.strings.clone();
            for (key, member) in &mut shape.keys {
                if !self.compiler.texts.contains(&names, key)? {
                    member.node = NEVER;
                }
            }
            let at = self.pointer("propertyNames").into();
            if names != Language::Any {
                shape.others.push(Others { keys: text::not(&names), node: NEVER, at });
            }
        }
        if let Some(required) = self.map.get("required") {
            let required = required.as_array().ok_or_else(|| self.wrong("required", "must be a list of keys"))?;
            for key in required {
                let key = key.as_str().ok_or_else(|| self.wrong("required", "must be a list of keys"))?;
                self.require(&mut shape, key)?;
            }
        }
        shape.min = self.size("minProperties")?.unwrap_or(0);
        shape.max = self.size("maxProperties")?;
        shape.min_at = self.pointer("minProperties").into();
        if shape.max.is_some_and(|max| max < shape.min) {
            self.suspect("minProperties", "maxProperties");
        }
        if shape.keys.is_empty() && shape.others.is_empty() && shape.min == 0 && shape.max.is_none() {
            // No keyword is about objects.
        } else {
            self.narrow(&Values::objects(shape))?;
        }
        for key in ["dependentRequired", "dependencies"] {
            let Some(map) = self.keyword(key).and_then(Value::as_object) else { continue };
            for (name, needed) in map.iter().filter_map(|(name, needed)| Some((name, needed.as_array()?))) {
                let mut both = ObjectShape::any();
                for key in needed.iter().filter_map(Value::as_str) {
                    both.require(key, ANY);
                }
                let needed = self.compiler.formulas.set(Values { objects: vec![both], ..Values::none() });
                let node = self.compiler.unless_present(name, needed);
                self.also.push(node);
            }
        }
        Ok(())
    }

    /// Makes a key required.
    fn require(&mut self, shape: &mut ObjectShape, key: &str) -> Result<()> {
        let node: Node = match shape.keys.get(key) {
            Some(member) => member.node,
            None => shape.other(key, &mut self.compiler.formulas, &mut self.compiler.texts)?,
        };
        shape.require(key, node);
        Ok(())
    }
}
