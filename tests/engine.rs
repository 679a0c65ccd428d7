//! The engine at scale: random logits, fixed positions and commit orders, every text verified by the `regex` crate, and
//! marginals against a slow implementation in double precision that knows no classes.
//!
//! Always run over a small vocabulary. `STENCIL_TOKENIZER=tokenizer.json cargo test --release --test engine` runs over
//! a real one, `STENCIL_ROUNDS` times for each item (1,000 if not given).

use rand::{Rng, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use std::collections::HashMap;
use stencil_lm::automata::TokenAutomaton;
use stencil_lm::constraints::{Choice, Contains, Regex};
use stencil_lm::engine::{Compiled, Engine, Logits, Options, Query};
use stencil_lm::{Constraint, ErrorKind, Token, Vocab};

const UUID: &str = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";

/// Name, constraint, the expression that verifies, and words that must occur.
type Item = (&'static str, std::sync::Arc<dyn Constraint>, String, Vec<&'static str>);

fn items() -> Vec<Item> {
    let regex = |name, pattern: &str| -> Item {
        (name, std::sync::Arc::new(Regex::new(pattern).unwrap()), pattern.to_string(), vec![])
    };
    let words = vec!["river", "tree", "sun", "cat", "dog"];
    let choices: Vec<String> = (0..300u32).map(|i| format!("item-{i}-{}", i.wrapping_mul(2_654_435_761))).collect();
    vec![
        regex("iso_date", "[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"),
        regex("email", "[a-z0-9._]+@[a-z0-9]+(?:\\.[a-z]{2,})+"),
        regex("bounded_email", "[a-zA-Z0-9._%+-]{1,64}@(?:[a-zA-Z0-9-]{1,63}\\.){1,4}[a-zA-Z]{2,24}"),
        regex("capitalised_words", "(?:[A-Z][a-z]{0,20} ){1,40}"),
        regex("record", r#"\{"id":-?(?:0|[1-9][0-9]*),"name":"[^"\\\x00-\x1F]{0,40}","on":(?:true|false)\}"#),
        regex("template", r"The \w+(?: \w+){0,2} is a (?:small|large) \w+ that \w+(?: \w+){1,5}\."),
        regex("dot2000", ".{1,2000}"),
        regex("uuid20", &format!("(?:{UUID}\n){{1,20}}")),
        ("contains5", std::sync::Arc::new(Contains::new(words.clone(), false).unwrap()), "(?s:.*)".into(), words),
        ("choice", std::sync::Arc::new(Choice::new(choices.clone()).unwrap()), choices.join("|"), vec![]),
    ]
}

/// All bytes, and words and pieces of the items; the last token ends a text.
fn small_vocab() -> Vocab {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut tokens: Vec<Option<Vec<u8>>> = (0..=255).map(|byte| Some(vec![byte])).collect();
    let pieces =
        ["river", " tree", "sun", " cat", "dog", "\"name\":\"", "true}", ".com", "item-", "The ", " is a ", "é "];
    tokens.extend(pieces.iter().map(|piece| Some(piece.as_bytes().to_vec())));
    while tokens.len() < 900 {
        let alphabet: &[u8] = if rng.random_bool(0.6) { b"abcdefghinoprstu " } else { b"0123456789abcdef-" };
        let piece = (0..rng.random_range(2..6)).map(|_| alphabet[rng.random_range(0..alphabet.len())]).collect();
        tokens.push(Some(piece));
    }
    tokens.push(None);
    Vocab::from_bytes(tokens, Some(900), None)
}

fn logits(rng: &mut ChaCha8Rng, len: usize) -> Vec<f32> {
    let spread = [0.0, 2.0, 8.0, 40.0][rng.random_range(0..4)];
    (0..len).map(|_| spread * (rng.random::<f32>() + rng.random::<f32>() - 1.0)).collect()
}

/// Marginals by sums over states and single tokens, in logarithms.
fn slow_marginals(automaton: &TokenAutomaton, logits: &[f32], decided: &[Option<Token>]) -> Vec<Vec<f64>> {
    let (len, vocab, states) = (decided.len(), automaton.vocab_len(), automaton.states());
    let next = |q: usize, token: usize| Some(automaton.next(q as u32, automaton.class_of(token as Token)?)? as usize);
    let mut table: HashMap<usize, Vec<(usize, usize)>> = HashMap::new();
    let mut arrows = |q: usize| -> Vec<(usize, usize)> {
        let all = || (0..vocab).filter_map(|t| Some((t, next(q, t)?))).collect();
        table.entry(q).or_insert_with(all).clone()
    };
    let add = |a: f64, b: f64| {
        let (high, low) = if a > b { (a, b) } else { (b, a) };
        if low == f64::NEG_INFINITY { high } else { high + (low - high).exp().ln_1p() }
    };
    let allowed = |pos: usize, token: usize| decided[pos].is_none_or(|d| d as usize == token);
    let weight =
        |pos: usize, token: usize| if decided[pos].is_some() { 0.0 } else { logits[pos * vocab + token] as f64 };
    let mut forward = vec![vec![f64::NEG_INFINITY; states]; len + 1];
    forward[0][automaton.start() as usize] = 0.0;
    for pos in 0..len {
        for q in (0..states).filter(|&q| forward[pos][q] > f64::NEG_INFINITY).collect::<Vec<_>>() {
            for (token, to) in arrows(q) {
                if allowed(pos, token) {
                    forward[pos + 1][to] = add(forward[pos + 1][to], forward[pos][q] + weight(pos, token));
                }
            }
        }
    }
    let mut backward: Vec<f64> =
        (0..states).map(|q| if automaton.accepting(q as u32) { 0.0 } else { f64::NEG_INFINITY }).collect();
    let mut marginals = vec![vec![f64::NEG_INFINITY; vocab]; len];
    for pos in (0..len).rev() {
        let mut before = vec![f64::NEG_INFINITY; states];
        for q in (0..states).filter(|&q| forward[pos][q] > f64::NEG_INFINITY).collect::<Vec<_>>() {
            for (token, to) in arrows(q) {
                if allowed(pos, token) && backward[to] > f64::NEG_INFINITY {
                    let path = weight(pos, token) + backward[to];
                    before[q] = add(before[q], path);
                    marginals[pos][token] = add(marginals[pos][token], forward[pos][q] + path);
                }
            }
        }
        backward = before;
        let total = marginals[pos].iter().fold(f64::NEG_INFINITY, |a, &b| add(a, b));
        marginals[pos].iter_mut().for_each(|m| *m = (*m - total).exp());
    }
    marginals
}

/// Commits parts of joint draws in random order until the canvas is full; the text must match.
fn round(compiled: &Compiled, verify: &(regex::Regex, Vec<&str>), len: usize, slow: bool, rng: &mut ChaCha8Rng) {
    let vocab = compiled.vocab().len();
    let mut decided = vec![None; len];
    let mut first = slow;
    while decided.iter().any(Option::is_none) {
        for (pos, token) in compiled.forced(&decided).unwrap() {
            decided[pos] = Some(token);
        }
        let logits = logits(rng, len * vocab);
        let seed = rng.random();
        let (text, map) = compiled
            .project(Logits::F32(&logits), &decided, &Options::default(), |projection| {
                if std::mem::take(&mut first) {
                    let slow = slow_marginals(compiled.automaton().unwrap(), &logits, &decided);
                    for (pos, row) in slow.iter().enumerate() {
                        for (token, &expected) in row.iter().enumerate() {
                            let found = projection.probability(pos, token as Token) as f64;
                            let close = (found - expected).abs() <= 1e-4 * expected + 1e-12;
                            assert!(close, "{found}, expected {expected}, of {token} at {pos}");
                        }
                    }
                }
                (projection.sample(seed), rng.random_bool(0.1).then(|| projection.map()))
            })
            .unwrap();
        for text in map.iter().chain([&text]) {
            check(compiled, verify, text, &decided);
        }
        let mut open: Vec<usize> = (0..len).filter(|&pos| decided[pos].is_none()).collect();
        open.shuffle(rng);
        let most = open.len();
        for pos in open.into_iter().take(rng.random_range(most.div_ceil(4).min(most)..=most)) {
            decided[pos] = Some(text[pos]);
        }
    }
}

fn check(compiled: &Compiled, (regex, words): &(regex::Regex, Vec<&str>), text: &[Token], decided: &[Option<Token>]) {
    assert!(text.iter().zip(decided).all(|(t, d)| d.is_none_or(|d| d == *t)), "decided tokens stay");
    let written = String::from_utf8(compiled.vocab().decode(text)).expect("UTF-8");
    assert!(regex.is_match(&written), "{written:?}");
    for word in words {
        assert!(written.split(|c: char| !c.is_alphanumeric() && c != '_').any(|w| w == *word), "{word} in {written:?}");
    }
}

fn run(engine: &Engine, rounds: usize, slow: usize, lens: &[(&str, usize)]) {
    for (name, constraint, pattern, words) in items() {
        let compiled = engine.compile(&[constraint]).unwrap();
        let verify = (regex::Regex::new(&format!("\\A(?:{pattern})\\z")).unwrap(), words);
        let mut rng = ChaCha8Rng::seed_from_u64(name.len() as u64);
        let least = lens.iter().find(|(item, _)| *item == name).map_or(12, |(_, len)| *len);
        let least = least.max(compiled.shortest());
        for i in 0..rounds {
            round(&compiled, &verify, least + rng.random_range(0..6), i < slow, &mut rng);
        }
        eprintln!("{name}: {rounds} rounds, marginals of {slow}");
    }
}

#[test]
fn every_text_matches_and_marginals_are_right() {
    run(&Engine::new(small_vocab()), 12, 1, &[]);
}

#[test]
fn every_text_matches_over_a_real_vocabulary() {
    let Ok(path) = std::env::var("STENCIL_TOKENIZER") else {
        eprintln!("skipped: set STENCIL_TOKENIZER to a tokenizer.json for the test over a real vocabulary");
        return;
    };
    let rounds = std::env::var("STENCIL_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(1000);
    run(&Engine::from_file(path.as_ref(), None).unwrap(), rounds, rounds / 10, &[]);
}

fn bytes() -> Engine {
    let tokens = (0..=255).map(|byte| Some(vec![byte])).chain([None]).collect();
    Engine::new(Vocab::from_bytes(tokens, Some(256), None))
}

#[test]
fn an_improbable_path_is_never_lost() {
    let engine = bytes();
    for pattern in ["xyz", "[xq]{3}"] {
        let compiled = engine.regex(pattern).unwrap();
        for score in [-69.0, -1e4, -1e9, f32::MIN, f32::NEG_INFINITY] {
            let mut logits = vec![0.0f32; 3 * 257];
            for pos in 0..3 {
                b"xyzq".iter().for_each(|&b| logits[pos * 257 + b as usize] = score);
            }
            let project = |projection: &stencil_lm::engine::Projection| {
                (projection.sample(1), projection.map(), projection.probability(0, u32::from(b'x')), projection.log_z())
            };
            let (text, map, p, log_z) =
                compiled.project(Logits::F32(&logits), &[None; 3], &Options::default(), project).unwrap();
            let matches = |t: &[Token]| compiled.automaton().unwrap().accepts(t);
            assert!(matches(&text) && matches(&map), "{pattern} at {score}");
            let expected = if pattern == "xyz" { 1.0 } else { 0.5 };
            assert!((p - expected).abs() < 1e-6 && log_z.unwrap() < -150.0, "{pattern} at {score}: {p}");
        }
    }
}

#[test]
fn damaged_logits_are_refused_and_level_ones_are_fine() {
    let engine = bytes();
    let compiled = engine.regex("[ab]{2}").unwrap();
    let log_z = |logits: &[f32]| {
        let options = Options::default();
        compiled.project(Logits::F32(logits), &[None; 2], &options, |p| p.log_z())
    };
    let level = vec![3.5f32; 2 * 257];
    assert!((log_z(&level).unwrap().unwrap() - 2.0 * (2.0f64 / 257.0).ln()).abs() < 1e-6);
    assert!((log_z(&vec![f32::NEG_INFINITY; 2 * 257]).unwrap().unwrap() - 2.0 * (2.0f64 / 257.0).ln()).abs() < 1e-6);
    for damage in [f32::NAN, f32::INFINITY] {
        let mut legal = level.clone();
        legal[257 + b'a' as usize] = damage;
        let error = log_z(&legal).unwrap_err();
        assert!(error.kind() == ErrorKind::Model && error.to_string().contains("position 1, token 97"), "{error}");
        // What is illegal is not read, until log Z needs it.
        let mut illegal = level.clone();
        illegal[5] = damage;
        assert_eq!(log_z(&illegal).unwrap().unwrap_err().kind(), ErrorKind::Model);
    }
    assert!(compiled.project(Logits::F32(&level[1..]), &[None; 2], &Options::default(), |_| ()).is_err());
    assert!(compiled.forced(&[Some(b'c' as Token), None]).unwrap_err().is_unsatisfiable());
}

/// Short of room, or which decided position leaves no text.
#[test]
fn what_does_not_fit_is_named() {
    let engine =
        Engine::new(Vocab::from_bytes((0..=255).map(|b| Some(vec![b])).chain([None]).collect(), Some(256), None));
    let compiled = engine.regex("[0-9]{4}-(?:0[1-9]|1[0-2])").unwrap();
    let says = |decided: &[Option<Token>], what: &str| {
        let logits = vec![0.0; decided.len() * 257];
        let found = compiled.project(Logits::F32(&logits), decided, &Options::default(), |_| ()).unwrap_err();
        for error in [compiled.forced(decided).unwrap_err(), found] {
            assert!(error.is_unsatisfiable() && error.to_string().contains(what), "{error}");
        }
    };
    says(&[None; 5], "needs 7 tokens, but there is room for 5");
    let mut decided = [None; 9];
    (decided[1], decided[5], decided[6]) = (Some(b'0' as Token), Some(b'1' as Token), Some(b'3' as Token));
    says(&decided, "token 51 (\"3\") at position 6");
    decided[1] = Some(999_999);
    says(&decided, "token 999999 at position 1");
    decided[1] = Some(256);
    says(&decided, "token 256 at position 1");
}

#[test]
fn half_precision_and_batches_answer_alike() {
    let engine = Engine::new(small_vocab());
    let (words, date) = (engine.regex("[a-z ]{3,20}").unwrap(), engine.regex("[0-9]{4}-[0-9]{2}").unwrap());
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let len = engine.vocab().len();
    let half: Vec<half::f16> = (0..8 * len).map(|_| half::f16::from_f32(rng.random_range(-4.0..4.0))).collect();
    let brain: Vec<half::bf16> = half.iter().map(|x| half::bf16::from_f32(x.to_f32())).collect();
    let single: Vec<f32> = half.iter().map(|x| x.to_f32()).collect();
    let rounded: Vec<f32> = brain.iter().map(|x| x.to_f32()).collect();
    let answer = |_: usize, p: &stencil_lm::engine::Projection| {
        let mut row = vec![0.0; len];
        p.logits(1, &mut row);
        let total: f64 = row.iter().map(|&x| (x as f64).exp()).sum();
        assert!((total - 1.0).abs() < 1e-4, "{total}");
        (p.sample(3), p.map(), row.iter().map(|x| x.to_bits()).collect::<Vec<_>>(), p.log_z().unwrap().to_bits())
    };
    let decided = [None; 8];
    let all = [Logits::F32(&single), Logits::F16(&half), Logits::F32(&rounded), Logits::Bf16(&brain)];
    let batch: Vec<Query> = all
        .iter()
        .flat_map(|&logits| [&words, &date].map(|constraint| (constraint, logits)))
        .map(|(constraint, logits)| Query { constraint, logits, decided: &decided, options: Options::default() })
        .collect();
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| Compiled::project_batch(&batch, answer)).into_iter().map(Result::unwrap).collect::<Vec<_>>()
    };
    let answers = run(1);
    assert!(
        answers[0] == answers[2] && answers[1] == answers[3] && answers[4] == answers[6] && answers[5] == answers[7]
    );
    assert!(run(3) == answers);
}
