//! The vocabulary's prefix tree, with a root.

use crate::vocab::TokenTrie;
use crate::{Token, Vocab};

/// Index of a node; node 0 is the root. Nodes are in depth-first order, children by ascending byte.
pub(super) type TrieNode = u32;

pub(super) struct Trie {
    vocab: Vocab,
}

impl Trie {
    pub fn new(vocab: &Vocab) -> Self {
        Self { vocab: vocab.clone() }
    }

    fn tree(&self) -> &TokenTrie {
        self.vocab.trie()
    }
    pub fn byte(&self, node: TrieNode) -> u8 {
        self.tree().nodes[node as usize - 1].byte
    }
    /// One beyond the last node beneath.
    pub fn end(&self, node: TrieNode) -> TrieNode {
        match node {
            0 => self.tree().nodes.len() as TrieNode + 1,
            _ => self.tree().nodes[node as usize - 1].end + 1,
        }
    }
    /// The tokens that end at a node.
    pub fn tokens(&self, node: TrieNode) -> &[Token] {
        if node == 0 { &[] } else { self.tree().tokens(node as usize - 1) }
    }
}
