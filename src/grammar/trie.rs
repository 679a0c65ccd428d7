//! The vocabulary as a tree of bytes.

use crate::{Token, Vocab};

/// Index of a node; node 0 is the root. Nodes are in depth-first order, children by ascending byte.
pub(super) type TrieNode = u32;

pub(super) struct Trie {
    byte: Vec<u8>,
    /// One beyond the last node of each subtree.
    end: Vec<TrieNode>,
    /// Tokens that end at a node are `tokens[first[node]..first[node + 1]]`.
    first: Vec<u32>,
    tokens: Vec<Token>,
}

impl Trie {
    pub fn new(vocab: &Vocab) -> Self {
        let mut new = Self { byte: vec![0], end: vec![0], first: vec![0], tokens: Vec::new() };
        let mut path: Vec<TrieNode> = vec![0];
        for entry in &vocab.trie().entries {
            let bytes = vocab.bytes(entry.token).unwrap_or_default();
            for closed in path.drain(entry.shared + 1..) {
                new.end[closed as usize] = new.byte.len() as TrieNode;
            }
            for &byte in &bytes[entry.shared..] {
                path.push(new.byte.len() as TrieNode);
                new.byte.push(byte);
                new.end.push(0);
                new.first.push(new.tokens.len() as u32);
            }
            new.tokens.push(entry.token);
        }
        for closed in path {
            new.end[closed as usize] = new.byte.len() as TrieNode;
        }
        new.first.push(new.tokens.len() as u32);
        new
    }

    pub fn byte(&self, node: TrieNode) -> u8 {
        self.byte[node as usize]
    }
    /// One beyond the last node beneath.
    pub fn end(&self, node: TrieNode) -> TrieNode {
        self.end[node as usize]
    }
    /// The tokens that end at a node.
    pub fn tokens(&self, node: TrieNode) -> &[Token] {
        &self.tokens[self.first[node as usize] as usize..self.first[node as usize + 1] as usize]
    }
    /// The nodes one byte further.
    pub fn children(&self, node: TrieNode) -> impl Iterator<Item = TrieNode> + '_ {
        let end = self.end(node);
        let mut next = node + 1;
        std::iter::from_fn(move || {
            let child = next;
            (child < end).then(|| {
                next = self.end(child);
                child
            })
        })
    }
}
