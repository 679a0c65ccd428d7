//! Whether a text is JSON of a schema, decided by the jsonschema crate. Shared with the constraining code: the reader of
//! JSON, and the schema with its references spelt so that every reader understands them.

use super::{Check, Verdict};
use crate::{error::Result, util::json};
use serde_json::Value;
#[cfg(feature = "verify")]
use std::sync::Arc;

/// Most reasons that a rejection gives.
#[cfg(feature = "verify")]
const REASONS: usize = 3;

/// A dialect of JSON Schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Draft {
    Draft4,
    Draft6,
    Draft7,
    Draft201909,
    Draft202012,
}

/// A schema, compiled by others. Without the feature `verify`, it can only tell that a text is no JSON.
#[derive(Clone)]
pub(crate) struct Validator {
    #[cfg(feature = "verify")]
    schema: Arc<jsonschema::Validator>,
}

impl Validator {
    /// Compiles a schema in a dialect. `formats`: whether `format` must hold.
    ///
    /// # Errors
    /// A schema that breaks its metaschema, with a JSON Pointer.
    #[cfg(feature = "verify")]
    pub fn new(schema: &Value, draft: Draft, formats: bool) -> Result<Self> {
        let draft = match draft {
            Draft::Draft4 => jsonschema::Draft::Draft4,
            Draft::Draft6 => jsonschema::Draft::Draft6,
            Draft::Draft7 => jsonschema::Draft::Draft7,
            Draft::Draft201909 => jsonschema::Draft::Draft201909,
            Draft::Draft202012 => jsonschema::Draft::Draft202012,
        };
        let schema = jsonschema::options()
            .should_validate_formats(formats)
            .should_ignore_unknown_formats(true)
            .with_draft(draft)
            .offline()
            .build(schema)
            .map_err(|e| {
                let pointer = e.instance_path().to_string();
                crate::error::Error::input(format!("this is no JSON Schema: {e}")).pointer(pointer)
            })?;
        Ok(Self { schema: Arc::new(schema) })
    }

    /// Remembers nothing: the feature `verify` is off.
    #[cfg(not(feature = "verify"))]
    pub fn new(_: &Value, _: Draft, _: bool) -> Result<Self> {
        Ok(Self {})
    }

    #[cfg(feature = "verify")]
    fn validate(&self, value: &Value) -> Verdict {
        let mut errors = self.schema.iter_errors(value).map(|e| {
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

    #[cfg(not(feature = "verify"))]
    fn validate(&self, _: &Value) -> Verdict {
        Verdict::Unknown { why: "this build has no validator of JSON Schema (the feature `verify` is off)".into() }
    }

    fn read(&self, text: &str) -> Verdict {
        match json::read(text) {
            Ok(value) => self.validate(&value),
            Err(e) => {
                let at = e.span().map_or(0, |span| span.start);
                Verdict::Reject { at, why: format!("no JSON: {}", e.message()) }
            }
        }
    }
}

impl Check for Validator {
    fn check(&self, text: &str) -> Verdict {
        // The reader and the validator recurse as deep as the text nests.
        json::with_stack_for(json::depth(text), || self.read(text))
    }
}

#[cfg(test)]
mod tests {
    use super::{Check, Draft, Validator, Verdict};
    use serde_json::json;

    fn whole_number() -> Validator {
        Validator::new(&json!({"type": "integer"}), Draft::Draft202012, true).unwrap()
    }

    #[test]
    fn what_is_no_json_is_rejected() {
        let verdict = whole_number().check("[1,");
        assert!(matches!(&verdict, Verdict::Reject { why, .. } if why.starts_with("no JSON")), "{verdict:?}");
    }

    #[cfg(feature = "verify")]
    #[test]
    fn values_are_validated() {
        assert!(whole_number().check("7").accepted());
        assert!(matches!(whole_number().check("\"7\""), Verdict::Reject { .. }));
        assert!(Validator::new(&json!({"type": 7}), Draft::Draft202012, true).is_err());
    }

    #[cfg(not(feature = "verify"))]
    #[test]
    fn values_are_undecided() {
        assert!(["7", "\"7\""].iter().all(|text| matches!(whole_number().check(text), Verdict::Unknown { .. })));
    }
}
