//! Context-free grammars as expressions over rules and terminals.

use super::{Language, Network, Parsed, gbnf, lark};
use crate::{Error, Result};

/// Index of a rule in its [`Grammar`].
pub type RuleId = usize;

/// A context-free set of texts: rules over regular terminals.
///
/// A grammar speaks of characters, not of tokens: no [`Mark`](Language::Mark) or [`Tokens`](Language::Tokens) may occur
/// in it. There is no lexer: a terminal is a set of texts like any other, wherever a rule names it. Left recursion,
/// empty rules and ambiguity are all fine.
///
/// ```
/// use stencil_engine::language::{Expr, Grammar, Language, Rule};
/// // list ::= "[" (item ("," item)*)? "]"      item ::= list | [0-9]+
/// let text = |t: &str| Expr::Terminal(Language::literal(t));
/// let more = Expr::Concat(vec![text(","), Expr::Rule(1)]).star();
/// let items = Expr::Concat(vec![Expr::Rule(1), more]).optional();
/// let list = Rule::new("list", Expr::Concat(vec![text("["), items, text("]")]));
/// let item = Rule::new("item", Expr::Union(vec![Expr::Rule(0), Expr::Terminal(Language::regex("[0-9]+"))]));
/// let language = Language::grammar(Grammar::new(vec![list, item], 0)?);
/// # let _ = language;
/// # Ok::<(), stencil_engine::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Grammar {
    rules: Vec<Rule>,
    start: RuleId,
}

/// A rule: a name and an expression.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Rule {
    /// For diagnostics.
    pub name: String,
    /// The texts of the rule.
    pub body: Expr,
}

impl Rule {
    /// A rule by its name.
    pub fn new(name: impl Into<String>, body: Expr) -> Self {
        Self { name: name.into(), body }
    }
}

/// The right-hand side of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Expr {
    /// A regular set of texts.
    Terminal(Language),
    /// The texts of another rule.
    Rule(RuleId),
    /// One after the other; an empty list is the empty text.
    Concat(Vec<Expr>),
    /// One of them; an empty list is the empty set.
    Union(Vec<Expr>),
    /// So many in a row; no `max` is no bound.
    Repeat {
        /// The repeated part.
        inner: Box<Expr>,
        /// Fewest repetitions.
        min: usize,
        /// Most repetitions.
        max: Option<usize>,
    },
    /// The paths through a graph whose arrows are labelled with expressions.
    Network(Box<Network<Expr>>),
}

impl Expr {
    /// Any number in a row.
    pub fn star(self) -> Self {
        Self::Repeat { inner: Box::new(self), min: 0, max: None }
    }
    /// One, or none.
    pub fn optional(self) -> Self {
        Self::Repeat { inner: Box::new(self), min: 0, max: Some(1) }
    }

    /// Calls `visit` with every rule that is named, in order.
    pub fn each_rule(&self, visit: &mut impl FnMut(RuleId)) {
        match self {
            Self::Terminal(_) => {}
            Self::Rule(rule) => visit(*rule),
            Self::Concat(parts) | Self::Union(parts) => parts.iter().for_each(|part| part.each_rule(visit)),
            Self::Repeat { inner, .. } => inner.each_rule(visit),
            Self::Network(network) => network.labels.iter().for_each(|label| label.each_rule(visit)),
        }
    }

    /// Calls `visit` with every terminal, in order.
    pub fn each_terminal<'a>(&'a self, visit: &mut impl FnMut(&'a Language)) {
        match self {
            Self::Terminal(language) => visit(language),
            Self::Rule(_) => {}
            Self::Concat(parts) | Self::Union(parts) => parts.iter().for_each(|part| part.each_terminal(visit)),
            Self::Repeat { inner, .. } => inner.each_terminal(visit),
            Self::Network(network) => network.labels.iter().for_each(|label| label.each_terminal(visit)),
        }
    }

    /// Whether the expression has a text, given which rules have one.
    fn productive(&self, rules: &[bool]) -> bool {
        match self {
            Self::Terminal(_) => true,
            Self::Rule(rule) => rules[*rule],
            Self::Concat(parts) => parts.iter().all(|part| part.productive(rules)),
            Self::Union(parts) => parts.iter().any(|part| part.productive(rules)),
            Self::Repeat { inner, min, .. } => *min == 0 || inner.productive(rules),
            Self::Network(network) => {
                let passable: Vec<bool> = network.labels.iter().map(|label| label.productive(rules)).collect();
                network.completes(|label| passable[label as usize])
            }
        }
    }
}

impl Grammar {
    /// Reads a grammar in GBNF, the syntax of llama.cpp: `root ::= "[" (item ("," item)*)? "]"`.
    ///
    /// Rules `name ::= …`, literals `"…"`, character classes `[a-z]`, `[^"\\]`, `.` for any character, groups, `|`, the
    /// operators `*`, `+`, `?`, `{m}`, `{m,}`, `{,n}`, `{m,n}`, comments after `#`. A whole text is of the rule `root`.
    ///
    /// ```
    /// use stencil_engine::language::Grammar;
    /// let parsed = Grammar::gbnf(r#"root ::= "(" root ")" | [0-9]+"#)?;
    /// assert_eq!(parsed.grammar.rules().len(), 1);
    /// let error = Grammar::gbnf("root ::= itm\nitem ::= [a-z]").unwrap_err();
    /// assert_eq!((error.message(), error.span()), ("there is no rule `itm`", Some(9..12)));
    /// # Ok::<(), stencil_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// What cannot be read, an unknown rule, a rule without any text; with the place in `text`.
    pub fn gbnf(text: &str) -> Result<Parsed> {
        gbnf::read(text)
    }

    /// Reads a grammar in the syntax of the Lark parser, as far as it says what a text is:
    ///
    /// - `rule: …` and `TERMINAL: …`, with `|`, groups `( )`, optional parts `[ ]`, `*`, `+`, `?`, `~3`, `~1..5`;
    ///   a leading `?` or `!` and aliases `-> name`, which shape trees only, are read and mean nothing here;
    /// - texts `"…"` and `"…"i`, ranges `"a".."z"`, patterns `/…/` with the flags `imsx`;
    /// - priorities `TERMINAL.2: …`, `%ignore`, `%import common.NUMBER`, `%import common (A, B)`, `-> NAME`.
    ///
    /// A whole text is of the rule `start`. There is no lexer: a terminal is a set of texts wherever a rule names it, and
    /// what is ignored may stand before each of them and at the end. Lark's preferences become part of that: a word
    /// that the grammar writes as a text of its own is not matched by a pattern of the same or lower priority, so that
    /// `"if"` is not also a NAME. `%declare`, `%override`, `%extend`, templates and look-around are
    /// refused.
    ///
    /// ```
    /// use stencil_engine::language::Grammar;
    /// let sums = "start: NUMBER (\"+\" NUMBER)*\n%import common.NUMBER\n%ignore \" \"";
    /// assert!(Grammar::lark(sums).is_ok());
    /// assert!(Grammar::lark("start: itm\nitem: \"a\"").is_err());
    /// # Ok::<(), stencil_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// What cannot be read or kept, an unknown rule, a rule without any text; with the place in `text`.
    pub fn lark(text: &str) -> Result<Parsed> {
        lark::read(text)
    }

    /// The texts of the rule `start`.
    ///
    /// # Errors
    /// A rule that is not there.
    pub fn new(rules: Vec<Rule>, start: RuleId) -> Result<Self> {
        let missing = |id: RuleId| Error::input(format!("there is no rule {id}: the grammar has {}", rules.len()));
        if start >= rules.len() {
            return Err(missing(start));
        }
        for rule in &rules {
            let mut unknown = None;
            rule.body.each_rule(&mut |id| unknown = unknown.or((id >= rules.len()).then_some(id)));
            if let Some(id) = unknown {
                return Err(missing(id).context(&rule.name));
            }
        }
        Ok(Self { rules, start })
    }

    /// All rules; a [`RuleId`] is an index here.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }
    /// The rule that a whole text is of.
    pub fn start(&self) -> RuleId {
        self.start
    }

    /// For each rule whether some text uses it.
    pub fn reachable(&self) -> Vec<bool> {
        let mut reached = vec![false; self.rules.len()];
        let mut open = vec![self.start];
        while let Some(rule) = open.pop() {
            if !std::mem::replace(&mut reached[rule], true) {
                self.rules[rule].body.each_rule(&mut |named| open.push(named));
            }
        }
        reached
    }

    /// For each rule whether it has a text at all: a rule that always needs itself has none.
    pub fn productive(&self) -> Vec<bool> {
        let mut productive = vec![false; self.rules.len()];
        loop {
            let before = productive.clone();
            for (id, rule) in self.rules.iter().enumerate() {
                productive[id] = productive[id] || rule.body.productive(&productive);
            }
            if productive == before {
                return productive;
            }
        }
    }
}
