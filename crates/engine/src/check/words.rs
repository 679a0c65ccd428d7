//! Words and phrases that occur in a text as whole words: found by search.

use super::{Check, Verdict};
use crate::error::{Error, Result};
use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};
use std::ops::Range;

/// A word or phrase to look for. Where it starts or ends with a word character, no word character may stand beside it
/// there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Phrase {
    pub text: String,
    pub ignore_case: bool,
    /// For each character, the characters that count as the same one.
    letters: Vec<Vec<char>>,
    /// Whether the phrase starts with a word character.
    pub starts_word: bool,
    /// Whether the phrase ends with a word character.
    pub ends_word: bool,
}

impl Phrase {
    pub fn new(text: String, ignore_case: bool) -> Result<Self> {
        if text.trim().is_empty() {
            return Err(Error::input("an empty word").help("every word needs a character that is not white space"));
        }
        let letters = text.chars().map(|c| if ignore_case { variants(c) } else { vec![c] }).collect();
        let (starts_word, ends_word) = (text.starts_with(is_word), text.ends_with(is_word));
        Ok(Self { text, ignore_case, letters, starts_word, ends_word })
    }

    /// The first occurrence.
    pub fn find(&self, text: &str) -> Option<Range<usize>> {
        let mut before = None;
        for (start, c) in text.char_indices() {
            let joined = || self.starts_word && before.is_some_and(is_word);
            if let Some(len) = self.matches(&text[start..])
                && !joined()
            {
                return Some(start..start + len);
            }
            before = Some(c);
        }
        None
    }

    /// Bytes of the phrase at the start of `text`, if it stands there and ends as a word.
    fn matches(&self, text: &str) -> Option<usize> {
        let mut rest = text.chars();
        for letters in &self.letters {
            if !letters.contains(&rest.next()?) {
                return None;
            }
        }
        let after = rest.as_str();
        let joined = self.ends_word && after.starts_with(is_word);
        (!joined).then_some(text.len() - after.len())
    }
}

/// Size of a block: code points whose UTF-8 forms share all bytes but the last.
pub(crate) const BLOCK: u32 = 64;

/// First code points of the blocks in which letters and the punctuation of living scripts mix.
pub(crate) const MIXED: [u32; 22] = [
    0x0000, 0x0040, 0x0080, 0x00c0, 0x0340, 0x0380, 0x0540, 0x0580, 0x05c0, 0x0600, 0x0640, 0x06c0, 0x0940, 0x0f00,
    0x1040, 0x1340, 0x17c0, 0x2000, 0x2040, 0x3000, 0xff00, 0xffc0,
];

/// Blocks of symbols: sub- and superscripts to arrows, supplemental punctuation, and emoji.
pub(crate) const SYMBOLS: [Range<u32>; 3] = [0x2080..0x2c00, 0x2e00..0x2e80, 0x1_f000..0x2_0000];

/// Whether a character is part of a word: a letter, mark, decimal digit or connector, as `\w` has it.
///
/// Deciding every code point by `\w` costs an automaton some three hundred states at each place where words matter. So
/// `\w` decides in the blocks where words and their punctuation mix only. Elsewhere all code points of a block are
/// alike: symbols separate words, and everything else, such as the punctuation of historic scripts, is part of a word.
pub(crate) fn is_word(c: char) -> bool {
    let point = c as u32;
    if MIXED.contains(&(point / BLOCK * BLOCK)) {
        regex_syntax::try_is_word_character(c).unwrap_or_else(|_| c.is_alphanumeric() || c == '_')
    } else {
        !SYMBOLS.iter().any(|symbols| symbols.contains(&point))
    }
}

/// The characters that are the same under simple case folding.
fn variants(c: char) -> Vec<char> {
    let mut class = ClassUnicode::new([ClassUnicodeRange::new(c, c)]);
    class.case_fold_simple();
    class.iter().flat_map(|range| range.start()..=range.end()).collect()
}

fn phrases<T: Into<String>>(words: impl IntoIterator<Item = T>, ignore_case: bool) -> Result<Vec<Phrase>> {
    let words = words.into_iter().enumerate();
    let phrases = words.map(|(i, word)| Phrase::new(word.into(), ignore_case).map_err(|e| e.under(i)));
    let phrases: Vec<_> = phrases.collect::<Result<_>>()?;
    if phrases.is_empty() {
        return Err(Error::input("an empty list of words"));
    }
    Ok(phrases)
}

/// Each of some words or phrases occurs as a whole word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contains {
    pub(crate) phrases: Vec<Phrase>,
}

impl Contains {
    /// The words or phrases that must occur. With `ignore_case`, `River` counts as `river`.
    ///
    /// # Errors
    /// An empty list or an empty word.
    pub fn new<T: Into<String>>(words: impl IntoIterator<Item = T>, ignore_case: bool) -> Result<Self> {
        Ok(Self { phrases: phrases(words, ignore_case)? })
    }
}

impl Check for Contains {
    fn check(&self, text: &str) -> Verdict {
        match self.phrases.iter().find(|p| p.find(text).is_none()) {
            None => Verdict::Accept,
            Some(p) => Verdict::Reject { at: text.len(), why: format!("{:?} does not occur as a whole word", p.text) },
        }
    }
}

/// None of some words or phrases occurs as a whole word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excludes {
    pub(crate) phrases: Vec<Phrase>,
}

impl Excludes {
    /// The words or phrases that must not occur. With `ignore_case`, `River` counts as `river`.
    ///
    /// # Errors
    /// An empty list or an empty word.
    pub fn new<T: Into<String>>(words: impl IntoIterator<Item = T>, ignore_case: bool) -> Result<Self> {
        Ok(Self { phrases: phrases(words, ignore_case)? })
    }
}

impl Check for Excludes {
    fn check(&self, text: &str) -> Verdict {
        let found = self.phrases.iter().filter_map(|p| p.find(text).map(|span| (span.start, p)));
        match found.min_by_key(|(start, _)| *start) {
            None => Verdict::Accept,
            Some((at, p)) => Verdict::Reject { at, why: format!("{:?} is excluded", p.text) },
        }
    }
}
