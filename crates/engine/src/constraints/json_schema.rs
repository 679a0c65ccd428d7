//! The whole text is JSON of a schema.

use super::{CompileCx, Constraint, Shape, shape::WholeText};
use crate::{
    Language, Result, Source,
    check::{Check, Verdict, json_schema::Validator},
    schema::{CompiledSchema, Membership, SchemaOptions, Unenforced, compile, with_plain_references},
    util::json,
};
use serde_json::Value;
use std::sync::Arc;

/// The whole text is JSON of a schema: draft 2020-12, or the draft that `$schema` names (04, 06, 07, 2019-09).
///
/// The check is the `jsonschema` crate, behind the feature `verify`. Without that feature the language is the same, but
/// the check answers [`Verdict::Unknown`] for every JSON text, and a schema that breaks its metaschema in a place that
/// does not matter for the language is not refused.
#[derive(Clone)]
pub struct JsonSchema {
    compiled: Arc<CompiledSchema>,
    validator: Validator,
}

impl JsonSchema {
    /// Compiles a schema.
    ///
    /// ```
    /// # #[cfg(feature = "verify")] {
    /// use stencil_engine::{Check, constraints::JsonSchema, schema::SchemaOptions};
    /// let schema = serde_json::json!({"type": "object", "properties": {"age": {"type": "integer", "minimum": 0}}});
    /// let record = JsonSchema::new(&schema, SchemaOptions::default())?;
    /// assert!(record.check(r#"{"age":36}"#).accepted());
    /// assert!(!record.check(r#"{"age":-1}"#).accepted());
    /// # }
    /// # Ok::<(), stencil_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// `Input` for what is no schema, `Unsupported` for keywords that cannot be kept exactly, `TooLarge` beyond the
    /// limits, `Unsatisfiable` where no value is allowed; all with a JSON Pointer into the schema.
    pub fn new(schema: &Value, options: SchemaOptions) -> Result<Self> {
        json::with_stack_for(json::depth_of(schema), || Self::compile(schema, options))
    }

    fn compile(schema: &Value, options: SchemaOptions) -> Result<Self> {
        let compiled = compile(schema, options)?;
        let validator = Validator::new(&with_plain_references(schema), compiled.dialect, compiled.formats)?;
        Ok(Self { compiled: Arc::new(compiled), validator })
    }

    /// A schema in a file of its own.
    ///
    /// # Errors
    /// As [`new`](Self::new), and for what is no JSON.
    pub fn read(source: &Source, options: SchemaOptions) -> Result<Self> {
        let schema: Value =
            json::read(&source.text).map_err(|e| e.context(format!("{} is no JSON", source.name)).in_source(source))?;
        Self::new(&schema, options).map_err(|e| e.in_source(source))
    }
}

impl Constraint for JsonSchema {
    fn name(&self) -> String {
        "json_schema".into()
    }

    fn language(&self, _: &CompileCx) -> Result<Language> {
        Ok(self.compiled.language.clone())
    }

    fn shape(&self) -> &dyn Shape {
        &WholeText
    }

    fn unenforced(&self) -> Vec<Unenforced> {
        self.compiled.unenforced.clone()
    }

    fn judge(&self, text: &str) -> Verdict {
        // Readers of a text recurse as deep as the text nests.
        json::with_stack_for(json::depth(text), || self.compare(text))
    }
}

impl Check for JsonSchema {
    fn check(&self, text: &str) -> Verdict {
        self.validator.check(text)
    }
}

impl JsonSchema {
    /// The verdict of the check where the language agrees with it.
    fn compare(&self, text: &str) -> Verdict {
        let disagree = |why: &str| Verdict::Unknown { why: why.to_string() };
        match (self.compiled.holds(text), self.validator.check(text)) {
            (Err(e), _) => disagree(e.message()),
            (Ok(Membership::In), Verdict::Accept) => Verdict::Accept,
            (Ok(Membership::Out | Membership::NoJson), Verdict::Reject { at, why }) => Verdict::Reject { at, why },
            (Ok(_), Verdict::Unknown { why }) => Verdict::Unknown { why },
            (Ok(Membership::Beyond), _) => disagree("it has numbers with more digits than are ever written"),
            (Ok(Membership::In), _) => disagree("it would be generated, but the check rejects it"),
            (Ok(Membership::Out | Membership::NoJson), _) => {
                disagree("the check accepts it, but it would not be generated so")
            }
        }
    }
}
