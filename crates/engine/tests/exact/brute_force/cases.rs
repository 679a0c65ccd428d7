//! Random problems small enough to enumerate.

use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use stencil_engine::Language;
use stencil_engine::{Scores, Token, Vocab};

#[derive(Debug)]
pub struct Case {
    pub language: Language,
    pub vocab: Vocab,
    /// What the tokens write, for messages.
    #[allow(dead_code)]
    pub spelled: Vec<String>,
    pub decided: Vec<Option<Token>>,
    pub tokens: (usize, usize),
    pub scores: Scores,
    pub temperature: f32,
}

/// What the scores hold besides ordinary numbers.
#[derive(Clone, Copy)]
pub enum Extremes {
    None,
    /// Down to −1e4.
    Deep,
    Infinite,
}

/// Pieces of texts: letters, overlapping pairs, characters of two, three and four bytes, and their fragments.
const TOKENS: &[&[u8]] = &[
    b"a",
    b"b",
    b"ab",
    b"ba",
    b"aa",
    b" ",
    b"b ",
    b"\xc3\xa9",
    b"\xc3",
    b"\xa9",
    b"a\xc3",
    b"\xa9b",
    b"\xe6\x97\xa5",
    b"\xe6",
    b"\x97\xa5",
    b"\xe6\x97",
    b"\xa5",
    b"\xf0\x90\x8d\x88",
    b"\xf0\x90",
    b"\x8d\x88",
    b"\xff",
    b"\n",
    b"b\n",
];

const PATTERNS: &[&str] = &[
    "(?:ab)+",
    "a*",
    "a+b*",
    "[ab]+",
    ".",
    ".*",
    ".+",
    "(?s:.)*",
    "a|b|ab",
    "(?:a|ab)(?:b|ba)*",
    "a{1,2}b?",
    "[^a]*",
    "[^a]+",
    "é",
    "é*",
    "(?:é|日)+",
    "a?é?日?",
    "(?:aé|b)*",
    "\\w+",
    "\\W*",
    "\\w+(?: \\w+)*",
    "(?i)A+B?",
    "^a.*$",
    "日.?",
    "\u{10348}|a",
    "",
    "(?:a|b)*a(?:a|b)",
    "(?s).b.?",
    "a$|^b",
    "\\s?\\S+",
];

impl Case {
    /// At most `most_strings` strings of the canvas's length exist.
    pub fn random(rng: &mut ChaCha8Rng, extremes: Extremes, most_strings: usize) -> Self {
        let (vocab, spelled, len) = loop {
            let (vocab, spelled) = random_vocab(rng);
            let len = rng.random_range(0..=6);
            if vocab.len().pow(len) <= most_strings && (most_strings < usize::MAX || vocab.len().pow(len) > 10_000) {
                break (vocab, spelled, len as usize);
            }
        };
        let language = random_language(rng, &vocab, 3);
        let decided = random_decided(rng, &vocab, len);
        let tokens = match rng.random_range(0..4) {
            0 => (rng.random_range(0..=2), rng.random_range(1..=6)),
            1 => (0, rng.random_range(0..=4)),
            _ => (0, usize::MAX),
        };
        let values = (0..len * vocab.len()).map(|_| random_score(rng, extremes)).collect();
        let scores = Scores::new(vocab.len(), values).expect("no NaN");
        let temperature = *[1.0, 1.0, 0.7, 1.5].choose(rng).expect("not empty");
        Self { language, vocab, spelled, decided, tokens, scores, temperature }
    }
}

fn random_vocab(rng: &mut ChaCha8Rng) -> (Vocab, Vec<String>) {
    let common = rng.random_bool(0.5);
    let pool = if common { &TOKENS[..7] } else { TOKENS };
    let writing = rng.random_range(1..=5);
    let mut tokens: Vec<Option<Vec<u8>>> = pool.choose_multiple(rng, writing).map(|t| Some(t.to_vec())).collect();
    // One text may be written by two tokens, and a special token may be neither end nor padding.
    if rng.random_bool(0.1) {
        tokens.push(tokens[0].clone());
    }
    let mut special = |tokens: &mut Vec<Option<Vec<u8>>>, chance: f64| {
        (tokens.len() < 6 && rng.random_bool(chance)).then(|| {
            let at = rng.random_range(0..=tokens.len());
            tokens.insert(at, None);
            at
        })
    };
    let eos = special(&mut tokens, 0.7);
    let pad = eos.and_then(|_| special(&mut tokens, 0.4));
    let eos = eos.map(|eos| eos + pad.is_some_and(|pad| pad <= eos) as usize);
    let other = special(&mut tokens, 0.1);
    let shift = |at: Option<usize>| at.map(|at| (at + other.is_some_and(|o| o <= at) as usize) as Token);
    let spelled = tokens.iter().map(|t| t.as_ref().map_or("-".into(), |t| t.escape_ascii().to_string())).collect();
    (Vocab::from_bytes(tokens, shift(eos), shift(pad)).unwrap(), spelled)
}

fn random_language(rng: &mut ChaCha8Rng, vocab: &Vocab, depth: usize) -> Language {
    let kind = if depth == 0 { rng.random_range(0..4) } else { rng.random_range(0..11) };
    let part = |rng: &mut ChaCha8Rng| random_language(rng, vocab, depth.saturating_sub(1));
    let parts = |rng: &mut ChaCha8Rng, most| (0..rng.random_range(0..=most)).map(|_| part(rng)).collect::<Vec<_>>();
    match kind {
        0 => Language::Any,
        1 => {
            let tokens = (0..rng.random_range(0..=2)).map(|_| rng.random_range(0..vocab.len()) as Token);
            let text = vocab.decode(&tokens.collect::<Vec<_>>());
            Language::literal(String::from_utf8(text).unwrap_or("a".into()))
        }
        2 | 3 => Language::regex(*PATTERNS.choose(rng).expect("not empty")),
        4 => Language::Mark,
        5 | 6 => Language::Concat(parts(rng, 4)),
        7 => Language::Union(parts(rng, 3)),
        8 => Language::Intersect(parts(rng, 3)),
        9 => random_language(rng, vocab, depth - 1).not(),
        _ => {
            let inner = random_language(rng, vocab, depth - 1).named("part");
            let min = rng.random_range(0..=2);
            let max = if rng.random_bool(0.3) { usize::MAX } else { rng.random_range(0..=3) };
            Language::Tokens { inner: Box::new(inner), min, max }
        }
    }
}

fn random_decided(rng: &mut ChaCha8Rng, vocab: &Vocab, len: usize) -> Vec<Option<Token>> {
    let chance = *[0.0, 0.0, 0.2, 0.5].choose(rng).expect("not empty");
    (0..len).map(|_| rng.random_bool(chance).then(|| rng.random_range(0..vocab.len()) as Token)).collect()
}

fn random_score(rng: &mut ChaCha8Rng, extremes: Extremes) -> f32 {
    let ordinary = rng.random_range(-4.0..4.0);
    match extremes {
        Extremes::None => ordinary,
        Extremes::Deep => match rng.random_range(0..6) {
            0 => rng.random_range(-1e4..0.0),
            1 => rng.random_range(-800.0..-600.0),
            2 => -1e4,
            _ => ordinary,
        },
        Extremes::Infinite => match rng.random_range(0..3) {
            0 => f32::NEG_INFINITY,
            _ => ordinary,
        },
    }
}
