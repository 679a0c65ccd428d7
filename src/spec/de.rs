//! A serde deserialiser for the values of a [`Document`](super::Document), whose errors know their position.

use super::document::{Entry, Node, Value};
use crate::{Error, util::nearest};
use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, Expected, IntoDeserializer, MapAccess, SeqAccess, Unexpected,
    VariantAccess, Visitor,
};

/// An error of deserialisation: the message says what was expected; the position is added by the caller.
#[derive(Debug)]
pub(crate) struct Refusal(pub Error);

type Result<T, E = Refusal> = std::result::Result<T, E>;

impl Refusal {
    fn input(message: impl Into<String>) -> Self {
        Self(Error::input(message))
    }
    fn at(self, span: std::ops::Range<usize>) -> Self {
        Self(self.0.at(span))
    }
    fn under(self, key: impl std::fmt::Display) -> Self {
        Self(self.0.under(key))
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Refusal {}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        refusal.0
    }
}

impl de::Error for Refusal {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self::input(message.to_string())
    }
    fn invalid_type(found: Unexpected, expected: &dyn Expected) -> Self {
        Self::input(format!("expected {expected}, found {found}"))
    }
    fn invalid_value(found: Unexpected, expected: &dyn Expected) -> Self {
        Self::input(format!("expected {expected}, found {found}"))
    }
    fn missing_field(field: &'static str) -> Self {
        Self::input(format!("the key `{field}` is missing"))
    }
    fn unknown_field(field: &str, known: &'static [&'static str]) -> Self {
        Self(unknown("key", field, known.iter().copied()))
    }
    fn unknown_variant(variant: &str, known: &'static [&'static str]) -> Self {
        Self(unknown("value", variant, known.iter().copied()))
    }
}

/// The error for an unknown name: it suggests the nearest known name and lists all of them.
pub(crate) fn unknown<'a>(what: &str, found: &str, known: impl IntoIterator<Item = &'a str>) -> Error {
    let known: Vec<&str> = known.into_iter().collect();
    let found: String = found.chars().take(80).collect();
    let mut error = Error::input(format!("unknown {what} `{found}`"));
    if let Some(near) = nearest(&found, known.iter().copied()) {
        error = error.help(format!("did you mean `{near}`?"));
    }
    if known.is_empty() { error } else { error.help(format!("known: {}", known.join(", "))) }
}

impl<'de> Deserializer<'de> for &'de Node {
    type Error = Refusal;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match &self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(b) => visitor.visit_bool(*b),
            Value::Integer(i) => match (i64::try_from(*i), u64::try_from(*i)) {
                (Ok(i), _) => visitor.visit_i64(i),
                (_, Ok(u)) => visitor.visit_u64(u),
                _ => Err(Refusal::input(format!("the integer {i} is too large"))),
            },
            Value::Float(f) => visitor.visit_f64(*f),
            Value::String(s) => visitor.visit_borrowed_str(s),
            Value::Array(items) => visitor.visit_seq(Items { items: items.iter(), index: 0 }),
            Value::Table(entries) => visitor.visit_map(Entries { entries: entries.iter(), entry: None }),
        }
        .map_err(|e| e.at(self.span.clone()))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if self.value == Value::Null { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        match &self.value {
            Value::String(_) => visitor.visit_enum(Variant { name: self, content: None }),
            Value::Table(entries) => match entries.as_slice() {
                [entry] => visitor.visit_enum(Variant { name: self, content: Some(entry) }),
                _ => Err(Refusal::input("expected a table with one key")),
            },
            _ => Err(Refusal::input(format!("expected a string or a table, found {}", self.describe()))),
        }
        .map_err(|e| e.at(self.span.clone()))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq
        tuple tuple_struct map struct identifier ignored_any
    }
}

struct Items<'de> {
    items: std::slice::Iter<'de, Node>,
    index: usize,
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Refusal;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        let Some(node) = self.items.next() else { return Ok(None) };
        self.index += 1;
        seed.deserialize(node).map(Some).map_err(|e| e.at(node.span.clone()).under(self.index - 1))
    }
    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

struct Entries<'de> {
    entries: std::slice::Iter<'de, Entry>,
    entry: Option<&'de Entry>,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Refusal;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        self.entry = self.entries.next();
        let Some(entry) = self.entry else { return Ok(None) };
        let key = seed.deserialize(entry.key.as_str().into_deserializer());
        key.map(Some).map_err(|e: Refusal| e.at(entry.key_span.clone()).under(&entry.key))
    }
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        let entry = self.entry.ok_or_else(|| Refusal::input("a value without its key"))?;
        seed.deserialize(&entry.node).map_err(|e| e.at(entry.node.span.clone()).under(&entry.key))
    }
}

struct Variant<'de> {
    name: &'de Node,
    content: Option<&'de Entry>,
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Refusal;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self)> {
        let variant = match self.content {
            Some(entry) => seed.deserialize(entry.key.as_str().into_deserializer()),
            None => seed.deserialize(self.name),
        };
        Ok((variant?, self))
    }
}

impl<'de> Variant<'de> {
    fn content(&self) -> Result<&'de Node> {
        self.content.map(|e| &e.node).ok_or_else(|| Refusal::input("expected a table with one key, found a string"))
    }
}

impl<'de> VariantAccess<'de> for Variant<'de> {
    type Error = Refusal;

    fn unit_variant(self) -> Result<()> {
        match self.content {
            None => Ok(()),
            Some(_) => Err(Refusal::input("expected a string, found a table")),
        }
    }
    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value> {
        seed.deserialize(self.content()?)
    }
    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value> {
        self.content()?.deserialize_any(visitor)
    }
    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value> {
        self.content()?.deserialize_any(visitor)
    }
}
