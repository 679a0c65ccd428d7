//! `unevaluatedProperties` and `unevaluatedItems`. The members and items that other keywords evaluate depend on which
//! alternatives hold, so this module distinguishes the cases.

use super::{
    Compiler,
    array::ArrayShape,
    dialect::Dialect,
    formula::{ANY, NEVER, Node, SchemaId},
    object::{ObjectShape, Others},
    place::Place,
    read::Reader,
    text,
    values::Values,
};
use crate::{Error, Language, Result};
use serde_json::Value;
use std::collections::BTreeSet;

/// Most cases that are distinguished.
const CASES: usize = 400;

/// The members and items that are evaluated, in the case that a formula holds.
#[derive(Clone)]
struct Case {
    holds: Node,
    seen: Seen,
}

#[derive(Clone, PartialEq)]
enum Seen {
    Members { keys: BTreeSet<String>, patterns: Language },
    Items { first: usize, matching: BTreeSet<Node> },
}

impl Seen {
    fn everything(&self) -> Self {
        match self {
            Self::Members { .. } => Self::Members { keys: BTreeSet::new(), patterns: Language::Any },
            Self::Items { .. } => Self::Items { first: usize::MAX, matching: BTreeSet::new() },
        }
    }

    fn and(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Members { keys, patterns }, Self::Members { keys: more, patterns: others }) => {
                Self::Members { keys: keys.union(more).cloned().collect(), patterns: text::or(patterns, others) }
            }
            (Self::Items { first, matching }, Self::Items { first: other, matching: more }) => {
                Self::Items { first: *first.max(other), matching: matching.union(more).copied().collect() }
            }
            _ => self.clone(),
        }
    }
}

impl Reader<'_, '_> {
    pub fn unevaluated(&mut self) -> Result<()> {
        let members = Seen::Members { keys: BTreeSet::new(), patterns: Language::none() };
        let items = Seen::Items { first: 0, matching: BTreeSet::new() };
        for (key, nothing) in [("unevaluatedProperties", members), ("unevaluatedItems", items)] {
            let Some(node) = self.sub(key)?.filter(|&node| node != ANY) else { continue };
            let pointer = self.pointer(key);
            let mut open = Vec::new();
            let cases = self.compiler.cases(&self.place, &nothing, &mut open, Some(key));
            let cases = self.compiler.keep(&pointer, cases, vec![Case { holds: ANY, seen: nothing.everything() }])?;
            let mut ways = Vec::new();
            for Case { holds, seen } in cases {
                let rest = self.compiler.unseen(&seen, node, &pointer)?;
                ways.push(self.compiler.formulas.and(holds, rest));
            }
            let node = self.compiler.formulas.one(ways);
            self.also.push(node);
        }
        Ok(())
    }
}

impl<'a> Compiler<'a> {
    /// Every member and item that was not evaluated is in `node`.
    fn unseen(&mut self, seen: &Seen, node: Node, at: &str) -> Result<Node> {
        let values = match seen {
            Seen::Members { keys, patterns } => {
                let mut shape = ObjectShape::any();
                let keys = text::list_of(keys.iter().map(String::as_str));
                let unseen = text::not(&text::or(&keys, patterns));
                if text::is_none(&unseen) {
                    return Ok(ANY);
                }
                shape.others.push(Others { keys: unseen, node, at: at.into() });
                Values::objects(shape)
            }
            Seen::Items { first: usize::MAX, .. } => return Ok(ANY),
            Seen::Items { first, matching } => {
                let rest = self.formulas.one(matching.iter().copied().chain([node]));
                let mut shape = ArrayShape { prefix: vec![ANY; *first], rest, ..ArrayShape::any() };
                shape.normalize();
                Values::arrays(shape)
            }
        };
        Ok(self.formulas.set(values))
    }

    /// The cases of a schema: in each of them the evaluated members and items are known. Together the cases hold wherever
    /// the schema holds. `except`: the keyword for which the cases are needed.
    fn cases(
        &mut self,
        place: &Place<'a>,
        nothing: &Seen,
        open: &mut Vec<(SchemaId, ())>,
        except: Option<&str>,
    ) -> Result<Vec<Case>> {
        let start = vec![Case { holds: ANY, seen: nothing.clone() }];
        let node = self.schema(place.clone())?;
        let (Some(id), Value::Object(map)) = (self.schema_of(node), place.value) else { return Ok(start) };
        if open.iter().any(|(known, _)| *known == id) {
            return Err(Error::unsupported("what is evaluated leads back to itself").pointer(&*place.pointer));
        }
        open.push((id, ()));
        let draft = self.documents.draft(place);
        let mut reader =
            Reader { compiler: self, place: place.clone(), map, draft, values: Values::all(), also: Vec::new() };
        let cases = reader.own_cases(nothing, open, except, start);
        open.pop();
        cases
    }
}

impl<'a> Reader<'_, 'a> {
    fn own_cases(
        &mut self,
        nothing: &Seen,
        open: &mut Vec<(SchemaId, ())>,
        except: Option<&str>,
        mut cases: Vec<Case>,
    ) -> Result<Vec<Case>> {
        let own = self.own(nothing, except)?;
        cases.iter_mut().for_each(|case| case.seen = case.seen.and(&own));
        if self.draft.ref_stands_alone() && self.map.contains_key("$ref") {
            return self.of_target("$ref", false, nothing, open, cases);
        }
        cases = self.of_target("$ref", false, nothing, open, cases)?;
        cases = self.of_target("$dynamicRef", true, nothing, open, cases)?;
        cases = self.of_target("$recursiveRef", true, nothing, open, cases)?;
        for (_, place) in self.places("allOf") {
            let more = self.compiler.cases(&place, nothing, open, None)?;
            cases = self.product(cases, more)?;
        }
        let any = self.branches("anyOf", nothing, open)?;
        if !any.is_empty() {
            let mut ways = vec![Case { holds: ANY, seen: nothing.clone() }];
            for (node, branch) in any {
                // A branch that evaluates nothing makes no difference.
                if branch.iter().all(|case| case.seen == *nothing) {
                    continue;
                }
                let not = self.compiler.formulas.not(node);
                let mut either = vec![Case { holds: not, seen: nothing.clone() }];
                either.extend(branch);
                ways = self.product(ways, either)?;
            }
            cases = self.product(cases, ways)?;
        }
        let one = self.branches("oneOf", nothing, open)?;
        if !one.is_empty() {
            let ways = one.into_iter().flat_map(|(_, branch)| branch).collect();
            cases = self.product(cases, ways)?;
        }
        if let Some(place) = self.compiler.documents.child(&self.place, "if").filter(|_| self.draft.has("if")) {
            let condition = self.compiler.schema(place.clone())?;
            let mut then = self.compiler.cases(&place, nothing, open, None)?;
            then.iter_mut().for_each(|case| case.holds = self.compiler.formulas.and(case.holds, condition));
            if let Some(place) = self.compiler.documents.child(&self.place, "then") {
                let more = self.compiler.cases(&place, nothing, open, None)?;
                then = self.product(then, more)?;
            }
            let not = self.compiler.formulas.not(condition);
            let mut otherwise = vec![Case { holds: not, seen: nothing.clone() }];
            if let Some(place) = self.compiler.documents.child(&self.place, "else") {
                let more = self.compiler.cases(&place, nothing, open, None)?;
                otherwise = self.product(otherwise, more)?;
            }
            then.extend(otherwise);
            cases = self.product(cases, then)?;
        }
        for (key, place) in self.places("dependentSchemas") {
            let absent = self.compiler.formulas.set(Values::objects(ObjectShape::without(&key)));
            let present = self.compiler.formulas.not(absent);
            let mut ways = vec![Case { holds: absent, seen: nothing.clone() }];
            let mut more = self.compiler.cases(&place, nothing, open, None)?;
            more.iter_mut().for_each(|case| case.holds = self.compiler.formulas.and(case.holds, present));
            ways.extend(more);
            cases = self.product(cases, ways)?;
        }
        Ok(cases)
    }

    /// The members and items that the schema's own keywords evaluate.
    fn own(&mut self, nothing: &Seen, except: Option<&str>) -> Result<Seen> {
        let has = |key: &str| self.map.contains_key(key) && except != Some(key);
        match nothing {
            Seen::Members { .. } => {
                if has("additionalProperties") || has("unevaluatedProperties") {
                    return Ok(nothing.everything());
                }
                let keys = |key: &str| self.map.get(key).and_then(Value::as_object).into_iter().flatten();
                let named = keys("properties").map(|(key, _)| key.clone()).collect();
                let patterns: Vec<String> = keys("patternProperties").map(|(key, _)| key.clone()).collect();
                let mut union = Language::none();
                for pattern in patterns {
                    union = text::or(&union, &self.pattern(&pattern)?);
                }
                Ok(Seen::Members { keys: named, patterns: union })
            }
            Seen::Items { .. } => {
                let list = self.map.get(self.draft.listed_items()).and_then(Value::as_array);
                let items = has("items") && !self.map.get("items").is_some_and(Value::is_array);
                let more = has("additionalItems") && self.draft.has("additionalItems") && list.is_some();
                if items || more || has("unevaluatedItems") {
                    return Ok(nothing.everything());
                }
                let listed = list.map_or(0, Vec::len);
                let contained = if self.draft == Dialect::Draft2020 { self.sub("contains")? } else { None };
                Ok(Seen::Items { first: listed, matching: contained.into_iter().collect() })
            }
        }
    }

    fn places(&mut self, key: &str) -> Vec<(String, Place<'a>)> {
        if !self.draft.has(key) {
            return Vec::new();
        }
        let Some(outer) = self.compiler.documents.child(&self.place, key) else { return Vec::new() };
        let keys: Vec<String> = match outer.value {
            Value::Array(list) => (0..list.len()).map(|i| i.to_string()).collect(),
            Value::Object(map) => map.keys().cloned().collect(),
            _ => Vec::new(),
        };
        let child = |key: String| {
            let place = self.compiler.documents.child(&outer, &key)?;
            Some((key, place))
        };
        keys.into_iter().filter_map(child).collect()
    }

    /// For each branch its formula, and the cases in which it holds.
    fn branches(
        &mut self,
        key: &str,
        nothing: &Seen,
        open: &mut Vec<(SchemaId, ())>,
    ) -> Result<Vec<(Node, Vec<Case>)>> {
        let mut branches = Vec::new();
        for (_, place) in self.places(key) {
            let node = self.compiler.schema(place.clone())?;
            let mut cases = self.compiler.cases(&place, nothing, open, None)?;
            cases.iter_mut().for_each(|case| case.holds = self.compiler.formulas.and(case.holds, node));
            branches.push((node, cases));
        }
        Ok(branches)
    }

    fn of_target(
        &mut self,
        key: &str,
        dynamic: bool,
        nothing: &Seen,
        open: &mut Vec<(SchemaId, ())>,
        cases: Vec<Case>,
    ) -> Result<Vec<Case>> {
        let Some(reference) = self.keyword(key).and_then(Value::as_str) else { return Ok(cases) };
        let place = self.compiler.documents.resolve(&self.place, reference, dynamic)?;
        let more = self.compiler.cases(&place, nothing, open, None)?;
        self.product(cases, more)
    }

    fn product(&mut self, a: Vec<Case>, b: Vec<Case>) -> Result<Vec<Case>> {
        if a.len().saturating_mul(b.len()) > CASES {
            return Err(Error::too_large(format!("more than {CASES} cases of what is evaluated")));
        }
        let mut product: Vec<Case> = Vec::new();
        for (a, b) in a.iter().flat_map(|a| b.iter().map(move |b| (a, b))) {
            let holds = self.compiler.formulas.and(a.holds, b.holds);
            if holds != NEVER {
                product.push(Case { holds, seen: a.seen.and(&b.seen) });
            }
        }
        Ok(product)
    }
}
