//! JSON Schema, compiled: from a schema to the set of values it allows, and from there to the texts that write them.
//!
//! ```text
//! dialect   which keywords say something
//! place     schemas in their documents, and where references lead
//! read      keywords → sets of values (values, array, object), closed under and, or, not
//! formula   Boolean combinations of schemas, looked into only where they are needed
//! network   sets of values → networks of texts (array_net, object_net), one call per nested value
//! lower     networks → a regular language, or a context-free grammar where values nest without bound
//! accept    whether a text, respelt (spell), is one of them
//! ```
//! A keyword that cannot be kept exactly is an error with its JSON Pointer.

mod accept;
mod array;
mod array_net;
mod compiler;
mod dialect;
mod evaluated;
mod format;
mod formula;
mod lower;
mod network;
mod number;
mod object;
mod object_net;
mod pattern;
mod pattern_backwards;
mod pattern_syntax;
mod place;
mod read;
mod read_containers;
mod shorthand;
mod spell;
mod text;
mod values;

use crate::{Error, Language, Result, check::json_schema::Draft};
pub use shorthand::shorthand;

use accept::Acceptor;
use compiler::Compiler;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// White space between the tokens of a JSON text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Whitespace {
    /// None.
    #[default]
    Compact,
    /// A line per member and item, indented by two spaces; values that may nest without bound stand on one line.
    Pretty,
    /// As much as anyone likes.
    Any,
}

/// The order in which the members of an object are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum KeyOrder {
    /// As `properties` names them; other keys come last.
    #[default]
    Declared,
    /// Any.
    Any,
}

/// How a schema is read and its values are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SchemaOptions {
    /// White space between tokens.
    pub whitespace: Whitespace,
    /// Order of members.
    pub key_order: KeyOrder,
    /// Leave keywords that cannot be kept exactly to the final check.
    pub lenient: bool,
    /// Whether `format` must hold. Unless told, it must, except where `$schema` names draft 2019-09 or 2020-12, to which it
    /// is a remark.
    pub format: Option<bool>,
}

/// A keyword of a schema that the language does not enforce, because the schema was read leniently. The check of the
/// finished text still applies it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
pub struct Unenforced {
    /// JSON Pointer of the keyword.
    pub pointer: String,
    /// Why it could not be enforced.
    pub why: String,
}

/// A compiled schema.
pub(crate) struct CompiledSchema {
    /// The texts that may be written.
    pub language: Language,
    /// The keywords that only the check of the finished text applies.
    pub unenforced: Vec<Unenforced>,
    /// Whether `format` must hold.
    pub formats: bool,
    /// The dialect of the document, for the independent check.
    pub dialect: Draft,
    acceptor: Acceptor,
}

/// Whether a text is one of a compiled schema.
pub(crate) enum Membership {
    In,
    Out,
    /// It has numbers that are longer than any that is written.
    Beyond,
    /// It is no JSON.
    NoJson,
}

/// Compiles a schema.
///
/// # Errors
/// `Input` for what is no schema, `Unsupported` for what cannot be kept exactly, `TooLarge` beyond the limits,
/// `Unsatisfiable` if it allows no value; with JSON Pointers.
pub(crate) fn compile(schema: &Value, options: SchemaOptions) -> Result<CompiledSchema> {
    if let Some(key) = wrapped(schema) {
        return Err(Error::input(format!("this describes a function or a reply, whose schema is its `{key}`"))
            .pointer(format!("/{key}"))
            .help(format!("give the schema that stands under `{key}`")));
    }
    let (mut compiler, root) = Compiler::new(schema, options)?;
    let mut nets = compiler.networks(root)?;
    nets.prune();
    if nets.is_empty() {
        let nothing = || Error::unsatisfiable("the schema allows no value at all").help("relax it");
        return Err(compiler.suspects.into_iter().next().unwrap_or_else(nothing));
    }
    let language = nets.language()?;
    let dialect = compiler.documents.dialect().of_the_check();
    let (unenforced, formats) = (compiler.unenforced, compiler.formats);
    Ok(CompiledSchema { language, unenforced, formats, dialect, acceptor: Acceptor::new(nets) })
}

/// Where the schema stands in what programs hand to language models, which would be a schema that says nothing.
fn wrapped(schema: &Value) -> Option<&'static str> {
    let map = schema.as_object()?;
    let told = |key: &String| {
        let remarks = ["name", "title", "description", "type", "strict"];
        let plain = key != "type" || map[key] == "function" || map[key] == "json_schema";
        plain && (remarks.contains(&&**key) || WRAPPERS.contains(&&**key))
    };
    let holds = |key: &&&str| map.get(**key).is_some_and(Value::is_object);
    WRAPPERS.iter().find(holds).copied().filter(|_| map.keys().all(told))
}

const WRAPPERS: [&str; 6] = ["parameters", "input_schema", "inputSchema", "schema", "function", "json_schema"];

/// The schema with references that every reader understands.
pub(crate) fn with_plain_references(schema: &Value) -> Value {
    match schema {
        Value::Array(items) => items.iter().map(with_plain_references).collect(),
        Value::Object(members) => Value::Object(
            members
                .iter()
                .map(|(key, value)| match value {
                    Value::String(reference) if key == "$ref" => (key.clone(), place::encoded(reference).into()),
                    value => (key.clone(), with_plain_references(value)),
                })
                .collect(),
        ),
        other => other.clone(),
    }
}

impl CompiledSchema {
    /// Whether a JSON text is one that could be written, up to the spelling of its numbers and strings.
    ///
    /// # Errors
    /// Automata that become too large.
    pub fn holds(&self, text: &str) -> Result<Membership> {
        let spelt = match spell::respell(text) {
            Ok(spelt) => spelt,
            Err(_) => return Ok(Membership::NoJson),
        };
        Ok(match self.acceptor.accepts(&spelt.text)? {
            true => Membership::In,
            false if spelt.long_numbers => Membership::Beyond,
            false => Membership::Out,
        })
    }
}
