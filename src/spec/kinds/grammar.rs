//! The kind `grammar`: a text of a context-free grammar.

use crate::{
    Error, Result, Source,
    constraints::{ContextFree, GrammarSyntax},
    spec::{BuildCx, Kind, Part},
};
use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};
use std::{fmt, path::PathBuf};

/// A context-free grammar, in GBNF or Lark syntax: the text of the grammar, or a table with `text` or `file`, and
/// `syntax` where it cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(untagged)]
pub enum GrammarKind {
    /// The grammar itself.
    Text(String),
    /// Where it is, and how it is written.
    Table(GrammarTable),
}

/// A grammar with its syntax.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GrammarTable {
    /// The grammar itself.
    pub text: Option<String>,
    /// A file that holds it, relative to this one.
    pub file: Option<PathBuf>,
    /// How it is written; from the file's name or the text itself if left out.
    pub syntax: Option<GrammarSyntax>,
}

impl<'de> Deserialize<'de> for GrammarKind {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = GrammarKind;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a grammar, or a table { text, syntax } or { file, syntax }")
            }
            fn visit_str<E>(self, text: &str) -> Result<GrammarKind, E> {
                Ok(GrammarKind::Text(text.into()))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<GrammarKind, A::Error> {
                GrammarTable::deserialize(MapAccessDeserializer::new(map)).map(GrammarKind::Table)
            }
        }
        from.deserialize_any(Either)
    }
}

impl Kind for GrammarKind {
    const NAME: &'static str = "grammar";

    fn build(self, cx: &BuildCx) -> Result<Part> {
        let table = match self {
            Self::Text(text) => return Ok(Part::constraint(ContextFree::parse(&text, None)?)),
            Self::Table(table) => table,
        };
        match (table.text, table.file) {
            (Some(text), None) => {
                Ok(Part::constraint(ContextFree::parse(&text, table.syntax).map_err(|e| e.pointer("/text"))?))
            }
            (None, Some(file)) => {
                let path = cx.dir.as_deref().map_or_else(|| file.clone(), |dir| dir.join(&file));
                let source = Source::read(&path).map_err(|e| e.pointer("/file"))?;
                let grammar = ContextFree::parse(&source.text, table.syntax.or(GrammarSyntax::named(&path)));
                Ok(Part::constraint(grammar.map_err(|e| e.in_source(&source))?))
            }
            _ => Err(Error::input("a grammar needs either `text` or `file`")
                .help("grammar = { file = \"my.gbnf\" }")
                .help("grammar = '''root ::= …'''")),
        }
    }
}
