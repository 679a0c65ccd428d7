//! The kinds `contains` and `excludes`: words that must and must not occur.

use crate::{
    Result,
    constraints::{Contains, Excludes},
    spec::{BuildCx, Kind, Part},
};
use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer, value::SeqAccessDeserializer},
};
use std::fmt;

/// Words or phrases: a list, or a table that also says how to compare them.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(untagged)]
pub enum WordList {
    /// Compared case-sensitively.
    List(Vec<String>),
    /// With its own way of comparing.
    Table(WordTable),
}

/// Words or phrases and how to compare them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WordTable {
    /// The words or phrases.
    pub words: Vec<String>,
    /// Whether `River` counts as `river`.
    #[serde(default)]
    pub ignore_case: bool,
}

impl WordList {
    /// Calls `make` with the words, and with whether case is ignored.
    fn build(self, make: impl FnOnce(Vec<String>, bool) -> Result<Part>) -> Result<Part> {
        match self {
            WordList::List(words) => make(words, false),
            WordList::Table(WordTable { words, ignore_case }) => make(words, ignore_case).map_err(|e| e.under("words")),
        }
    }
}

impl<'de> Deserialize<'de> for WordList {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct WordsVisitor;
        impl<'de> Visitor<'de> for WordsVisitor {
            type Value = WordList;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a list of words or a table such as { words = [\"river\"], ignore_case = true }")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<WordList, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(WordList::List)
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<WordList, A::Error> {
                WordTable::deserialize(MapAccessDeserializer::new(map)).map(WordList::Table)
            }
        }
        from.deserialize_any(WordsVisitor)
    }
}

/// Words or phrases that must occur as whole words.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct ContainsKind(pub WordList);

impl Kind for ContainsKind {
    const NAME: &'static str = "contains";

    fn build(self, _: &BuildCx) -> Result<Part> {
        self.0.build(|words, ignore_case| Ok(Part::constraint(Contains::new(words, ignore_case)?)))
    }
}

/// Words or phrases that must not occur as whole words.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct ExcludesKind(pub WordList);

impl Kind for ExcludesKind {
    const NAME: &'static str = "excludes";

    fn build(self, _: &BuildCx) -> Result<Part> {
        self.0.build(|words, ignore_case| Ok(Part::constraint(Excludes::new(words, ignore_case)?)))
    }
}
