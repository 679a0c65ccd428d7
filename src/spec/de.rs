//! Reading values of a [`Document`](super::Document) into types: a serde deserialiser whose errors know their place.

use super::{
    document::{Entry, Node, Value},
    nearest,
};
use crate::{Error, Result};
use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, Expected, IntoDeserializer, MapAccess, SeqAccess, Unexpected,
    VariantAccess, Visitor,
};

/// Errors of reading: the message says what was expected; the place is added on the way out.
impl de::Error for Error {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Error::input(message.to_string())
    }
    fn invalid_type(found: Unexpected, expected: &dyn Expected) -> Self {
        Error::input(format!("expected {expected}, found {found}"))
    }
    fn invalid_value(found: Unexpected, expected: &dyn Expected) -> Self {
        Error::input(format!("expected {expected}, found {found}"))
    }
    fn missing_field(field: &'static str) -> Self {
        Error::input(format!("the key `{field}` is missing"))
    }
    fn unknown_field(field: &str, known: &'static [&'static str]) -> Self {
        unknown("key", field, known.iter().copied())
    }
    fn unknown_variant(variant: &str, known: &'static [&'static str]) -> Self {
        unknown("value", variant, known.iter().copied())
    }
}

/// `what` is none of the known names: says which is nearest and which there are.
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
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match &self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(b) => visitor.visit_bool(*b),
            Value::Integer(i) => match (i64::try_from(*i), u64::try_from(*i)) {
                (Ok(i), _) => visitor.visit_i64(i),
                (_, Ok(u)) => visitor.visit_u64(u),
                _ => Err(Error::input(format!("the integer {i} is too large"))),
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
                _ => Err(Error::input("expected a table with one key")),
            },
            _ => Err(Error::input(format!("expected a string or a table, found {}", self.describe()))),
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
    type Error = Error;

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
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        self.entry = self.entries.next();
        let Some(entry) = self.entry else { return Ok(None) };
        let key = seed.deserialize(entry.key.as_str().into_deserializer());
        key.map(Some).map_err(|e: Error| e.at(entry.key_span.clone()).under(&entry.key))
    }
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        let entry = self.entry.ok_or_else(|| Error::input("a value without its key"))?;
        seed.deserialize(&entry.node).map_err(|e| e.at(entry.node.span.clone()).under(&entry.key))
    }
}

struct Variant<'de> {
    name: &'de Node,
    content: Option<&'de Entry>,
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Error;
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
        self.content.map(|e| &e.node).ok_or_else(|| Error::input("expected a table with one key, found a string"))
    }
}

impl<'de> VariantAccess<'de> for Variant<'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<()> {
        match self.content {
            None => Ok(()),
            Some(_) => Err(Error::input("expected a string, found a table")),
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
