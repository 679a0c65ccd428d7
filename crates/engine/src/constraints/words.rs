//! Words that must and must not occur, as patterns.

use super::{CompileCx, Constraint};
use crate::{
    Language, Result,
    check::words::{BLOCK, MIXED, Phrase, SYMBOLS, is_word},
};
use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};
use std::{collections::BTreeMap, sync::LazyLock};

pub use crate::check::words::{Contains, Excludes};

impl Constraint for Contains {
    fn name(&self) -> String {
        "contains".into()
    }

    fn language(&self, _: &CompileCx) -> Result<Language> {
        let found = |p: &Phrase| {
            let pattern = around(p.starts_word, p.ends_word, &core(p));
            Language::Regex(pattern).named(format!("contains {:?}", p.text))
        };
        Ok(Language::Intersect(self.phrases.iter().map(found).collect()))
    }
}

impl Constraint for Excludes {
    fn name(&self) -> String {
        "excludes".into()
    }

    fn language(&self, _: &CompileCx) -> Result<Language> {
        let found = any_of(&self.phrases).into_iter().map(Language::Regex).collect();
        let words: Vec<String> = self.phrases.iter().take(4).map(|p| format!("{:?}", p.text)).collect();
        let more = if self.phrases.len() > words.len() { ", …" } else { "" };
        Ok(Language::Union(found).not().named(format!("excludes {}{more}", words.join(", "))))
    }
}

/// The pattern of the phrase itself.
fn core(phrase: &Phrase) -> String {
    let flag = if phrase.ignore_case { "i" } else { "" };
    format!("(?{flag}:{})", regex_syntax::escape(&phrase.text))
}

/// A pattern of the texts that hold the core somewhere, without a word character beside it where it starts or ends a
/// word.
fn around(starts_word: bool, ends_word: bool, core: &str) -> String {
    let left = if starts_word { format!("(?:(?s:.)*{})?", &*NON_WORD) } else { "(?s:.)*".into() };
    let right = if ends_word { format!("(?:{}(?s:.)*)?", &*NON_WORD) } else { "(?s:.)*".into() };
    format!("{left}(?:{core}){right}")
}

/// Patterns that together match the texts in which any of the phrases occurs. Phrases that start and end alike share
/// one pattern, since the automaton of a union of single patterns would remember which of them have been found.
fn any_of(phrases: &[Phrase]) -> Vec<String> {
    let mut kinds: BTreeMap<(bool, bool), Vec<String>> = BTreeMap::new();
    for phrase in phrases {
        kinds.entry((phrase.starts_word, phrase.ends_word)).or_default().push(core(phrase));
    }
    kinds.into_iter().map(|((starts, ends), cores)| around(starts, ends, &cores.join("|"))).collect()
}

/// A character class of the characters that are not part of a word.
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
