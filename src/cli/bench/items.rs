//! What is measured.

use std::sync::Arc;
use stencil_lm::{
    Constraint, Error, Result,
    constraints::{Choice, Contains, JsonSchema, Regex, Template},
    schema::SchemaOptions,
    spec::Inputs,
};

pub const NAMES: &[&str] = &[
    "iso_date",
    "email",
    "bounded_email",
    "capitalised_words",
    "record",
    "schema",
    "contains5",
    "template8",
    "choice5000",
    "dot2000",
    "uuid20",
];

const UUID: &str = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";
const TEMPLATE: &str = "{{a:1-3}} of {{b:1-2}} and {{c:2-4}}: {{d|red|green|blue}}, {{e:3}} {{f~/[0-9]{2,5}/}} \
                        ({{g:1-5}}) {{h:2-8}}.";

pub fn constraint(name: &str) -> Result<Arc<dyn Constraint>> {
    let regex = |pattern: &str| Ok(Arc::new(Regex::new(pattern)?) as Arc<dyn Constraint>);
    match name {
        "email" => regex("[a-z0-9._]+@[a-z0-9]+(?:\\.[a-z]{2,})+"),
        "bounded_email" => regex("[a-zA-Z0-9._%+-]{1,64}@(?:[a-zA-Z0-9-]{1,63}\\.){1,4}[a-zA-Z]{2,24}"),
        "capitalised_words" => regex("(?:[A-Z][a-z]{0,20} ){1,40}"),
        "record" => regex(&record()),
        "schema" => {
            let schema = serde_json::from_str(include_str!("record.schema.json"));
            let schema = schema.map_err(|e| Error::input(format!("the bench's schema: {e}")))?;
            Ok(Arc::new(JsonSchema::new(&schema, SchemaOptions::default())?))
        }
        "contains5" => Ok(Arc::new(Contains::new(["river", "animal", "large", "small", "water"], false)?)),
        "template8" => Ok(Arc::new(Template::parse(TEMPLATE, &Inputs::default())?)),
        "choice5000" => Ok(Arc::new(Choice::new(choices())?)),
        "dot2000" => regex(".{1,2000}"),
        "uuid20" => regex(&format!("(?:{UUID}\n){{20}}")),
        _ => regex("[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"),
    }
}

/// The texts of an item that is no regular expression as one, for whoever reads nothing else.
#[allow(dead_code, reason = "not every bench and test asks")]
pub fn expression(name: &str) -> Option<String> {
    match name {
        "choice5000" => Some(choices().collect::<Vec<_>>().join("|")),
        "template8" => Some(
            concat!(
                r"\S+(?: \S+){0,2} of \S+(?: \S+)? and \S+(?: \S+){1,3}: (?:red|green|blue), \S+(?: \S+){2} ",
                r"[0-9]{2,5} \(\S+(?: \S+){0,4}\) \S+(?: \S+){1,7}\."
            )
            .into(),
        ),
        _ => None,
    }
}

/// What `schema` says, by hand: ten fields in their order, compact: integers, a bounded and free strings, an address, dates, enumerations, an array.
fn record() -> String {
    let character = r#"(?:[^"\\\x00-\x1F\x7F-\x9F]|\\["\\/bfnrt])"#;
    let string = format!("\"{character}*\"");
    format!(
        concat!(
            r#"\{{"id":-?(?:0|[1-9][0-9]*),"name":"{c}{{0,40}}","email":"[a-z0-9._-]+@[a-z0-9-]+\.[a-z]{{2,6}}","#,
            r#""age":(?:[0-9]|[1-9][0-9]|1[0-4][0-9]|150),"active":(?:true|false),"#,
            r#""score":-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?,"role":"(?:admin|editor|viewer)","#,
            r#""tags":\[{s}(?:,{s}){{0,4}}\],"address":\{{"street":{s},"city":{s},"zip":"[0-9]{{5}}"\}},"#,
            r#""joined":"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}"\}}"#
        ),
        c = character,
        s = string
    )
}

fn choices() -> impl Iterator<Item = String> {
    (0..5000u32).map(|i| {
        let mut x = i.wrapping_mul(2_654_435_761);
        let letters = (0..12).map(|_| {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (b'a' + (x >> 24) as u8 % 26) as char
        });
        format!("item-{i}-{}", letters.collect::<String>())
    })
}
