//! The vocabulary as a prefix tree: tokens with a common beginning share its nodes.

use crate::Token;
use std::sync::Arc;

/// A prefix tree, flattened in depth-first order: the children of a node follow it, and a subtree that is dead is
/// skipped by one jump. The root, which has no byte, is left out.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct TokenTrie {
    pub(crate) nodes: Vec<Node>,
    /// Tokens by what they write; those of a node are neighbours, in order of their ids.
    pub(crate) tokens: Vec<Token>,
}

/// One byte at the end of some prefix of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Node {
    /// Index of the first node behind the subtree.
    pub(crate) end: u32,
    /// End of the node's tokens in [`TokenTrie::tokens`]; they begin where those of the node before it end.
    pub(crate) tokens: u32,
    pub(crate) byte: u8,
}

impl TokenTrie {
    /// Of the tokens with bytes.
    pub(crate) fn new<'a>(bytes: impl Fn(Token) -> Option<&'a [u8]>, size: usize) -> Self {
        // The first bytes as a number decide almost every comparison.
        let mut sorted: Vec<(u64, &[u8], Token)> =
            (0..size as Token).filter_map(|t| bytes(t).map(|bytes| (head(bytes), bytes, t))).collect();
        sorted.sort_unstable();
        let mut trie = Self::default();
        trie.tokens.reserve_exact(sorted.len());
        // Nodes on the way to the token before.
        let mut path: Vec<u32> = Vec::new();
        let mut before: &[u8] = &[];
        for (_, bytes, token) in sorted {
            let shared = bytes.iter().zip(before).take_while(|(a, b)| a == b).count();
            trie.close(&mut path, shared);
            for &byte in &bytes[shared..] {
                path.push(trie.nodes.len() as u32);
                let tokens = trie.tokens.len() as u32;
                trie.nodes.push(Node { end: 0, tokens, byte });
            }
            trie.tokens.push(token);
            if let Some(node) = path.last() {
                trie.nodes[*node as usize].tokens += 1;
            }
            before = bytes;
        }
        trie.close(&mut path, 0);
        trie
    }

    /// The tokens that end at a node.
    pub(crate) fn tokens(&self, node: usize) -> &[Token] {
        let first = if node == 0 { 0 } else { self.nodes[node - 1].tokens };
        &self.tokens[first as usize..self.nodes[node].tokens as usize]
    }

    fn close(&mut self, path: &mut Vec<u32>, depth: usize) {
        let end = self.nodes.len() as u32;
        for node in path.drain(depth..) {
            self.nodes[node as usize].end = end;
        }
    }
}

/// The first eight bytes, in an order that is the order of the bytes; shorter strings come first among equals.
fn head(bytes: &[u8]) -> u64 {
    let mut head = [0; 8];
    let len = bytes.len().min(8);
    head[..len].copy_from_slice(&bytes[..len]);
    u64::from_be_bytes(head)
}

/// The same tree with a root: what a walk from a node that may be the root needs.
pub(crate) struct RootedTrie(Arc<TokenTrie>);

/// Index of a node of a [`RootedTrie`]; node 0 is the root. Nodes are in depth-first order, children by ascending byte.
pub(crate) type RootedNode = u32;

impl RootedTrie {
    pub(crate) fn new(tree: Arc<TokenTrie>) -> Self {
        Self(tree)
    }
    /// The last byte of a node's prefix; the root has none.
    pub(crate) fn byte(&self, node: RootedNode) -> u8 {
        self.0.nodes[node as usize - 1].byte
    }
    /// Index of the first node behind the subtree.
    pub(crate) fn end(&self, node: RootedNode) -> RootedNode {
        match node {
            0 => self.0.nodes.len() as RootedNode + 1,
            _ => self.0.nodes[node as usize - 1].end + 1,
        }
    }
    /// The tokens that end at a node.
    pub(crate) fn tokens(&self, node: RootedNode) -> &[Token] {
        if node == 0 { &[] } else { self.0.tokens(node as usize - 1) }
    }
}
