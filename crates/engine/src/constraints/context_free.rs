//! The whole text is of a context-free grammar.

use super::{CompileCx, Constraint, Shape, shape::WholeText};
use crate::{
    Language, Result,
    check::{Check, Verdict, earley::Recogniser},
    language::{Grammar, Parsed},
};
use std::{path::Path, sync::Arc};

/// The whole text is of the grammar's start rule.
#[derive(Clone)]
pub struct ContextFree {
    grammar: Arc<Grammar>,
    recogniser: Arc<Recogniser>,
    /// Names of rules that no text uses.
    unused: Vec<String>,
}

impl ContextFree {
    /// The constraint of a grammar in parsed form.
    ///
    /// ```
    /// use stencil_engine::{Check, constraints::ContextFree, language::Grammar};
    /// let nested = ContextFree::new(Grammar::gbnf(r#"root ::= "(" root* ")""#)?.grammar)?;
    /// assert!(nested.check("(()())").accepted());
    /// # Ok::<(), stencil_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// A terminal that is not made of texts and patterns.
    pub fn new(grammar: Grammar) -> Result<Self> {
        let recogniser = Arc::new(Recogniser::new(&grammar)?);
        let reachable = grammar.reachable();
        let unused = grammar.rules().iter().zip(reachable).filter(|(_, reachable)| !reachable);
        let unused = unused.map(|(rule, _)| rule.name.clone()).collect();
        Ok(Self { grammar: Arc::new(grammar), recogniser, unused })
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

impl Constraint for ContextFree {
    fn name(&self) -> String {
        "grammar".into()
    }

    fn language(&self, _: &CompileCx) -> Result<Language> {
        Ok(Language::Grammar(self.grammar.clone()))
    }

    fn remarks(&self) -> Vec<String> {
        self.unused.iter().map(|rule| format!("no text uses the rule `{rule}`")).collect()
    }

    fn shape(&self) -> &dyn Shape {
        &WholeText
    }
}

impl Check for ContextFree {
    fn check(&self, text: &str) -> Verdict {
        self.recogniser.check(text)
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
    /// The syntax that the extension of a file's name stands for.
    pub fn named(file: &Path) -> Option<Self> {
        match file.extension()?.to_str()? {
            "gbnf" => Some(Self::Gbnf),
            "lark" => Some(Self::Lark),
            _ => None,
        }
    }
    /// The syntax that a text seems to be written in: GBNF if some rule is written with `::=`.
    fn of(text: &str) -> Self {
        if text.contains("::=") { Self::Gbnf } else { Self::Lark }
    }
    fn parse(self, text: &str) -> Result<Parsed> {
        match self {
            Self::Gbnf => Grammar::gbnf(text),
            Self::Lark => Grammar::lark(text),
        }
    }
}
