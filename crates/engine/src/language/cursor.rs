//! A cursor: a place in a text that a reader of grammars has come to.

use crate::Error;
use std::ops::Range;

pub(super) struct Cursor<'a> {
    pub(super) text: &'a str,
    /// Byte offset of what comes next.
    pub(super) at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }
    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }
    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }
    pub(super) fn eat(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    /// Skips blanks, and comments that begin with one of `comments` and last to the end of their line.
    pub(super) fn skip(&mut self, blank: impl Fn(char) -> bool, comments: &[&str]) {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start_matches(&blank);
            self.at += rest.len() - trimmed.len();
            if !comments.iter().any(|comment| trimmed.starts_with(comment)) {
                return;
            }
            self.at += trimmed.find('\n').unwrap_or(trimmed.len());
        }
    }

    /// The longest run of letters, digits, underscores and what else a name may hold, if it is not empty.
    pub(super) fn name(&mut self, other: impl Fn(char) -> bool) -> Option<(&'a str, Range<usize>)> {
        let rest = self.rest();
        let len = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || other(c))).unwrap_or(rest.len());
        let span = self.at..self.at + len;
        self.at += len;
        (len > 0).then(|| (&rest[..len], span))
    }

    /// An error that says what was expected here, and what was found.
    pub(super) fn unexpected(&self, wanted: &str) -> Error {
        let end = self.at + self.peek().map_or(0, char::len_utf8);
        let found = self.peek().map_or("the end".into(), |c| format!("{c:?}"));
        Error::input(format!("{wanted} expected, not {found}")).at(self.at..end)
    }
}
