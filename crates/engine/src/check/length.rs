//! How long a text is: in characters, words or tokens.

use super::{Check, Verdict};
use crate::error::{Error, Result};
use std::fmt;

/// A unit of length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unit {
    /// Runs of characters that are not white space.
    Words,
    /// Unicode scalar values.
    Chars,
    /// Tokens of the model.
    Tokens,
}

impl Unit {
    const NAMES: [(&str, Unit); 9] = [
        ("w", Unit::Words),
        ("word", Unit::Words),
        ("words", Unit::Words),
        ("c", Unit::Chars),
        ("char", Unit::Chars),
        ("chars", Unit::Chars),
        ("t", Unit::Tokens),
        ("token", Unit::Tokens),
        ("tokens", Unit::Tokens),
    ];

    fn plural(self) -> &'static str {
        match self {
            Unit::Words => "words",
            Unit::Chars => "characters",
            Unit::Tokens => "tokens",
        }
    }
}

/// The text has so many words, characters or tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Length {
    unit: Unit,
    min: usize,
    max: usize,
}

impl Length {
    /// Fewest and most; `usize::MAX` stands for no upper bound.
    ///
    /// # Errors
    /// When `min` is larger than `max`.
    pub fn new(unit: Unit, min: usize, max: usize) -> Result<Self> {
        if min > max {
            return Err(Error::input(format!("the smallest size, {min}, is larger than the largest, {max}"))
                .help(format!("write {max}-{min}")));
        }
        Ok(Self { unit, min, max })
    }

    /// Reads `12`, `8-20`, `5-`, `-20`, each with a unit after it: `w`, `c`, `t` or a word such as `chars`.
    /// Without a unit, words are meant.
    ///
    /// # Errors
    /// With the place in the text.
    pub fn parse(text: &str) -> Result<Self> {
        let trimmed = text.trim_end();
        let split = trimmed
            .rfind(|c: char| !c.is_alphabetic())
            .map_or(0, |i| i + trimmed[i..].chars().next().map_or(0, char::len_utf8));
        let (range, unit) = trimmed.split_at(split);
        let unit = match Unit::NAMES.iter().find(|(name, _)| *name == unit) {
            Some((_, unit)) => *unit,
            None if unit.is_empty() => Unit::Words,
            None => {
                return Err(Error::input(format!("unknown unit `{unit}`"))
                    .at(split..trimmed.len())
                    .help("units are words (w), chars (c) and tokens (t)"));
            }
        };
        Self::read(unit, range).map_err(|e| e.at(0..text.len()))
    }

    /// Reads a number or a range of a given unit: `12`, `8-20`, `5-`, `-20`.
    ///
    /// # Errors
    /// With the place in the text.
    pub fn range(unit: Unit, text: &str) -> Result<Self> {
        Self::read(unit, text).map_err(|e| e.at(0..text.len()))
    }

    fn read(unit: Unit, text: &str) -> Result<Self> {
        let text = text.trim();
        let (min, max) = text.split_once('-').map_or((text, None), |(min, max)| (min.trim(), Some(max.trim())));
        let number = |digits: &str| -> Result<usize> {
            if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
                return Err(Error::input(format!("`{text}` is no size"))
                    .help("write a number or a range: 12, 8-20, 5- (at least) or -20 (at most)"));
            }
            digits.parse().map_err(|_| Error::input(format!("the size {digits} is too large")))
        };
        match max {
            None => number(min).and_then(|n| Self::new(unit, n, n)),
            Some("") => Self::new(unit, number(min)?, usize::MAX),
            Some(max) => Self::new(unit, if min.is_empty() { 0 } else { number(min)? }, number(max)?),
        }
    }

    /// The unit of both bounds.
    pub fn unit(&self) -> Unit {
        self.unit
    }
    /// The smallest size.
    pub fn min(&self) -> usize {
        self.min
    }
    /// The largest size; `usize::MAX` where there is no upper bound.
    pub fn max(&self) -> usize {
        self.max
    }

    /// The count as a verdict on a text of `len` bytes.
    pub(crate) fn verdict(&self, count: usize, len: usize) -> Verdict {
        Verdict::require((self.min..=self.max).contains(&count), len, || {
            format!("{count} {} where {self} are allowed", self.unit.plural())
        })
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match (self.min, self.max) {
            (min, usize::MAX) => write!(f, "{min} or more"),
            (min, max) if min == max => write!(f, "{min}"),
            (min, max) => write!(f, "{min}-{max}"),
        }
    }
}

impl Check for Length {
    fn check(&self, text: &str) -> Verdict {
        match self.unit {
            Unit::Chars => self.verdict(text.chars().count(), text.len()),
            Unit::Words => self.verdict(text.split_whitespace().count(), text.len()),
            Unit::Tokens if (self.min, self.max) == (0, usize::MAX) => Verdict::Accept,
            Unit::Tokens => Verdict::Unknown { why: "a text alone has no tokens to count".into() },
        }
    }

    fn check_tokens(&self, text: &str, tokens: &[&[u8]]) -> Verdict {
        match self.unit {
            Unit::Tokens => self.verdict(tokens.len(), text.len()),
            _ => self.check(text),
        }
    }
}
