//! Numbers in plain decimal notation: the bounds and divisors of a schema as digit automata.
//!
//! A number is represented by its *canonical* text: no exponent, no plus sign, no superfluous zeros, no `-0`. So a set
//! of numbers is a regular set of texts, and bounds are exact at any precision.

use crate::{Error, Language, Result, language::Network};

/// The canonical texts of all numbers.
pub(super) const NUMBER: &str = r"0|-?[1-9][0-9]*|-?(?:0|[1-9][0-9]*)\.[0-9]*[1-9]";
/// The canonical texts of whole numbers.
pub(super) const INTEGER: &str = r"0|-?[1-9][0-9]*";
/// Most places by which an exponent may move the point; the exponents of doubles stay below about three hundred.
const PLACES: i64 = 400;
/// Largest divisor whose remainders are counted by an automaton.
const DIVISOR: u64 = 3000;

/// A decimal number: sign, digits before the point, digits after it, none of them superfluous.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decimal {
    negative: bool,
    whole: String,
    fraction: String,
}

impl Decimal {
    /// Reads a number as JSON writes it; `None` if it is none, or has an exponent that is too large.
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
            None => (rest, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(fraction) {
            return None;
        }
        let (mut whole, mut fraction) = (whole.to_string(), fraction.to_string());
        if whole.bytes().chain(fraction.bytes()).all(|b| b == b'0') {
            return Some(Self { negative: false, whole: "0".into(), fraction: String::new() });
        }
        if exponent.abs() > PLACES {
            return None;
        }
        for _ in 0..exponent {
            whole.push(if fraction.is_empty() { '0' } else { fraction.remove(0) });
        }
        for _ in exponent..0 {
            fraction.insert(0, whole.pop().unwrap_or('0'));
        }
        let whole = whole.trim_start_matches('0');
        let whole = if whole.is_empty() { "0" } else { whole };
        let fraction = fraction.trim_end_matches('0');
        Some(Self { negative, whole: whole.into(), fraction: fraction.into() })
    }

    pub fn of(number: &serde_json::Number) -> Option<Self> {
        if let Some(text) = number.as_i64().map(|n| n.to_string()).or_else(|| number.as_u64().map(|n| n.to_string())) {
            return Self::parse(&text);
        }
        // The shortest decimal that reads as this double.
        number.as_f64().filter(|n| n.is_finite()).and_then(|n| Self::parse(&n.to_string()))
    }

    pub fn text(&self) -> String {
        let sign = if self.negative { "-" } else { "" };
        let point = if self.fraction.is_empty() { "" } else { "." };
        format!("{sign}{}{point}{}", self.whole, self.fraction)
    }

    pub fn digits(&self) -> usize {
        self.whole.len() + self.fraction.len()
    }

    pub fn is_integer(&self) -> bool {
        self.fraction.is_empty()
    }

    fn is_zero(&self) -> bool {
        self.whole == "0" && self.fraction.is_empty()
    }

    /// Canonical texts of the numbers from 0 up to this one's absolute value.
    fn up_to(&self, inclusive: bool) -> Language {
        let any_fraction = r"(?:\.[0-9]*[1-9])?";
        let mut ways = Vec::new();
        let digit_below = |d: u8, least: u8| (d > least).then(|| format!("[{}-{}]", least as char, (d - 1) as char));
        let whole = self.whole.as_bytes();
        if self.whole != "0" {
            ways.push(format!("0{any_fraction}"));
            if whole.len() > 1 {
                let repeat = match whole.len() - 2 {
                    0 => String::new(),
                    more => format!("[0-9]{{0,{more}}}"),
                };
                ways.push(format!("[1-9]{repeat}{any_fraction}"));
            }
            for (i, &d) in whole.iter().enumerate() {
                if let Some(lower) = digit_below(d, if i == 0 { b'1' } else { b'0' }) {
                    let rest = whole.len() - i - 1;
                    ways.push(format!("{}{lower}[0-9]{{{rest}}}{any_fraction}", &self.whole[..i]));
                }
            }
        }
        // The same digits before the point.
        let fraction = self.fraction.as_bytes();
        if !fraction.is_empty() || inclusive {
            ways.push(self.whole.clone());
        }
        for (i, &d) in fraction.iter().enumerate() {
            let same = &self.fraction[..i];
            if i > 0 && !same.ends_with('0') {
                ways.push(format!(r"{}\.{same}", self.whole));
            }
            if let Some(lower) = digit_below(d, b'0') {
                ways.push(format!(r"{}\.{same}{lower}[0-9]*", self.whole));
            }
        }
        if inclusive && !fraction.is_empty() {
            ways.push(format!(r"{}\.{}", self.whole, self.fraction));
        }
        match ways.is_empty() {
            true => Language::none(),
            false => Language::Regex(ways.join("|")),
        }
    }

    /// Canonical texts of the numbers up to this one, or only of those below it.
    pub fn at_most(&self, inclusive: bool) -> Language {
        let minus = |absolute: Language| Language::Concat(vec![Language::literal("-"), absolute]);
        let negative = minus(Language::Any);
        if self.negative {
            // -x ≤ -b where x ≥ b.
            return Language::Intersect(vec![negative, minus(self.up_to(!inclusive)).not()]);
        }
        if self.is_zero() && !inclusive {
            return negative;
        }
        Language::Union(vec![negative, self.up_to(inclusive)])
    }

    /// Canonical texts of the numbers from this one on, or only of those above it.
    pub fn at_least(&self, inclusive: bool) -> Language {
        self.at_most(!inclusive).not()
    }

    /// Canonical texts of the multiples of this number: remainders, digit by digit.
    ///
    /// # Errors
    /// `TooLarge` for large divisors; `Input` for zero.
    pub fn multiples(&self) -> Result<Language> {
        if self.is_zero() || self.negative {
            return Err(Error::input("`multipleOf` must be greater than 0"));
        }
        let places = self.fraction.len();
        let divisor = format!("{}{}", self.whole, self.fraction).parse::<u64>().ok();
        let Some(divisor) = divisor.filter(|&d| d <= DIVISOR && places <= 20) else {
            return Err(Error::too_large(format!(
                "the remainders of {} take too large an automaton: at most {DIVISOR} are counted",
                self.text()
            ))
            .help("use a smaller divisor, or leave it out and check it afterwards"));
        };
        // Node 0 reads the sign; then one node per remainder and number of digits read after the point. The point and
        // the first digit after it are read at once.
        let node = |remainder: u64, read: usize| 1 + remainder as u32 + (read as u64 * divisor) as u32;
        let digits = (0..10).flat_map(|d| [Language::literal(d.to_string()), Language::literal(format!(".{d}"))]);
        let labels = digits.chain([Language::regex("-?")]).collect();
        let mut arrows = vec![(0, 20, node(0, 0))];
        let mut accepting = vec![false];
        for read in 0..=places {
            // Digits that are not written are zeros.
            let full = |remainder| (read..places).fold(remainder, |r, _| r * 10 % divisor);
            accepting.extend((0..divisor).map(|remainder| full(remainder) == 0));
            for (remainder, digit) in (0..divisor).flat_map(|r| (0..10).map(move |d| (r, d))) {
                let to = (remainder * 10 + digit as u64) % divisor;
                if read == 0 {
                    arrows.push((node(remainder, 0), 2 * digit, node(to, 0)));
                }
                if read < places {
                    arrows.push((node(remainder, read), 2 * digit + (read == 0) as u32, node(to, read + 1)));
                }
            }
        }
        Ok(Language::Network(Box::new(Network { labels, arrows, accepting })))
    }
}

/// Digits that a written number has at most: a double keeps fifteen of any decimal number, and eighteen of a whole
/// one fit into 64 bits.
pub(super) const WHOLE_DIGITS: usize = 18;
/// Digits of a number with a point.
pub(super) const DIGITS: usize = 15;

/// The texts in which the numbers of a set of canonical texts are written.
pub(super) fn written(canonical: &Language, integers: bool) -> Language {
    let both = |pattern: &str| Language::Intersect(vec![Language::regex(pattern), canonical.clone()]);
    let whole = both(&format!("0|-?[1-9][0-9]{{0,{}}}", WHOLE_DIGITS - 1));
    if integers {
        return whole;
    }
    let decimal = both(r"-?(?:0|[1-9][0-9]*)\.[0-9]*[1-9]");
    // Zeros at the end are allowed, since people write prices that way.
    let zeros = Language::Concat(vec![decimal, Language::regex("0*")]);
    let short = both(&format!("0|-?[1-9][0-9]{{0,{}}}", DIGITS - 1));
    let pointed = Language::Concat(vec![short, Language::regex(r"\.0+")]);
    let length = Language::regex(format!(r"-?(?:[0-9]\.?){{1,{DIGITS}}}"));
    Language::Union(vec![whole, Language::Intersect(vec![Language::Union(vec![zeros, pointed]), length])])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::automata::{Dfa, Limits};

    fn compile(language: Language) -> Dfa {
        let canonical = Language::Intersect(vec![Language::regex(NUMBER), language]);
        Dfa::compile(&canonical, &Limits::default()).unwrap()
    }

    #[test]
    fn texts_become_canonical() {
        for (text, canonical) in [
            ("0", "0"),
            ("-0.00", "0"),
            ("1.50", "1.5"),
            ("-1e3", "-1000"),
            ("12.5e-2", "0.125"),
            ("1E0", "1"),
            ("0.1e1", "1"),
            ("123456789012345678901", "123456789012345678901"),
            ("100e-2", "1"),
            ("0e9999", "0"),
        ] {
            assert_eq!(Decimal::parse(text).unwrap().text(), canonical, "{text}");
        }
        for wrong in ["", "-", "x", "1e999999", ".5", "1e", "1.2.3"] {
            assert!(Decimal::parse(wrong).is_none(), "{wrong}");
        }
    }

    /// Against comparison of scaled integers, on all numbers with few digits.
    #[test]
    fn bounds_are_exact() {
        let numbers: Vec<i64> = (-1250..=1250).collect();
        let text = |n: i64| Decimal::parse(&format!("{n}e-2")).unwrap();
        for bound in [0i64, 1, -1, 10, 99, 100, 101, 110, 120, 125, 905, 1000, 1205, -7, -10, -100, -105, -999, -1230] {
            for inclusive in [false, true] {
                let most = compile(text(bound).at_most(inclusive));
                let least = compile(text(bound).at_least(inclusive));
                for &n in &numbers {
                    let written = text(n).text();
                    let wanted = n < bound || inclusive && n == bound;
                    assert_eq!(
                        most.accepts(written.as_bytes()),
                        wanted,
                        "{written} ≤ {} ({inclusive})",
                        text(bound).text()
                    );
                    let wanted = n > bound || inclusive && n == bound;
                    assert_eq!(
                        least.accepts(written.as_bytes()),
                        wanted,
                        "{written} ≥ {} ({inclusive})",
                        text(bound).text()
                    );
                }
            }
        }
    }

    #[test]
    fn multiples_are_exact() {
        let text = |n: i64| Decimal::parse(&format!("{n}e-2")).unwrap();
        for divisor in [1i64, 2, 5, 7, 10, 25, 30, 100, 150, 300, 1100] {
            let multiples = compile(text(divisor).multiples().unwrap());
            for n in -2300..=2300 {
                let written = text(n).text();
                assert_eq!(multiples.accepts(written.as_bytes()), n % divisor == 0, "{written} of {divisor}/100");
            }
        }
        assert!(Decimal::parse("0").unwrap().multiples().is_err());
        assert!(Decimal::parse("0.123456789").unwrap().multiples().unwrap_err().is_too_large());
    }
}
