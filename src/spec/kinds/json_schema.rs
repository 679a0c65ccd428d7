//! The kind `json_schema`: JSON of a schema.

use crate::{
    Error, Result, Source,
    constraints::JsonSchema,
    schema::{KeyOrder, SchemaOptions, Whitespace, shorthand},
    spec::{BuildCx, Kind, Part},
};
use serde::Deserialize;
use serde_json::Value;
use std::path::PathBuf;

/// JSON of a schema: `{ schema = {…} }`, `{ file = "…" }`, or `{ shorthand = "name, age int" }`.
#[derive(Debug, Clone, PartialEq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JsonSchemaKind {
    /// The schema itself.
    pub schema: Option<Value>,
    /// A file that holds it, relative to this one.
    pub file: Option<PathBuf>,
    /// The schema in a few words: `name, age int, tags: [string]`.
    pub shorthand: Option<String>,
    /// White space between tokens.
    #[serde(default)]
    pub whitespace: Whitespace,
    /// Order of the members of objects.
    #[serde(default)]
    pub key_order: KeyOrder,
    /// Leave keywords that cannot be kept exactly to the final check.
    #[serde(default)]
    pub lenient: bool,
    /// Whether `format` must hold; unless told, it must, except where `$schema` names draft 2019-09 or 2020-12.
    pub format: Option<bool>,
}

impl Kind for JsonSchemaKind {
    const NAME: &'static str = "json_schema";

    fn build(self, cx: &BuildCx) -> Result<Part> {
        let Self { schema, file, shorthand: short, whitespace, key_order, lenient, format } = self;
        let options = SchemaOptions { whitespace, key_order, lenient, format };
        let made = match (schema, file, short) {
            (Some(schema), None, None) => JsonSchema::new(&schema, options).map_err(|e| e.under("schema")),
            (None, Some(file), None) => {
                let path = cx.dir.as_deref().map_or_else(|| file.clone(), |dir| dir.join(&file));
                let source = Source::read(&path).map_err(|e| e.pointer("/file"))?;
                JsonSchema::read(&source, options)
            }
            (None, None, Some(short)) => {
                let schema = shorthand(&short).map_err(|e| e.in_source(&Source::new("shorthand", &*short)))?;
                JsonSchema::new(&schema, options)
            }
            _ => Err(Error::input("a JSON Schema is given as one of `schema`, `file` and `shorthand`")
                .help("json_schema = { file = \"record.schema.json\" }")),
        };
        Ok(Part::constraint(made?))
    }
}
