//! The vocabulary in an order in which tokens with a common beginning are neighbours.

use crate::Token;

/// A prefix tree, flattened: tokens sorted by their bytes, each with the number of leading bytes it shares with the
/// one before it.
#[derive(Debug, Default)]
pub(crate) struct TokenTrie {
    pub(crate) entries: Vec<Entry>,
}

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) token: Token,
    pub(crate) shared: usize,
}

impl TokenTrie {
    pub(crate) fn new<'a>(bytes: impl Fn(Token) -> Option<&'a [u8]>, size: usize) -> Self {
        let mut tokens: Vec<(&[u8], Token)> = (0..size as Token).filter_map(|t| Some((bytes(t)?, t))).collect();
        tokens.sort_unstable();
        let mut before: &[u8] = &[];
        let entries = tokens.iter().map(|&(bytes, token)| {
            let shared = bytes.iter().zip(before).take_while(|(a, b)| a == b).count();
            before = bytes;
            Entry { token, shared }
        });
        Self { entries: entries.collect() }
    }
}
