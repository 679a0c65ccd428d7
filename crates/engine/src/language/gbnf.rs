//! GBNF, the grammar syntax of llama.cpp.

use super::Expr;
use super::Language;
use super::cursor::Cursor;
use super::draft::{Draft, NESTING, Parsed};
use crate::{Error, Result};
use std::ops::Range;

/// [`Grammar::gbnf`](super::Grammar::gbnf).
pub(super) fn read(text: &str) -> Result<Parsed> {
    let mut reader = Reader { cursor: Cursor::new(text), draft: Draft::default(), depth: 0 };
    reader.space();
    while reader.cursor.at < text.len() {
        reader.rule()?;
    }
    reader.draft.finish("root", text.len())
}

struct Reader<'a> {
    cursor: Cursor<'a>,
    draft: Draft,
    depth: usize,
}

impl<'a> Reader<'a> {
    /// White space and comments.
    fn space(&mut self) {
        self.cursor.skip(|c| matches!(c, ' ' | '\t' | '\r' | '\n'), &["#"]);
    }
    fn name(&mut self) -> Option<(&'a str, Range<usize>)> {
        self.cursor.name(|c| c == '-')
    }

    fn rule(&mut self) -> Result<()> {
        let Some((name, span)) = self.name() else { return Err(self.cursor.unexpected("a rule")) };
        self.space();
        if !self.cursor.eat("::=") {
            return Err(self.cursor.unexpected("`::=`").help(format!("a rule is written `{name} ::= …`")));
        }
        self.space();
        let body = self.alternatives()?;
        self.draft.define(name, span, body)?;
        match self.cursor.peek() {
            Some(')') => Err(self.cursor.unexpected("a rule").help("this parenthesis was never opened")),
            _ => Ok(()),
        }
    }

    fn alternatives(&mut self) -> Result<Expr> {
        self.depth += 1;
        if self.depth > NESTING {
            return Err(Error::too_large(format!("groups are nested deeper than {NESTING} levels"))
                .at(self.cursor.at..self.cursor.at)
                .help("give the inner ones names of their own"));
        }
        let mut all = vec![self.sequence()?];
        while self.cursor.eat("|") {
            self.space();
            all.push(self.sequence()?);
        }
        self.depth -= 1;
        Ok(if all.len() == 1 { all.swap_remove(0) } else { Expr::Union(all) })
    }

    fn sequence(&mut self) -> Result<Expr> {
        let mut parts = Vec::new();
        while let Some(part) = self.item()? {
            let part = self.repeated(part)?;
            parts.push(part);
        }
        Ok(if parts.len() == 1 { parts.swap_remove(0) } else { Expr::Concat(parts) })
    }

    /// The next element; `None` where the sequence ends.
    fn item(&mut self) -> Result<Option<Expr>> {
        let start = self.cursor.at;
        let item = match self.cursor.peek() {
            None | Some('|' | ')') => return Ok(None),
            Some('"') => Expr::Terminal(Language::literal(self.literal()?)),
            Some('[') => Expr::Terminal(Language::regex(self.class()?)),
            Some('.') => {
                self.cursor.at += 1;
                Expr::Terminal(Language::regex(r"[\s\S]"))
            }
            Some('(') => {
                self.cursor.at += 1;
                self.space();
                let inner = self.alternatives()?;
                if !self.cursor.eat(")") {
                    return Err(Error::input("this parenthesis is never closed").at(start..start + 1));
                }
                inner
            }
            Some('<' | '!') => {
                return Err(Error::unsupported("tokens of a particular model cannot be named in a grammar")
                    .at(start..start + 1)
                    .help("write the text that the token stands for"));
            }
            Some(_) => {
                let Some((name, span)) = self.name() else {
                    return Err(self.cursor.unexpected("a rule, a text or a class"));
                };
                self.space();
                if self.cursor.rest().starts_with("::=") {
                    // The next rule has begun.
                    self.cursor.at = start;
                    return Ok(None);
                }
                Expr::Rule(self.draft.mention(name, span))
            }
        };
        self.space();
        Ok(Some(item))
    }

    fn repeated(&mut self, mut item: Expr) -> Result<Expr> {
        loop {
            let start = self.cursor.at;
            let (min, max) = match self.cursor.peek() {
                Some('*') => (0, None),
                Some('+') => (1, None),
                Some('?') => (0, Some(1)),
                Some('{') => {
                    let Some(len) = self.cursor.rest().find('}') else {
                        return Err(Error::input("this brace is never closed").at(start..start + 1));
                    };
                    let inside = &self.cursor.rest()[1..len];
                    self.cursor.at += len;
                    bounds(inside).ok_or_else(|| {
                        Error::input("a number of repetitions is written {3}, {3,} or {3,5}").at(start..start + len + 1)
                    })?
                }
                _ => return Ok(item),
            };
            self.cursor.at += 1;
            if max.is_some_and(|max| max < min) {
                return Err(Error::input("fewer repetitions at most than at least").at(start..self.cursor.at));
            }
            self.space();
            item = Expr::Repeat { inner: Box::new(item), min, max };
        }
    }

    fn literal(&mut self) -> Result<String> {
        let start = self.cursor.at;
        self.cursor.at += 1;
        let mut text = String::new();
        loop {
            match self.cursor.peek() {
                Some('"') => break,
                None | Some('\n') => {
                    return Err(Error::input("this text is never closed").at(start..start + 1).help("end it with \""));
                }
                Some(_) => text.push(self.char()?),
            }
        }
        self.cursor.at += 1;
        Ok(text)
    }

    /// A class, as a pattern.
    fn class(&mut self) -> Result<String> {
        let start = self.cursor.at;
        self.cursor.at += 1;
        let mut pattern = String::from(if self.cursor.eat("^") { "[^" } else { "[" });
        let mut empty = true;
        loop {
            match self.cursor.peek() {
                Some(']') => break,
                None => {
                    return Err(Error::input("this class is never closed").at(start..start + 1).help("end it with ]"));
                }
                Some(_) => {}
            }
            let (from, first) = (self.cursor.at, self.char()?);
            let last = match self.cursor.rest().starts_with('-') && !self.cursor.rest().starts_with("-]") {
                true => {
                    self.cursor.at += 1;
                    self.char()?
                }
                false => first,
            };
            if last < first {
                return Err(
                    Error::input(format!("the range from {first:?} to {last:?} is empty")).at(from..self.cursor.at)
                );
            }
            pattern += &in_class(first);
            if last > first {
                pattern += &format!("-{}", in_class(last));
            }
            empty = false;
        }
        self.cursor.at += 1;
        match empty {
            true => {
                Err(Error::input("an empty class").at(start..self.cursor.at).help("name the characters there may be"))
            }
            false => Ok(pattern + "]"),
        }
    }

    /// A character, escaped or not.
    fn char(&mut self) -> Result<char> {
        let start = self.cursor.at;
        let mut chars = self.cursor.rest().chars();
        let first = chars.next().ok_or_else(|| self.cursor.unexpected("a character"))?;
        self.cursor.at += first.len_utf8();
        if first != '\\' {
            return Ok(first);
        }
        let escaped = chars.next().ok_or_else(|| self.cursor.unexpected("an escape"))?;
        self.cursor.at += escaped.len_utf8();
        let digits = match escaped {
            'n' => return Ok('\n'),
            't' => return Ok('\t'),
            'r' => return Ok('\r'),
            '"' | '\\' | '[' | ']' | '-' | '^' => return Ok(escaped),
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => {
                return Err(Error::input(format!("unknown escape \\{escaped}"))
                    .at(start..self.cursor.at)
                    .help(r#"there are \n \t \r \" \\ \[ \] \- \^ \xNN \uNNNN \UNNNNNNNN"#));
            }
        };
        let code = self.cursor.rest().get(..digits).and_then(|hex| u32::from_str_radix(hex, 16).ok());
        let read = code.and_then(char::from_u32);
        self.cursor.at += if read.is_some() { digits } else { 0 };
        read.ok_or_else(|| {
            Error::input(format!("\\{escaped} takes {digits} hexadecimal digits of a character"))
                .at(start..self.cursor.at)
        })
    }
}

/// A character as the classes of patterns have it.
fn in_class(c: char) -> String {
    match c {
        '\n' => r"\n".into(),
        '\t' => r"\t".into(),
        '\r' => r"\r".into(),
        _ if c.is_control() => format!(r"\x{{{:x}}}", u32::from(c)),
        _ => regex_syntax::escape(c.encode_utf8(&mut [0; 4])),
    }
}

/// `3`, `3,`, `,5` or `3,5`.
fn bounds(text: &str) -> Option<(usize, Option<usize>)> {
    let number = |text: &str| text.trim().parse().ok();
    match text.split_once(',') {
        None => number(text).map(|n| (n, Some(n))),
        Some((min, "")) => Some((number(min)?, None)),
        Some(("", max)) => Some((0, Some(number(max)?))),
        Some((min, max)) => Some((number(min)?, Some(number(max)?))),
    }
}
