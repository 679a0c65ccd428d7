//! A subset of the grammar syntax of Lark.

use super::Expr;
use super::Language;
use super::cursor::Cursor;
use super::draft::{Draft, NESTING, Parsed};
use super::lark_terminals::{Terminal, Terminals, pattern};
use crate::{Error, Result};
use std::ops::Range;

/// [`Grammar::lark`](super::Grammar::lark).
pub(super) fn read(text: &str) -> Result<Parsed> {
    let mut reader = Reader { cursor: Cursor::new(text), depth: 0, terminals: Terminals::default() };
    let statements = reader.statements()?;
    let mut rules = Vec::new();
    for statement in statements {
        match statement {
            Statement::Rule(name, span, body) => rules.push((name, span, body)),
            Statement::Terminal(name, span, priority, body) => reader.terminals.define(name, span, priority, body)?,
            Statement::Ignore(body) => reader.terminals.ignore(body),
        }
    }
    let terminals = reader.terminals.finish(rules.iter().map(|(_, _, body)| body))?;
    let mut draft = Draft::default();
    for (name, span, body) in rules {
        let mut body = terminals.expr(&body, &mut draft)?;
        if name == "start" {
            body = Expr::Concat(vec![body, terminals.ignored()]);
        }
        draft.define(&name, span, body)?;
    }
    draft.finish("start", text.len())
}

/// A right-hand side as it is written.
#[derive(Debug, Clone)]
pub(super) enum Node {
    Rule(String, Range<usize>),
    Terminal(String, Range<usize>),
    Literal { text: String, ignore_case: bool },
    Range(char, char),
    Pattern(String),
    Concat(Vec<Node>),
    Union(Vec<Node>),
    Repeat(Box<Node>, usize, Option<usize>),
}

enum Statement {
    Rule(String, Range<usize>, Node),
    Terminal(String, Range<usize>, i64, Node),
    Ignore(Node),
}

struct Reader<'a> {
    cursor: Cursor<'a>,
    depth: usize,
    terminals: Terminals,
}

impl<'a> Reader<'a> {
    /// Blanks and comments, and line breaks where `lines`.
    fn space(&mut self, lines: bool) {
        self.cursor.skip(|c| matches!(c, ' ' | '\t' | '\r') || lines && c == '\n', &["//", "#"]);
    }

    /// Blanks, and line breaks if the next line goes on with an alternative.
    fn blank(&mut self) {
        self.space(false);
        let here = self.cursor.at;
        self.space(true);
        if self.cursor.at < self.cursor.text.len() && !self.cursor.rest().starts_with('|') {
            self.cursor.at = here;
        }
    }

    fn name(&mut self) -> Option<(String, Range<usize>)> {
        self.cursor.name(|_| false).map(|(name, span)| (name.to_string(), span))
    }

    fn number(&mut self) -> Result<usize> {
        self.space(false);
        let start = self.cursor.at;
        let read = self.name().and_then(|(digits, _)| digits.parse().ok());
        read.ok_or_else(|| Error::input("a number expected").at(start..self.cursor.at.max(start + 1)))
    }

    fn statements(&mut self) -> Result<Vec<Statement>> {
        let mut all = Vec::new();
        loop {
            self.space(true);
            if self.cursor.at >= self.cursor.text.len() {
                return Ok(all);
            }
            if self.cursor.peek() == Some('%') {
                all.extend(self.directive()?);
            } else {
                all.push(self.definition()?);
            }
            self.space(false);
            if self.cursor.at < self.cursor.text.len() && self.cursor.peek() != Some('\n') {
                return Err(self.cursor.unexpected("the end of the line"));
            }
        }
    }

    fn directive(&mut self) -> Result<Option<Statement>> {
        let start = self.cursor.at;
        self.cursor.at += 1;
        let name = self.name().map_or(String::new(), |(name, _)| name);
        let span = start..self.cursor.at;
        self.space(false);
        match name.as_str() {
            "ignore" => Ok(Some(Statement::Ignore(self.alternatives()?))),
            "import" => self.import().map(|()| None),
            _ => Err(Error::unsupported(format!("`%{name}` is not supported"))
                .at(span)
                .help("there are %ignore and %import common")),
        }
    }

    fn import(&mut self) -> Result<()> {
        let start = self.cursor.at;
        let library = self.name();
        if library.is_none_or(|(library, _)| library != "common") {
            return Err(
                Error::unsupported("only `common` can be imported from").at(start..self.cursor.at.max(start + 1))
            );
        }
        self.space(false);
        if self.cursor.eat("(") {
            loop {
                self.space(true);
                let Some((name, span)) = self.name() else { return Err(self.cursor.unexpected("a terminal")) };
                self.terminals.import(&name, &name, span)?;
                self.space(true);
                if self.cursor.eat(")") {
                    return Ok(());
                }
                if !self.cursor.eat(",") {
                    return Err(self.cursor.unexpected("`,` or `)`"));
                }
            }
        }
        if !self.cursor.eat(".") {
            return Err(self.cursor.unexpected("`.`"));
        }
        let Some((name, span)) = self.name() else { return Err(self.cursor.unexpected("a terminal")) };
        self.space(false);
        let alias = if self.cursor.eat("->") {
            self.space(false);
            let Some((alias, _)) = self.name() else { return Err(self.cursor.unexpected("a terminal")) };
            alias
        } else {
            name.clone()
        };
        self.terminals.import(&name, &alias, span)
    }

    fn definition(&mut self) -> Result<Statement> {
        while self.cursor.eat("?") || self.cursor.eat("!") {}
        let Some((name, span)) = self.name() else { return Err(self.cursor.unexpected("a rule or a terminal")) };
        if self.cursor.peek() == Some('{') {
            return Err(Error::unsupported("templates are not supported").at(span).help("write the rules out"));
        }
        let mut priority = 0;
        if self.cursor.eat(".") {
            let sign = if self.cursor.eat("-") { -1 } else { 1 };
            priority = sign * self.number()? as i64;
        }
        self.space(false);
        if !self.cursor.eat(":") {
            return Err(self.cursor.unexpected("`:`").help(format!("a rule is written `{name}: …`")));
        }
        self.blank();
        let body = self.alternatives()?;
        Ok(match is_terminal(&name) {
            true => Statement::Terminal(name, span, priority, body),
            false => Statement::Rule(name, span, body),
        })
    }

    fn alternatives(&mut self) -> Result<Node> {
        self.depth += 1;
        if self.depth > NESTING {
            return Err(Error::too_large(format!("groups are nested deeper than {NESTING} levels"))
                .at(self.cursor.at..self.cursor.at));
        }
        let mut all = vec![self.sequence()?];
        self.blank();
        while self.cursor.eat("|") {
            self.blank();
            all.push(self.sequence()?);
            self.blank();
        }
        self.depth -= 1;
        Ok(if all.len() == 1 { all.swap_remove(0) } else { Node::Union(all) })
    }

    fn sequence(&mut self) -> Result<Node> {
        let mut parts = Vec::new();
        loop {
            self.space(self.depth > 1);
            match self.item()? {
                Some(part) => parts.push(self.repeated(part)?),
                None => break,
            }
        }
        if self.cursor.eat("->") {
            self.space(false);
            if self.name().is_none() {
                return Err(self.cursor.unexpected("a name"));
            }
        }
        Ok(if parts.len() == 1 { parts.swap_remove(0) } else { Node::Concat(parts) })
    }

    fn item(&mut self) -> Result<Option<Node>> {
        let start = self.cursor.at;
        match self.cursor.peek() {
            Some('"') => self.literal().map(Some),
            Some('/') => {
                let pattern = self.pattern()?;
                Ok(Some(Node::Pattern(pattern)))
            }
            Some(open @ ('(' | '[')) => {
                self.cursor.at += 1;
                self.space(true);
                let inner = self.alternatives()?;
                self.space(true);
                if !self.cursor.eat(if open == '(' { ")" } else { "]" }) {
                    return Err(Error::input(format!("this `{open}` is never closed")).at(start..start + 1));
                }
                Ok(Some(if open == '(' { inner } else { Node::Repeat(Box::new(inner), 0, Some(1)) }))
            }
            Some(c) if c.is_ascii_alphabetic() || c == '_' => {
                let Some((name, span)) = self.name() else { return Ok(None) };
                if self.cursor.peek() == Some('{') {
                    return Err(Error::unsupported("templates are not supported").at(span).help("write the rules out"));
                }
                Ok(Some(if is_terminal(&name) { Node::Terminal(name, span) } else { Node::Rule(name, span) }))
            }
            _ => Ok(None),
        }
    }

    fn repeated(&mut self, mut item: Node) -> Result<Node> {
        loop {
            self.space(false);
            let start = self.cursor.at;
            let (min, max) = match self.cursor.peek() {
                Some('*') => (0, None),
                Some('+') => (1, None),
                Some('?') => (0, Some(1)),
                Some('~') => {
                    self.cursor.at += 1;
                    let min = self.number()?;
                    let max = if self.cursor.eat("..") { self.number()? } else { min };
                    if max < min {
                        return Err(Error::input("fewer repetitions at most than at least").at(start..self.cursor.at));
                    }
                    item = Node::Repeat(Box::new(item), min, Some(max));
                    continue;
                }
                _ => return Ok(item),
            };
            self.cursor.at += 1;
            item = Node::Repeat(Box::new(item), min, max);
        }
    }

    fn quoted(&mut self) -> Result<String> {
        let start = self.cursor.at;
        self.cursor.at += 1;
        let mut text = String::new();
        loop {
            let Some(c) = self.cursor.peek().filter(|&c| c != '\n') else {
                return Err(Error::input("this text is never closed").at(start..start + 1).help("end it with \""));
            };
            self.cursor.at += c.len_utf8();
            match c {
                '"' => return Ok(text),
                '\\' => text.push(self.escaped()?),
                c => text.push(c),
            }
        }
    }

    fn escaped(&mut self) -> Result<char> {
        let start = self.cursor.at - 1;
        let c = self.cursor.peek().ok_or_else(|| self.cursor.unexpected("an escape"))?;
        self.cursor.at += c.len_utf8();
        let digits = match c {
            'n' => return Ok('\n'),
            't' => return Ok('\t'),
            'r' => return Ok('\r'),
            'f' => return Ok('\u{c}'),
            'v' => return Ok('\u{b}'),
            '"' | '\'' | '\\' | '/' => return Ok(c),
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => return Err(Error::input(format!("unknown escape \\{c}")).at(start..self.cursor.at)),
        };
        let code = self.cursor.rest().get(..digits).and_then(|hex| u32::from_str_radix(hex, 16).ok());
        let read = code.and_then(char::from_u32);
        self.cursor.at += if read.is_some() { digits } else { 0 };
        read.ok_or_else(|| Error::input(format!("\\{c} takes {digits} hexadecimal digits")).at(start..self.cursor.at))
    }

    fn literal(&mut self) -> Result<Node> {
        let start = self.cursor.at;
        let text = self.quoted()?;
        if self.cursor.eat("..") {
            if self.cursor.peek() != Some('"') {
                return Err(self.cursor.unexpected("the end of the range"));
            }
            let last = self.quoted()?;
            let one = |text: &str| Some(text.chars().next()?).filter(|c| c.len_utf8() == text.len());
            return match (one(&text), one(&last)) {
                (Some(first), Some(last)) if first <= last => Ok(Node::Range(first, last)),
                _ => Err(Error::input("a range goes from one character to a later one").at(start..self.cursor.at)),
            };
        }
        if text.is_empty() {
            return Err(Error::input("an empty text").at(start..self.cursor.at).help("leave it out, or use `?`"));
        }
        let ignore_case = self.cursor.eat("i");
        Ok(Node::Literal { text, ignore_case })
    }

    fn pattern(&mut self) -> Result<String> {
        let start = self.cursor.at;
        self.cursor.at += 1;
        let mut escaped = false;
        let rest = self.cursor.rest();
        let len = rest.find(|c| {
            let end = c == '/' && !escaped || c == '\n';
            escaped = c == '\\' && !escaped;
            end
        });
        let Some(len) = len.filter(|&len| rest[len..].starts_with('/')) else {
            return Err(Error::input("this pattern is never closed").at(start..start + 1).help("end it with /"));
        };
        self.cursor.at += len + 1;
        let behind = self.cursor.rest();
        let flags = &behind[..behind.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(behind.len())];
        let span = start..self.cursor.at + flags.len();
        self.cursor.at = span.end;
        pattern(&rest[..len], flags).map_err(|e| e.replace_span(span))
    }
}

fn is_terminal(name: &str) -> bool {
    name.trim_start_matches('_').starts_with(|c: char| c.is_ascii_uppercase())
}

/// A terminal without a name.
pub(super) fn anonymous(node: &Node) -> Option<Terminal> {
    match node {
        Node::Literal { text, ignore_case: false } => Some(Terminal::literal(text)),
        Node::Literal { text, ignore_case: true } => {
            Some(Terminal::pattern(Language::regex(format!("(?i){}", regex_syntax::escape(text)))))
        }
        Node::Range(first, last) => {
            let class = format!(r"[\x{{{:x}}}-\x{{{:x}}}]", u32::from(*first), u32::from(*last));
            Some(Terminal::pattern(Language::regex(class)))
        }
        Node::Pattern(pattern) => Some(Terminal::pattern(Language::regex(pattern.as_str()))),
        _ => None,
    }
}
