//! The answers by enumeration. Regular expressions are asked of the `regex` crate's search, everything else is
//! plain recursion over the text.

use super::cases::Case;
use regex::Regex;
use std::collections::{BTreeMap, HashMap};
use stencil_engine::Language;
use stencil_engine::{Token, Vocab};

/// Decides membership of token sequences.
pub struct Oracle<'a> {
    language: &'a Language,
    vocab: &'a Vocab,
    patterns: HashMap<String, Regex>,
    known: HashMap<Vec<Token>, bool>,
}

/// A text with the gaps that are token boundaries: `boundary[i]` is before byte i.
struct Text {
    bytes: Vec<u8>,
    boundary: Vec<bool>,
}

impl<'a> Oracle<'a> {
    pub fn new(language: &'a Language, vocab: &'a Vocab) -> Self {
        Self { language, vocab, patterns: HashMap::new(), known: HashMap::new() }
    }

    /// All strings of the canvas's length that fit, in lexicographic order.
    pub fn fitting(&mut self, case: &Case) -> Vec<Vec<Token>> {
        let mut strings = all_strings(self.vocab.len(), case.decided.len());
        strings.retain(|s| {
            let decided = s.iter().zip(&case.decided).all(|(&t, d)| d.is_none_or(|d| d == t));
            let text = self.text_of(s);
            decided && text.is_some_and(|t| (case.tokens.0..=case.tokens.1).contains(&t.len()) && self.contains(t))
        });
        strings
    }

    /// Fewest tokens of a text of the language among texts of at most `most` tokens.
    pub fn fewest_tokens(&mut self, most: usize) -> Option<usize> {
        let writes = |t: &Token| self.vocab.bytes(*t).is_some();
        let texts: Vec<Vec<Token>> =
            (0..=most.min(4)).flat_map(|n| all_strings(self.vocab.len(), n)).filter(|s| s.iter().all(writes)).collect();
        texts.iter().find(|text| self.contains(text)).map(Vec::len)
    }

    /// The tokens before the tail; `None` if the string is no text with a tail.
    fn text_of<'s>(&self, string: &'s [Token]) -> Option<&'s [Token]> {
        let end = string.iter().position(|&t| Some(t) == self.vocab.eos()).unwrap_or(string.len());
        let (text, tail) = string.split_at(end);
        let written = text.iter().all(|&t| self.vocab.bytes(t).is_some());
        let tail = tail.iter().all(|&t| Some(t) == self.vocab.eos() || Some(t) == self.vocab.pad());
        (written && tail).then_some(text)
    }

    fn contains(&mut self, tokens: &[Token]) -> bool {
        if let Some(&known) = self.known.get(tokens) {
            return known;
        }
        let mut text = Text { bytes: Vec::new(), boundary: vec![true] };
        for &token in tokens {
            let bytes = self.vocab.bytes(token).expect("a text has no special tokens");
            text.bytes.extend(bytes);
            text.boundary.resize(text.bytes.len(), false);
            text.boundary.push(true);
        }
        let member = self.member(self.language, &text, 0, text.bytes.len());
        self.known.insert(tokens.to_vec(), member);
        member
    }

    fn member(&mut self, language: &Language, text: &Text, from: usize, to: usize) -> bool {
        let valid = std::str::from_utf8(&text.bytes[from..to]);
        match language {
            Language::Any => valid.is_ok(),
            Language::Literal(literal) => literal.as_bytes() == &text.bytes[from..to],
            Language::Regex(pattern) => valid.is_ok_and(|written| {
                let whole = || Regex::new(&format!("\\A(?:{pattern})\\z")).expect("a valid pattern");
                self.patterns.entry(pattern.clone()).or_insert_with(whole).is_match(written)
            }),
            Language::Concat(parts) => self.sequence(parts, text, from, to),
            Language::Union(parts) => parts.iter().any(|p| self.member(p, text, from, to)),
            Language::Intersect(parts) => valid.is_ok() && parts.iter().all(|p| self.member(p, text, from, to)),
            Language::Not(inner) => valid.is_ok() && !self.member(inner, text, from, to),
            Language::Mark => from == to && text.boundary[from],
            Language::Tokens { inner, min, max } => {
                let count = text.boundary[from + 1..=to].iter().filter(|&&b| b).count();
                text.boundary[from]
                    && text.boundary[to]
                    && (min..=max).contains(&&count)
                    && self.member(inner, text, from, to)
            }
            Language::Named(_, inner) => self.member(inner, text, from, to),
            Language::Grammar(_) | Language::Network(_) | Language::JsonEscaped(_) => {
                unreachable!("no expression of this test has such a part")
            }
        }
    }

    fn sequence(&mut self, parts: &[Language], text: &Text, from: usize, to: usize) -> bool {
        match parts {
            [] => from == to,
            [first, rest @ ..] => {
                (from..=to).any(|cut| self.member(first, text, from, cut) && self.sequence(rest, text, cut, to))
            }
        }
    }
}

fn all_strings(vocab: usize, len: usize) -> Vec<Vec<Token>> {
    (0..len).fold(vec![vec![]], |strings, _| {
        let longer = |s: &Vec<Token>, t| s.iter().copied().chain([t]).collect();
        strings.iter().flat_map(|s| (0..vocab as Token).map(move |t| longer(s, t))).collect()
    })
}

/// The fitting strings with their weights, in the log domain.
pub struct Distribution<'a> {
    strings: &'a [Vec<Token>],
    /// log p of each string, normalised over all strings, fitting or not.
    logs: Vec<f64>,
    vocab: usize,
    pub log_z: f64,
}

fn log_sum_exp(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let largest = values.clone().fold(f64::NEG_INFINITY, f64::max);
    largest + values.map(|v| (v - largest).exp()).sum::<f64>().ln()
}

impl<'a> Distribution<'a> {
    pub fn new(case: &Case, strings: &'a [Vec<Token>]) -> Self {
        let rows: Vec<Vec<f64>> = (0..case.decided.len())
            .map(|pos| {
                let row = case.scores.row(pos);
                let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let log = |&s: &f32| match largest {
                    f32::NEG_INFINITY => 0.0,
                    _ => (s as f64 - largest as f64).max(-1e9) / case.temperature as f64,
                };
                let logs: Vec<f64> = row.iter().map(log).collect();
                let total = log_sum_exp(logs.iter().copied());
                logs.into_iter().map(|l| l - total).collect()
            })
            .collect();
        let log = |s: &Vec<Token>| {
            let open = (0..s.len()).filter(|&pos| case.decided[pos].is_none());
            open.map(|pos| rows[pos][s[pos] as usize]).sum()
        };
        let logs: Vec<f64> = strings.iter().map(log).collect();
        let log_z = log_sum_exp(logs.iter().copied());
        Self { strings, logs, vocab: case.vocab.len(), log_z }
    }

    fn probs(&self) -> impl Iterator<Item = (&Vec<Token>, f64)> {
        self.strings.iter().zip(self.logs.iter().map(|l| (l - self.log_z).exp()))
    }

    pub fn marginal(&self, pos: usize) -> Vec<f64> {
        let mut marginal = vec![0.0; self.vocab];
        self.probs().for_each(|(s, p)| marginal[s[pos] as usize] += p);
        marginal
    }

    pub fn log_weight(&self, string: &[Token]) -> Option<f64> {
        self.strings.iter().position(|s| s == string).map(|i| self.logs[i])
    }

    /// The first of the most probable strings.
    pub fn best(&self) -> Vec<Token> {
        let all = self.strings.iter().zip(&self.logs);
        all.reduce(|a, b| if b.1 > a.1 { b } else { a }).expect("some string fits").0.clone()
    }

    /// Which strings are left when each position keeps its likeliest tokens and the witness's; `None` where that
    /// hangs on a tie.
    pub fn truncated(
        &self,
        witness: &[Token],
        top_k: Option<usize>,
        top_p: Option<f32>,
    ) -> Option<impl Fn(&[Token]) -> bool + use<>> {
        let mut kept = Vec::new();
        for (pos, &token) in witness.iter().enumerate() {
            let marginal = self.marginal(pos);
            let mut order: Vec<usize> =
                (0..self.vocab).filter(|&t| self.strings.iter().any(|s| s[pos] == t as Token)).collect();
            order.sort_by(|&a, &b| marginal[b].total_cmp(&marginal[a]).then(a.cmp(&b)));
            let mut count = order.len().min(top_k.unwrap_or(usize::MAX));
            if let Some(top_p) = top_p {
                let enough = order[..count].iter().map(|&t| marginal[t]).sum::<f64>() * top_p as f64;
                let mut held = 0.0;
                for (i, &t) in order[..count].iter().enumerate() {
                    held += marginal[t];
                    if (held - enough).abs() < 1e-7 {
                        return None;
                    }
                    if held >= enough {
                        count = i + 1;
                        break;
                    }
                }
            }
            if count < order.len() && (marginal[order[count - 1]] - marginal[order[count]]).abs() < 1e-7 {
                return None;
            }
            order.truncate(count);
            let mut tokens: Vec<Token> = order.into_iter().map(|t| t as Token).collect();
            tokens.push(token);
            kept.push(tokens);
        }
        Some(move |s: &[Token]| s.iter().zip(&kept).all(|(t, kept)| kept.contains(t)))
    }
}

/// Standard deviations by which the counts' chi-square statistic exceeds what chance gives (Wilson and Hilferty's
/// approximation). Cells with fewer than five expected draws are pooled; `None` if fewer than two cells are left.
pub fn chi_square(exact: &Distribution, counts: &BTreeMap<Vec<Token>, usize>, draws: usize) -> Option<f64> {
    let mut cells = Vec::new();
    let mut pooled = (0.0, 0.0);
    for (string, p) in exact.probs() {
        let (expected, found) = (p * draws as f64, counts.get(string).copied().unwrap_or(0) as f64);
        if expected >= 5.0 {
            cells.push((expected, found));
        } else {
            pooled = (pooled.0 + expected, pooled.1 + found);
        }
    }
    assert_eq!(cells.iter().map(|c| c.1).sum::<f64>() + pooled.1, draws as f64, "a sample does not fit");
    if pooled.0 >= 5.0 {
        cells.push(pooled);
    }
    if cells.len() < 2 {
        return None;
    }
    let statistic: f64 = cells.iter().map(|(expected, found)| (found - expected).powi(2) / expected).sum();
    let freedom = (cells.len() - 1) as f64;
    let spread = 2.0 / (9.0 * freedom);
    Some(((statistic / freedom).cbrt() - (1.0 - spread)) / spread.sqrt())
}
