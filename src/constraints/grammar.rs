//! The whole text is of a context-free grammar.

use super::{CompileCx, Constraint, Verdict, earley::Recogniser};
use crate::{
    Error, Language, Result, Source,
    grammar::{Grammar as Rules, Parsed},
    spec::{BuildCx, Kind, Part},
};
use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};
use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The whole text is of the grammar's start rule.
#[derive(Clone)]
pub struct Grammar {
    rules: Arc<Rules>,
    checker: Arc<Recogniser>,
    /// Names of rules that no text uses.
    unused: Vec<String>,
}

impl Grammar {
    /// ```
    /// use stencil_lm::{Constraint, constraints::Grammar};
    /// let nested = Grammar::new(stencil_lm::grammar::Grammar::gbnf(r#"root ::= "(" root* ")""#)?.grammar)?;
    /// assert!(nested.check("(()())").accepted());
    /// # Ok::<(), stencil_lm::Error>(())
    /// ```
    ///
    /// # Errors
    /// A terminal that is not made of texts and patterns.
    pub fn new(rules: Rules) -> Result<Self> {
        let checker = Arc::new(Recogniser::new(&rules)?);
        let reachable = rules.reachable();
        let unused = rules.rules().iter().zip(reachable).filter(|(_, reachable)| !reachable);
        let unused = unused.map(|(rule, _)| rule.name.clone()).collect();
        Ok(Self { rules: Arc::new(rules), checker, unused })
    }

    /// Reads a grammar in the syntax given, or the one it seems to be written in.
    ///
    /// # Errors
    /// What cannot be read, with the place in `text`.
    pub fn parse(text: &str, syntax: Option<GrammarSyntax>) -> Result<Self> {
        let Parsed { grammar, .. } = syntax.unwrap_or_else(|| GrammarSyntax::of(text)).parse(text)?;
        Self::new(grammar)
    }
}

impl Constraint for Grammar {
    fn name(&self) -> String {
        "grammar".into()
    }

    fn language(&self, _: &CompileCx) -> Result<Language> {
        Ok(Language::Grammar(self.rules.clone()))
    }

    fn remarks(&self) -> Vec<String> {
        self.unused.iter().map(|rule| format!("no text uses the rule `{rule}`")).collect()
    }

    fn describes(&self) -> bool {
        true
    }

    fn check(&self, text: &str) -> Verdict {
        match self.checker.check(text) {
            Ok(()) => Verdict::Accept,
            Err(left) => {
                let mut expected = left.expected;
                let more = expected.len().saturating_sub(6);
                expected.truncate(6);
                if more > 0 {
                    expected.push(format!("{more} more"));
                }
                let why = match expected.is_empty() {
                    true => "not of the grammar: the text should have ended".into(),
                    false => format!("not of the grammar: it goes on with {}", expected.join(" or ")),
                };
                Verdict::Reject { at: left.at, why }
            }
        }
    }
}

/// How a grammar is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum GrammarSyntax {
    /// As llama.cpp does: `root ::= "[" item "]"`.
    Gbnf,
    /// As the Lark parser does: `start: "[" item "]"`.
    Lark,
}

impl GrammarSyntax {
    /// The syntax that a file's name speaks of.
    pub fn named(file: &Path) -> Option<Self> {
        match file.extension()?.to_str()? {
            "gbnf" => Some(Self::Gbnf),
            "lark" => Some(Self::Lark),
            _ => None,
        }
    }
    /// GBNF if some rule is written with `::=`.
    fn of(text: &str) -> Self {
        if text.contains("::=") { Self::Gbnf } else { Self::Lark }
    }
    fn parse(self, text: &str) -> Result<Parsed> {
        match self {
            Self::Gbnf => Rules::gbnf(text),
            Self::Lark => Rules::lark(text),
        }
    }
}

/// A context-free grammar, in GBNF or Lark syntax: the text of the grammar, or a table with `text` or `file`, and
/// `syntax` where it cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(untagged)]
pub enum GrammarKind {
    /// The grammar itself.
    Text(String),
    /// Where it is, and how it is written.
    Table(GrammarTable),
}

/// A grammar with its syntax.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GrammarTable {
    /// The grammar itself.
    pub text: Option<String>,
    /// A file that holds it, relative to this one.
    pub file: Option<PathBuf>,
    /// How it is written; from the file's name or the text itself if left out.
    pub syntax: Option<GrammarSyntax>,
}

impl<'de> Deserialize<'de> for GrammarKind {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = GrammarKind;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a grammar, or a table { text, syntax } or { file, syntax }")
            }
            fn visit_str<E>(self, text: &str) -> Result<GrammarKind, E> {
                Ok(GrammarKind::Text(text.into()))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<GrammarKind, A::Error> {
                GrammarTable::deserialize(MapAccessDeserializer::new(map)).map(GrammarKind::Table)
            }
        }
        from.deserialize_any(Either)
    }
}

impl Kind for GrammarKind {
    const NAME: &'static str = "grammar";

    fn build(self, cx: &BuildCx) -> Result<Part> {
        let table = match self {
            Self::Text(text) => return Ok(Part::constraint(Grammar::parse(&text, None)?)),
            Self::Table(table) => table,
        };
        match (table.text, table.file) {
            (Some(text), None) => {
                Ok(Part::constraint(Grammar::parse(&text, table.syntax).map_err(|e| e.pointer("/text"))?))
            }
            (None, Some(file)) => {
                let path = cx.dir.as_deref().map_or_else(|| file.clone(), |dir| dir.join(&file));
                let source = Source::read(&path).map_err(|e| e.pointer("/file"))?;
                let grammar = Grammar::parse(&source.text, table.syntax.or(GrammarSyntax::named(&path)));
                Ok(Part::constraint(grammar.map_err(|e| e.in_source(&source))?))
            }
            _ => Err(Error::input("a grammar needs either `text` or `file`")
                .help("grammar = { file = \"my.gbnf\" }")
                .help("grammar = '''root ::= …'''")),
        }
    }
}
