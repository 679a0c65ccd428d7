//! The whole text is JSON of a schema.

use super::{CompileCx, Constraint, Verdict};
use crate::{
    Error, Language, Result, Source,
    schema::{Compiled, Left, Membership, SchemaOptions, compile, with_plain_references},
    util::json,
};
use serde_json::Value;
use std::sync::Arc;

/// Most reasons that a rejection gives.
const REASONS: usize = 3;

/// The whole text is JSON of a schema: draft 2020-12, or the one that `$schema` names (04, 06, 07, 2019-09).
#[derive(Clone)]
pub struct JsonSchema {
    compiled: Arc<Compiled>,
    /// Written by others, and shares nothing with what was compiled.
    validator: Arc<jsonschema::Validator>,
}

impl JsonSchema {
    /// ```
    /// use stencil_engine::{Constraint, constraints::JsonSchema, schema::SchemaOptions};
    /// let schema = serde_json::json!({"type": "object", "properties": {"age": {"type": "integer", "minimum": 0}}});
    /// let record = JsonSchema::new(&schema, SchemaOptions::default())?;
    /// assert!(record.check(r#"{"age":36}"#).accepted());
    /// assert!(!record.check(r#"{"age":-1}"#).accepted());
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
        let validator = jsonschema::options()
            .should_validate_formats(compiled.formats)
            .should_ignore_unknown_formats(true)
            .with_draft(compiled.dialect)
            .offline()
            .build(&with_plain_references(schema))
            .map_err(|e| Error::input(format!("this is no JSON Schema: {e}")).pointer(e.instance_path().to_string()))?;
        Ok(Self { compiled: Arc::new(compiled), validator: Arc::new(validator) })
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

    fn describes(&self) -> bool {
        true
    }

    fn left(&self) -> Vec<Left> {
        self.compiled.left.clone()
    }

    fn check(&self, text: &str) -> Verdict {
        json::with_stack_for(json::depth(text), || self.verify(text))
    }

    fn judge(&self, text: &str) -> Verdict {
        json::with_stack_for(json::depth(text), || self.ask_both(text))
    }
}

/// What reads a text may recurse as deep as it nests.
impl JsonSchema {
    fn verify(&self, text: &str) -> Verdict {
        let value: Value = match json::read(text) {
            Ok(value) => value,
            Err(e) => {
                let at = e.span().map_or(0, |span| span.start);
                return Verdict::Reject { at, why: format!("no JSON: {}", e.message()) };
            }
        };
        let mut errors = self.validator.iter_errors(&value).map(|e| {
            let place = e.instance_path().to_string();
            if place.is_empty() { e.to_string() } else { format!("at {place}: {e}") }
        });
        let why: Vec<String> = errors.by_ref().take(REASONS).collect();
        match (why.is_empty(), errors.next()) {
            (true, _) => Verdict::Accept,
            (_, None) => Verdict::Reject { at: 0, why: why.join("; ") },
            (_, Some(_)) => Verdict::Reject { at: 0, why: format!("{}; and more", why.join("; ")) },
        }
    }

    fn ask_both(&self, text: &str) -> Verdict {
        let disagree = |why: &str| Verdict::Unknown { why: why.to_string() };
        match (self.compiled.holds(text), self.verify(text)) {
            (Err(e), _) => disagree(e.message()),
            (Ok(Membership::In), Verdict::Accept) => Verdict::Accept,
            (Ok(Membership::Out | Membership::NoJson), Verdict::Reject { at, why }) => Verdict::Reject { at, why },
            (Ok(Membership::Beyond), _) => disagree("it has numbers with more digits than are ever written"),
            (Ok(Membership::In), _) => disagree("it would be generated, but the check rejects it"),
            (Ok(Membership::Out | Membership::NoJson), _) => {
                disagree("the check accepts it, but it would not be generated so")
            }
        }
    }
}
