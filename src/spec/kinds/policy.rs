//! The built-in policies as kinds: `[sampler.policy] threshold = { at = 0.9 }`.

use crate::{
    Result,
    policies::{KINDS, PolicyFactory, PolicyKey, PolicyKind, PolicyOption, Takes},
    spec::{BuildCx, Kind, Part, Registry, Role},
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeSeed, MapAccess, Visitor},
};
use serde_json::{Map, Value, json};
use std::{borrow::Cow, collections::BTreeMap, fmt, sync::LazyLock};

/// The policy in row `ROW` of [`KINDS`], with its options by their keys.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedPolicy<const ROW: usize>(Vec<(&'static PolicyKey, f32)>);

/// The option keys of each policy.
static KEYS: LazyLock<Vec<Vec<&'static str>>> =
    LazyLock::new(|| KINDS.iter().map(|kind| kind.options.iter().map(|option| option.key).collect()).collect());

impl<const ROW: usize> Kind for NamedPolicy<ROW> {
    const NAME: &'static str = KINDS[ROW].name;
    const ROLE: Role = Role::Policy;

    fn is_alias(name: &str) -> bool {
        PolicyKind::named(name).is_some_and(|kind| kind.name == Self::NAME)
    }

    fn build(self, cx: &BuildCx) -> Result<Part> {
        let mut options = BTreeMap::new();
        for (key, value) in self.0 {
            key.option.check(key.key, value).map_err(|e| e.under(key.key))?;
            options.insert(key.option.name.to_string(), value);
        }
        let name = if cx.key.is_empty() { Self::NAME } else { &cx.key };
        Ok(Part::Policy(PolicyFactory::named(name, &options)?))
    }
}

impl<'de, const ROW: usize> Deserialize<'de> for NamedPolicy<ROW> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Table<const ROW: usize>;
        impl<'de, const ROW: usize> Visitor<'de> for Table<ROW> {
            type Value = NamedPolicy<ROW>;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                let example = KINDS[ROW].options.iter().find_map(|key| Some((key.key, key.default?)));
                let example = example.map(|(key, value)| format!("{key} = {value}")).unwrap_or_default();
                write!(f, "a table of options such as {{ {example} }}")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut given = Vec::new();
                while let Some(key) = map.next_key_seed(Key::<ROW>)? {
                    let value = match key.option.takes {
                        Takes::Count(_) => map.next_value::<u16>()?.into(),
                        Takes::Share | Takes::Amount => map.next_value::<f32>()?,
                    };
                    given.push((key, value));
                }
                Ok(NamedPolicy(given))
            }
        }
        from.deserialize_map(Table::<ROW>)
    }
}

/// Deserialises the key of an option of the policy.
struct Key<const ROW: usize>;

impl<'de, const ROW: usize> DeserializeSeed<'de> for Key<ROW> {
    type Value = &'static PolicyKey;
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_identifier(self)
    }
}

impl<const ROW: usize> Visitor<'_> for Key<ROW> {
    type Value = &'static PolicyKey;
    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("the name of an option")
    }
    fn visit_str<E: de::Error>(self, name: &str) -> Result<Self::Value, E> {
        let found = KINDS[ROW].options.iter().find(|key| key.key == name);
        found.ok_or_else(|| E::unknown_field(name, &KEYS[ROW]))
    }
}

impl<const ROW: usize> JsonSchema for NamedPolicy<ROW> {
    fn schema_name() -> Cow<'static, str> {
        let words = KINDS[ROW].name.split('_').map(|word| word[..1].to_uppercase() + &word[1..]);
        format!("{}Policy", words.collect::<String>()).into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let kind = &KINDS[ROW];
        let mut options = Map::new();
        for PolicyKey { key, option, default } in kind.options {
            let mut schema = option_schema(option);
            if let Some(value) = default {
                schema["default"] = number(*value, option.takes);
            }
            options.insert((*key).to_string(), schema);
        }
        json_schema!({
            "description": kind.about,
            "type": "object",
            "properties": options,
            "additionalProperties": false,
        })
    }
}

/// The JSON Schema of a policy option.
pub(crate) fn option_schema(option: &PolicyOption) -> Value {
    let mut schema = match option.takes {
        Takes::Share => json!({ "type": "number", "minimum": 0, "maximum": 1 }),
        Takes::Amount => json!({ "type": "number", "minimum": 0 }),
        Takes::Count(most) => json!({ "type": "integer", "minimum": 0, "maximum": most }),
    };
    schema["description"] = option.help.into();
    schema
}

/// A default in its shortest decimal form, not as the nearest binary fraction.
fn number(value: f32, takes: Takes) -> Value {
    match takes {
        Takes::Count(_) => json!(value as u16),
        Takes::Share | Takes::Amount => value.to_string().parse::<f64>().map_or(Value::Null, Value::from),
    }
}

/// Adds all built-in policies.
pub(crate) fn with_policies(registry: Registry) -> Registry {
    macro_rules! with {
        ($($row:literal)*) => {{
            const { assert!(KINDS.len() == [$($row),*].len(), "each policy is a kind") };
            registry$(.with::<NamedPolicy<$row>>())*
        }};
    }
    with!(0 1 2 3 4 5 6 7 8 9 10 11)
}
