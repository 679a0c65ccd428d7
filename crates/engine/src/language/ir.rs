//! The representation of grammars.

use super::{Language, Network};
use crate::{Error, Result};

/// Index of a rule in its [`ContextFree`].
pub type RuleId = usize;

/// A context-free set of texts: rules over regular terminals.
///
/// A grammar speaks of characters, not of tokens: no [`Mark`](Language::Mark) or [`Tokens`](Language::Tokens) may occur
/// in it. There is no lexer: a terminal is a set of texts like any other, wherever a rule names it. Left recursion,
/// empty rules and ambiguity are all fine.
///
/// ```
/// use stencil_engine::language::{Expr, ContextFree, Language, Rule};
/// // list ::= "[" (item ("," item)*)? "]"      item ::= list | [0-9]+
/// let text = |t: &str| Expr::Terminal(Language::literal(t));
/// let more = Expr::Concat(vec![text(","), Expr::Rule(1)]).star();
/// let items = Expr::Concat(vec![Expr::Rule(1), more]).optional();
/// let list = Rule::new("list", Expr::Concat(vec![text("["), items, text("]")]));
/// let item = Rule::new("item", Expr::Union(vec![Expr::Rule(0), Expr::Terminal(Language::regex("[0-9]+"))]));
/// let language = Language::grammar(ContextFree::new(vec![list, item], 0)?);
/// # let _ = language;
/// # Ok::<(), stencil_engine::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ContextFree {
    rules: Vec<Rule>,
    start: RuleId,
}

/// A name and what it stands for.
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

/// What a rule may be made of.
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
        /// What is repeated.
        inner: Box<Expr>,
        /// Fewest repetitions.
        min: usize,
        /// Most repetitions.
        max: Option<usize>,
    },
    /// What is read on a path through a graph.
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

    /// Whether it has a text, given which rules have one.
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

impl ContextFree {
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
