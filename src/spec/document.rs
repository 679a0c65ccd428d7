//! A constraint file as a tree of values with their positions in the source.

use crate::{Error, Result, Source, util::json};
use serde::de::{self, Deserialize, MapAccess, SeqAccess, Visitor};
use std::{fmt, ops::Range};
use toml::de::{DeTable, DeValue};

/// Maximum size of a constraint file, in bytes.
const MAX_BYTES: usize = 1 << 20;
/// Maximum nesting of tables and lists.
const MAX_DEPTH: usize = 64;

/// A parsed constraint file. Keys keep the order of the file.
///
/// A document deserialises from any self-describing format, so that a record of another format can hold one. Only
/// [`from_toml`](Self::from_toml) and [`from_json`](Self::from_json) know positions.
#[derive(Debug, Clone)]
pub struct Document {
    pub(crate) source: Option<Source>,
    pub(crate) root: Node,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    /// The byte range in the source; empty if the document has no source.
    pub span: Range<usize>,
    pub value: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    String(String),
    Array(Vec<Node>),
    Table(Vec<Entry>),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub key: String,
    pub key_span: Range<usize>,
    pub node: Node,
}

impl Document {
    /// # Errors
    /// Syntax errors, with their position.
    pub fn from_toml(source: &Source) -> Result<Self> {
        let root = limit(&source.text).and_then(|()| {
            let table = DeTable::parse(&source.text).map_err(|e| toml_error(&e))?;
            let span = table.span();
            Ok(Node { span, value: toml_table(table.into_inner(), 0)? })
        });
        Ok(Self { root: root.map_err(|e| e.in_source(source))?, source: Some(source.clone()) })
    }

    /// # Errors
    /// Syntax errors, with their position.
    pub fn from_json(source: &Source) -> Result<Self> {
        let root = limit(&source.text).and_then(|()| {
            let mut root: Node = json::read(&source.text).map_err(|e| e.context("not valid JSON"))?;
            Locator { text: source.text.as_bytes(), at: 0 }.locate(&mut root);
            Ok(root)
        });
        Ok(Self { root: root.map_err(|e| e.in_source(source))?, source: Some(source.clone()) })
    }

    /// JSON if the name ends in `.json` or the text starts with `{`, TOML otherwise.
    ///
    /// # Errors
    /// Syntax errors, with their position.
    pub fn parse(source: &Source) -> Result<Self> {
        let json = source.name.ends_with(".json") || source.text.trim_start().starts_with('{');
        if json { Self::from_json(source) } else { Self::from_toml(source) }
    }

    /// Attributes an error to this document, to which its span refers.
    pub(crate) fn blame(&self, error: Error) -> Error {
        match &self.source {
            Some(source) => error.in_source(source),
            None => error,
        }
    }
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: de::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Self { source: None, root: Node::deserialize(from)? })
    }
}

impl Node {
    /// The kind of the value, in words.
    pub fn describe(&self) -> &'static str {
        match self.value {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Integer(_) => "an integer",
            Value::Float(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "a list",
            Value::Table(_) => "a table",
        }
    }

    /// The value at a JSON Pointer, or the last existing value on the way.
    pub fn resolve(&self, pointer: &str) -> &Node {
        let mut node = self;
        for segment in pointer.split('/').skip(1) {
            let segment = segment.replace("~1", "/").replace("~0", "~");
            let next = match &node.value {
                Value::Table(entries) => entries.iter().find(|e| e.key == segment).map(|e| &e.node),
                Value::Array(items) => segment.parse().ok().and_then(|i: usize| items.get(i)),
                _ => None,
            };
            match next {
                Some(next) => node = next,
                None => break,
            }
        }
        node
    }

    /// The offset of a string's text in the source, if the string is written there without escapes.
    pub fn verbatim(&self, source: &str) -> Option<usize> {
        let Value::String(value) = &self.value else { return None };
        let raw = source.get(self.span.clone())?;
        let quote = ["'''", "\"\"\"", "'", "\""].into_iter().find(|q| raw.starts_with(q))?;
        let inner = raw.strip_prefix(quote)?.strip_suffix(quote)?;
        // A line break directly after three quotes is no part of the string.
        let text = if quote.len() == 3 { inner.strip_prefix("\r\n").or(inner.strip_prefix('\n')) } else { None };
        let text = text.unwrap_or(inner);
        (text == value).then(|| self.span.end - quote.len() - text.len())
    }
}

fn limit(text: &str) -> Result<()> {
    if text.len() <= MAX_BYTES {
        return Ok(());
    }
    Err(Error::too_large(format!("a constraint file of {} bytes: the limit is {MAX_BYTES}", text.len()))
        .help("a constraint file holds rules, not data; is this the right file?"))
}

fn too_deep() -> Error {
    Error::too_large(format!("tables and lists nested deeper than {MAX_DEPTH}"))
}

fn toml_table(table: DeTable, depth: usize) -> Result<Value> {
    let mut entries = Vec::new();
    for (key, value) in table {
        let node = toml_node(value, depth + 1).map_err(|e| e.under(key.get_ref()))?;
        let key_span = key.span();
        entries.push(Entry { key: key.into_inner().into_owned(), key_span, node });
    }
    // The parser sorts by key; the document keeps the order of the file.
    entries.sort_by_key(|e| e.key_span.start);
    Ok(Value::Table(entries))
}

fn toml_node(spanned: toml::Spanned<DeValue>, depth: usize) -> Result<Node> {
    let span = spanned.span();
    if depth > MAX_DEPTH {
        return Err(too_deep().at(span));
    }
    let value = match spanned.into_inner() {
        DeValue::String(s) => Value::String(s.into_owned()),
        DeValue::Boolean(b) => Value::Bool(b),
        DeValue::Integer(i) => i128::from_str_radix(i.as_str(), i.radix())
            .map(Value::Integer)
            .map_err(|_| Error::input(format!("the integer {i} is too large")).at(span.clone()))?,
        DeValue::Float(f) => f
            .as_str()
            .parse()
            .map(Value::Float)
            .map_err(|_| Error::input(format!("`{f}` is no number")).at(span.clone()))?,
        DeValue::Datetime(d) => {
            return Err(Error::input("no key of a constraint file takes a date")
                .at(span)
                .help(format!("put it in quotes: \"{d}\"")));
        }
        DeValue::Array(items) => {
            let items = items.into_iter().enumerate();
            let nodes = items.map(|(i, item)| toml_node(item, depth + 1).map_err(|e| e.under(i)));
            Value::Array(nodes.collect::<Result<_>>()?)
        }
        DeValue::Table(table) => toml_table(table, depth)?,
    };
    Ok(Node { span, value })
}

fn toml_error(e: &toml::de::Error) -> Error {
    let error = Error::input(format!("not valid TOML: {}", e.message()));
    match e.span() {
        Some(span) => error.at(span),
        None => error,
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: de::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl NodeVisitor {
    fn node(value: Value) -> Node {
        Node { span: 0..0, value }
    }
}

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a value")
    }
    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Self::node(Value::Null))
    }
    fn visit_bool<E>(self, b: bool) -> Result<Node, E> {
        Ok(Self::node(Value::Bool(b)))
    }
    fn visit_i64<E>(self, i: i64) -> Result<Node, E> {
        Ok(Self::node(Value::Integer(i.into())))
    }
    fn visit_u64<E>(self, i: u64) -> Result<Node, E> {
        Ok(Self::node(Value::Integer(i.into())))
    }
    fn visit_f64<E>(self, f: f64) -> Result<Node, E> {
        Ok(Self::node(Value::Float(f)))
    }
    fn visit_str<E>(self, s: &str) -> Result<Node, E> {
        Ok(Self::node(Value::String(s.to_string())))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Self::node(Value::Array(items)))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if !seen.insert(key.clone()) {
                return Err(de::Error::custom(format!("the key `{key}` is given twice")));
            }
            entries.push(Entry { key, key_span: 0..0, node: map.next_value()? });
        }
        Ok(Self::node(Value::Table(entries)))
    }
}

/// Walks a JSON text beside its parsed tree, and fills in the spans.
struct Locator<'a> {
    text: &'a [u8],
    at: usize,
}

impl Locator<'_> {
    fn locate(&mut self, node: &mut Node) {
        self.skip(b" \t\r\n,:");
        let start = self.at;
        match &mut node.value {
            Value::Array(items) => {
                self.at += 1;
                items.iter_mut().for_each(|item| self.locate(item));
                self.close();
            }
            Value::Table(entries) => {
                self.at += 1;
                for entry in entries {
                    self.skip(b" \t\r\n,");
                    let key = self.at;
                    self.string();
                    entry.key_span = key..self.at;
                    self.locate(&mut entry.node);
                }
                self.close();
            }
            Value::String(_) => self.string(),
            _ => {
                let word = self.text[self.at..].iter();
                self.at += word.take_while(|b| !b" \t\r\n,]}".contains(b)).count();
            }
        }
        node.span = start..self.at;
    }
    fn skip(&mut self, bytes: &[u8]) {
        self.at += self.text[self.at..].iter().take_while(|b| bytes.contains(b)).count();
    }
    fn close(&mut self) {
        self.skip(b" \t\r\n");
        self.at = (self.at + 1).min(self.text.len());
    }
    /// Skips a string, from its opening quote past its closing one.
    fn string(&mut self) {
        let mut escaped = false;
        let inside = self.text[self.at..].iter().skip(1).take_while(|&&b| {
            let end = b == b'"' && !escaped;
            escaped = b == b'\\' && !escaped;
            !end
        });
        self.at = (self.at + inside.count() + 2).min(self.text.len());
    }
}
