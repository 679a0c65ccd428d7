//! Lowering: an expression with grammars in it becomes one list of rules, and regular languages beside them.

use crate::automata::{Dfa, Limits};
use crate::language::{Expr, Grammar, Language, Network, Rule, RuleId};
use crate::{Error, Result};
use std::collections::HashMap;
use std::sync::Arc;

/// The result of lowering: a text is of the rule `start`, and of every language in `regular`.
pub(super) struct Lowered {
    pub rules: Vec<Rule>,
    pub start: RuleId,
    pub regular: Vec<Language>,
    /// Rules that are intersected with a regular language. No such rule calls another.
    pub intersected: Vec<(RuleId, Language)>,
}

/// # Errors
/// `Unsupported` where grammars are combined in a way that context-free languages are not closed under.
pub(super) fn lower(language: &Language, limits: &Limits) -> Result<Lowered> {
    let mut lowering =
        Lowering { rules: Vec::new(), known: HashMap::new(), intersected: Vec::new(), inside: false, limits };
    let (mut regular, mut grammars) = (Vec::new(), Vec::new());
    split(language, &mut Vec::new(), &mut regular, &mut grammars);
    if grammars.len() > 1 {
        return Err(two_grammars());
    }
    let body = match grammars.pop() {
        Some(language) => lowering.expr(&language, 0)?,
        None => Expr::Terminal(Language::Any),
    };
    let start = lowering.rules.len();
    lowering.rules.push(Rule::new("the text", body));
    Ok(Lowered { rules: lowering.rules, start, regular, intersected: lowering.intersected })
}

fn two_grammars() -> Error {
    Error::unsupported("two grammars cannot hold of the same text: what both describe need not be context-free")
        .help("write one grammar that says both, or put the grammars into different slots of a template")
        .help("a grammar without recursion is regular and can be combined with anything")
}

/// The parts of an intersection, under their names.
fn split(language: &Language, names: &mut Vec<String>, regular: &mut Vec<Language>, grammars: &mut Vec<Language>) {
    match language {
        Language::Intersect(parts) => parts.iter().for_each(|part| split(part, names, regular, grammars)),
        Language::Named(name, inner) => {
            names.push(name.clone());
            split(inner, names, regular, grammars);
            names.pop();
        }
        _ => {
            let into = if language.has_grammar() { grammars } else { regular };
            into.push(names.iter().rev().fold(language.clone(), |l, name| l.named(name.clone())));
        }
    }
}

struct Lowering<'a> {
    rules: Vec<Rule>,
    /// Where the rules of a grammar start, by its address.
    known: HashMap<*const Grammar, RuleId>,
    intersected: Vec<(RuleId, Language)>,
    /// Whether the current expression is part of an intersected rule.
    inside: bool,
    limits: &'a Limits,
}

impl Lowering<'_> {
    fn expr(&mut self, language: &Language, depth: usize) -> Result<Expr> {
        if depth > self.limits.depth {
            return Err(Error::too_large(format!("constraints are nested deeper than {depth} levels")));
        }
        if !language.has_grammar() {
            return Ok(Expr::Terminal(language.clone()));
        }
        let mut all =
            |parts: &[Language]| -> Result<Vec<Expr>> { parts.iter().map(|part| self.expr(part, depth + 1)).collect() };
        match language {
            Language::Concat(parts) => Ok(Expr::Concat(all(parts)?)),
            Language::Union(parts) => Ok(Expr::Union(all(parts)?)),
            Language::Named(name, inner) => self.expr(inner, depth + 1).map_err(|e| e.context(name)),
            Language::Grammar(grammar) => Ok(Expr::Rule(self.import(grammar, depth)?)),
            Language::Intersect(parts) => self.intersection(parts, depth),
            Language::Network(network) => self.network(network, depth),
            Language::JsonEscaped(_) => Err(Error::unsupported("a grammar cannot be written inside a JSON string")),
            Language::Not(_) => Err(Error::unsupported("the complement of a grammar need not be context-free")),
            Language::Tokens { .. } => {
                Err(Error::unsupported("what a grammar describes cannot be counted in tokens here")
                    .help("bound the whole text in tokens with `length`, or give the slot no size"))
            }
            Language::Any | Language::Literal(_) | Language::Regex(_) | Language::Mark => {
                Ok(Expr::Terminal(language.clone()))
            }
        }
    }

    fn import(&mut self, grammar: &Arc<Grammar>, depth: usize) -> Result<RuleId> {
        if let Some(&offset) = self.known.get(&Arc::as_ptr(grammar)) {
            return Ok(offset + grammar.start());
        }
        // Terminals may hold grammars in turn; their rules come first.
        let mut bodies = Vec::new();
        for rule in grammar.rules() {
            bodies.push(self.terminals(&rule.body, depth + 1).map_err(|e| e.context(&rule.name))?);
        }
        let offset = self.rules.len();
        for (rule, mut body) in grammar.rules().iter().zip(bodies) {
            shift(&mut body, offset);
            self.rules.push(Rule::new(rule.name.clone(), body));
        }
        self.known.insert(Arc::as_ptr(grammar), offset);
        Ok(offset + grammar.start())
    }

    fn network(&mut self, network: &Network, depth: usize) -> Result<Expr> {
        let labels = network.labels.iter().map(|label| self.expr(label, depth + 1)).collect::<Result<_>>()?;
        let (arrows, accepting) = (network.arrows.clone(), network.accepting.clone());
        Ok(Expr::Network(Box::new(Network { labels, arrows, accepting })))
    }

    /// Checks what a rule is made of. A terminal that holds a grammar becomes a rule, named relative to the offset that
    /// is not known yet, so it is refused: grammars are flat.
    fn terminals(&mut self, expr: &Expr, depth: usize) -> Result<Expr> {
        let mut nested = false;
        expr.each_terminal(&mut |language| nested |= language.has_grammar());
        match nested {
            true => Err(Error::unsupported("a terminal that holds a grammar").help("make it a rule")),
            false if depth > self.limits.depth => Err(Error::too_large("grammars are nested too deep")),
            false => Ok(expr.clone()),
        }
    }

    /// The intersection of a grammar with regular languages, for a part of a text.
    fn intersection(&mut self, parts: &[Language], depth: usize) -> Result<Expr> {
        let (grammars, regular): (Vec<&Language>, Vec<&Language>) = parts.iter().partition(|part| part.has_grammar());
        let [grammar] = grammars[..] else { return Err(two_grammars()) };
        if regular.is_empty() {
            return self.expr(grammar, depth + 1);
        }
        if std::mem::replace(&mut self.inside, true) {
            return Err(Error::unsupported("a part of a narrowed part of a text cannot be narrowed once more")
                .help("say it in the grammar, or of the outer part"));
        }
        let body = self.expr(grammar, depth + 1)?;
        self.inside = false;
        let rule = self.rules.len();
        self.rules.push(Rule::new("a part of the text", body));
        self.intersected.push((rule, Language::Intersect(regular.into_iter().cloned().collect())));
        Ok(Expr::Rule(rule))
    }
}

fn shift(expr: &mut Expr, by: usize) {
    match expr {
        Expr::Terminal(_) => {}
        Expr::Rule(rule) => *rule += by,
        Expr::Concat(parts) | Expr::Union(parts) => parts.iter_mut().for_each(|part| shift(part, by)),
        Expr::Repeat { inner, .. } => shift(inner, by),
        Expr::Network(network) => network.labels.iter_mut().for_each(|label| shift(label, by)),
    }
}

/// The automata of the terminals, each language compiled once.
pub(super) struct Terminals {
    ids: HashMap<Language, usize>,
    pub automata: Vec<Dfa>,
}

impl Terminals {
    pub fn compile(rules: &[Rule], limits: &Limits) -> Result<Self> {
        let mut all = Self { ids: HashMap::new(), automata: Vec::new() };
        for rule in rules {
            let mut outcome = Ok(());
            rule.body.each_terminal(&mut |language| {
                if outcome.is_ok() {
                    outcome = all.add(language, limits).map_err(|e| e.context(format_args!("in `{}`", rule.name)));
                }
            });
            outcome?;
        }
        Ok(all)
    }

    fn add(&mut self, language: &Language, limits: &Limits) -> Result<()> {
        if !self.ids.contains_key(language) {
            let dfa = Dfa::compile(language, limits)?;
            if dfa.reads_marks() {
                return Err(Error::unsupported("token boundaries cannot be spoken of beside a recursive grammar")
                    .help("size the slots in words or characters"));
            }
            self.ids.insert(language.clone(), self.automata.len());
            self.automata.push(dfa);
        }
        Ok(())
    }

    pub fn of(&self, language: &Language) -> &Dfa {
        &self.automata[self.ids[language]]
    }
}
