//! The whole text is of a context-free grammar.

use super::{CompileCx, Constraint, Verdict, earley::Recogniser};
use crate::{
    Language, Result,
    language::{Grammar as Rules, Parsed},
};
use std::{path::Path, sync::Arc};

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
    /// use stencil_engine::{Constraint, constraints::Grammar};
    /// let nested = Grammar::new(stencil_engine::language::Grammar::gbnf(r#"root ::= "(" root* ")""#)?.grammar)?;
    /// assert!(nested.check("(()())").accepted());
    /// # Ok::<(), stencil_engine::Error>(())
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
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
