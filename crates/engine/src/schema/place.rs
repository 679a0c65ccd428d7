//! The places of schemas in their documents, and the targets of references.

use super::dialect::Dialect;
use crate::{Error, Result};
use fluent_uri::{Uri, UriRef};
use serde_json::Value;
use std::{collections::HashMap, rc::Rc};

/// A schema in its document.
#[derive(Debug, Clone)]
pub(super) struct Place<'a> {
    pub value: &'a Value,
    /// JSON Pointer from the root of the document; other documents start with their URI.
    pub pointer: Rc<str>,
    pub resource: u32,
    /// The number of the dynamic scope: the resources with dynamic anchors on the way to this place.
    pub scope: u32,
}

/// A schema with an identifier of its own, and the anchors in it.
struct Resource<'a> {
    uri: String,
    root: &'a Value,
    pointer: Rc<str>,
    draft: Dialect,
    anchors: HashMap<String, (&'a Value, Rc<str>)>,
    dynamic: HashMap<String, (&'a Value, Rc<str>)>,
}

pub(super) struct Documents<'a> {
    resources: Vec<Resource<'a>>,
    by_uri: HashMap<String, u32>,
    /// The resource of each root, by the address of the value.
    roots: HashMap<*const Value, u32>,
    scopes: Vec<Vec<u32>>,
}

/// Keywords whose value is a schema, a list of them, or a map of them.
const ONE: [&str; 12] = [
    "not",
    "if",
    "then",
    "else",
    "items",
    "additionalItems",
    "additionalProperties",
    "contains",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
    "contentSchema",
];
const LIST: [&str; 5] = ["allOf", "anyOf", "oneOf", "prefixItems", "items"];
const MAP: [&str; 6] = ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"];

/// Deepest nesting of schemas.
const DEPTH: usize = 500;

impl<'a> Documents<'a> {
    pub fn new(root: &'a Value) -> Result<(Self, Place<'a>)> {
        let mut new = Self { resources: Vec::new(), by_uri: HashMap::new(), roots: HashMap::new(), scopes: Vec::new() };
        new.add(root, "json-schema:///", "", Dialect::Draft2020)?;
        new.scopes.push(Vec::new());
        let place = Place { value: root, pointer: Rc::from(""), resource: 0, scope: 0 };
        let place = new.entered(place);
        Ok((new, place))
    }

    pub fn draft(&self, place: &Place) -> Dialect {
        self.resources[place.resource as usize].draft
    }

    /// The dialect of the whole document.
    pub fn dialect(&self) -> Dialect {
        self.resources[0].draft
    }

    /// Whether `format` is a remark, because the document names a dialect in which it is.
    pub fn formats_are_remarks(&self) -> bool {
        let Resource { root, draft, .. } = &self.resources[0];
        draft.format_is_a_remark() && root.get("$schema").is_some()
    }

    fn add(&mut self, root: &'a Value, base: &str, pointer: &str, draft: Dialect) -> Result<u32> {
        let draft = Dialect::of(root, draft).map_err(|e| e.pointer(format!("{pointer}/$schema")))?;
        let id = identifier(root, draft).map(|id| join(base, id)).transpose()?;
        let uri = without_fragment(id.as_deref().unwrap_or(base)).to_string();
        let new = self.resources.len() as u32;
        let (anchors, dynamic) = (HashMap::new(), HashMap::new());
        self.resources.push(Resource { uri: uri.clone(), root, pointer: pointer.into(), draft, anchors, dynamic });
        self.by_uri.entry(uri).or_insert(new);
        if new == 0 {
            self.by_uri.insert(base.to_string(), new);
        }
        self.roots.insert(root, new);
        self.walk(root, new, pointer, 0)?;
        Ok(new)
    }

    /// Finds the anchors and the embedded resources of a schema.
    fn walk(&mut self, value: &'a Value, resource: u32, pointer: &str, depth: usize) -> Result<()> {
        let Value::Object(map) = value else { return Ok(()) };
        if depth > DEPTH {
            return Err(Error::too_large(format!("the schema is nested deeper than {DEPTH} levels")));
        }
        let (draft, uri) = (self.resources[resource as usize].draft, self.resources[resource as usize].uri.clone());
        if depth > 0 && identifier(value, draft).is_some() {
            self.add(value, &uri, pointer, draft)?;
            return Ok(());
        }
        let here = &mut self.resources[resource as usize];
        let text = |key: &str| map.get(key).and_then(Value::as_str);
        let text = |key: &str| text(key).filter(|_| draft.has(key));
        if let Some(name) = text("$anchor") {
            here.anchors.insert(name.into(), (value, pointer.into()));
        }
        if let Some(name) = text("$dynamicAnchor") {
            here.anchors.insert(name.into(), (value, pointer.into()));
            here.dynamic.insert(name.into(), (value, pointer.into()));
        }
        // 2019-09 has a single dynamic anchor without a name: the root of a resource with `$recursiveAnchor`.
        if depth == 0 && draft.has("$recursiveAnchor") && map.get("$recursiveAnchor") == Some(&Value::Bool(true)) {
            here.dynamic.insert(String::new(), (value, pointer.into()));
        }
        if !draft.has("$anchor")
            && let Some((_, name)) = text(draft.id()).and_then(|id| id.split_once('#'))
            && !name.is_empty()
        {
            here.anchors.insert(name.into(), (value, pointer.into()));
        }
        for (key, inner) in map {
            let at = || format!("{pointer}/{}", escape(key));
            match inner {
                Value::Object(inner) if MAP.contains(&&**key) => {
                    for (name, schema) in inner {
                        self.walk(schema, resource, &format!("{}/{}", at(), escape(name)), depth + 1)?;
                    }
                }
                Value::Object(_) if ONE.contains(&&**key) => self.walk(inner, resource, &at(), depth + 1)?,
                Value::Array(list) if LIST.contains(&&**key) => {
                    for (i, schema) in list.iter().enumerate() {
                        self.walk(schema, resource, &format!("{}/{i}", at()), depth + 1)?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The place of a member or an item of the value at a place.
    pub fn child(&mut self, place: &Place<'a>, key: &str) -> Option<Place<'a>> {
        let value = match place.value {
            Value::Object(map) => map.get(key)?,
            Value::Array(list) => list.get(key.parse::<usize>().ok()?)?,
            _ => return None,
        };
        let pointer = format!("{}/{}", place.pointer, escape(key)).into();
        Some(self.entered(Place { value, pointer, ..place.clone() }))
    }

    /// The place, with the resource that starts at it, if one does.
    fn entered(&mut self, mut place: Place<'a>) -> Place<'a> {
        if let Some(&resource) = self.roots.get(&std::ptr::from_ref(place.value)) {
            place.resource = resource;
        }
        let scope = &self.scopes[place.scope as usize];
        if !self.resources[place.resource as usize].dynamic.is_empty() && !scope.contains(&place.resource) {
            let mut longer = scope.clone();
            longer.push(place.resource);
            place.scope = match self.scopes.iter().position(|known| *known == longer) {
                Some(known) => known as u32,
                None => {
                    self.scopes.push(longer);
                    self.scopes.len() as u32 - 1
                }
            };
        }
        place
    }

    /// The target of a reference. A dynamic reference leads to the outermost schema of the dynamic scope that has the
    /// anchor.
    ///
    /// # Errors
    /// `Input` where there is nothing, `Unsupported` for other documents.
    pub fn resolve(&mut self, from: &Place<'a>, reference: &str, dynamic: bool) -> Result<Place<'a>> {
        let full = join(&self.resources[from.resource as usize].uri, reference)?;
        let uri = without_fragment(&full);
        let fragment = full.split_once('#').map_or("", |(_, fragment)| fragment);
        let fragment = percent_decoded(fragment);
        let resource = self.resource(uri, reference)?;
        let found = &self.resources[resource as usize];
        let missing = || Error::input(format!("`$ref` {reference:?} leads nowhere")).help("is the name spelt right?");
        let target = |(value, pointer): &(&'a Value, Rc<str>), resource| Place {
            value,
            pointer: pointer.clone(),
            resource,
            scope: from.scope,
        };
        let rooted = fragment.is_empty() || fragment.starts_with('/');
        if rooted && !(dynamic && found.dynamic.contains_key(&*fragment)) {
            let mut place = Place { value: found.root, pointer: found.pointer.clone(), resource, scope: from.scope };
            place = self.entered(place);
            for segment in fragment.split('/').skip(1) {
                let segment = segment.replace("~1", "/").replace("~0", "~");
                place = self.child(&place, &segment).ok_or_else(missing)?;
            }
            return Ok(place);
        }
        let place = found.anchors.get(&*fragment).or(found.dynamic.get(&*fragment)).ok_or_else(missing)?;
        let mut place = target(place, resource);
        if dynamic && found.dynamic.contains_key(&*fragment) {
            let scope = self.entered(place.clone()).scope;
            let outermost = self.scopes[scope as usize].iter().find_map(|&resource| {
                let place = self.resources[resource as usize].dynamic.get(&*fragment)?;
                Some(target(place, resource))
            });
            place = outermost.unwrap_or(place);
        }
        Ok(self.entered(place))
    }

    fn resource(&mut self, uri: &str, reference: &str) -> Result<u32> {
        if let Some(&known) = self.by_uri.get(uri) {
            return Ok(known);
        }
        let Some((document, draft)) = Dialect::metaschema(uri) else {
            return Err(Error::unsupported(format!(
                "`$ref` {reference:?} leads to another document, which is not read"
            ))
            .help("copy that schema into `$defs`, with its `$id`, and refer to it there"));
        };
        self.add(document, uri, uri, draft)
    }
}

/// The identifier that makes a schema a resource of its own.
fn identifier(schema: &Value, draft: Dialect) -> Option<&str> {
    if draft.ref_stands_alone() && schema.get("$ref").is_some() {
        return None;
    }
    schema.get(draft.id()).and_then(Value::as_str).filter(|id| !without_fragment(id).is_empty())
}

/// A reference, resolved against the URI of the resource in which it stands (RFC 3986, section 5).
fn join(base: &str, reference: &str) -> Result<String> {
    let wrong = |cause: String| Error::input(format!("{reference:?} cannot be read as a reference")).because(cause);
    let address = |e| wrong(format!("Invalid URI '{base}': {e}"));
    let base_uri = Uri::parse(base).map_err(address)?.normalize();
    let reference = encoded(reference);
    if reference.starts_with('#') && base_uri.as_str().ends_with(&reference) {
        return Ok(base_uri.into_string());
    }
    let target = UriRef::parse(&*reference).map_err(|e| wrong(format!("Invalid URI reference '{reference}': {e}")))?;
    let failed = |e| wrong(format!("Failed to resolve '{reference}' against '{base}': {e}"));
    Ok(target.resolve_against(&base_uri.strip_fragment()).map_err(failed)?.normalize().into_string())
}

/// A reference with its forbidden characters percent-encoded, since people write `#/definitions/List<string[]>`.
pub(super) fn encoded(reference: &str) -> String {
    let mut out = String::with_capacity(reference.len());
    for c in reference.chars() {
        // A URI allows brackets only around an IP address.
        let refused = if out.contains('#') { "<>\"{}|\\^`[]#" } else { "<>\"{}|\\^`" };
        match c.is_ascii_graphic() && !refused.contains(c) {
            true => out.push(c),
            false => c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| out += &format!("%{byte:02X}")),
        }
    }
    out
}

fn without_fragment(uri: &str) -> &str {
    uri.split('#').next().unwrap_or(uri)
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let decoded = match (first, tail) {
            (b'%', [a, b, ..]) => std::str::from_utf8(&[*a, *b]).ok().and_then(|hex| u8::from_str_radix(hex, 16).ok()),
            _ => None,
        };
        bytes.push(decoded.unwrap_or(*first));
        rest = &tail[if decoded.is_some() { 2 } else { 0 }..];
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A segment of a JSON Pointer.
pub(super) fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
