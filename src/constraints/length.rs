//! How long a text is: in characters, words or tokens.

use super::{CompileCx, Constraint, SlotSize, Verdict};
use crate::{
    Error, Language, Result,
    spec::{BuildCx, Kind, Part},
};
use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
};
use std::fmt;

/// What is counted.
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

/// So many words, characters or tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Length {
    unit: Unit,
    min: usize,
    max: usize,
}

impl Length {
    /// `usize::MAX` stands for no upper bound.
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
        Self::range(unit, range).map_err(|e| e.at(0..text.len()))
    }

    /// Reads a bound of a given unit.
    ///
    /// # Errors
    /// With the place in the text.
    pub fn bound(unit: Unit, bound: &Bound) -> Result<Self> {
        match bound {
            Bound::Exactly(n) => Self::new(unit, *n, *n),
            Bound::Range(text) => Self::range(unit, text).map_err(|e| e.at(0..text.len())),
        }
    }

    fn range(unit: Unit, text: &str) -> Result<Self> {
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

    /// What is counted.
    pub fn unit(&self) -> Unit {
        self.unit
    }
    /// Fewest.
    pub fn min(&self) -> usize {
        self.min
    }
    /// Most; `usize::MAX` where there is no upper bound.
    pub fn max(&self) -> usize {
        self.max
    }
    pub(crate) fn slot_size(&self) -> SlotSize {
        match self.unit {
            Unit::Words => SlotSize::Words(self.min, self.max),
            Unit::Chars => SlotSize::Chars(self.min, self.max),
            Unit::Tokens => SlotSize::Tokens(self.min, self.max),
        }
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

/// A repetition operator: `{2,5}`, `{2,}`.
pub(crate) fn repeat(min: usize, max: usize) -> String {
    if max == usize::MAX { format!("{{{min},}}") } else { format!("{{{min},{max}}}") }
}

impl Constraint for Length {
    fn name(&self) -> String {
        "length".into()
    }

    fn language(&self, _: &CompileCx) -> Result<Language> {
        let (min, max) = (self.min, self.max);
        Ok(match self.unit {
            Unit::Chars => Language::Regex(format!("(?s:.){}", repeat(min, max))),
            Unit::Words if max == 0 => Language::regex(r"\s*"),
            Unit::Words => {
                let more = if max == usize::MAX { max } else { max - 1 };
                let words = format!(r"\S+(?:\s+\S+){}", repeat(min.saturating_sub(1), more));
                let optional = if min == 0 { "?" } else { "" };
                Language::Regex(format!(r"\s*(?:{words}){optional}\s*"))
            }
            // Counted by `tokens`, which costs no states.
            Unit::Tokens => Language::Any,
        })
    }

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

    fn tokens(&self) -> (usize, usize) {
        match self.unit {
            Unit::Tokens => (self.min, self.max),
            _ => (0, usize::MAX),
        }
    }
}

/// How many: a number, or a range such as "8-20", "5-" (at least), "-20" (at most).
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(untagged)]
pub enum Bound {
    /// Exactly so many.
    Exactly(usize),
    /// A range: "8-20", "5-" or "-20".
    Range(#[schemars(regex(pattern = r"^\s*([0-9]+|[0-9]*\s*-\s*[0-9]+|[0-9]+\s*-)\s*$"))] String),
}

impl<'de> Deserialize<'de> for Bound {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct BoundVisitor;
        impl Visitor<'_> for BoundVisitor {
            type Value = Bound;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a number or a range such as \"8-20\"")
            }
            fn visit_u64<E: de::Error>(self, n: u64) -> Result<Bound, E> {
                usize::try_from(n).map(Bound::Exactly).map_err(|_| E::custom("the size is too large"))
            }
            fn visit_i64<E: de::Error>(self, n: i64) -> Result<Bound, E> {
                usize::try_from(n).map(Bound::Exactly).map_err(|_| E::custom("a size cannot be negative"))
            }
            fn visit_str<E>(self, text: &str) -> Result<Bound, E> {
                Ok(Bound::Range(text.to_string()))
            }
        }
        from.deserialize_any(BoundVisitor)
    }
}

/// How long the whole text is: "8-20 words", or a table of `words`, `chars` and `tokens`.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(untagged)]
pub enum LengthKind {
    /// A number or a range, then a unit: words (w), chars (c) or tokens (t).
    Text(String),
    /// Bounds by unit.
    Table(Lengths),
}

/// All that are given hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Lengths {
    /// Runs of characters that are not white space.
    pub words: Option<Bound>,
    /// Unicode scalar values.
    pub chars: Option<Bound>,
    /// Tokens of the model.
    pub tokens: Option<Bound>,
}

impl<'de> Deserialize<'de> for LengthKind {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct LengthVisitor;
        impl<'de> Visitor<'de> for LengthVisitor {
            type Value = LengthKind;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a size such as \"8-20 words\" or a table such as { words = \"8-20\" }")
            }
            fn visit_str<E>(self, text: &str) -> Result<LengthKind, E> {
                Ok(LengthKind::Text(text.to_string()))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<LengthKind, A::Error> {
                Lengths::deserialize(MapAccessDeserializer::new(map)).map(LengthKind::Table)
            }
        }
        from.deserialize_any(LengthVisitor)
    }
}

impl Kind for LengthKind {
    const NAME: &'static str = "length";

    fn build(self, _: &BuildCx) -> Result<Part> {
        let table = match self {
            LengthKind::Text(text) => return Ok(Part::constraint(Length::parse(&text)?)),
            LengthKind::Table(table) => table,
        };
        let mut parts = Vec::new();
        let bounds = [
            ("words", Unit::Words, table.words),
            ("chars", Unit::Chars, table.chars),
            ("tokens", Unit::Tokens, table.tokens),
        ];
        for (key, unit, bound) in bounds {
            if let Some(bound) = bound {
                parts.push(Part::constraint(Length::bound(unit, &bound).map_err(|e| e.under(key))?));
            }
        }
        if parts.is_empty() {
            return Err(
                Error::input("a length without a bound").help("give words, chars or tokens: { words = \"8-20\" }")
            );
        }
        Ok(Part::Many(parts))
    }
}
