//! UTF-8: from automata over characters to automata over bytes.

use super::Limits;
use super::automaton::{Automaton, DEAD, State};
use super::minimize;
use super::symbols::{Bytes, Chars, Symbols};
use crate::Result;
use crate::util::FastMap;

/// The target of a byte inside a character.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Way {
    Invalid,
    /// The character is complete and of this class.
    Class(u32),
    /// The character goes on.
    Node(u32),
}

/// Continuation bytes are 80–BF.
const FANOUT: usize = 64;

/// A decision diagram from the bytes of a character to its class. Equal parts are shared.
struct Diagram {
    lead: [Way; 256],
    nodes: Vec<[Way; FANOUT]>,
    /// Classes that can be reached from each node, ascending.
    below: Vec<Vec<u32>>,
    ids: FastMap<[Way; FANOUT], u32>,
}

impl Diagram {
    fn new(symbols: &Chars) -> Self {
        let mut new = Self { lead: [Way::Invalid; 256], nodes: Vec::new(), below: Vec::new(), ids: FastMap::default() };
        // Each length of encoding has its own valid code points: no overlong forms, no surrogates.
        let two = restricted(symbols, &[(0x80, 0x800)]);
        let three = restricted(symbols, &[(0x800, 0xd800), (0xe000, 0x1_0000)]);
        let four = restricted(symbols, &[(0x1_0000, Chars::END)]);
        for byte in 0..=255u8 {
            let b = byte as u32;
            new.lead[byte as usize] = match byte {
                0x00..=0x7f => Way::Class(symbols.class(b) as u32),
                0xc0..=0xdf => new.node(&two, (b & 0x1f) << 6, 1),
                0xe0..=0xef => new.node(&three, (b & 0x0f) << 12, 2),
                0xf0..=0xf7 => new.node(&four, (b & 0x07) << 18, 3),
                _ => Way::Invalid,
            };
        }
        new
    }

    /// The target of the 64^depth code points from `first` on.
    fn node(&mut self, ways: &[(u32, Way)], first: u32, depth: u32) -> Way {
        let at = ways.partition_point(|&(begin, _)| begin <= first) - 1;
        if depth == 0 {
            return ways[at].1;
        }
        let size = 1 << (6 * depth);
        let uniform = ways.get(at + 1).is_none_or(|&(begin, _)| begin >= first + size);
        let mut children = [Way::Invalid; FANOUT];
        match (uniform, ways[at].1) {
            (true, Way::Invalid) => return Way::Invalid,
            (true, way) => children.fill(self.node(&[(0, way)], 0, depth - 1)),
            (false, _) => {
                for (i, child) in (0..).zip(&mut children) {
                    *child = self.node(ways, first + i * (size >> 6), depth - 1);
                }
            }
        }
        self.intern(children)
    }

    fn intern(&mut self, children: [Way; FANOUT]) -> Way {
        if children == [Way::Invalid; FANOUT] {
            return Way::Invalid;
        }
        if let Some(&known) = self.ids.get(&children) {
            return Way::Node(known);
        }
        let mut below: Vec<u32> = Vec::new();
        for (i, child) in children.iter().enumerate() {
            match child {
                _ if i > 0 && child == &children[i - 1] => {}
                Way::Invalid => {}
                Way::Class(class) => below.push(*class),
                Way::Node(node) => below.extend(&self.below[*node as usize]),
            }
        }
        below.sort_unstable();
        below.dedup();
        let new = self.nodes.len() as u32;
        self.nodes.push(children);
        self.below.push(below);
        self.ids.insert(children, new);
        Way::Node(new)
    }

    /// The classes of bytes that have equal targets in every node.
    fn bytes(&self) -> Bytes {
        Bytes::group(|byte| {
            let inside = (0x80..0xc0).contains(&byte).then(|| byte as usize - 0x80);
            let column = inside.map(|i| self.nodes.iter().map(|node| node[i]).collect::<Vec<Way>>());
            (self.lead[byte as usize], column)
        })
    }
}

/// The targets of code points, as ranges; invalid outside the `valid` ranges.
fn restricted(symbols: &Chars, valid: &[(u32, u32)]) -> Vec<(u32, Way)> {
    let mut ways = vec![(0, Way::Invalid)];
    for &(begin, end) in valid {
        ways.push((begin, Way::Class(symbols.class(begin) as u32)));
        let inside = symbols.ranges().iter().filter(|&&(first, _)| begin < first && first < end);
        ways.extend(inside.map(|&(first, class)| (first, Way::Class(class))));
        ways.push((end, Way::Invalid));
    }
    ways
}

/// The minimal automaton over bytes of the same texts; it reads marks anywhere and ignores them.
///
/// States of `chars`, which is minimal, keep their numbers; states inside characters follow.
pub(super) fn expand(chars: &Automaton<Chars>, limits: &Limits) -> Result<Automaton<Bytes>> {
    let diagram = Diagram::new(&chars.symbols);
    let symbols = diagram.bytes();
    let bytes = symbols.representatives();
    let mut inside = Inside {
        diagram: &diagram,
        first: chars.accept.len() as State,
        rows: Vec::new(),
        ids: FastMap::default(),
        known: FastMap::default(),
    };
    let mut next = Vec::with_capacity(chars.accept.len() * symbols.width());
    for state in 0..chars.accept.len() as State {
        let row = chars.row(state);
        next.extend(bytes.iter().map(|&b| inside.follow(diagram.lead[b as usize], row)));
        next.push(state);
        limits.check(chars.accept.len() + inside.rows.len(), symbols.width(), "it, spelled in bytes,")?;
    }
    for (state, row) in (inside.first..).zip(&inside.rows) {
        let continued = |b: u8| if (0x80..0xc0).contains(&b) { row[b as usize - 0x80] } else { DEAD };
        next.extend(bytes.iter().map(|&b| continued(b)));
        next.push(state);
    }
    let mut accept = chars.accept.clone();
    accept.resize(accept.len() + inside.rows.len(), false);
    Ok(minimize::narrow(Automaton { symbols, next, accept, start: chars.start }))
}

/// The states inside characters.
struct Inside<'a> {
    diagram: &'a Diagram,
    /// The number of the first state inside a character.
    first: State,
    rows: Vec<[State; FANOUT]>,
    ids: FastMap<[State; FANOUT], State>,
    /// States by node of the diagram and the targets of the classes below it.
    known: FastMap<(u32, Box<[State]>), State>,
}

impl Inside<'_> {
    /// The state that `way` leads to; `row` has the target of each class.
    fn follow(&mut self, way: Way, row: &[State]) -> State {
        let node = match way {
            Way::Invalid => return DEAD,
            Way::Class(class) => return row[class as usize],
            Way::Node(node) => node,
        };
        let key: Box<[State]> = self.diagram.below[node as usize].iter().map(|&class| row[class as usize]).collect();
        if key.iter().all(|&to| to == DEAD) {
            return DEAD;
        }
        let key = (node, key);
        if let Some(&known) = self.known.get(&key) {
            return known;
        }
        let mut targets = [DEAD; FANOUT];
        let children = &self.diagram.nodes[node as usize];
        for i in 0..FANOUT {
            let same = i > 0 && children[i] == children[i - 1];
            targets[i] = if same { targets[i - 1] } else { self.follow(children[i], row) };
        }
        let new = self.first + self.rows.len() as State;
        let state = *self.ids.entry(targets).or_insert_with(|| {
            self.rows.push(targets);
            new
        });
        self.known.insert(key, state);
        state
    }
}
