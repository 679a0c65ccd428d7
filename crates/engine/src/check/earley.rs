//! An independent recogniser of context-free grammars. It reads characters; it shares the rules of the grammar with the
//! constraining code, and nothing of its pushdown automata, stacks or token classes.
//!
//! Earley's algorithm (1970) with the treatment of empty rules by Aycock and Horspool (2002). Terminals are sets of
//! texts; the matches of a terminal from an offset are a set of ends, found by the structure of the terminal.

use super::{Check, Verdict};
use crate::{
    error::{Error, Result},
    language::{Expr, Grammar, Language},
};
use regex_automata::{Anchored, Input, MatchKind, hybrid::dfa};
use std::collections::{HashMap, HashSet};

/// A grammar as plain productions.
pub(crate) struct Recogniser {
    /// Productions of each nonterminal.
    rules: Vec<Vec<Vec<Symbol>>>,
    start: usize,
    /// For each nonterminal whether it has the empty text.
    nullable: Vec<bool>,
    terminals: Vec<Language>,
    patterns: HashMap<String, dfa::DFA>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Symbol {
    Terminal(usize),
    Rule(usize),
}

/// Where a text leaves the grammar.
struct Mismatch {
    /// No text of the grammar begins with more than this many bytes of the text.
    at: usize,
    /// The terminals that could have stood where the last complete part ended.
    expected: Vec<String>,
}

/// A production read up to the dot, begun at the offset `origin`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Item {
    rule: usize,
    production: usize,
    dot: usize,
    origin: usize,
}

impl Recogniser {
    /// Turns the rules of a grammar into productions.
    ///
    /// # Errors
    /// A pattern that cannot be read.
    pub fn new(grammar: &Grammar) -> Result<Self> {
        let mut new = Self {
            rules: vec![Vec::new(); grammar.rules().len()],
            start: grammar.start(),
            nullable: Vec::new(),
            terminals: Vec::new(),
            patterns: HashMap::new(),
        };
        let mut ids = HashMap::new();
        for (id, rule) in grammar.rules().iter().enumerate() {
            let productions = match &rule.body {
                Expr::Union(ways) => ways.iter().map(|way| new.symbols(way, &mut ids)).collect::<Result<_>>()?,
                body => vec![new.symbols(body, &mut ids)?],
            };
            new.rules[id] = productions;
        }
        new.nullable = vec![false; new.rules.len()];
        loop {
            let empty = |symbol: &Symbol| match symbol {
                Symbol::Rule(rule) => new.nullable[*rule],
                Symbol::Terminal(terminal) => new.ends(&new.terminals[*terminal], "", 0).0.contains(&0),
            };
            let next: Vec<bool> = new.rules.iter().map(|ways| ways.iter().any(|way| way.iter().all(empty))).collect();
            if next == new.nullable {
                return Ok(new);
            }
            new.nullable = next;
        }
    }

    fn symbols(&mut self, expr: &Expr, ids: &mut HashMap<Language, usize>) -> Result<Vec<Symbol>> {
        Ok(match expr {
            Expr::Rule(rule) => vec![Symbol::Rule(*rule)],
            Expr::Terminal(language) => {
                let new = ids.len();
                let id = *ids.entry(language.clone()).or_insert(new);
                if id == new {
                    self.prepare(language)?;
                    self.terminals.push(language.clone());
                }
                vec![Symbol::Terminal(id)]
            }
            Expr::Concat(parts) => {
                let mut all = Vec::new();
                for part in parts {
                    all.extend(self.symbols(part, ids)?);
                }
                all
            }
            Expr::Union(ways) => {
                let ways = ways.iter().map(|way| self.symbols(way, ids)).collect::<Result<_>>()?;
                vec![self.rule(ways)]
            }
            Expr::Network(network) => {
                let labels: Vec<Vec<Symbol>> =
                    network.labels.iter().map(|label| self.symbols(label, ids)).collect::<Result<_>>()?;
                // A rule for each node: the paths from that node to an accepting one.
                let ends = |&accepts: &bool| if accepts { vec![Vec::new()] } else { Vec::new() };
                let nodes: Vec<Symbol> = network.accepting.iter().map(|accepts| self.rule(ends(accepts))).collect();
                for &(from, label, to) in &network.arrows {
                    let way = labels[label as usize].iter().copied().chain([nodes[to as usize]]).collect();
                    self.rules[rule_of(nodes[from as usize])].push(way);
                }
                nodes.first().copied().into_iter().collect()
            }
            Expr::Repeat { inner, min, max } => {
                let inner = self.symbols(inner, ids)?;
                let mut all: Vec<Symbol> = (0..*min).flat_map(|_| inner.iter().copied()).collect();
                match max {
                    None => {
                        let rule = self.rule(vec![Vec::new()]);
                        self.rules[rule_of(rule)].push([vec![rule], inner].concat());
                        all.push(rule);
                    }
                    Some(max) => {
                        let mut rest = None;
                        for _ in *min..*max {
                            let way = inner.iter().copied().chain(rest).collect();
                            rest = Some(self.rule(vec![Vec::new(), way]));
                        }
                        all.extend(rest);
                    }
                }
                all
            }
        })
    }

    fn rule(&mut self, productions: Vec<Vec<Symbol>>) -> Symbol {
        self.rules.push(productions);
        Symbol::Rule(self.rules.len() - 1)
    }

    fn prepare(&mut self, language: &Language) -> Result<()> {
        match language {
            Language::Regex(pattern) => {
                if !self.patterns.contains_key(pattern) {
                    let config = dfa::Config::new().match_kind(MatchKind::All).cache_capacity(64 << 20);
                    let built = dfa::DFA::builder().configure(config).build(pattern);
                    let built = built.map_err(|e| Error::input(format!("the pattern /{pattern}/: {e}")))?;
                    self.patterns.insert(pattern.clone(), built);
                }
                Ok(())
            }
            Language::Concat(parts) | Language::Union(parts) | Language::Intersect(parts) => {
                parts.iter().try_for_each(|part| self.prepare(part))
            }
            Language::Not(inner) | Language::Named(_, inner) => self.prepare(inner),
            Language::Any | Language::Literal(_) => Ok(()),
            _ => Err(Error::unsupported("a terminal of a grammar is made of texts, patterns and their combinations")),
        }
    }

    /// The offsets at which a match from `from` may end, ascending, and how far an unfinished match came.
    fn ends(&self, language: &Language, text: &str, from: usize) -> (Vec<usize>, usize) {
        match language {
            Language::Any => ((from..=text.len()).filter(|&end| text.is_char_boundary(end)).collect(), text.len()),
            Language::Literal(literal) => {
                let shared = literal.bytes().zip(text[from..].bytes()).take_while(|(a, b)| a == b).count();
                let whole = shared == literal.len();
                (if whole { vec![from + shared] } else { Vec::new() }, from + shared)
            }
            Language::Regex(pattern) => self.pattern_ends(pattern, text, from),
            Language::Named(_, inner) => self.ends(inner, text, from),
            Language::Union(ways) => {
                let (mut all, mut furthest) = (Vec::new(), from);
                for way in ways {
                    let (ends, far) = self.ends(way, text, from);
                    all.extend(ends);
                    furthest = furthest.max(far);
                }
                (sorted(all), furthest)
            }
            Language::Concat(parts) => {
                let (mut here, mut furthest) = (vec![from], from);
                for part in parts {
                    let mut next = Vec::new();
                    for from in here {
                        let (ends, far) = self.ends(part, text, from);
                        next.extend(ends);
                        furthest = furthest.max(far);
                    }
                    here = sorted(next);
                }
                (here, furthest)
            }
            Language::Intersect(parts) => {
                let (mut all, mut furthest) = self.ends(&Language::Any, text, from);
                for part in parts {
                    let (ends, far) = self.ends(part, text, from);
                    all.retain(|end| ends.contains(end));
                    furthest = furthest.min(far);
                }
                (all, furthest)
            }
            Language::Not(inner) => {
                let (mut all, furthest) = self.ends(&Language::Any, text, from);
                let (ends, _) = self.ends(inner, text, from);
                all.retain(|end| !ends.contains(end));
                (all, furthest)
            }
            _ => (Vec::new(), from),
        }
    }

    fn pattern_ends(&self, pattern: &str, text: &str, from: usize) -> (Vec<usize>, usize) {
        let Some(dfa) = self.patterns.get(pattern) else { return (Vec::new(), from) };
        let mut cache = dfa.create_cache();
        let input = Input::new(text).range(from..).anchored(Anchored::Yes);
        let Ok(mut state) = dfa.start_state_forward(&mut cache, &input) else { return (Vec::new(), from) };
        let (mut ends, mut at) = (Vec::new(), from);
        loop {
            // The automaton reports a match one byte late, so ask for the state after an end of input here.
            if dfa.next_eoi_state(&mut cache, state).is_ok_and(|end| end.is_match()) {
                ends.push(at);
            }
            let Some(&byte) = text.as_bytes().get(at) else { break };
            match dfa.next_state(&mut cache, state, byte) {
                Ok(next) if !next.is_dead() && !next.is_quit() => state = next,
                _ => break,
            }
            at += 1;
        }
        // For the same reason, the last byte may have led to a state from which nothing matches.
        let cache = &mut cache;
        let goes_on = |byte| dfa.next_state(cache, state, byte).is_ok_and(|next| !next.is_dead());
        let lives = !state.is_match() || ends.last() == Some(&at) || (0..=255).any(goes_on);
        (ends, if lives { at } else { at - 1 })
    }

    /// # Errors
    /// Where the text leaves the grammar.
    fn recognise(&self, text: &str) -> std::result::Result<(), Mismatch> {
        let mut chart = Chart { sets: vec![Set::default(); text.len() + 1], scanned: HashMap::new() };
        let mut furthest = 0;
        self.predict(&mut chart.sets[0], self.start, 0);
        for at in 0..=text.len() {
            let mut next = 0;
            while let Some(&item) = chart.sets[at].items.get(next) {
                next += 1;
                match self.rules[item.rule][item.production].get(item.dot) {
                    None => {
                        let waiting = chart.sets[item.origin].waiting.get(&item.rule).cloned().unwrap_or_default();
                        for before in waiting {
                            chart.sets[at].add(Item { dot: before.dot + 1, ..before });
                        }
                    }
                    Some(&Symbol::Rule(rule)) => {
                        let set = &mut chart.sets[at];
                        set.waiting.entry(rule).or_default().push(item);
                        self.predict(set, rule, at);
                        if self.nullable[rule] {
                            set.add(Item { dot: item.dot + 1, ..item });
                        }
                    }
                    Some(&Symbol::Terminal(terminal)) => {
                        let scan = || self.ends(&self.terminals[terminal], text, at);
                        let (ends, far) = chart.scanned.entry((at, terminal)).or_insert_with(scan);
                        furthest = furthest.max(*far);
                        for &end in ends.iter() {
                            chart.sets[end].add(Item { dot: item.dot + 1, ..item });
                        }
                    }
                }
            }
        }
        let done = |item: &Item| {
            item.rule == self.start && item.origin == 0 && item.dot == self.rules[item.rule][item.production].len()
        };
        if chart.sets[text.len()].items.iter().any(done) {
            return Ok(());
        }
        let last = (0..=text.len()).rev().find(|&at| !chart.sets[at].items.is_empty()).unwrap_or(0);
        let mut at = furthest.max(last);
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        let next = |item: &Item| match self.rules[item.rule][item.production].get(item.dot) {
            Some(&Symbol::Terminal(terminal)) => Some(terminal),
            _ => None,
        };
        let next: Vec<usize> = chart.sets[last].items.iter().filter_map(next).collect();
        // If some terminals match a part of what stands there, the others are not worth naming.
        let begun = |&&terminal: &&usize| matches!(chart.scanned.get(&(last, terminal)), Some((_, far)) if *far == at);
        let begun: Vec<usize> = next.iter().filter(begun).copied().collect();
        let mut expected = Vec::new();
        for terminal in if begun.is_empty() { next } else { begun } {
            let shown = describe(&self.terminals[terminal]);
            if !expected.contains(&shown) {
                expected.push(shown);
            }
        }
        Err(Mismatch { at, expected })
    }

    fn predict(&self, set: &mut Set, rule: usize, at: usize) {
        for production in 0..self.rules[rule].len() {
            set.add(Item { rule, production, dot: 0, origin: at });
        }
    }
}

impl Check for Recogniser {
    fn check(&self, text: &str) -> Verdict {
        const SHOWN: usize = 6;
        let Err(Mismatch { at, mut expected }) = self.recognise(text) else { return Verdict::Accept };
        let more = expected.len().saturating_sub(SHOWN);
        expected.truncate(SHOWN);
        if more > 0 {
            expected.push(format!("{more} more"));
        }
        let why = match expected.is_empty() {
            true => "not of the grammar: the text should have ended".into(),
            false => format!("not of the grammar: it goes on with {}", expected.join(" or ")),
        };
        Verdict::Reject { at, why }
    }
}

fn rule_of(symbol: Symbol) -> usize {
    match symbol {
        Symbol::Rule(id) | Symbol::Terminal(id) => id,
    }
}

fn sorted(mut ends: Vec<usize>) -> Vec<usize> {
    ends.sort_unstable();
    ends.dedup();
    ends
}

/// A terminal in the words of a diagnostic.
fn describe(language: &Language) -> String {
    let shown = match language {
        Language::Literal(text) => format!("{text:?}"),
        Language::Regex(pattern) => format!("/{pattern}/"),
        Language::Named(name, _) => name.clone(),
        _ => "a terminal".into(),
    };
    match shown.char_indices().nth(60) {
        Some((cut, _)) => format!("{}…", &shown[..cut]),
        None => shown,
    }
}

struct Chart {
    sets: Vec<Set>,
    /// The matches of each terminal from each offset, as `ends` returns them.
    scanned: HashMap<(usize, usize), (Vec<usize>, usize)>,
}

#[derive(Clone, Default)]
struct Set {
    items: Vec<Item>,
    /// The same items, to look them up.
    seen: HashSet<Item>,
    /// Items with the dot before a nonterminal.
    waiting: HashMap<usize, Vec<Item>>,
}

impl Set {
    fn add(&mut self, item: Item) {
        if self.seen.insert(item) {
            self.items.push(item);
        }
    }
}
