//! Schemas in a few words: `name, age int, tags: [string]`.
//!
//! ```text
//! fields  = field ("," field)*
//! field   = key "?"? ":"? type?            no type is string; "?" makes it optional
//! type    = one ("|" one)*
//! one     = "string" | "int" | "number" | "bool" | "null" | "date" | "any" | text in quotes
//!         | "[" type "]" | "{" fields "}"
//! key     = a word, or text in quotes
//! ```

use crate::{Error, Result, util::nearest};
use serde_json::{Map, Value, json};

const TYPES: [&str; 17] = [
    "string", "str", "text", "int", "integer", "number", "float", "num", "bool", "boolean", "null", "any", "date",
    "time", "datetime", "email", "uuid",
];
/// Deepest nesting of lists and objects.
const DEPTH: usize = 50;

/// The schema that a shorthand stands for: an object with these fields and no others.
///
/// ```
/// let schema = stencil_engine::schema::shorthand("name, age int, tags?: [string]")?;
/// assert_eq!(schema["required"], serde_json::json!(["name", "age"]));
/// # Ok::<(), stencil_engine::Error>(())
/// ```
///
/// # Errors
/// What cannot be read, with its place.
pub fn shorthand(text: &str) -> Result<Value> {
    let mut parser = Parser { text, at: 0 };
    let schema = parser.fields(0)?;
    match parser.peek() {
        None => Ok(schema),
        Some(_) => Err(parser.expected("a comma")),
    }
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
}

impl Parser<'_> {
    fn peek(&mut self) -> Option<char> {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
        self.text[self.at..].chars().next()
    }

    fn eat(&mut self, c: char) -> bool {
        let found = self.peek() == Some(c);
        if found {
            self.at += c.len_utf8();
        }
        found
    }

    fn expected(&self, what: &str) -> Error {
        let end = self.text[self.at..].chars().next().map_or(self.at, |c| self.at + c.len_utf8());
        Error::input(format!("{what} is expected here"))
            .at(self.at..end)
            .help("write fields like: name, age int, tags: [string], role: \"admin\"|\"user\", note? string")
    }

    /// A word, or a text in quotes; whether it was quoted.
    fn word(&mut self) -> Option<(String, bool)> {
        let first = self.peek()?;
        let rest = &self.text[self.at..];
        if first == '"' {
            let mut words = serde_json::Deserializer::from_str(rest).into_iter::<String>();
            let word = words.next()?.ok()?;
            self.at += words.byte_offset();
            return Some((word, true));
        }
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-' || c == '$')).unwrap_or(rest.len());
        let word = rest.get(..end).filter(|word| !word.is_empty())?.to_string();
        self.at += end;
        Some((word, false))
    }

    fn fields(&mut self, depth: usize) -> Result<Value> {
        let (mut properties, mut required) = (Map::new(), Vec::new());
        loop {
            self.peek();
            let at = self.at;
            let Some((key, _)) = self.word() else { return Err(self.expected("the name of a field")) };
            let optional = self.eat('?');
            let typed = match (self.eat(':'), self.peek()) {
                (false, None | Some(',' | '}')) => json!({"type": "string"}),
                _ => self.alternatives(depth)?,
            };
            if !optional {
                required.push(Value::from(key.clone()));
            }
            if properties.insert(key.clone(), typed).is_some() {
                return Err(Error::input(format!("the field {key:?} is named twice")).at(at..self.at));
            }
            if !self.eat(',') {
                break;
            }
        }
        Ok(json!({
            "type": "object", "properties": properties, "required": required, "additionalProperties": false
        }))
    }

    fn alternatives(&mut self, depth: usize) -> Result<Value> {
        let mut ways = vec![self.one(depth)?];
        while self.eat('|') {
            ways.push(self.one(depth)?);
        }
        Ok(match ways.len() {
            1 => ways.swap_remove(0),
            _ => json!({"anyOf": ways}),
        })
    }

    fn one(&mut self, depth: usize) -> Result<Value> {
        if depth > DEPTH {
            return Err(Error::too_large(format!("fields are nested deeper than {DEPTH} levels")).at(self.at..self.at));
        }
        if self.eat('[') {
            let items = self.alternatives(depth + 1)?;
            if !self.eat(']') {
                return Err(self.expected("`]`"));
            }
            return Ok(json!({"type": "array", "items": items}));
        }
        if self.eat('{') {
            let fields = self.fields(depth + 1)?;
            if !self.eat('}') {
                return Err(self.expected("`}`"));
            }
            return Ok(fields);
        }
        self.peek();
        let at = self.at;
        let Some((word, quoted)) = self.word() else { return Err(self.expected("a type")) };
        if quoted {
            return Ok(json!({"const": word}));
        }
        Ok(match word.as_str() {
            "string" | "str" | "text" => json!({"type": "string"}),
            "int" | "integer" => json!({"type": "integer"}),
            "number" | "float" | "num" => json!({"type": "number"}),
            "bool" | "boolean" => json!({"type": "boolean"}),
            "null" => json!({"type": "null"}),
            "any" => json!({}),
            "date" | "time" | "email" | "uuid" => json!({"type": "string", "format": word}),
            "datetime" => json!({"type": "string", "format": "date-time"}),
            _ => {
                let error = Error::input(format!("there is no type {word:?}")).at(at..self.at);
                return Err(match nearest(&word, TYPES) {
                    Some(near) => error.help(format!("did you mean {near}?")),
                    None => error.help(format!("there are {}", TYPES.join(", "))),
                });
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::shorthand;
    use serde_json::json;

    #[test]
    fn words_become_schemas() {
        let schema =
            shorthand("name, age int, tags?: [string|null], role: \"a\"|\"b\", at: {x num, \"the y\" num}").unwrap();
        assert_eq!(schema["required"], json!(["name", "age", "role", "at"]));
        assert_eq!(schema["properties"]["tags"]["items"]["anyOf"][1], json!({"type": "null"}));
        assert_eq!(schema["properties"]["at"]["properties"]["the y"], json!({"type": "number"}));
        let keys: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
        assert_eq!(keys, ["name", "age", "tags", "role", "at"]);
    }

    #[test]
    fn what_cannot_be_read_shows_its_place() {
        for (text, start) in
            [("", 0), ("a strin", 2), ("a [int", 6), ("a,,b", 2), ("a: {}", 4), ("a int b", 6), ("a,a", 2)]
        {
            assert_eq!(shorthand(text).unwrap_err().span().map(|s| s.start), Some(start), "{text}");
        }
    }
}
