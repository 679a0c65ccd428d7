//! Random rounds of every item of `stencil bench engine`: what is fixed, in which order, and what the model says.

use super::oracle::{Oracle, Weights};
use half::{bf16, f16};
use rand::{Rng, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use regex::{Regex, RegexBuilder};
use std::sync::Arc;
use stencil_lm::engine::{Compiled, Engine, Logits, Options, Projection};
use stencil_lm::{CompileCx, Constraint, ErrorKind, Language, Token, Vocab};

#[path = "../../../src/cli/bench/items.rs"]
mod items;

/// Positions beyond the fewest.
const SPARE: usize = 12;
/// Least positions.
const LEAST: usize = 8;

/// Expressions that a text matches, all of them.
fn patterns(name: &str, language: &Language) -> Vec<String> {
    match language {
        Language::Named(_, inner) => patterns(name, inner),
        Language::Intersect(parts) => parts.iter().flat_map(|part| patterns(name, part)).collect(),
        Language::Regex(pattern) => vec![pattern.clone()],
        _ => vec![items::expression(name).unwrap()],
    }
}

struct Item {
    name: &'static str,
    constraint: Arc<dyn Constraint>,
    compiled: Compiled,
    verify: Vec<Regex>,
    oracle: Oracle,
    /// Tokens that occur in its texts.
    legal: Vec<Token>,
    least: usize,
}

impl Item {
    fn new(name: &'static str, engine: &Engine) -> Self {
        let constraint = items::constraint(name).unwrap();
        let language = constraint.language(&CompileCx::new(engine.vocab())).unwrap();
        let patterns: Vec<String> = patterns(name, &language).iter().map(|p| format!(r"\A(?:{p})\z")).collect();
        let regex = |pattern: &String| RegexBuilder::new(pattern).size_limit(1 << 30).build().unwrap();
        let compiled = engine.compile(std::slice::from_ref(&constraint)).unwrap();
        let least = compiled.shortest().max(LEAST);
        let automaton = compiled.automaton().unwrap();
        let legal = (0..engine.vocab().len() as Token).filter(|&t| automaton.class_of(t).is_some()).collect();
        let (verify, oracle) = (patterns.iter().map(regex).collect(), Oracle::new(&patterns));
        Self { name, constraint, compiled, verify, oracle, legal, least }
    }

    fn check(&self, text: &[Token], decided: &[Option<Token>]) {
        assert!(text.iter().zip(decided).all(|(t, d)| d.is_none_or(|d| d == *t)), "decided tokens stay");
        let written = String::from_utf8(self.compiled.vocab().decode(text)).expect("UTF-8");
        assert!(self.verify.iter().all(|regex| regex.is_match(&written)), "{}: {written:?}", self.name);
        assert!(self.constraint.check(&written).accepted(), "{}: {written:?}", self.name);
    }
}

/// More random numbers than a canvas needs: each step takes another stretch of them.
struct Noise {
    single: Vec<f32>,
    half: Vec<f16>,
    brain: Vec<bf16>,
    level: Vec<f32>,
    /// All but one in two hundred are −∞.
    sparse: Vec<f32>,
    vocab: usize,
}

impl Noise {
    fn new(len: usize, vocab: usize, rng: &mut ChaCha8Rng) -> Self {
        let size = (len + 1) * vocab;
        let single: Vec<f32> = (0..size).map(|_| 8.0 * (rng.random::<f32>() + rng.random::<f32>() - 1.0)).collect();
        let sparse = single.iter().map(|&x| if x.to_bits() % 200 == 0 { x } else { f32::NEG_INFINITY }).collect();
        Self {
            half: single.iter().map(|&x| f16::from_f32(x)).collect(),
            brain: single.iter().map(|&x| bf16::from_f32(x)).collect(),
            level: vec![0.0; size],
            single,
            sparse,
            vocab,
        }
    }

    fn draw(&self, len: usize, rng: &mut ChaCha8Rng) -> (Logits<'_>, Options<'static>) {
        let from = rng.random_range(0..self.vocab);
        let stretch = from..from + len * self.vocab;
        let logits = match rng.random_range(0..8) {
            0..4 => Logits::F32(&self.single[stretch]),
            4 => Logits::F16(&self.half[stretch]),
            5 => Logits::Bf16(&self.brain[stretch]),
            6 => Logits::F32(&self.level[stretch]),
            _ => Logits::F32(&self.sparse[stretch]),
        };
        (logits, Options { temperature: [0.2, 1.0, 4.0][rng.random_range(0..3)], ..Options::default() })
    }
}

#[derive(Default)]
struct Seen {
    texts: usize,
    compared: usize,
    marginals: usize,
    worst: f64,
}

/// What a round looks at besides the texts it draws.
#[derive(Clone, Copy, PartialEq)]
enum Look {
    Texts,
    /// A NaN on a legal token is named.
    Damage,
    /// Legal tokens have a probability of 1e-30.
    Improbable,
    /// Marginals of few open positions, over the whole vocabulary.
    Dense,
    /// Marginals of all open positions, few tokens of each with a weight.
    Sparse,
}

/// Commits parts of joint draws in random order until the canvas is full; every text must match.
fn round(item: &Item, noise: &Noise, look: Look, rng: &mut ChaCha8Rng, seen: &mut Seen) {
    let len = item.least + rng.random_range(0..=SPARE);
    let compiled = &item.compiled;
    let mut decided = vec![None; len];
    // Half of the looks are taken with a token or two decided.
    let when = rng.random_range(0..2);
    for step in 0.. {
        for (pos, token) in compiled.forced(&decided).unwrap() {
            decided[pos] = Some(token);
        }
        let (logits, options) = noise.draw(len, rng);
        let seed = rng.random();
        let read = |projection: &Projection| (projection.sample(seed), (seed % 8 == 0).then(|| projection.map()));
        let (text, map) = compiled.project(logits, &decided, &options, read).unwrap();
        for text in map.iter().chain([&text]) {
            item.check(text, &decided);
            seen.texts += 1;
        }
        let mut open: Vec<usize> = (0..len).filter(|&pos| decided[pos].is_none()).collect();
        if open.is_empty() {
            return;
        }
        open.shuffle(rng);
        if step == when {
            let mut fixed = decided.clone();
            if look == Look::Dense {
                open.iter().skip(2).for_each(|&pos| fixed[pos] = Some(text[pos]));
            }
            look_closely(item, noise, look, (&fixed, &text), rng, seen);
        }
        let few = look != Look::Texts && step < when;
        let count = if few { rng.random_range(1..3) } else { rng.random_range(open.len().div_ceil(4)..=open.len()) };
        open.iter().take(count).for_each(|&pos| decided[pos] = Some(text[pos]));
    }
}

fn look_closely(
    item: &Item,
    noise: &Noise,
    look: Look,
    (decided, text): (&[Option<Token>], &[Token]),
    rng: &mut ChaCha8Rng,
    seen: &mut Seen,
) {
    if look == Look::Texts {
        return;
    }
    let (len, vocab) = (decided.len(), noise.vocab);
    let from = rng.random_range(0..vocab);
    let mut logits = noise.single[from..from + len * vocab].to_vec();
    let options = Options { temperature: [0.5, 1.0, 4.0][rng.random_range(0..3)], ..Options::default() };
    match look {
        Look::Texts => {}
        Look::Damage => {
            let Some(pos) = (0..len).rfind(|&pos| decided[pos].is_none()) else { return };
            logits[pos * vocab + text[pos] as usize] = f32::NAN;
            let error = item.compiled.project(Logits::F32(&logits), decided, &options, |_| ()).unwrap_err();
            let place = format!("position {pos}, token {}", text[pos]);
            assert!(error.kind() == ErrorKind::Model && error.to_string().contains(&place), "{place}: {error}");
        }
        Look::Improbable => {
            logits.fill(0.0);
            for row in logits.chunks_mut(vocab) {
                item.legal.iter().for_each(|&token| row[token as usize] = -69.0776);
            }
            let read =
                |projection: &Projection| ([projection.sample(1), projection.map()], projection.log_z().unwrap());
            let (texts, log_z) = item.compiled.project(Logits::F32(&logits), decided, &options, read).unwrap();
            assert!(log_z.is_finite());
            texts.iter().for_each(|text| item.check(text, decided));
        }
        Look::Dense => compare(item, &logits, &options, (decided, text), seen),
        Look::Sparse => {
            let all = vocab as Token;
            for (row, &token) in logits.chunks_mut(vocab).zip(text) {
                let mut some = vec![token, text[rng.random_range(0..len)]];
                for _ in 0..100 {
                    some.extend([item.legal[rng.random_range(0..item.legal.len())], rng.random_range(0..all)]);
                }
                let kept: Vec<f32> = some.iter().map(|&token| row[token as usize]).collect();
                row.fill(f32::NEG_INFINITY);
                some.iter().zip(kept).for_each(|(&token, x)| row[token as usize] = x);
            }
            compare(item, &logits, &options, (decided, text), seen);
        }
    }
}

/// Every token's probability, log Z, the likeliest text and what a policy asks for, beside the slow answers.
fn compare(
    item: &Item,
    logits: &[f32],
    options: &Options,
    (decided, text): (&[Option<Token>], &[Token]),
    seen: &mut Seen,
) {
    let vocab = item.compiled.vocab();
    let scaled = |x: f32| x as f64 / options.temperature as f64;
    let mut outside = 0.0;
    let weights = |(row, decided): (&[f32], &Option<Token>)| -> Weights {
        if let Some(token) = decided {
            return vec![(*token, 0.0)];
        }
        let row: Weights = (0..).zip(row).filter(|(_, x)| x.is_finite()).map(|(t, &x)| (t, scaled(x))).collect();
        let largest = row.iter().map(|&(_, x)| x).fold(f64::NEG_INFINITY, f64::max);
        outside += largest + row.iter().map(|&(_, x)| (x - largest).exp()).sum::<f64>().ln();
        row
    };
    let rows: Vec<Weights> = logits.chunks(vocab.len()).zip(decided).map(weights).collect();
    let answer = item.oracle.answer(&rows, vocab);
    let open: Vec<usize> = (0..decided.len()).filter(|&pos| decided[pos].is_none()).collect();
    let read = |projection: &Projection| {
        let log_z = projection.log_z().unwrap();
        let expected = answer.total - outside;
        assert!((log_z - expected).abs() < 1e-4 * expected.abs().max(1.0), "{}: log Z {log_z}, {expected}", item.name);
        let map = projection.map();
        item.check(&map, decided);
        let score: f64 = open.iter().map(|&pos| scaled(logits[pos * vocab.len() + map[pos] as usize])).sum();
        assert!(
            (score - answer.best).abs() < 1e-4 * answer.best.abs().max(1.0),
            "{}: map {score}, {}",
            item.name,
            answer.best
        );
        let mut row = vec![0.0f32; vocab.len()];
        for (&pos, candidate) in open.iter().zip(projection.candidates(&open, text)) {
            projection.logits(pos, &mut row);
            let (mut largest, mut next, mut entropy) = (0.0f64, 0.0f64, 0.0);
            for (token, &found) in (0..).zip(&row) {
                let expected = answer.marginals[pos].get(&token).copied().unwrap_or(f64::NEG_INFINITY);
                let p = expected.exp();
                (largest, next) = (largest.max(p), if p > largest { largest } else { next.max(p) });
                entropy -= if p > 0.0 { p * expected } else { 0.0 };
                if p < 1e-30 {
                    assert!(found < -69.0, "{}: {found} of {token} at {pos}, expected {expected}", item.name);
                    continue;
                }
                let error = (found as f64 - expected).exp_m1().abs();
                assert!(error < 1e-4, "{}: {found}, expected {expected}, of {token} at {pos}", item.name);
                (seen.marginals, seen.worst) = (seen.marginals + 1, seen.worst.max(error));
                if token == candidate.token {
                    assert!((candidate.prob as f64 / p - 1.0).abs() < 1e-4, "{}: {candidate:?}, {p}", item.name);
                    assert!((projection.probability(pos, token) as f64 / p - 1.0).abs() < 1e-4);
                }
            }
            let known = [(candidate.margin, largest - next), (candidate.entropy, entropy)];
            let close =
                known.iter().all(|&(found, expected)| (found as f64 - expected).abs() < 1e-4 * expected.max(1.0));
            assert!(close, "{}: {candidate:?} at {pos}: {known:?}", item.name);
        }
    };
    item.compiled.project(Logits::F32(logits), decided, options, read).unwrap();
    seen.compared += 1;
}

/// So many rounds of each item, one in ten of them with marginals.
pub fn run(engine: &Engine, rounds: usize, only: Option<&str>) {
    let wanted =
        |name: &&&str| **name != "schema" && only.is_none_or(|only| only.split(',').any(|item| item == **name));
    let items: Vec<Item> = items::NAMES.iter().filter(wanted).map(|name| Item::new(name, engine)).collect();
    let longest = items.iter().map(|item| item.least).max().unwrap_or(0) + SPARE;
    let noise = Noise::new(longest, engine.vocab().len(), &mut ChaCha8Rng::seed_from_u64(3));
    for item in &items {
        let mut seen = Seen::default();
        for i in 0..rounds {
            let look = match i % 100 {
                0 => Look::Dense,
                i if i % 10 == 0 => Look::Sparse,
                i if i % 10 == 5 => Look::Damage,
                i if i % 10 == 7 => Look::Improbable,
                _ => Look::Texts,
            };
            // Every round can be run again by itself.
            let mut rng = ChaCha8Rng::seed_from_u64((item.name.len() * 1_000_000 + i) as u64);
            round(item, &noise, look, &mut rng, &mut seen);
        }
        let Seen { texts, compared, marginals, worst } = seen;
        let name = item.name;
        println!(
            "{name}: {rounds} rounds, {texts} texts; in {compared} rounds {marginals} probabilities, off by {worst:.1e} at most"
        );
    }
}

/// All bytes, and words and pieces of the items; the last token ends a text.
pub fn small_vocab() -> Vocab {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut tokens: Vec<Option<Vec<u8>>> = (0..=255).map(|byte| Some(vec![byte])).collect();
    let pieces = [
        "river",
        " animal",
        "large",
        " small",
        "\"name\":\"",
        "true",
        "},\"",
        ".com",
        "item-",
        " of ",
        " and ",
        "red,",
        "é ",
        "-4",
        " water",
    ];
    tokens.extend(pieces.iter().map(|piece| Some(piece.as_bytes().to_vec())));
    while tokens.len() < 900 {
        let alphabet: &[u8] = if rng.random_bool(0.6) { b"abcdefghinoprstu " } else { b"0123456789abcdef-" };
        let piece = (0..rng.random_range(2..6)).map(|_| alphabet[rng.random_range(0..alphabet.len())]).collect();
        tokens.push(Some(piece));
    }
    tokens.push(None);
    Vocab::from_bytes(tokens, Some(900), None).unwrap()
}
