//! The transitions of a pushdown automaton over tokens: they are computed when they are first needed, and kept.
//!
//! A configuration is reached by a beginning of a text: a set of stacks, and a state of the automaton of the regular
//! constraints beside the grammar. Two configurations with the same tops of stacks and different stacks beneath them
//! read alike until they return. So the vocabulary's prefix tree is walked once for each *shape*, with variables for
//! the stacks beneath the tops. Where a token returns to a variable, the walk is resumed from that node with the stacks
//! that the variable stands for.

use super::gss::{Gss, NONE, NOWHERE, Node, Returned, shapes};
use super::partition::Partition;
use crate::automata::{Dfa, Edge, Label};
use crate::util::FastMap;
use crate::vocab::{RootedNode, RootedTrie};
use crate::{Result, Token};
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashSet};
use std::sync::Arc;

/// Index of a configuration of [`Transitions`].
pub(super) type Config = u32;

/// The configuration after the end of the text.
pub(super) const ENDED: Config = 0;

/// A state of the automaton beside the grammar.
pub(super) type Beside = u32;

pub(super) struct Transitions {
    pub stacks: Gss,
    beside: Dfa,
    pub trie: Arc<RootedTrie>,
    pub partition: Partition,
    configs: Vec<(Beside, Node)>,
    ids: FastMap<(Beside, Node), Config>,
    edges: Vec<Option<Arc<[Edge]>>>,
    walks: FastMap<(RootedNode, Beside, Node), Arc<Walk>>,
}

/// The targets of the tokens beneath a node of the prefix tree, from a shape.
pub(super) struct Walk {
    pub edges: Vec<Way>,
    pub returns: Vec<Return>,
}

/// The tokens that lead to one target.
pub(super) struct Way {
    label: Label,
    /// One of them.
    pub token: Token,
    pub beside: Beside,
    pub to: Node,
}

/// A node of the prefix tree at whose byte variables are returned to.
pub(super) struct Return {
    /// The node of the byte.
    pub at: RootedNode,
    pub beside: Beside,
    /// The stacks after the byte that have not returned to a variable.
    pub kept: Node,
    /// The variables that are returned to; their stacks read the byte.
    pub returned: Returned,
}

/// The text with the fewest bytes, if it was found.
pub(super) enum Shortest {
    Text(Vec<u8>),
    /// There is no text at all.
    Nothing,
    /// The search was given up.
    Unknown,
}

impl Transitions {
    pub fn new(stacks: Gss, beside: Dfa, trie: Arc<RootedTrie>, vocab: usize) -> Self {
        Self {
            stacks,
            beside,
            trie,
            partition: Partition::new(vocab),
            configs: vec![(0, NONE)],
            ids: FastMap::default(),
            edges: vec![None],
            walks: FastMap::default(),
        }
    }

    /// Number of configurations that were found so far.
    pub fn len(&self) -> usize {
        self.configs.len()
    }

    pub fn beside(&self) -> &Dfa {
        &self.beside
    }

    /// The configuration before the first token; `None` if there is no text.
    pub fn start(&mut self) -> Option<Config> {
        let (beside, node) = (self.beside.start(), self.stacks.start());
        (beside != 0 && node != NONE).then(|| self.config(beside, node))
    }

    /// Whether a text may end here.
    pub fn complete(&self, config: Config) -> bool {
        let (beside, node) = self.configs[config as usize];
        self.beside.accepting(beside) && self.stacks.complete(node)
    }

    /// A lower bound on the bytes that complete the text: the fewest that the grammar needs.
    pub fn bytes_to_end(&self, config: Config) -> usize {
        self.stacks.bytes_to_end(self.configs[config as usize].1)
    }

    fn config(&mut self, beside: Beside, node: Node) -> Config {
        let new = self.configs.len() as Config;
        let id = *self.ids.entry((beside, node)).or_insert(new);
        if id == new {
            self.configs.push((beside, node));
            self.edges.push(None);
        }
        id
    }

    /// The number of bytes that can be read, and whether all of them are a text. Every gap between two bytes may be a
    /// boundary between tokens or not; the first and the last gap always are.
    pub fn read(&mut self, text: &[u8]) -> (usize, bool) {
        let mut node = self.stacks.start();
        let mut beside = BTreeSet::from([self.beside.start()]);
        for (at, &byte) in text.iter().enumerate() {
            node = self.stacks.read_all(node, &[byte]);
            let inside = beside.iter().map(|&state| self.beside.step(state, byte));
            beside = inside.flat_map(|state| [state, self.beside.mark(state)]).filter(|&state| state != 0).collect();
            if node == NONE || beside.is_empty() {
                return (at, false);
            }
        }
        (text.len(), self.stacks.complete(node) && beside.iter().any(|&state| self.beside.accepting(state)))
    }

    /// A text with the fewest bytes, by best-first search: the grammar gives a lower bound on the missing bytes.
    pub fn shortest(&mut self) -> Shortest {
        const MOST: usize = 200_000;
        let mut bytes: Vec<u8> = (0..=255).collect();
        bytes.sort_by_key(|byte| (!byte.is_ascii_lowercase(), !byte.is_ascii_alphanumeric(), !byte.is_ascii_graphic()));
        let mut seen = HashSet::new();
        bytes.retain(|&byte| seen.insert((self.stacks.rtn().class(byte), self.beside.class(byte))));
        let start = (self.beside.start(), self.stacks.start());
        // (bytes at least, order of discovery, state), smallest first; and how each state was found.
        let mut open = BinaryHeap::from([Reverse((self.stacks.bytes_to_end(start.1), 0, 0, start))]);
        type Pair = (Beside, Node);
        let mut found: FastMap<Pair, (usize, Pair, Option<u8>)> = FastMap::default();
        found.insert(start, (0, start, None));
        let mut count = 0;
        while let Some(Reverse((_, _, depth, state))) = open.pop() {
            if self.beside.accepting(state.0) && self.stacks.complete(state.1) {
                let mut text = Vec::new();
                let mut at = state;
                while at != start {
                    let Some(&(_, before, byte)) = found.get(&at) else { break };
                    text.extend(byte);
                    at = before;
                }
                text.reverse();
                return Shortest::Text(text);
            }
            let marked = (self.beside.mark(state.0), state.1);
            let reads = bytes.iter().map(|&byte| (Some(byte), self.beside.step(state.0, byte)));
            for (byte, beside) in [(None, marked.0)].into_iter().chain(reads.collect::<Vec<_>>()) {
                let node = byte.map_or(state.1, |byte| self.stacks.read_all(state.1, &[byte]));
                let depth = depth + usize::from(byte.is_some());
                let known = found.get(&(beside, node)).is_some_and(|known| known.0 <= depth);
                if beside == 0 || node == NONE || known {
                    continue;
                }
                found.insert((beside, node), (depth, state, byte));
                count += 1;
                open.push(Reverse((depth + self.stacks.bytes_to_end(node), count, depth, (beside, node))));
            }
            if count > MOST {
                return Shortest::Unknown;
            }
        }
        Shortest::Nothing
    }

    /// The configuration after a token, if the token may follow.
    pub fn step(&mut self, config: Config, bytes: &[u8]) -> Option<Config> {
        let (beside, node) = self.configs[config as usize];
        let beside = self.beside.mark(bytes.iter().fold(beside, |state, &byte| self.beside.step(state, byte)));
        let node = self.stacks.read_all(node, bytes);
        (beside != 0 && node != NONE).then(|| self.config(beside, node))
    }

    /// The edges that leave a configuration, one for each target. Classes may be split later; labels keep their tokens.
    ///
    /// # Errors
    /// `TooLarge`.
    pub fn edges(&mut self, config: Config) -> Result<Arc<[Edge]>> {
        if let Some(edges) = &self.edges[config as usize] {
            return Ok(edges.clone());
        }
        let (beside, node) = self.configs[config as usize];
        let mut found: Vec<(Config, Label)> = Vec::new();
        self.resolve(0, beside, node, &mut found)?;
        found.sort_unstable();
        let mut edges: Vec<Edge> = Vec::new();
        for same in found.chunk_by(|a, b| a.0 == b.0) {
            let label = self.partition.union(same.iter().map(|&(_, label)| label).collect());
            edges.push(Edge { label, target: same[0].0 });
        }
        let edges: Arc<[Edge]> = edges.into();
        self.edges[config as usize] = Some(edges.clone());
        Ok(edges)
    }

    /// Adds the targets of the tokens beneath a node of the prefix tree.
    fn resolve(&mut self, at: RootedNode, beside: Beside, node: Node, found: &mut Vec<(Config, Label)>) -> Result<()> {
        let (shape, below) = shapes::abstracted(&mut self.stacks, node);
        let walk = self.walk(at, beside, shape);
        let mut known = FastMap::default();
        for way in &walk.edges {
            let target = shapes::concrete(&mut self.stacks, way.to, &below, &mut known);
            let target = self.config(way.beside, target);
            found.push((target, way.label));
        }
        for back in &walk.returns {
            let mut joint = shapes::concrete(&mut self.stacks, back.kept, &below, &mut known);
            let class = self.stacks.rtn().class(self.trie.byte(back.at));
            for (variable, inner) in self.stacks.returned(back.returned).to_vec() {
                let stacks = self.stacks.resumed(below[variable], inner);
                let (read, _) = self.stacks.read(stacks, class);
                joint = self.stacks.union(joint, read);
            }
            if joint != NONE {
                self.finish(back.at, back.beside, joint, found);
                self.resolve(back.at, back.beside, joint, found)?;
            }
        }
        Ok(())
    }

    /// Adds the tokens that end at a node.
    fn finish(&mut self, at: RootedNode, beside: Beside, node: Node, found: &mut Vec<(Config, Label)>) {
        let beside = self.beside.mark(beside);
        let tokens = self.trie.tokens(at);
        if !tokens.is_empty() && beside != 0 {
            let label = self.partition.tokens(tokens.to_vec());
            let target = self.config(beside, node);
            found.push((target, label));
        }
    }

    pub fn walk(&mut self, at: RootedNode, beside: Beside, shape: Node) -> Arc<Walk> {
        if let Some(walk) = self.walks.get(&(at, beside, shape)) {
            return walk.clone();
        }
        let mut targets: FastMap<(Beside, Node), Vec<Token>> = FastMap::default();
        let mut order = Vec::new();
        let mut returns = Vec::new();
        let trie = self.trie.clone();
        // The nodes on the path: the end of each subtree, and the states after the node's prefix.
        let mut path = vec![(trie.end(at), beside, shape)];
        let mut next = at + 1;
        while next < trie.end(at) {
            while path.last().is_some_and(|top| top.0 <= next) {
                path.pop();
            }
            let Some(&(_, beside, node)) = path.last() else { break };
            let byte = trie.byte(next);
            let class = self.stacks.rtn().class(byte);
            let (read, returned) = self.stacks.read(node, class);
            let beside = self.beside.step(beside, byte);
            if beside == 0 || (read == NONE && returned == NOWHERE) {
                next = trie.end(next);
                continue;
            }
            if returned != NOWHERE {
                returns.push(Return { at: next, beside, kept: read, returned });
                next = trie.end(next);
                continue;
            }
            let tokens = trie.tokens(next);
            let ended = self.beside.mark(beside);
            if !tokens.is_empty() && ended != 0 {
                let of = targets.entry((ended, read)).or_insert_with(|| {
                    order.push((ended, read));
                    Vec::new()
                });
                of.extend_from_slice(tokens);
            }
            path.push((trie.end(next), beside, read));
            next += 1;
        }
        let mut edges = Vec::with_capacity(order.len());
        for (beside, node) in order {
            let tokens = targets.remove(&(beside, node)).unwrap_or_default();
            debug_assert!(!tokens.is_empty(), "a target is found by its first token, and listed once");
            let Some(&token) = tokens.first() else { continue };
            edges.push(Way { label: self.partition.tokens(tokens), token, beside, to: node });
        }
        let walk = Arc::new(Walk { edges, returns });
        self.walks.insert((at, beside, shape), walk.clone());
        walk
    }
}
