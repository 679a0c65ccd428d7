//! Typed generation: `let animal: Animal = model.generate("An animal: ")?`.

use crate::{Error, Model, Result, constraints, schema::SchemaOptions};
use schemars::{JsonSchema, Schema, generate::SchemaSettings, transform::RecursiveTransform};
use serde::de::DeserializeOwned;
use serde_json::Value;

impl Model {
    /// Writes a value of a type as JSON that satisfies the type's schema, and deserialises it. Fields that the type
    /// does not have are not written.
    ///
    /// ```no_run
    /// # fn main() -> stencil_lm::Result<()> {
    /// #[derive(serde::Deserialize, schemars::JsonSchema)]
    /// struct Animal {
    ///     name: String,
    ///     legs: u8,
    /// }
    /// let animal: Animal = stencil_lm::Model::bundled()?.generate("An animal: ")?;
    /// println!("{} has {} legs", animal.name, animal.legs);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// A schema that cannot be enforced exactly; the errors of [`Sampler::run`](crate::Sampler::run); a text that
    /// cannot be deserialised although it satisfies the schema.
    pub fn generate<T: JsonSchema + DeserializeOwned>(&self, prompt: &str) -> Result<T> {
        let output = self.write().constraint(constraint_of::<T>()?).prompt(prompt).run()?;
        serde_json::from_str(&output.text).map_err(|e| {
            Error::model(format!("{:?} is no {}: {e}", output.text, T::schema_name()))
                .help("the type reads less than its schema says: give it a `#[schemars(…)]` attribute")
        })
    }
}

/// The constraint of a type: JSON that satisfies the type's schema.
fn constraint_of<T: JsonSchema>() -> Result<constraints::JsonSchema> {
    let schema = |settings: SchemaSettings| settings.into_generator().into_root_schema_for::<T>().to_value();
    let open = SchemaSettings::draft2020_12();
    let closed = open.clone().with_transform(RecursiveTransform(close));
    match constraints::JsonSchema::new(&schema(closed), SchemaOptions::default()) {
        // Flattened types are described by combined schemas (`anyOf`, `oneOf`). Each part must allow the properties of
        // the others.
        Err(e) if e.is_unsatisfiable() => constraints::JsonSchema::new(&schema(open), SchemaOptions::default()),
        made => made,
    }
}

/// Forbids properties that the schema does not list.
fn close(schema: &mut Schema) {
    let open = schema.get("properties").is_some() && schema.get("additionalProperties").is_none();
    if open && schema.get("type").and_then(Value::as_str) == Some("object") {
        schema.insert("additionalProperties".into(), Value::Bool(false));
    }
}

#[cfg(test)]
mod tests {
    use super::constraint_of;
    use crate::{Check, Constraint};

    #[derive(serde::Deserialize, schemars::JsonSchema)]
    #[serde(tag = "kind")]
    #[allow(dead_code)]
    enum Shape {
        Circle { radius: f64 },
        Square { side: u8, label: Option<String> },
    }

    #[derive(serde::Deserialize, schemars::JsonSchema)]
    #[allow(dead_code)]
    struct Tree {
        shape: Shape,
        children: Vec<Tree>,
    }

    #[test]
    fn types_become_constraints() {
        let tree = constraint_of::<Tree>().unwrap();
        let good = r#"{"shape":{"kind":"Circle","radius":1.5},"children":[]}"#;
        assert!(tree.judge(good).accepted(), "{:?}", tree.judge(good));
        let deep = format!(r#"{{"shape":{{"side":255,"label":null,"kind":"Square"}},"children":[{good}]}}"#);
        assert!(tree.check(&deep).accepted());
        for bad in
            [r#"{"shape":{"kind":"Circle"},"children":[]}"#, r#"{"shape":{"kind":"Square","side":256},"children":[]}"#]
        {
            assert!(!tree.judge(bad).accepted(), "{bad}");
        }
    }
}
