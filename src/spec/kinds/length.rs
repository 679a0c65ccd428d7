//! The kind `length`: the length of the text.

use crate::{
    Error, Result,
    constraints::{Length, Unit},
    spec::{BuildCx, Kind, Part},
};
use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
};
use std::fmt;

/// How many: a number, or a range such as "8-20", "5-" (at least), "-20" (at most).
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(untagged)]
pub enum Bound {
    /// Exactly so many.
    Exactly(usize),
    /// A range: "8-20", "5-" or "-20".
    Range(#[schemars(regex(pattern = r"^\s*([0-9]+|[0-9]*\s*-\s*[0-9]+|[0-9]+\s*-)\s*$"))] String),
}

impl Bound {
    /// The bound in a unit.
    ///
    /// # Errors
    /// A bound that cannot be parsed, with the position in the text.
    pub(crate) fn length(&self, unit: Unit) -> Result<Length> {
        match self {
            Bound::Exactly(n) => Length::new(unit, *n, *n),
            Bound::Range(text) => Length::range(unit, text),
        }
    }
}

impl<'de> Deserialize<'de> for Bound {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct BoundVisitor;
        impl Visitor<'_> for BoundVisitor {
            type Value = Bound;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a number or a range such as \"8-20\"")
            }
            fn visit_u64<E: de::Error>(self, n: u64) -> Result<Bound, E> {
                usize::try_from(n).map(Bound::Exactly).map_err(|_| E::custom("the size is too large"))
            }
            fn visit_i64<E: de::Error>(self, n: i64) -> Result<Bound, E> {
                usize::try_from(n).map(Bound::Exactly).map_err(|_| E::custom("a size cannot be negative"))
            }
            fn visit_str<E>(self, text: &str) -> Result<Bound, E> {
                Ok(Bound::Range(text.to_string()))
            }
        }
        from.deserialize_any(BoundVisitor)
    }
}

/// How long the whole text is: "8-20 words", or a table of `words`, `chars` and `tokens`.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(untagged)]
pub enum LengthKind {
    /// A number or a range, then a unit: words (w), chars (c) or tokens (t).
    Text(String),
    /// Bounds by unit.
    Table(Lengths),
}

/// All that are given hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Lengths {
    /// Runs of characters that are not white space.
    pub words: Option<Bound>,
    /// Unicode scalar values.
    pub chars: Option<Bound>,
    /// Tokens of the model.
    pub tokens: Option<Bound>,
}

impl<'de> Deserialize<'de> for LengthKind {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct LengthVisitor;
        impl<'de> Visitor<'de> for LengthVisitor {
            type Value = LengthKind;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a size such as \"8-20 words\" or a table such as { words = \"8-20\" }")
            }
            fn visit_str<E>(self, text: &str) -> Result<LengthKind, E> {
                Ok(LengthKind::Text(text.to_string()))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<LengthKind, A::Error> {
                Lengths::deserialize(MapAccessDeserializer::new(map)).map(LengthKind::Table)
            }
        }
        from.deserialize_any(LengthVisitor)
    }
}

impl Kind for LengthKind {
    const NAME: &'static str = "length";

    fn build(self, _: &BuildCx) -> Result<Part> {
        let table = match self {
            LengthKind::Text(text) => return Ok(Part::constraint(Length::parse(&text)?)),
            LengthKind::Table(table) => table,
        };
        let mut parts = Vec::new();
        let bounds = [
            ("words", Unit::Words, table.words),
            ("chars", Unit::Chars, table.chars),
            ("tokens", Unit::Tokens, table.tokens),
        ];
        for (key, unit, bound) in bounds {
            if let Some(bound) = bound {
                parts.push(Part::constraint(bound.length(unit).map_err(|e| e.under(key))?));
            }
        }
        if parts.is_empty() {
            return Err(
                Error::input("a length without a bound").help("give words, chars or tokens: { words = \"8-20\" }")
            );
        }
        Ok(Part::Many(parts))
    }
}
