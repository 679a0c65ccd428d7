//! The terminals of a Lark grammar: named or not, imported, preferred, ignored.

use super::Expr;
use super::draft::Draft;
use super::lark::{Node, anonymous};
use super::{Language, Pattern};
use crate::util::nearest;
use crate::{Error, Result};
use std::collections::HashMap;
use std::ops::Range;

/// A terminal: its texts, and its priority among others.
#[derive(Debug, Clone)]
pub(super) struct Terminal {
    language: Language,
    /// The text, if the terminal is written as a single text.
    text: Option<String>,
    /// Whether the terminal is a list of texts.
    listed: bool,
    priority: i64,
}

impl Terminal {
    pub fn literal(text: &str) -> Self {
        Self { language: Language::literal(text), text: Some(text.into()), listed: true, priority: 0 }
    }
    pub fn pattern(language: Language) -> Self {
        Self { language, text: None, listed: false, priority: 0 }
    }
}

#[derive(Default)]
pub(super) struct Terminals {
    named: HashMap<String, (Range<usize>, i64, Node)>,
    imported: HashMap<String, &'static str>,
    ignored: Vec<Node>,
}

/// Terminals of the library `common`.
const COMMON: [(&str, &str); 24] = [
    ("DIGIT", "[0-9]"),
    ("HEXDIGIT", "[0-9a-fA-F]"),
    ("INT", "[0-9]+"),
    ("SIGNED_INT", "[+-]?[0-9]+"),
    ("DECIMAL", r"[0-9]+\.[0-9]*|\.[0-9]+"),
    ("FLOAT", r"[0-9]+[eE][+-]?[0-9]+|(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"),
    ("SIGNED_FLOAT", r"[+-]?(?:[0-9]+[eE][+-]?[0-9]+|(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"),
    ("NUMBER", r"[0-9]+|[0-9]+[eE][+-]?[0-9]+|(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"),
    ("SIGNED_NUMBER", r"[+-]?(?:[0-9]+|[0-9]+[eE][+-]?[0-9]+|(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"),
    ("ESCAPED_STRING", r#""(?:[^"\\\n]|\\.)*""#),
    ("LCASE_LETTER", "[a-z]"),
    ("UCASE_LETTER", "[A-Z]"),
    ("LETTER", "[a-zA-Z]"),
    ("WORD", "[a-zA-Z]+"),
    ("CNAME", "[_a-zA-Z][_a-zA-Z0-9]*"),
    ("WS_INLINE", r"[ \t]+"),
    ("WS", r"[ \t\f\r\n]+"),
    ("CR", r"\r"),
    ("LF", r"\n"),
    ("NEWLINE", r"(?:\r?\n)+"),
    ("SH_COMMENT", r"#[^\n]*"),
    ("CPP_COMMENT", r"//[^\n]*"),
    ("C_COMMENT", r"/\*(?:[^*]|\*+[^*/])*\*+/"),
    ("SQL_COMMENT", r"--[^\n]*"),
];

/// How deep terminals may be nested in terminals.
const DEPTH: usize = 100;

impl Terminals {
    pub fn define(&mut self, name: String, span: Range<usize>, priority: i64, body: Node) -> Result<()> {
        if self.named.contains_key(&name) || self.imported.contains_key(&name) {
            return Err(Error::input(format!("the terminal `{name}` is defined twice")).at(span));
        }
        self.named.insert(name, (span, priority, body));
        Ok(())
    }

    pub fn import(&mut self, name: &str, alias: &str, span: Range<usize>) -> Result<()> {
        let Some((_, pattern)) = COMMON.iter().find(|(known, _)| *known == name) else {
            let error = Error::input(format!("`common` has no terminal `{name}`")).at(span);
            return Err(match nearest(name, COMMON.iter().map(|(known, _)| *known)) {
                Some(known) => error.help(format!("did you mean `{known}`?")),
                None => error.help(format!("it has {}", COMMON.map(|(known, _)| known).join(", "))),
            });
        };
        self.imported.insert(alias.into(), pattern);
        Ok(())
    }

    pub fn ignore(&mut self, node: Node) {
        self.ignored.push(node);
    }

    /// Resolves the terminals, preferences included; `bodies` are the right-hand sides of the rules.
    pub fn finish<'a>(self, bodies: impl Iterator<Item = &'a Node>) -> Result<Known> {
        let mut named = HashMap::new();
        for (name, (_, priority, body)) in &self.named {
            let terminal = match anonymous(body) {
                Some(terminal) => terminal,
                None => Terminal::pattern(self.language(body, 0)?),
            };
            let listed = terminal.listed || is_list(body);
            named.insert(name.clone(), Terminal { priority: *priority, listed, ..terminal });
        }
        for (name, pattern) in &self.imported {
            named.insert(name.clone(), Terminal::pattern(Language::regex(*pattern)));
        }
        let mut words: Vec<(String, i64)> = Vec::new();
        let mut add = |terminal: &Terminal| {
            if let Some(text) = &terminal.text
                && text.starts_with(|c: char| c.is_alphabetic() || c == '_')
                && text.chars().all(|c| c.is_alphanumeric() || c == '_')
            {
                words.push((text.clone(), terminal.priority));
            }
        };
        named.values().for_each(&mut add);
        // The words that a terminal lists are texts of their own, too.
        for (_, priority, body) in self.named.values() {
            if let (true, Node::Union(ways)) = (is_list(body), body) {
                let texts = ways.iter().filter_map(anonymous);
                texts.for_each(|text| add(&Terminal { priority: *priority, ..text }));
            }
        }
        for body in bodies {
            each_literal(body, &mut |node| anonymous(node).iter().for_each(&mut add));
        }
        words.sort();
        words.dedup();
        let ignored = self.ignored.iter().map(|node| self.language(node, 0)).collect::<Result<Vec<Language>>>()?;
        let ignored = match ignored.is_empty() {
            true => Expr::Concat(Vec::new()),
            false => Expr::Terminal(Language::Union(ignored)).star(),
        };
        Ok(Known { named, words, ignored })
    }

    /// The language of a terminal's right-hand side.
    fn language(&self, node: &Node, depth: usize) -> Result<Language> {
        let all = |nodes: &[Node]| nodes.iter().map(|node| self.language(node, depth + 1)).collect::<Result<_>>();
        Ok(match node {
            Node::Concat(parts) => Language::Concat(all(parts)?),
            Node::Union(ways) => Language::Union(all(ways)?),
            Node::Repeat(inner, min, max) => {
                let Some(pattern) = as_pattern(&self.language(inner, depth + 1)?) else {
                    return Err(Error::unsupported("this repetition in a terminal is too involved")
                        .help("write the terminal as one pattern"));
                };
                let max = max.map_or(String::new(), |max| max.to_string());
                Language::regex(format!("(?:{pattern}){{{min},{max}}}"))
            }
            Node::Rule(name, span) => {
                return Err(Error::input(format!("the rule `{name}` cannot be part of a terminal"))
                    .at(span.clone())
                    .help("terminals are named in capitals and made of texts, patterns and terminals"));
            }
            Node::Terminal(name, span) => {
                if depth > DEPTH {
                    return Err(Error::input(format!("the terminal `{name}` needs itself"))
                        .at(span.clone())
                        .help("recursion is for rules, which are named in small letters"));
                }
                match (self.named.get(name), self.imported.get(name)) {
                    (Some((_, _, body)), _) => self.language(body, depth + 1)?,
                    (_, Some(pattern)) => Language::regex(*pattern),
                    _ => return Err(unknown(name, span, self.named.keys().chain(self.imported.keys()))),
                }
            }
            node => anonymous(node).map_or(Language::Any, |terminal| terminal.language),
        })
    }
}

fn unknown<'a>(name: &str, span: &Range<usize>, known: impl Iterator<Item = &'a String>) -> Error {
    let error = Error::input(format!("there is no terminal `{name}`")).at(span.clone());
    match nearest(name, known.map(String::as_str)) {
        Some(known) => error.help(format!("did you mean `{known}`?")),
        None if COMMON.iter().any(|(common, _)| *common == name) => error.help(format!("%import common.{name}")),
        None => error.help(format!("define `{name}`")),
    }
}

fn is_list(node: &Node) -> bool {
    matches!(node, Node::Union(ways) if ways.iter().all(|way| matches!(way, Node::Literal { .. })))
}

fn each_literal(node: &Node, visit: &mut impl FnMut(&Node)) {
    match node {
        Node::Concat(parts) | Node::Union(parts) => parts.iter().for_each(|part| each_literal(part, visit)),
        Node::Repeat(inner, ..) => each_literal(inner, visit),
        Node::Literal { .. } => visit(node),
        _ => {}
    }
}

/// The language as one pattern, where it can be written so.
fn as_pattern(language: &Language) -> Option<String> {
    let all = |parts: &[Language], between: &str| {
        let parts = parts.iter().map(|part| as_pattern(part).map(|part| format!("(?:{part})")));
        Some(parts.collect::<Option<Vec<_>>>()?.join(between))
    };
    match language {
        Language::Literal(text) => Some(regex_syntax::escape(text)),
        Language::Regex(pattern) => Some(pattern.clone()),
        Language::Concat(parts) => all(parts, ""),
        Language::Union(ways) => all(ways, "|"),
        _ => None,
    }
}

/// Terminals after resolution: their languages are known.
pub(super) struct Known {
    named: HashMap<String, Terminal>,
    /// Words that are texts of their own, with their priorities.
    words: Vec<(String, i64)>,
    ignored: Expr,
}

impl Known {
    /// The expression of ignored text, which may stand between terminals.
    pub fn ignored(&self) -> Expr {
        self.ignored.clone()
    }

    /// The expression of a rule's right-hand side.
    pub fn expr(&self, node: &Node, draft: &mut Draft) -> Result<Expr> {
        Ok(match node {
            Node::Rule(name, span) => Expr::Rule(draft.mention(name, span.clone())),
            Node::Concat(parts) => Expr::Concat(parts.iter().map(|p| self.expr(p, draft)).collect::<Result<_>>()?),
            Node::Union(ways) => Expr::Union(ways.iter().map(|w| self.expr(w, draft)).collect::<Result<_>>()?),
            Node::Repeat(inner, min, max) => {
                Expr::Repeat { inner: Box::new(self.expr(inner, draft)?), min: *min, max: *max }
            }
            Node::Terminal(name, span) => {
                let terminal = self.named.get(name).ok_or_else(|| unknown(name, span, self.named.keys()))?;
                self.terminal(terminal, Some(name))
            }
            node => anonymous(node).map_or(Expr::Union(Vec::new()), |terminal| self.terminal(&terminal, None)),
        })
    }

    /// The expression of a terminal: ignored text, then the terminal's language without the words that belong to
    /// terminals of higher priority.
    fn terminal(&self, terminal: &Terminal, name: Option<&String>) -> Expr {
        let taken: Vec<Language> = match terminal.listed {
            true => Vec::new(),
            false => self.words.iter().filter(|w| w.1 >= terminal.priority).map(|w| Language::literal(&*w.0)).collect(),
        };
        let language = match taken.is_empty() {
            true => terminal.language.clone(),
            false => terminal.language.clone().and(Language::Union(taken).not()),
        };
        let language = name.map_or(language.clone(), |name| language.named(name));
        match &self.ignored {
            Expr::Concat(nothing) if nothing.is_empty() => Expr::Terminal(language),
            ignored => Expr::Concat(vec![ignored.clone(), Expr::Terminal(language)]),
        }
    }
}

/// A pattern in the syntax of the `regex` crate, its flags inside.
pub(super) fn pattern(written: &str, flags: &str) -> Result<String> {
    if let Some(flag) = flags.chars().find(|flag| !"imsxu".contains(*flag)) {
        return Err(Error::unsupported(format!("the flag `{flag}` of a pattern")).help("there are i, m, s, x and u"));
    }
    let flags: String = flags.chars().filter(|&flag| flag != 'u').collect();
    let written = written.replace(r"\/", "/");
    let pattern = if flags.is_empty() { written } else { format!("(?{flags}:{written})") };
    // The pattern is parsed here, so that an error has a place in the grammar.
    let readable = || -> Result<()> {
        match Pattern::matcher(&Pattern::parse(&pattern)?.whole)? {
            Some(_) => Ok(()),
            None => Err(Error::too_large("this regex needs too much memory")),
        }
    };
    readable().map_err(|e| e.context("in this pattern"))?;
    Ok(pattern)
}
