//! Regular expressions to deterministic automata over characters: Thompson's construction and the subset construction.
//!
//! Working on whole characters instead of their bytes keeps subsets small: `\w` is one class, not some hundred states. The
//! construction is another than that of grammars (`grammar::nfa`): it is built from the end, each part given the node that
//! follows it, so that a node needs no list of edges; a grammar's bodies are edited after they are built (calls are replaced
//! by bodies, left recursion by loops), which needs such lists.

use super::Limits;
use super::automaton::{Automaton, DEAD, State};
use super::subsets::Subsets;
use super::symbols::{Chars, Symbols};
use crate::util::FastMap;
use crate::{Error, Result};
use regex_syntax::hir::{Class, Hir, HirKind, Repetition};

type Node = u32;
type CharSet = u32;

/// The accepting node, which is the first.
const ACCEPT: Node = 0;

enum Step {
    /// Read a character of the set.
    Read(CharSet, Node),
    /// Go to either without reading.
    Fork(Node, Node),
    Accept,
}

/// A non-deterministic automaton over characters.
pub(super) struct Nfa {
    steps: Vec<Step>,
    start: Node,
    /// Inclusive ranges of code points, ascending.
    sets: Vec<Vec<(u32, u32)>>,
}

impl Nfa {
    pub(super) fn new(hir: &Hir, limits: &Limits) -> Result<Self> {
        let mut builder = Builder { steps: vec![Step::Accept], sets: FastMap::default(), limits };
        let start = builder.build(hir, 0)?;
        let mut sets = vec![Vec::new(); builder.sets.len()];
        builder.sets.into_iter().for_each(|(set, id)| sets[id as usize] = set);
        Ok(Self { steps: builder.steps, start, sets })
    }

    /// The minimal deterministic automaton.
    pub(super) fn determinize(&self, limits: &Limits) -> Result<Automaton<Chars>> {
        const WHAT: &str = "it";
        let symbols = self.symbols();
        let width = symbols.width();
        let classes: Vec<Vec<usize>> = self.sets.iter().map(|set| classes_of(&symbols, set)).collect();

        let mut closure = Closure { seen: vec![0; self.steps.len()], round: 0, stack: Vec::new(), work: 0 };
        let mut subsets = Subsets::default();
        subsets.number(&[]);
        let id = |subsets: &mut Subsets, mut set: Vec<Node>| -> Result<State> {
            set.sort_unstable();
            let (id, new) = subsets.number(&set);
            if new {
                limits.check(subsets.len(), width, WHAT)?;
                limits.check(subsets.len(), 2 * subsets.members() / subsets.len(), WHAT)?;
            }
            Ok(id)
        };
        let start = id(&mut subsets, closure.of(&self.steps, &[self.start]))?;
        let mut next = vec![DEAD; width];
        let mut targets: Vec<Vec<Node>> = vec![Vec::new(); width];
        let mut at = 1;
        while let Some(set) = subsets.get(at) {
            for &node in set {
                if let Step::Read(set, to) = self.steps[node as usize] {
                    let classes = &classes[set as usize];
                    classes.iter().for_each(|&class| targets[class].push(to));
                    closure.work += classes.len();
                }
            }
            for targets in &mut targets {
                next.push(id(&mut subsets, closure.of(&self.steps, targets))?);
                targets.clear();
            }
            limits.check_work(closure.work, WHAT)?;
            at += 1;
        }
        let accepts = |set: &[Node]| set.iter().any(|&node| matches!(self.steps[node as usize], Step::Accept));
        let accept = subsets.iter().map(accepts).collect();
        Ok(Automaton { symbols, next, accept, start }.minimized())
    }

    /// The coarsest partition of the characters that tells all sets apart.
    fn symbols(&self) -> Chars {
        let mut firsts: Vec<u32> = self.sets.iter().flatten().flat_map(|&(first, last)| [first, last + 1]).collect();
        firsts.push(0);
        firsts.sort_unstable();
        firsts.dedup();
        firsts.retain(|&first| first < Chars::END);
        let mut label = vec![0; firsts.len()];
        let mut labels = 1;
        for set in &self.sets {
            let mut split: FastMap<u32, u32> = FastMap::default();
            for &(first, last) in set {
                let begin = firsts.partition_point(|&f| f < first);
                let end = firsts.partition_point(|&f| f <= last);
                for label in &mut label[begin..end] {
                    *label = *split.entry(*label).or_insert_with(|| {
                        labels += 1;
                        labels - 1
                    });
                }
            }
        }
        Chars::group(firsts.into_iter().zip(label))
    }
}

fn classes_of(symbols: &Chars, set: &[(u32, u32)]) -> Vec<usize> {
    let mut classes: Vec<usize> = Vec::new();
    for &(first, last) in set {
        let ranges = symbols.ranges();
        let begin = ranges.partition_point(|&(f, _)| f <= first) - 1;
        let within = ranges[begin..].iter().take_while(|&&(f, _)| f <= last);
        classes.extend(within.map(|&(_, class)| class as usize));
    }
    classes.sort_unstable();
    classes.dedup();
    classes
}

/// The search for the nodes that can be reached without reading.
struct Closure {
    seen: Vec<u32>,
    round: u32,
    stack: Vec<Node>,
    work: usize,
}

impl Closure {
    /// The nodes that read or accept.
    fn of(&mut self, steps: &[Step], from: &[Node]) -> Vec<Node> {
        self.round += 1;
        let mut found = Vec::new();
        self.stack.extend_from_slice(from);
        while let Some(node) = self.stack.pop() {
            self.work += 1;
            if std::mem::replace(&mut self.seen[node as usize], self.round) == self.round {
                continue;
            }
            match steps[node as usize] {
                Step::Fork(a, b) => self.stack.extend([a, b]),
                Step::Read(..) | Step::Accept => found.push(node),
            }
        }
        found
    }
}

/// Builds from the end: each part is given the node that follows it.
struct Builder<'a> {
    steps: Vec<Step>,
    sets: FastMap<Vec<(u32, u32)>, CharSet>,
    limits: &'a Limits,
}

impl Builder<'_> {
    fn push(&mut self, step: Step) -> Result<Node> {
        self.limits.check(self.steps.len(), size_of::<Step>() / 4, "it")?;
        self.steps.push(step);
        Ok(self.steps.len() as Node - 1)
    }

    fn read(&mut self, set: Vec<(u32, u32)>, next: Node) -> Result<Node> {
        let new = self.sets.len() as CharSet;
        let set = *self.sets.entry(set).or_insert(new);
        self.push(Step::Read(set, next))
    }

    fn build(&mut self, hir: &Hir, next: Node) -> Result<Node> {
        match hir.kind() {
            HirKind::Empty => Ok(next),
            HirKind::Literal(literal) => {
                let text = std::str::from_utf8(&literal.0).map_err(|_| not_text())?;
                text.chars().rev().try_fold(next, |next, c| self.read(vec![(c as u32, c as u32)], next))
            }
            HirKind::Class(Class::Unicode(class)) => {
                self.read(class.iter().map(|r| (r.start() as u32, r.end() as u32)).collect(), next)
            }
            HirKind::Class(Class::Bytes(class)) if class.is_ascii() => {
                self.read(class.iter().map(|r| (r.start() as u32, r.end() as u32)).collect(), next)
            }
            HirKind::Class(Class::Bytes(_)) => Err(not_text()),
            HirKind::Look(_) => Err(Error::unsupported("look-around is not supported in a pattern")),
            HirKind::Capture(capture) => self.build(&capture.sub, next),
            HirKind::Concat(parts) => parts.iter().rev().try_fold(next, |next, part| self.build(part, next)),
            HirKind::Alternation(branches) => {
                let mut words: Vec<Vec<char>> = branches.iter().filter_map(word).collect();
                words.sort_unstable();
                let mut ways = Vec::new();
                self.words(&words, 0, next, &mut ways)?;
                for branch in branches.iter().filter(|branch| word(branch).is_none()) {
                    ways.push(self.build(branch, next)?);
                }
                self.any_of(ways)
            }
            HirKind::Repetition(repetition) => self.repeat(repetition, next),
        }
    }

    fn any_of(&mut self, ways: Vec<Node>) -> Result<Node> {
        let mut ways = ways.into_iter();
        let Some(first) = ways.next() else { return self.read(Vec::new(), ACCEPT) };
        ways.try_fold(first, |others, way| self.push(Step::Fork(way, others)))
    }

    /// Adds the entries of sorted words that are equal up to `at`: one for each character at that place, so that
    /// beginnings are shared.
    fn words(&mut self, words: &[Vec<char>], at: usize, next: Node, ways: &mut Vec<Node>) -> Result<()> {
        for same in words.chunk_by(|a, b| a.get(at) == b.get(at)) {
            let Some(&c) = same[0].get(at) else {
                ways.push(next);
                continue;
            };
            let mut below = Vec::new();
            self.words(same, at + 1, next, &mut below)?;
            let below = self.any_of(below)?;
            ways.push(self.read(vec![(c as u32, c as u32)], below)?);
        }
        Ok(())
    }

    fn repeat(&mut self, repetition: &Repetition, next: Node) -> Result<Node> {
        let Repetition { min, max, sub, .. } = repetition;
        let mut entry = next;
        match max {
            Some(max) => {
                for _ in *min..*max {
                    let more = self.build(sub, entry)?;
                    entry = self.push(Step::Fork(more, next))?;
                }
            }
            None => {
                entry = self.push(Step::Fork(next, next))?;
                let more = self.build(sub, entry)?;
                self.steps[entry as usize] = Step::Fork(more, next);
            }
        }
        for _ in 0..*min {
            // A part that reads nothing leaves the entry as it is and need not be repeated.
            let before = entry;
            entry = self.build(sub, entry)?;
            if entry == before {
                break;
            }
        }
        Ok(entry)
    }
}

/// The characters of a branch that is a short text.
fn word(hir: &Hir) -> Option<Vec<char>> {
    let HirKind::Literal(literal) = hir.kind() else { return None };
    let text = std::str::from_utf8(&literal.0).ok()?;
    (text.len() <= LONGEST_WORD).then(|| text.chars().collect())
}

/// The longest text whose beginning is shared: each character is a call deeper.
const LONGEST_WORD: usize = 64;

fn not_text() -> Error {
    Error::unsupported("patterns speak of Unicode text, not of raw bytes")
}
