//! Networks of automata: concatenation, union and paths through a graph of parts, by the subset construction.

use super::Limits;
use super::automaton::{Automaton, DEAD, State};
use super::subsets::Subsets;
use super::symbols::Symbols;
use crate::Result;

/// One of `parts`, of which there is at least one.
pub(super) fn union<S: Symbols>(parts: &[Automaton<S>], limits: &Limits) -> Result<Automaton<S>> {
    let all = (0..parts.len() as u32).collect();
    let network = PartNetwork { follow: vec![all, Vec::new()], to: vec![1; parts.len()], last: vec![false, true] };
    Joined::new(parts.iter().collect(), network).determinize(limits, "the union of the alternatives")
}

/// The parts, of which there is at least one, one after the other.
pub(super) fn concat<S: Symbols>(parts: &[Automaton<S>], limits: &Limits) -> Result<Automaton<S>> {
    let count = parts.len() as u32;
    let network = PartNetwork {
        follow: (0..count).map(|i| vec![i]).chain([Vec::new()]).collect(),
        to: (1..=count).collect(),
        last: (0..=count).map(|i| i == count).collect(),
    };
    Joined::new(parts.iter().collect(), network).determinize(limits, "the sequence of its parts")
}

/// The texts of the paths of a network: `parts` are its arrows, of which there is at least one.
pub(super) fn network<S: Symbols>(
    parts: Vec<&Automaton<S>>,
    network: PartNetwork,
    limits: &Limits,
) -> Result<Automaton<S>> {
    Joined::new(parts, network).determinize(limits, "the network of its parts")
}

/// The graph of parts: parts are arrows between nodes, and a text is read along a path from node 0.
///
/// Where one part ends and the next begins, both refer to the same gap between two bytes, which is a token boundary for
/// both or for neither. So a part that is entered before the mark of that gap must not read the mark on its own, and a
/// part that is entered after the mark has read it already.
pub(super) struct PartNetwork {
    /// The parts that leave each node.
    pub(super) follow: Vec<Vec<u32>>,
    /// The node that each part leads to.
    pub(super) to: Vec<u32>,
    /// Nodes where a text may end; node 0 is none of them.
    pub(super) last: Vec<bool>,
}

/// A member of a subset is `offset[part] + state`. No subset holds a dead state, so a part's state 0 has another
/// meaning: the start of the part, entered at a gap whose mark has not been read. Such a member cannot read a mark.
struct Joined<'a, S> {
    parts: Vec<&'a Automaton<S>>,
    network: PartNetwork,
    offsets: Vec<u32>,
    part_of: Vec<u32>,
    symbols: S,
    maps: Vec<Vec<u32>>,
}

const UNMARKED_START: State = DEAD;

impl<'a, S: Symbols> Joined<'a, S> {
    fn new(parts: Vec<&'a Automaton<S>>, network: PartNetwork) -> Self {
        let (symbols, maps) = S::join(parts.iter().map(|p| &p.symbols));
        let (mut offsets, mut part_of) = (Vec::new(), Vec::new());
        for (i, part) in parts.iter().enumerate() {
            offsets.push(part_of.len() as u32);
            part_of.resize(part_of.len() + part.accept.len(), i as u32);
        }
        Self { parts, network, offsets, part_of, symbols, maps }
    }

    fn determinize(&self, limits: &Limits, what: &str) -> Result<Automaton<S>> {
        let width = self.symbols.width();
        let members: usize = self.parts.iter().map(|p| p.accept.len()).sum();
        limits.check(members, 1, what)?;

        let mut subsets = Subsets::default();
        subsets.number(&[]);
        let mut set = Vec::new();
        let number = |subsets: &mut Subsets, set: &mut Vec<u32>| {
            set.sort_unstable();
            set.dedup();
            subsets.number(set)
        };
        self.begin(&mut set);
        let (start, _) = number(&mut subsets, &mut set);
        let mut work = 0;
        let mut next = vec![DEAD; width];
        let mut at = 1;
        while at < subsets.len() {
            for class in 0..width {
                set.clear();
                let from = subsets.get(at).unwrap_or_default();
                for &member in from {
                    self.read(member, class, &mut set);
                }
                work += from.len() + set.len();
                let (id, new) = number(&mut subsets, &mut set);
                next.push(id);
                if new {
                    limits.check(subsets.len(), width, what)?;
                    limits.check(subsets.len(), 2 * subsets.members() / subsets.len(), what)?;
                }
            }
            limits.check_work(work, what)?;
            at += 1;
        }
        let accept = subsets.iter().map(|set| set.iter().any(|&member| self.accepts(member))).collect();
        drop(subsets);
        Ok(Automaton { symbols: self.symbols.clone(), next, accept, start }.minimized())
    }

    fn locate(&self, member: u32) -> (usize, State) {
        let part = self.part_of[member as usize] as usize;
        (part, member - self.offsets[part])
    }

    fn begin(&self, set: &mut Vec<u32>) {
        for &part in &self.network.follow[0] {
            let start = self.parts[part as usize].start;
            if start != DEAD {
                self.enter(part as usize, start, start, false, set);
            }
        }
    }

    /// Adds the members that `member` becomes after a symbol.
    fn read(&self, member: u32, class: usize, set: &mut Vec<u32>) {
        let (part, state) = self.locate(member);
        let dfa = self.parts[part];
        let marked = self.symbols.mark() == Some(class);
        if state == UNMARKED_START && marked {
            return;
        }
        let from = if state == UNMARKED_START { dfa.start } else { state };
        let to = dfa.step(from, self.maps[part][class] as usize);
        if to != DEAD {
            self.enter(part, to, to, marked, set);
        }
    }

    /// Adds a live state and, where its part may end, the parts that may follow at this gap.
    fn enter(&self, part: usize, state: State, member: State, marked: bool, set: &mut Vec<u32>) {
        let from = set.len();
        set.push(self.offsets[part] + member);
        let mut ended = self.parts[part].accept[state as usize].then_some(self.network.to[part]);
        let mut at = from + 1;
        while let Some(node) = ended {
            for &part in &self.network.follow[node as usize] {
                let dfa = self.parts[part as usize];
                let member = match (self.symbols.mark(), marked) {
                    (None, _) => dfa.start,
                    (Some(_), false) if dfa.start != DEAD => UNMARKED_START,
                    (Some(mark), true) if dfa.start != DEAD => {
                        dfa.step(dfa.start, self.maps[part as usize][mark] as usize)
                    }
                    _ => continue,
                };
                let dead = member == DEAD && (marked || self.symbols.mark().is_none());
                let member = self.offsets[part as usize] + member;
                if !dead && !set[from..].contains(&member) {
                    set.push(member);
                }
            }
            // The next of the parts entered here that may end at once.
            ended = None;
            while let (None, Some(&member)) = (ended, set.get(at)) {
                let (part, state) = self.locate(member);
                let state = if state == UNMARKED_START { self.parts[part].start } else { state };
                ended = self.parts[part].accept[state as usize].then_some(self.network.to[part]);
                at += 1;
            }
        }
    }

    fn accepts(&self, member: u32) -> bool {
        let (part, state) = self.locate(member);
        let dfa = self.parts[part];
        let state = if state == UNMARKED_START { dfa.start } else { state };
        self.network.last[self.network.to[part] as usize] && dfa.accept[state as usize]
    }
}
