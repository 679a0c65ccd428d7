//! Constraints made to explode: each ends in an answer, or in an error that names what explodes and says what to relax, in
//! seconds and bounded memory.
//!
//! `STENCIL_TOKENIZER=tokenizer.json cargo test --release exploding -- --nocapture` tries them over a real vocabulary.

use std::{fs, sync::Arc, time::Instant};
use stencil_engine::constraints::{Choice, Contains, Excludes, Length, Regex, Template};
use stencil_engine::{Constraint, Result, constraints::Inputs};
use stencil_engine::{Engine, Logits, Options};

/// No case may work longer, in seconds, or take more memory, in MiB, to compile.
const SLOWEST: f64 = 30.0;
const MOST: usize = 1024;
/// Positions beyond the fewest, and most of them that logits are made for.
const SPARE: usize = 8;
const LONGEST: usize = 128;

type All = Vec<Arc<dyn Constraint>>;

fn regexes(patterns: &[&str]) -> Result<All> {
    patterns.iter().map(|pattern| Ok(Arc::new(Regex::new(pattern)?) as Arc<dyn Constraint>)).collect()
}

fn template(text: &str) -> Result<All> {
    Ok(vec![Arc::new(Template::parse(text, &Inputs::default())?)])
}

fn contains(words: u32, length: &[&str]) -> Result<All> {
    let mut all: All = vec![Arc::new(Contains::new(texts(words, 5), false)?)];
    for length in length {
        all.push(Arc::new(Length::parse(length)?));
    }
    Ok(all)
}

/// Random letters.
fn texts(count: u32, letters: usize) -> Vec<String> {
    let text = |i| {
        let mut x = (i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let letter = |_| {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            (b'a' + (x % 26) as u8) as char
        };
        (0..letters).map(letter).collect()
    };
    (0..count).map(text).collect()
}

/// What the system tells of this process, in MiB.
fn status(field: &str) -> Option<usize> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let kib: usize = text.lines().find_map(|line| line.strip_prefix(field)?.split_whitespace().next()?.parse().ok())?;
    Some(kib >> 10)
}

/// Seconds that this thread has worked, where the system tells.
fn worked(since: Instant) -> f64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds: Option<f64> = text.split_whitespace().next().and_then(|n| n.parse().ok());
    nanoseconds.map_or_else(|| since.elapsed().as_secs_f64(), |n| n / 1e9)
}

/// What is `expected` in the error; nothing where there is to be an answer.
fn tries(engine: &Engine, expected: &str, make: &dyn Fn() -> Result<All>) {
    let start = Instant::now();
    let _ = fs::write("/proc/self/clear_refs", "5");
    let (before, began) = (status("VmRSS:").unwrap_or(0), worked(start));
    let result = make().and_then(|constraints| engine.compile(&constraints));
    let took = worked(start) - began;
    let grown = status("VmHWM:").unwrap_or(0).saturating_sub(before);
    let said = match &result {
        Ok(compiled) => format!("{compiled:?}"),
        Err(error) => error.report(),
    };
    println!("{took:.2} s, {grown} MiB: {said}");
    assert!(took < SLOWEST && grown < MOST, "{took} s, {grown} MiB: {said}");
    let compiled = match result {
        Ok(compiled) => compiled,
        Err(error) => {
            assert!(error.is_too_large() && !expected.is_empty() && said.contains(expected), "{expected}: {said}");
            assert!(!error.helps().is_empty(), "{said}");
            return;
        }
    };
    assert!(expected.is_empty(), "{said}");
    let decided = vec![None; compiled.shortest() + SPARE];
    if decided.len() > LONGEST {
        return;
    }
    let logits = vec![0.0; decided.len() * engine.vocab().len()];
    let began = worked(start);
    let drawn = compiled.project(Logits::F32(&logits), &decided, &Options::default(), |p| p.sample(1));
    println!("    {} positions in {:.2} s", decided.len(), worked(start) - began);
    assert!(drawn.is_ok_and(|text| compiled.automaton().unwrap().accepts(&text)), "{said}");
}

#[test]
fn what_explodes_is_named_in_seconds() {
    crate::alone("exploding::what_explodes_is_named_in_seconds", explode);
}

fn explode() {
    let bundled = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/stencil-base/tokenizer.json");
    let path = std::env::var("STENCIL_TOKENIZER").unwrap_or_else(|_| bundled.into());
    let engine = Engine::from_file(path.as_ref(), None).unwrap();
    let tried = |expected: &str, make: &dyn Fn() -> Result<All>| tries(&engine, expected, make);
    let one = |pattern: &str| regexes(&[pattern]);
    let choice = |count, letters| Ok(vec![Arc::new(Choice::new(texts(count, letters))?) as Arc<dyn Constraint>]);
    let counters = |of: &[usize]| {
        let patterns: Vec<String> = of.iter().map(|n| format!("(?:[ab]{{{n}}})*")).collect();
        regexes(&patterns.iter().map(|p| &**p).collect::<Vec<_>>())
    };
    tried("", &|| one("(a|b)*a(a|b){14}"));
    tried("`(a|b){30}`", &|| one("(a|b)*a(a|b){30}"));
    tried("`{1,100}`", &|| one("(?:(?:[ab]{1,100}c){1,100}d){1,100}"));
    tried("`{1,1000}`", &|| one("(a{1,1000}){1,1000}"));
    tried("`[a-z]{1,900}`", &|| one("x(?:[a-z]{1,900}x){1,900}"));
    tried("", &|| one("(((((((((((a*)*)*)*)*)*)*)*)*)*)*)*b"));
    tried(r"`\w{1,5000}`", &|| one(r"id \w{1,5000}"));
    tried(r"`{1,50}`", &|| one(r"(?:\w{1,50} ){1,50}"));
    tried("`{1,800}`", &|| one(r"(?:\p{L}|\p{N}\p{Han}|\W\p{Greek}\p{Lu}){1,800}"));
    tried("`.{20}`", &|| one(r".*\p{L}.{20}\p{Lu}.*"));
    tried("`{0,100000}`", &|| one(".{0,100000}"));
    tried("`.{0,30000}`", &|| one(".{0,30000}x.{0,30000}"));
    tried("the pattern", &|| one(&(0..40).map(|i| format!(".*a{i}b.*|")).collect::<String>()));
    tried("as a choice", &|| one(&texts(50_000, 8).join("|")));
    tried("", &|| one(&format!("(?:{})*", texts(3000, 6).join("|"))));
    tried("the pattern", &|| one(&format!(".*(?:{}).*", texts(20_000, 8).join("|"))));
    tried("`{1,64}`", &|| one("(?:[a-zA-Z0-9._%+-]{1,64}@(?:[a-zA-Z0-9-]{1,63}\\.){1,4}[a-zA-Z]{2,24},?){1,30}"));
    tried("", &|| one("(?:[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\n){2000}"));
    tried("", &|| choice(10_000, 12));
    tried("a list of 100000 texts", &|| choice(100_000, 12));
    tried("a list of 100000 texts", &|| choice(100_000, 100));
    tried("", &|| contains(8, &[]));
    tried("", &|| contains(12, &[]));
    tried("of the 20 constraints", &|| contains(20, &[]));
    tried("of the 8 constraints", &|| contains(6, &["50-200w", "-1000 chars"]));
    tried("", &|| Excludes::new(texts(5000, 6), false).map(|words| vec![Arc::new(words) as Arc<dyn Constraint>]));
    tried("", &|| counters(&[7, 11, 13, 17]));
    tried("of the 6 constraints", &|| counters(&[7, 11, 13, 17, 19, 23]));
    tried("of the 4 constraints", &|| counters(&[97, 101, 103, 107]));
    tried("of the 5 constraints", &|| regexes(&[".*a.{9}b.*", ".*c.{9}d.*", ".*e.{9}f.*", ".*g.{9}h.*", ".*i.{9}j.*"]));
    tried("", &|| template(&(0..40).map(|i| format!("{{{{s{i}:1-9}}}} ")).collect::<String>()));
    tried("slot `a`", &|| template("{{a:5-300 chars}}{{b:7-200 chars}}{{c:1-50}}{{d:3-99 chars}}"));
    tried("slot `c`, slot `d`", &|| template("{{a:20 tokens}} {{b:30 tokens}} {{c:1-40 tokens}}{{d~/[a-z]{1,50}/}}"));
}
