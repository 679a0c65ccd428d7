//! JSON that nests deeper than the 128 levels at which `serde_json` stops.

use crate::{Error, Result};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// Deepest nesting of a text.
pub(crate) const DEPTH: usize = 1000;
/// Nesting up to which recursive code fits the stack of every thread.
const SHALLOW: usize = 100;
/// Size of the stack for deeper nesting, in bytes.
const STACK: usize = 256 << 20;

/// Reads a value from a JSON text, which may nest up to a thousand levels deep.
///
/// # Errors
/// `Input` with its place; `TooLarge` for what nests deeper.
pub fn read<T: DeserializeOwned>(text: &str) -> Result<T> {
    let depth = depth(text);
    if depth <= SHALLOW {
        return part(text, 0);
    }
    if depth > DEPTH {
        return Err(Error::too_large(format!("it is nested deeper than {DEPTH} levels")).at(0..0));
    }
    T::deserialize(Reader { text, at: 0 }.read()?).map_err(|e| Error::input(e.to_string()).at(0..0))
}

/// The nesting depth of a text's brackets; brackets in strings do not count.
pub(crate) fn depth(text: &str) -> usize {
    let (mut open, mut deepest, mut quoted, mut escaped) = (0usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => {
                open += 1;
                deepest = deepest.max(open);
            }
            b']' | b'}' if !quoted => open = open.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// The nesting depth of a value.
pub(crate) fn depth_of(value: &Value) -> usize {
    let (mut open, mut deepest) = (vec![(value, 1)], 0);
    while let Some((value, depth)) = open.pop() {
        match value {
            Value::Array(items) => open.extend(items.iter().map(|item| (item, depth + 1))),
            Value::Object(members) => open.extend(members.values().map(|member| (member, depth + 1))),
            _ => continue,
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// Calls a function that recurses to a depth, on a thread with a stack that is large enough.
pub(crate) fn with_stack_for<T: Send>(depth: usize, call: impl Fn() -> T + Sync) -> T {
    if depth <= SHALLOW {
        return call();
    }
    std::thread::scope(|scope| match std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, &call) {
        Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
        Err(_) => call(),
    })
}

/// Reads a value that is not deep and stands at an offset of the whole text.
fn part<T: DeserializeOwned>(text: &str, at: usize) -> Result<T> {
    serde_json::from_str(text).map_err(|e| {
        let message = e.to_string();
        let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
        let line: usize = text.split_inclusive('\n').take(e.line().saturating_sub(1)).map(str::len).sum();
        let at = at + (line + e.column().saturating_sub(1)).min(text.len());
        Error::input(message).at(at..at + 1)
    })
}

/// An array or object whose end has not come yet.
enum Open {
    Array(Vec<Value>),
    /// The members so far, and the key of the next.
    Object(Map<String, Value>, String),
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl Reader<'_> {
    fn read(&mut self) -> Result<Value> {
        let mut open: Vec<Open> = Vec::new();
        loop {
            let mut value = match self.next() {
                Some(b'[') if self.follows(b']') => Value::Array(Vec::new()),
                Some(b'{') if self.follows(b'}') => Value::Object(Map::new()),
                Some(b'[') => {
                    open.push(Open::Array(Vec::new()));
                    continue;
                }
                Some(b'{') => {
                    let key = self.key()?;
                    open.push(Open::Object(Map::new(), key));
                    continue;
                }
                _ => self.scalar()?,
            };
            // Close the containers that end here; go on after a comma.
            loop {
                let byte = self.next();
                let container = match open.pop() {
                    None if byte.is_none() => return Ok(value),
                    None => return Err(self.wrong("trailing characters")),
                    Some(Open::Array(mut items)) => {
                        items.push(value);
                        Open::Array(items)
                    }
                    Some(Open::Object(mut members, key)) => {
                        members.insert(key, value);
                        Open::Object(members, String::new())
                    }
                };
                value = match (container, byte) {
                    (Open::Array(items), Some(b']')) => Value::Array(items),
                    (Open::Object(members, _), Some(b'}')) => Value::Object(members),
                    (Open::Array(items), Some(b',')) => {
                        self.at += 1;
                        open.push(Open::Array(items));
                        break;
                    }
                    (Open::Object(members, _), Some(b',')) => {
                        self.at += 1;
                        let key = self.key()?;
                        open.push(Open::Object(members, key));
                        break;
                    }
                    (Open::Array(_), _) => return Err(self.wrong("expected `,` or `]`")),
                    (Open::Object(..), _) => return Err(self.wrong("expected `,` or `}`")),
                };
                self.at += 1;
            }
        }
    }

    /// The byte after any white space.
    fn next(&mut self) -> Option<u8> {
        let rest = &self.text.as_bytes()[self.at..];
        self.at += rest.iter().take_while(|byte| b" \t\n\r".contains(byte)).count();
        self.text.as_bytes().get(self.at).copied()
    }

    /// Steps over a bracket, and over the one that closes it if that is next.
    fn follows(&mut self, close: u8) -> bool {
        self.at += 1;
        let found = self.next() == Some(close);
        self.at += usize::from(found);
        found
    }

    fn key(&mut self) -> Result<String> {
        if self.next() != Some(b'"') {
            return Err(self.wrong("key must be a string"));
        }
        let key = self.scalar()?;
        if self.next() != Some(b':') {
            return Err(self.wrong("expected `:`"));
        }
        self.at += 1;
        Ok(key.as_str().unwrap_or_default().to_string())
    }

    fn scalar(&mut self) -> Result<Value> {
        let rest = &self.text[self.at..];
        let (mut quoted, mut escaped) = (false, false);
        let end = rest.bytes().position(|byte| match byte {
            _ if escaped => {
                escaped = false;
                false
            }
            b'\\' => {
                escaped = quoted;
                false
            }
            b'"' => {
                quoted = !quoted;
                false
            }
            _ => !quoted && b",:[]{} \t\n\r".contains(&byte),
        });
        let text = &rest[..end.unwrap_or(rest.len())];
        let value = part(text, self.at)?;
        self.at += text.len();
        Ok(value)
    }

    fn wrong(&self, message: &str) -> Error {
        Error::input(message).at(self.at..self.at + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deep_texts_are_read_as_shallow_ones_are() {
        let texts = [
            r#" { "a" : [1, {"b\"]": null}, [], {}, "x\\"] , "é" : {"c": -1.5e3} } "#,
            "[]",
            "7",
            r#""a[b""#,
            "[1, 2",
            "[1 2]",
            "{\"a\" 1}",
            "{1: 2}",
            "[1]]",
            "",
            "[1,]",
            "{\"a\": 1,}",
            "[tru]",
            "[\"a\n\"]",
        ];
        for text in texts {
            let deep = Reader { text, at: 0 }.read();
            match serde_json::from_str::<Value>(text) {
                Ok(value) => assert_eq!(deep.unwrap(), value, "{text}"),
                Err(_) => assert!(deep.unwrap_err().span().is_some(), "{text}"),
            }
        }
    }

    #[test]
    fn depth_is_that_of_the_brackets() {
        for (text, levels) in [("7", 0), ("[[], {\"[[\": [\"\\\"[\"]}]", 3)] {
            assert_eq!(depth(text), levels);
            assert_eq!(depth_of(&read::<Value>(text).unwrap()), levels);
        }
        for levels in [50, 200, DEPTH] {
            let text = "[".repeat(levels) + &"]".repeat(levels);
            let value = with_stack_for(levels, || depth_of(&read::<Value>(&text).unwrap()));
            assert_eq!(value, levels);
        }
        assert!(read::<Value>(&"[".repeat(DEPTH + 1)).unwrap_err().is_too_large());
        assert_eq!(read::<Value>("[1,\n 2 3]").unwrap_err().span(), Some(7..8));
    }
}
