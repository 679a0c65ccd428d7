//! Words and phrases that occur in a text as whole words.

use crate::{Error, Result};
use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};
use std::{collections::BTreeMap, ops::Range, sync::LazyLock};

/// A word or phrase to look for. Where it starts or ends with a word character, no word character may stand beside it
/// there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Phrase {
    text: String,
    ignore_case: bool,
    /// For each character, those that count as the same one.
    letters: Vec<Vec<char>>,
    starts_word: bool,
    ends_word: bool,
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

    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where it first occurs.
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

    /// A pattern of the texts in which it occurs.
    pub fn pattern(&self) -> String {
        around(self.starts_word, self.ends_word, &self.core())
    }

    fn core(&self) -> String {
        let flag = if self.ignore_case { "i" } else { "" };
        format!("(?{flag}:{})", regex_syntax::escape(&self.text))
    }
}

/// What stands around a phrase: anything, as long as no word is torn.
fn around(starts_word: bool, ends_word: bool, core: &str) -> String {
    let left = if starts_word { format!("(?:(?s:.)*{})?", &*NON_WORD) } else { "(?s:.)*".into() };
    let right = if ends_word { format!("(?:{}(?s:.)*)?", &*NON_WORD) } else { "(?s:.)*".into() };
    format!("{left}(?:{core}){right}")
}

/// Patterns that together match the texts in which any of the phrases occurs: one for all phrases of a kind, since a
/// union of single patterns would remember which of them have been found.
pub(crate) fn any_of(phrases: &[Phrase]) -> Vec<String> {
    let mut kinds: BTreeMap<(bool, bool), Vec<String>> = BTreeMap::new();
    for phrase in phrases {
        kinds.entry((phrase.starts_word, phrase.ends_word)).or_default().push(phrase.core());
    }
    kinds.into_iter().map(|((starts, ends), cores)| around(starts, ends, &cores.join("|"))).collect()
}

/// Code points that share all bytes but the last.
const BLOCK: u32 = 64;

/// First code points of the blocks where letters and the punctuation of living scripts mix.
const MIXED: [u32; 22] = [
    0x0000, 0x0040, 0x0080, 0x00c0, 0x0340, 0x0380, 0x0540, 0x0580, 0x05c0, 0x0600, 0x0640, 0x06c0, 0x0940, 0x0f00,
    0x1040, 0x1340, 0x17c0, 0x2000, 0x2040, 0x3000, 0xff00, 0xffc0,
];

/// Blocks of symbols: sub- and superscripts to arrows, supplemental punctuation, and emoji.
const SYMBOLS: [Range<u32>; 3] = [0x2080..0x2c00, 0x2e00..0x2e80, 0x1_f000..0x2_0000];

/// Whether this is a character of a word: a letter, mark, decimal digit or connector, as `\w` has it.
///
/// To ask that of every code point costs an automaton some three hundred states wherever it matters. So it is asked in
/// the blocks where words and their punctuation meet; elsewhere all code points of a block are alike: symbols part
/// words, and everything else, such as the punctuation of historic scripts, is part of one.
fn is_word(c: char) -> bool {
    let point = c as u32;
    match MIXED.contains(&(point / BLOCK * BLOCK)) {
        true => regex_syntax::try_is_word_character(c).unwrap_or_else(|_| c.is_alphanumeric() || c == '_'),
        false => !SYMBOLS.iter().any(|symbols| symbols.contains(&point)),
    }
}

/// A class of the characters that are not of a word.
static NON_WORD: LazyLock<String> = LazyLock::new(|| {
    let points = MIXED.iter().flat_map(|&first| first..first + BLOCK).filter_map(char::from_u32);
    let single = points.filter(|&c| !is_word(c)).map(|c| ClassUnicodeRange::new(c, c));
    let whole = SYMBOLS.iter().filter_map(|symbols| {
        Some(ClassUnicodeRange::new(char::from_u32(symbols.start)?, char::from_u32(symbols.end - 1)?))
    });
    let class = ClassUnicode::new(single.chain(whole));
    let range = |r: &ClassUnicodeRange| format!(r"\x{{{:x}}}-\x{{{:x}}}", r.start() as u32, r.end() as u32);
    format!("[{}]", class.iter().map(range).collect::<String>())
});

/// The characters that are the same under simple case folding.
fn variants(c: char) -> Vec<char> {
    let mut class = ClassUnicode::new([ClassUnicodeRange::new(c, c)]);
    class.case_fold_simple();
    class.iter().flat_map(|range| range.start()..=range.end()).collect()
}

pub(crate) fn phrases(words: impl IntoIterator<Item = String>, ignore_case: bool) -> Result<Vec<Phrase>> {
    let words = words.into_iter().enumerate();
    let phrases = words.map(|(i, word)| Phrase::new(word, ignore_case).map_err(|e| e.under(i)));
    let phrases: Vec<_> = phrases.collect::<Result<_>>()?;
    if phrases.is_empty() {
        return Err(Error::input("an empty list of words"));
    }
    Ok(phrases)
}
