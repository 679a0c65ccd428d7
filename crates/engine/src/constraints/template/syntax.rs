//! The syntax of templates: literal text with `{{slots}}` and `$inputs`.

use super::Inputs;
use crate::{Error, Result, constraints::Length};
use std::ops::Range;

/// Largest template, in bytes, with its inputs put in.
const MAX_BYTES: usize = 1 << 20;
/// Most slots of a template.
const MAX_SLOTS: usize = 1024;

const OPEN: &str = "{{";
const CLOSE: &str = "}}";
const MASK: &str = "[MASK]";
const BLANK: &str = "____";

/// A piece of a template, in order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Piece {
    Literal(String),
    Slot(SlotSyntax),
}

/// A slot as it was written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SlotSyntax {
    /// Empty for an anonymous slot.
    pub name: String,
    pub span: Range<usize>,
    pub content: Content,
}

/// The content of a slot, after its name.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Content {
    Free,
    Sized(Length),
    Choice(Vec<String>),
    /// A pattern and the byte offset where it starts.
    Regex(String, usize),
}

/// Reads a template. Neighbouring literals come as one piece; none is empty.
pub(crate) fn parse(text: &str, inputs: &Inputs) -> Result<Vec<Piece>> {
    let mut parser = Parser { text, at: 0, inputs, pieces: Vec::new(), literal: String::new(), size: 0, slots: 0 };
    if text.len() > MAX_BYTES {
        return Err(too_large(text.len()));
    }
    parser.run()?;
    Ok(parser.pieces)
}

fn too_large(bytes: usize) -> Error {
    Error::too_large(format!("a template of {bytes} bytes: the limit is {MAX_BYTES}"))
        .help("a template must fit a model's window of some thousand tokens; fill a long document part by part")
}

/// Whether a character may start the name of a slot or an input.
fn starts_name(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}
fn in_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    inputs: &'a Inputs,
    pieces: Vec<Piece>,
    literal: String,
    size: usize,
    slots: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }
    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }
    /// Moves past a text if it comes next.
    fn eat(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        self.at += if found { text.len() } else { 0 };
        found
    }
    /// Moves past the characters that satisfy a condition.
    fn eat_while(&mut self, holds: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let len = rest.find(|c| !holds(c)).unwrap_or(rest.len());
        self.at += len;
        &rest[..len]
    }

    fn run(&mut self) -> Result<()> {
        while self.at < self.text.len() {
            let start = self.at;
            let plain = self.eat_while(|c| !matches!(c, '\\' | '{' | '$' | '[' | '_'));
            self.literal.push_str(plain);
            let special = self.at;
            if self.rest().starts_with('\\') {
                self.backslashes();
            } else if self.eat(OPEN) {
                self.slot(special)?;
            } else if self.eat(MASK) {
                self.push_slot(String::new(), special, Content::Free)?;
            } else if self.rest().starts_with(BLANK) {
                self.eat_while(|c| c == '_');
                self.push_slot(String::new(), special, Content::Free)?;
            } else if let Some(value) = self.input()? {
                self.literal.push_str(value);
                self.size += value.len();
            } else if let Some(c) = self.peek() {
                self.at += c.len_utf8();
                self.literal.push(c);
            }
            self.size += self.at - start;
            if self.size > MAX_BYTES {
                return Err(too_large(self.size).at(special..self.at));
            }
        }
        self.flush();
        Ok(())
    }

    /// Backslashes have a meaning only before something special. There, each pair writes one backslash, and an odd one
    /// makes the special text literal.
    fn backslashes(&mut self) {
        let run = self.eat_while(|c| c == '\\');
        let special = [OPEN, MASK, BLANK, "$"].into_iter().find(|s| self.rest().starts_with(s));
        let Some(special) = special else { return self.literal.push_str(run) };
        self.literal.push_str(&run[..run.len() / 2]);
        if run.len() % 2 == 1 {
            let whole = if special == BLANK { self.eat_while(|c| c == '_') } else { special };
            self.at += if special == BLANK { 0 } else { special.len() };
            self.literal.push_str(whole);
        }
    }

    /// `$name`; none if no name follows the dollar sign.
    fn input(&mut self) -> Result<Option<&'a str>> {
        let start = self.at;
        if !self.rest().starts_with('$') || !self.rest()[1..].starts_with(starts_name) {
            return Ok(None);
        }
        self.at += 1;
        let name = self.eat_while(in_name);
        let error = || {
            Error::input(format!("the input `${name}` has no value"))
                .at(start..self.at)
                .help(format!("give it one with --set {name}=VALUE, or write `\\${name}` for the text itself"))
        };
        self.inputs.get(name).map(Some).ok_or_else(error)
    }

    fn flush(&mut self) {
        if !self.literal.is_empty() {
            self.pieces.push(Piece::Literal(std::mem::take(&mut self.literal)));
        }
    }

    fn push_slot(&mut self, name: String, start: usize, content: Content) -> Result<()> {
        self.flush();
        self.slots += 1;
        if self.slots > MAX_SLOTS {
            return Err(Error::too_large(format!("more than {MAX_SLOTS} slots")).at(start..self.at));
        }
        self.pieces.push(Piece::Slot(SlotSyntax { name, span: start..self.at, content }));
        Ok(())
    }

    /// The inside of a slot, after its opening braces.
    fn slot(&mut self, start: usize) -> Result<()> {
        self.eat_while(|c| c == ' ');
        let name_start = self.at;
        let name = self.eat_while(|c| in_name(c) || c == '-');
        let named = name_start..self.at;
        self.eat_while(|c| c == ' ');
        let content = if self.eat(CLOSE) {
            Content::Free
        } else if self.eat("~/") {
            self.regex(start)?
        } else if self.eat("|") {
            self.choice(start)?
        } else if self.eat(":") {
            self.sized(start)?
        } else {
            return Err(self.bad_slot(start));
        };
        if name.starts_with(|c| !starts_name(c)) {
            return Err(Error::input(format!("`{name}` is no name of a slot"))
                .at(named)
                .help("names start with a letter or `_`; a size comes after a colon, as in `{{animal:1-2}}`"));
        }
        self.push_slot(name.to_string(), start, content)
    }

    fn unclosed(&self, start: usize) -> Error {
        let line = self.text[start..].find('\n').map_or(self.text.len(), |i| start + i);
        Error::input("this slot is not closed")
            .at(start..line)
            .help("end it with `}}`, or write `\\{{` for the braces themselves")
    }

    /// The error for a character that cannot stand in a slot; perhaps the slot was never closed.
    fn bad_slot(&self, start: usize) -> Error {
        let line = self.rest().lines().next().unwrap_or_default();
        let close = line.find(CLOSE);
        match self.peek() {
            Some(c) if close.is_some() && line.find(OPEN).is_none_or(|open| Some(open) > close) => {
                Error::input(format!("unexpected {c:?} in a slot"))
                    .at(self.at..self.at + c.len_utf8())
                    .help("a slot is {{name}}, {{name:1-3}}, {{name:5-20 chars}}, {{name|one|two}} or {{name~/regex/}}")
                    .help("write `\\{{` for the braces themselves")
            }
            _ => self.unclosed(start),
        }
    }

    fn sized(&mut self, start: usize) -> Result<Content> {
        let from = self.at;
        let size = self.eat_while(|c| c != '}' && c != '{' && c != '\n');
        if !self.eat(CLOSE) {
            return Err(self.bad_slot(start));
        }
        let length = Length::parse(size).map_err(|e| e.shifted(from))?;
        if length.max() == 0 {
            return Err(Error::input("a slot for nothing: its largest size is 0").at(from..from + size.len()));
        }
        Ok(Content::Sized(length))
    }

    /// Options end at `|` or `}}`; `\|`, `\}`, `\{`, `\$` and `\\` stand for the character itself.
    fn choice(&mut self, start: usize) -> Result<Content> {
        let mut options = Vec::new();
        let mut option = String::new();
        loop {
            let plain = self.eat_while(|c| !matches!(c, '\\' | '|' | '}' | '{' | '$' | '\n'));
            option.push_str(plain);
            if self.eat(CLOSE) {
                options.push(option);
                break;
            } else if self.eat("|") {
                options.push(std::mem::take(&mut option));
            } else if let Some(escaped) = self.escaped("|}{$\\") {
                option.push(escaped);
            } else if let Some(value) = self.input()? {
                option.push_str(value);
                self.size += value.len();
            } else if self.rest().starts_with(OPEN) {
                return Err(self.unclosed(start));
            } else {
                match self.peek() {
                    None | Some('\n') => return Err(self.unclosed(start)),
                    Some(c) => {
                        self.at += c.len_utf8();
                        option.push(c);
                    }
                }
            }
            if self.size > MAX_BYTES {
                return Err(too_large(self.size).at(start..self.at));
            }
        }
        if options.iter().all(String::is_empty) {
            return Err(Error::input("an empty choice")
                .at(start..self.at)
                .help("list the texts the slot may hold: `{{size|small|large}}`"));
        }
        Ok(Content::Choice(options))
    }

    /// A backslash with one of `known` after it.
    fn escaped(&mut self, known: &str) -> Option<char> {
        let c = self.rest().strip_prefix('\\')?.chars().next().filter(|c| known.contains(*c))?;
        self.at += 1 + c.len_utf8();
        Some(c)
    }

    /// A pattern ends at the first `/` without a backslash.
    fn regex(&mut self, start: usize) -> Result<Content> {
        let from = self.at;
        loop {
            self.eat_while(|c| c != '\\' && c != '/');
            match self.peek() {
                Some('\\') => {
                    self.at += 1;
                    self.at += self.peek().map_or(0, char::len_utf8);
                }
                Some(_) => break,
                None => {
                    return Err(self.unclosed(start).help("a regex in a slot ends with `/}}`: `{{when~/\\d{4}/}}`"));
                }
            }
        }
        let pattern = self.text[from..self.at].to_string();
        self.at += 1;
        self.eat_while(|c| c == ' ');
        if !self.eat(CLOSE) {
            return Err(Error::input("expected `}}` after the regex of a slot")
                .at(self.at..self.at + self.peek().map_or(0, char::len_utf8))
                .help("write `\\/` for a slash inside the regex"));
        }
        Ok(Content::Regex(pattern, from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_read() {
        let inputs: Inputs = [("x", "{{v}}"), ("y_1", "w")].into_iter().collect();
        let t = |text: &str| parse(text, &inputs).unwrap();
        let literal = |text: &str| vec![Piece::Literal(text.into())];
        assert_eq!(t(r"\{{a}} \$x \[MASK] \_____ ___ [M]"), literal("{{a}} $x [MASK] _____ ___ [M]"));
        assert_eq!(t(r"$5 $ $x$y_1. $-"), literal("$5 $ {{v}}w. $-"));
        assert_eq!(t(r"C:\dir \n \"), literal(r"C:\dir \n \"));
        assert_eq!(t(r"\\\$x \\$x"), literal(r"\$x \{{v}}"));
        let slot = |text: &str| match t(text).remove(0) {
            Piece::Slot(slot) => (slot.name, slot.content),
            piece => panic!("{piece:?}"),
        };
        use Content::{Choice, Free, Regex};
        assert_eq!(slot("{{ a-1 }}"), ("a-1".into(), Free));
        assert_eq!(slot("{{é}}"), ("é".into(), Free));
        assert_eq!(slot("______"), (String::new(), Free));
        assert_eq!(slot(r"{{a|x\|y|\}}}").1, Choice(["x|y", "}"].map(String::from).to_vec()));
        assert_eq!(
            slot(r"{{a|\}\}|{b}|$x|\$x||z\q}}").1,
            Choice(["}}", "{b}", "{{v}}", "$x", "", r"z\q"].map(String::from).to_vec())
        );
        assert_eq!(slot(r"{{a~/x{2}}}\/y/}}").1, Regex(r"x{2}}}\/y".into(), 5));
    }
}
