//! Symbol tables of grammars that are being read: rules may be used before they are defined; every name has its place.

use super::{Expr, Grammar, Rule, RuleId};
use crate::util::nearest;
use crate::{Error, Result};
use std::collections::HashMap;
use std::ops::Range;

/// A grammar that was read, with warnings.
#[derive(Debug, Clone)]
pub struct Parsed {
    /// The grammar.
    pub grammar: Grammar,
    /// Rules that no text uses, with their places. They are harmless, but probably a mistake.
    pub unused: Vec<(String, Range<usize>)>,
}

#[derive(Default)]
pub(super) struct Draft {
    ids: HashMap<String, RuleId>,
    names: Vec<Name>,
}

struct Name {
    name: String,
    /// Where it is first mentioned.
    mention: Range<usize>,
    definition: Option<(Range<usize>, Expr)>,
}

/// How deep groups may be nested.
pub(super) const NESTING: usize = 200;

impl Draft {
    /// The rule of a name, defined or not.
    pub fn mention(&mut self, name: &str, span: Range<usize>) -> RuleId {
        if let Some(&id) = self.ids.get(name) {
            return id;
        }
        self.names.push(Name { name: name.into(), mention: span, definition: None });
        self.ids.insert(name.into(), self.names.len() - 1);
        self.names.len() - 1
    }

    /// # Errors
    /// A name that is defined already.
    pub fn define(&mut self, name: &str, span: Range<usize>, body: Expr) -> Result<RuleId> {
        let id = self.mention(name, span.clone());
        if self.names[id].definition.is_some() {
            return Err(Error::input(format!("the rule `{name}` is defined twice"))
                .at(span)
                .help("write its alternatives with `|`"));
        }
        self.names[id].definition = Some((span, body));
        Ok(id)
    }

    /// # Errors
    /// An unknown rule, or one that has no text.
    pub fn finish(self, start: &str, end: usize) -> Result<Parsed> {
        let defined: Vec<&str> =
            self.names.iter().filter(|n| n.definition.is_some()).map(|n| n.name.as_str()).collect();
        let Some(&start_id) = self.ids.get(start).filter(|&&id| self.names[id].definition.is_some()) else {
            return Err(Error::input(format!("there is no rule `{start}`, which a whole text is of"))
                .at(end..end)
                .help(format!("define `{start}`")));
        };
        let mut rules = Vec::new();
        let mut spans = Vec::new();
        for name in &self.names {
            let Some((span, body)) = &name.definition else {
                let error = Error::input(format!("there is no rule `{}`", name.name)).at(name.mention.clone());
                return Err(match nearest(&name.name, defined.iter().copied()) {
                    Some(known) => error.help(format!("did you mean `{known}`?")),
                    None => error.help(format!("the rules are {}", defined.join(", "))),
                });
            };
            rules.push(Rule::new(name.name.clone(), body.clone()));
            spans.push(span.clone());
        }
        let grammar = Grammar::new(rules, start_id)?;
        let productive = grammar.productive();
        if let Some(id) = productive.iter().position(|productive| !productive) {
            return Err(Error::input(format!(
                "the rule `{}` has no text: it always needs itself",
                self.names[id].name
            ))
            .at(spans[id].clone())
            .help("give it an alternative that ends"));
        }
        let reachable = grammar.reachable();
        let unused = (0..spans.len()).filter(|&id| !reachable[id]);
        let unused = unused.map(|id| (self.names[id].name.clone(), spans[id].clone())).collect();
        Ok(Parsed { grammar, unused })
    }
}
