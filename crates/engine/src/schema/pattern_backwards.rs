//! Patterns with assertions anywhere, as graphs of texts: inside repetitions, word boundaries, look-behind.
//!
//! The construction reads a text from its end. A state holds, for every step of the pattern and for each kind of
//! preceding character, whether the pattern matches the part read so far from that step on. So a look-ahead is answered
//! where it stands, and a negation is a complement (Chandra, Kozen and Stockmeyer 1981). The reversed graph of these
//! states is read forwards.

use super::pattern_syntax::Ast;
use crate::{Error, Language, Result, language::Network};
use regex_syntax::hir::{Class, HirKind};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Most steps of a pattern with its repetitions unrolled.
const STEPS: usize = 2000;
/// Most states.
const KNOWN: usize = 4000;
/// Most work to find the states; that takes some tenths of a second.
const WORK: usize = 30_000_000;

/// The number of a step.
type At = usize;

enum Step {
    /// Reads a character of a set.
    Read(usize, At),
    Either(At, At),
    Hold(Condition, At),
    Match,
}

enum Condition {
    Start,
    End,
    /// Requires a word character on exactly one side, or the opposite.
    Boundary(bool),
    /// A look-ahead: whether what follows matches from a step on.
    Ahead(At, bool),
    /// A look-behind: whether a character of one of these sets, or the start of the text, stands before.
    Behind {
        sets: Vec<usize>,
        start: bool,
        wanted: bool,
    },
}

/// The context before a step: the start of the text, or a character of a kind.
type Before = Option<usize>;

struct Machine {
    steps: Vec<Step>,
    sets: Vec<Vec<(u32, u32)>>,
    by_text: HashMap<String, usize>,
}

/// The texts in which a pattern occurs.
///
/// # Errors
/// `Unsupported` for look-behind of more than one character; `TooLarge`.
pub(super) fn search(ast: &Ast) -> Result<Language> {
    let mut machine = Machine { steps: vec![Step::Match], sets: Vec::new(), by_text: HashMap::new() };
    let found = machine.add(ast, 0)?;
    // A match may begin anywhere.
    let start = machine.step(Step::Match)?;
    let any = machine.set("(?s:.)")?;
    let later = machine.step(Step::Read(any, start))?;
    machine.steps[start] = Step::Either(found, later);
    machine.set(WORD)?;
    Search::new(&machine, start).network()
}

const WORD: &str = "[A-Za-z0-9_]";

impl Machine {
    fn step(&mut self, step: Step) -> Result<At> {
        if self.steps.len() >= STEPS {
            return Err(Error::too_large(format!("a pattern with assertions takes more than {STEPS} steps"))
                .help("use smaller repetitions"));
        }
        self.steps.push(step);
        Ok(self.steps.len() - 1)
    }

    /// The number of a set of characters.
    fn set(&mut self, text: &str) -> Result<usize> {
        if let Some(&known) = self.by_text.get(text) {
            return Ok(known);
        }
        let hir = regex_syntax::parse(text).map_err(|e| Error::input(e.to_string()))?;
        let ranges = match hir.kind() {
            HirKind::Class(Class::Unicode(class)) => {
                class.iter().map(|r| (u32::from(r.start()), u32::from(r.end()))).collect()
            }
            HirKind::Literal(literal) => {
                let text = String::from_utf8_lossy(&literal.0).into_owned();
                text.chars().map(|c| (u32::from(c), u32::from(c))).collect()
            }
            _ => Vec::new(),
        };
        self.sets.push(ranges);
        self.by_text.insert(text.to_string(), self.sets.len() - 1);
        Ok(self.sets.len() - 1)
    }

    /// The step at which a part begins that goes on at `next`.
    fn add(&mut self, ast: &Ast, next: At) -> Result<At> {
        let condition = match ast {
            Ast::Set(set) => {
                let set = self.set(set)?;
                return self.step(Step::Read(set, next));
            }
            Ast::Concat(parts) => return parts.iter().rev().try_fold(next, |next, part| self.add(part, next)),
            Ast::Alternation(branches) => {
                let mut way = None;
                for branch in branches {
                    let branch = self.add(branch, next)?;
                    way = Some(match way {
                        Some(way) => self.step(Step::Either(way, branch))?,
                        None => branch,
                    });
                }
                return Ok(way.unwrap_or(next));
            }
            Ast::Repeat(inner, times) => return self.repeat(inner, times, next),
            Ast::Start => Condition::Start,
            Ast::End => Condition::End,
            Ast::Boundary { negative } => Condition::Boundary(!negative),
            Ast::Look { ahead, negative } => Condition::Ahead(self.add(ahead, 0)?, !negative),
            Ast::Behind { before, negative } => {
                let (mut sets, mut start) = (Vec::new(), false);
                self.behind(before, &mut sets, &mut start)?;
                Condition::Behind { sets, start, wanted: !negative }
            }
        };
        self.step(Step::Hold(condition, next))
    }

    fn repeat(&mut self, inner: &Ast, times: &str, next: At) -> Result<At> {
        let (least, most) = match times {
            "*" => (0, None),
            "+" => (1, None),
            "?" => (0, Some(1)),
            _ => {
                let inside = times.trim_matches(['{', '}']);
                let (least, most) = inside.split_once(',').unwrap_or((inside, inside));
                let count = |text: &str| text.parse().unwrap_or(STEPS);
                (count(least), (!most.is_empty()).then(|| count(most)))
            }
        };
        let mut at = next;
        match most {
            None => {
                let again = self.step(Step::Match)?;
                let body = self.add(inner, again)?;
                self.steps[again] = Step::Either(body, next);
                at = again;
            }
            Some(most) => {
                for _ in least..most {
                    let body = self.add(inner, at)?;
                    at = self.step(Step::Either(body, next))?;
                }
            }
        }
        (0..least).try_fold(at, |at, _| self.add(inner, at))
    }

    /// The condition of a look-behind, if it is about one character or the start of the text.
    fn behind(&mut self, ast: &Ast, sets: &mut Vec<usize>, start: &mut bool) -> Result<()> {
        match ast {
            Ast::Set(set) => sets.push(self.set(set)?),
            Ast::Start => *start = true,
            Ast::Concat(parts) if parts.len() == 1 => self.behind(&parts[0], sets, start)?,
            Ast::Alternation(branches) => {
                branches.iter().try_for_each(|branch| self.behind(branch, sets, start))?;
            }
            _ => {
                return Err(Error::unsupported("a look-behind of more than one character cannot be kept exactly")
                    .help("say with look-ahead or alternatives what may stand there"));
            }
        }
        Ok(())
    }
}

/// The kinds of characters that the sets of a pattern distinguish.
struct Search<'m> {
    machine: &'m Machine,
    start: At,
    /// Ranges of characters of each kind.
    kinds: Vec<Vec<(u32, u32)>>,
    /// For each kind, which sets it is in.
    within: Vec<Vec<bool>>,
    /// For each kind, a representative that look-behind assertions do not distinguish from it.
    alike: Vec<usize>,
    /// The steps that read a character.
    after: Vec<At>,
    work: usize,
}

impl<'m> Search<'m> {
    fn new(machine: &'m Machine, start: At) -> Self {
        let mut cuts = BTreeSet::from([0, 0xd800, 0xe000, 0x11_0000]);
        machine.sets.iter().flatten().for_each(|&(from, to)| cuts.extend([from, to + 1]));
        let cuts: Vec<u32> = cuts.into_iter().collect();
        let mut kinds: BTreeMap<Vec<bool>, Vec<(u32, u32)>> = BTreeMap::new();
        for pair in cuts.windows(2).filter(|pair| pair[0] != 0xd800) {
            let holds = |set: &Vec<(u32, u32)>| {
                let after = set.partition_point(|&(from, _)| from <= pair[0]);
                after > 0 && set[after - 1].1 >= pair[0]
            };
            let within = machine.sets.iter().map(holds).collect();
            kinds.entry(within).or_default().push((pair[0], pair[1] - 1));
        }
        let (within, kinds): (Vec<_>, Vec<_>) = kinds.into_iter().unzip();
        let word = machine.by_text[WORD];
        let asked = |step: &Step| match step {
            Step::Hold(Condition::Boundary(_), _) => vec![word],
            Step::Hold(Condition::Behind { sets, .. }, _) => sets.clone(),
            _ => Vec::new(),
        };
        let asked: BTreeSet<usize> = machine.steps.iter().flat_map(asked).collect();
        let mut first = HashMap::new();
        let alike = (0..kinds.len())
            .map(|kind| *first.entry(asked.iter().map(|&set| within[kind][set]).collect::<Vec<_>>()).or_insert(kind))
            .collect();
        let after = machine.steps.iter().filter_map(|s| if let Step::Read(_, next) = s { Some(*next) } else { None });
        let after = after.collect::<BTreeSet<_>>().into_iter().collect();
        Self { machine, start, kinds, within, alike, after, work: 0 }
    }

    /// Whether the pattern matches from a step on, before a character of a kind (or at the end) where `known` says what
    /// matches after it.
    fn matches(&mut self, at: At, before: Before, next: Option<(usize, &Known)>) -> bool {
        let machine = self.machine;
        let mut seen = vec![false; machine.steps.len()];
        let mut open = vec![at];
        while let Some(at) = open.pop() {
            self.work += 1;
            if std::mem::replace(&mut seen[at], true) {
                continue;
            }
            match &machine.steps[at] {
                Step::Match => return true,
                Step::Either(a, b) => open.extend([*b, *a]),
                Step::Read(set, to) => {
                    if let Some((kind, known)) = next
                        && self.within[kind][*set]
                        && known.contains(&(*to, self.alike[kind]))
                    {
                        return true;
                    }
                }
                Step::Hold(condition, to) => {
                    if self.holds(condition, before, next) {
                        open.push(*to);
                    }
                }
            }
        }
        false
    }

    fn holds(&mut self, condition: &Condition, before: Before, next: Option<(usize, &Known)>) -> bool {
        match condition {
            Condition::Start => before.is_none(),
            Condition::End => next.is_none(),
            Condition::Boundary(wanted) => {
                let set = self.machine.by_text[WORD];
                let word = |kind: Option<usize>| kind.is_some_and(|kind| self.within[kind][set]);
                (word(before) != word(next.map(|(kind, _)| kind))) == *wanted
            }
            Condition::Ahead(at, wanted) => self.matches(*at, before, next) == *wanted,
            Condition::Behind { sets, start, wanted } => {
                let found = match before {
                    None => *start,
                    Some(kind) => sets.iter().any(|&set| self.within[kind][set]),
                };
                found == *wanted
            }
        }
    }

    /// The state before a character, or at the end of the text.
    fn known(&mut self, next: Option<(usize, &Known)>) -> Known {
        let befores: BTreeSet<usize> = self.alike.iter().copied().collect();
        let mut known = Known::new();
        for at in self.after.clone() {
            for &before in &befores {
                if self.matches(at, Some(before), next) {
                    known.insert((at, before));
                }
            }
        }
        known
    }

    /// The graph of all states that some end of a text leads to, reversed.
    fn network(mut self) -> Result<Language> {
        let last = self.known(None);
        let mut accepting = vec![self.matches(self.start, None, None), true];
        let mut ids: HashMap<Known, u32> = HashMap::from([(last.clone(), 1)]);
        let mut queue = vec![last];
        let mut arrows: BTreeMap<(u32, u32), Vec<usize>> = BTreeMap::new();
        while let Some(after) = queue.pop() {
            let to = ids[&after];
            for kind in 0..self.kinds.len() {
                if self.matches(self.start, None, Some((kind, &after))) {
                    arrows.entry((0, to)).or_default().push(kind);
                }
                let known = self.known(Some((kind, &after)));
                let from = *ids.entry(known.clone()).or_insert_with(|| {
                    accepting.push(false);
                    queue.push(known);
                    accepting.len() as u32 - 1
                });
                arrows.entry((from, to)).or_default().push(kind);
            }
            if accepting.len() > KNOWN || self.work > WORK {
                return Err(Error::too_large("the assertions of a pattern combine in too many ways")
                    .help("use smaller repetitions or fewer assertions"));
            }
        }
        let mut labels = indexmap::IndexSet::new();
        let arrows = arrows.into_iter().map(|((from, to), kinds)| (from, labels.insert_full(kinds).0 as u32, to));
        let arrows = arrows.collect();
        let labels = labels.into_iter().map(|kinds| self.class(&kinds)).collect();
        Ok(Language::Network(Box::new(Network { labels, arrows, accepting })))
    }

    /// The characters of some kinds.
    fn class(&self, kinds: &[usize]) -> Language {
        let ranges = kinds.iter().flat_map(|&kind| &self.kinds[kind]);
        let ranges = ranges.map(|(from, to)| format!(r"\u{{{from:x}}}-\u{{{to:x}}}"));
        Language::Regex(format!("[{}]", ranges.collect::<String>()))
    }
}

/// Steps from which the pattern matches, each with what stands before.
type Known = BTreeSet<(At, usize)>;
