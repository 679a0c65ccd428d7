//! The JSON Schema of the constraint file.

use super::kinds::Bound;
use super::{Registry, Role, kinds::option_schema, read};
use crate::{
    Settings,
    policies::{KINDS, OPTIONS},
};
use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

impl Registry {
    /// The JSON Schema (draft 2020-12) of a constraint file that may use these kinds.
    pub fn json_schema(&self) -> Value {
        let mut generator = SchemaGenerator::new(SchemaSettings::draft2020_12());
        let bound = generator.subschema_for::<Bound>();
        let settings = generator.subschema_for::<Settings>();
        let mut of_role = |role| -> Map<String, Value> {
            self.iter(role).map(|(name, kind)| (name.to_string(), (kind.schema)(&mut generator).to_value())).collect()
        };
        let (kinds, policies) = (of_role(Role::Text), of_role(Role::Policy));
        let mut slot = kinds.clone();
        slot.extend(read::SIZES.map(|(size, _)| (size.to_string(), bound.clone().to_value())));
        let texts =
            |description: &str| json!({ "description": description, "type": "array", "items": { "type": "string" } });
        let mut file = kinds.clone();
        file.extend([
            ("$schema".to_string(), json!({ "description": "Where this schema is; for editors.", "type": "string" })),
            ("version".into(), json!({ "description": "Version of the format.", "const": 1 })),
            (
                "description".into(),
                json!({ "description": "What the file asks for, in a sentence.", "type": "string" }),
            ),
            ("accepts".into(), texts("Texts that satisfy the file; `stencil check` tries them.")),
            ("rejects".into(), texts("Texts that do not satisfy the file; `stencil check` tries them.")),
            ("sampler".into(), settings.to_value()),
            (
                "all".into(),
                json!({
                    "description": "More constraints: where a kind is needed twice.",
                    "type": "array",
                    "items": { "type": "object", "properties": kinds, "additionalProperties": false },
                }),
            ),
            (
                "slots".into(),
                json!({
                    "description": "Constraints on single slots of the template, by name.",
                    "type": "object",
                    "additionalProperties": { "type": "object", "properties": slot, "additionalProperties": false },
                }),
            ),
        ]);
        let mut definitions = generator.take_definitions(true);
        if let Some(settings) = definitions.get_mut("Settings") {
            complete(&mut settings["properties"], policies);
        }
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "Stencil constraint file",
            "description": "What must be true of a text: one key per constraint, all of them hold.",
            "type": "object",
            "properties": file,
            "additionalProperties": false,
            "$defs": definitions,
        })
    }
}

/// Adds the policies' options to the properties of settings, and the tables that name a policy with its options.
fn complete(settings: &mut Value, policies: Map<String, Value>) {
    let Some(settings) = settings.as_object_mut() else { return };
    for option in OPTIONS {
        let mut schema = option_schema(option);
        schema["type"] = json!([schema["type"], "null"]);
        settings.insert(option.name.to_string(), schema);
    }
    let known = KINDS.iter().filter(|kind| policies.contains_key(kind.name));
    let aliases = known.flat_map(|kind| kind.aliases).map(|alias| alias.name);
    let names: Vec<&str> = policies.keys().map(String::as_str).chain(aliases).collect();
    settings["policy"] = json!({
        "description": "Which positions to commit at each step: a policy's name, or a table with one policy and its options.",
        "anyOf": [
            { "type": "string", "examples": names },
            { "type": "object", "properties": policies, "minProperties": 1, "maxProperties": 1, "additionalProperties": false },
            { "type": "null" },
        ],
    });
}
