//! The syntax of ECMA-262 patterns.

use crate::{Error, Result};

/// A parsed pattern.
pub(super) enum Ast {
    /// Characters, as a class or an escape of the `regex` crate.
    Set(String),
    Concat(Vec<Ast>),
    Alternation(Vec<Ast>),
    Repeat(Box<Ast>, String),
    Start,
    End,
    Look {
        ahead: Box<Ast>,
        negative: bool,
    },
    Behind {
        before: Box<Ast>,
        negative: bool,
    },
    /// A word boundary, or its negation.
    Boundary {
        negative: bool,
    },
}

fn bad(pattern: &str, why: &str) -> Error {
    Error::input(format!("the pattern /{pattern}/ cannot be read: {why}"))
        .help("write it as ECMA-262 does; a backslash before a sign takes away its meaning")
}

/// Deepest nesting of groups.
const NESTING: usize = 100;

/// ECMA's white space and line terminators.
const SPACE: &str = r"\t\n\x0B\x0C\r \u{a0}\u{1680}\u{2000}-\u{200a}\u{2028}\u{2029}\u{202f}\u{205f}\u{3000}\u{feff}";

/// # Errors
/// `Input` for bad syntax, `Unsupported` for back-references.
pub(super) fn parse(pattern: &str) -> Result<Ast> {
    let mut parser = Parser { chars: pattern.chars().collect(), at: 0, depth: 0 };
    let ast = parser.alternation()?;
    match parser.at < parser.chars.len() {
        true => Err(bad(pattern, "a closing parenthesis without an opening one")),
        false => Ok(ast),
    }
}

struct Parser {
    chars: Vec<char>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn eat(&mut self, text: &str) -> bool {
        let found = self.chars[self.at..].iter().copied().take(text.chars().count()).eq(text.chars());
        if found {
            self.at += text.chars().count();
        }
        found
    }

    fn bad(&self, why: &str) -> Error {
        bad(&self.chars.iter().collect::<String>(), why)
    }

    fn unsupported(&self, what: &str) -> Error {
        let pattern: String = self.chars.iter().collect();
        Error::unsupported(format!("the pattern /{pattern}/ has {what}, which cannot be kept exactly"))
            .help("write it with groups, alternatives, repetitions, anchors and look-around")
    }

    fn alternation(&mut self) -> Result<Ast> {
        self.depth += 1;
        if self.depth > NESTING {
            return Err(Error::too_large(format!("a pattern nests groups deeper than {NESTING} levels")));
        }
        let mut branches = vec![self.sequence()?];
        while self.eat("|") {
            branches.push(self.sequence()?);
        }
        self.depth -= 1;
        let only = if branches.len() == 1 { branches.pop() } else { None };
        Ok(only.unwrap_or(Ast::Alternation(branches)))
    }

    fn sequence(&mut self) -> Result<Ast> {
        let mut parts = Vec::new();
        while let Some(c) = self.peek() {
            if c == '|' || c == ')' {
                break;
            }
            let atom = self.atom()?;
            let repeated = self.repetition()?;
            parts.push(match repeated {
                None => atom,
                Some(_) if matches!(atom, Ast::Start | Ast::End | Ast::Boundary { .. } | Ast::Behind { .. }) => {
                    return Err(self.bad("nothing to repeat"));
                }
                Some(times) => Ast::Repeat(Box::new(atom), times),
            });
        }
        Ok(Ast::Concat(parts))
    }

    fn repetition(&mut self) -> Result<Option<String>> {
        let times = match self.peek() {
            Some(c @ ('*' | '+' | '?')) => {
                self.at += 1;
                c.to_string()
            }
            Some('{') => {
                let close = self.chars[self.at..].iter().position(|&c| c == '}');
                let inside: String = match close {
                    Some(close) => self.chars[self.at + 1..self.at + close].iter().collect(),
                    None => return Ok(None),
                };
                let (min, max) = inside.split_once(',').unwrap_or((&inside, &inside));
                let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
                if !number(min) || !(max.is_empty() || number(max)) {
                    return Ok(None);
                }
                self.at += inside.chars().count() + 2;
                format!("{{{inside}}}")
            }
            _ => return Ok(None),
        };
        // Laziness makes no difference to whether a text matches.
        self.eat("?");
        Ok(Some(times))
    }

    fn atom(&mut self) -> Result<Ast> {
        let Some(c) = self.peek() else { return Err(self.bad("it ends too early")) };
        self.at += 1;
        Ok(match c {
            '^' => Ast::Start,
            '$' => Ast::End,
            '.' => Ast::Set(r"[^\n\r\u{2028}\u{2029}]".into()),
            '(' => return self.group(),
            '[' => Ast::Set(self.class()?),
            '\\' => return self.escape(),
            '*' | '+' | '?' => return Err(self.bad("nothing to repeat")),
            c => Ast::Set(literal(c)),
        })
    }

    fn group(&mut self) -> Result<Ast> {
        let looks = [("?=", true, false), ("?!", true, true), ("?<=", false, false), ("?<!", false, true)];
        let look = looks.into_iter().find(|(sign, ..)| self.eat(sign));
        if look.is_none() && !self.eat("?:") {
            if self.eat("?<") {
                // Names of groups matter only to back-references, which are refused.
                while self.peek().is_some_and(|c| c != '>') {
                    self.at += 1;
                }
                self.eat(">");
            } else if self.peek() == Some('?') {
                return Err(self.bad("an unknown kind of group"));
            }
        }
        let inner = self.alternation()?;
        if !self.eat(")") {
            return Err(self.bad("a parenthesis is not closed"));
        }
        Ok(match look {
            Some((_, true, negative)) => Ast::Look { ahead: Box::new(inner), negative },
            Some((_, false, negative)) => Ast::Behind { before: Box::new(inner), negative },
            None => Ast::Alternation(vec![inner]),
        })
    }

    fn escape(&mut self) -> Result<Ast> {
        Ok(match self.peek() {
            Some(c @ ('b' | 'B')) => {
                self.at += 1;
                Ast::Boundary { negative: c == 'B' }
            }
            Some('1'..='9' | 'k') => return Err(self.unsupported("a back-reference")),
            _ => {
                let set = self.set_escape(false)?;
                Ast::Set(set)
            }
        })
    }

    /// The escape after a backslash, as a set of characters.
    fn set_escape(&mut self, in_class: bool) -> Result<String> {
        let Some(c) = self.peek() else { return Err(self.bad("it ends with a backslash")) };
        self.at += 1;
        Ok(match c {
            'd' => "[0-9]".into(),
            'D' => "[^0-9]".into(),
            'w' => "[A-Za-z0-9_]".into(),
            'W' => "[^A-Za-z0-9_]".into(),
            's' => format!("[{SPACE}]"),
            'S' => format!("[^{SPACE}]"),
            't' => r"\t".into(),
            'n' => r"\n".into(),
            'v' => r"\x0B".into(),
            'f' => r"\x0C".into(),
            'r' => r"\r".into(),
            'b' if in_class => r"\x08".into(),
            '0' => r"\x00".into(),
            'c' => {
                let letter = self.peek().filter(char::is_ascii_alphabetic);
                let letter = letter.ok_or_else(|| self.bad("\\c needs a letter"))?;
                self.at += 1;
                format!(r"\x{:02X}", letter as u32 % 32)
            }
            'x' => {
                let point = self.hex(2)?;
                self.point(point)?
            }
            'u' if self.peek() == Some('{') => {
                self.at += 1;
                let digits: String = self.chars[self.at..].iter().take_while(|&&c| c != '}').collect();
                self.at += digits.len() + 1;
                let point = u32::from_str_radix(&digits, 16).map_err(|_| self.bad("a code point in hexadecimal"))?;
                self.point(point)?
            }
            'u' => {
                let mut point = self.hex(4)?;
                if (0xd800..0xdc00).contains(&point) && self.eat("\\u") {
                    let low = self.hex(4)?;
                    point = 0x1_0000 + ((point - 0xd800) << 10) + low.wrapping_sub(0xdc00) % 0x400;
                }
                self.point(point)?
            }
            'p' | 'P' => {
                if !self.eat("{") {
                    return Err(self.bad("a property is written \\p{Name}"));
                }
                let name: String = self.chars[self.at..].iter().take_while(|&&c| c != '}').collect();
                self.at += name.chars().count() + 1;
                let name = name.replace("Script=", "sc=").replace("Script_Extensions=", "scx=");
                let set = format!("\\{c}{{{name}}}");
                if regex_syntax::parse(&set).is_err() {
                    return Err(self.bad(&format!("there is no property {name:?}")));
                }
                set
            }
            c if c.is_ascii_alphanumeric() => return Err(self.bad(&format!("\\{c} means nothing"))),
            c => literal(c),
        })
    }

    fn hex(&mut self, digits: usize) -> Result<u32> {
        let text: String = self.chars[self.at..].iter().take(digits).collect();
        self.at += text.chars().count();
        let number = (text.len() == digits).then(|| u32::from_str_radix(&text, 16).ok()).flatten();
        number.ok_or_else(|| self.bad("hexadecimal digits are missing"))
    }

    fn point(&self, point: u32) -> Result<String> {
        char::from_u32(point).map(literal).ok_or_else(|| self.bad("a code point that is no character"))
    }

    fn class(&mut self) -> Result<String> {
        let negative = self.eat("^");
        let mut items = String::new();
        loop {
            let Some(c) = self.peek() else { return Err(self.bad("a bracket is not closed")) };
            self.at += 1;
            let item = match c {
                ']' => break,
                '\\' => self.set_escape(true)?,
                c => literal(c),
            };
            let single = |set: &str| !set.starts_with('[') && !set.starts_with(r"\p") && !set.starts_with(r"\P");
            // A range, unless the hyphen comes last or a set stands beside it.
            let ranged = self.peek() == Some('-') && self.chars.get(self.at + 1).is_some_and(|&c| c != ']');
            if ranged && single(&item) {
                self.at += 1;
                let end = match self.peek() {
                    Some('\\') => {
                        self.at += 1;
                        self.set_escape(true)?
                    }
                    Some(c) => {
                        self.at += 1;
                        literal(c)
                    }
                    None => return Err(self.bad("a bracket is not closed")),
                };
                if single(&end) {
                    items += &format!("{item}-{end}");
                } else {
                    items += &format!(r"{item}\-{end}");
                }
            } else {
                items += &item;
            }
        }
        Ok(match (items.is_empty(), negative) {
            (true, true) => "(?s:.)".into(),
            (true, false) => "[a&&b]".into(),
            (false, true) => format!("[^{items}]"),
            (false, false) => format!("[{items}]"),
        })
    }
}

/// A literal character, escaped so that it is literal inside and outside of brackets.
fn literal(c: char) -> String {
    match c {
        c if c.is_ascii_punctuation() && c != '<' && c != '>' => format!("\\{c}"),
        c if c.is_alphanumeric() || c == '<' || c == '>' => c.to_string(),
        c => format!("\\u{{{:x}}}", c as u32),
    }
}
