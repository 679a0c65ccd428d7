//! Automata over tokens against plainer constructions.

use super::*;
use crate::{Language, Token, Vocab};
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::HashSet;
use std::time::{Duration, Instant};

fn regex(pattern: &str) -> Language {
    Language::regex(pattern)
}

fn vocab() -> Vocab {
    let texts = ["a", "b", "c", " ", "ab", "ba", "abc", "cab", " a", "b c", "é", "aé", "  "];
    let mut tokens: Vec<Option<Vec<u8>>> = texts.iter().map(|t| Some(t.as_bytes().to_vec())).collect();
    tokens.extend([Some(vec![0xc3]), Some(vec![0xa9]), Some(vec![0xa9, b'a']), Some(b"a".to_vec()), None, None]);
    Vocab::from_bytes(tokens, Some(17), Some(18)).unwrap()
}

/// A path through the automaton, if it is lucky to an end.
fn walk(automaton: &TokenAutomaton, rng: &mut ChaCha8Rng) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut state = automaton.start();
    while tokens.len() < 12 && !(automaton.accepting(state) && rng.random_bool(0.3)) {
        let Some(edge) = automaton.edges(state).choose(rng) else { break };
        let class = *automaton.label(edge.label).choose(rng).unwrap();
        tokens.push(*automaton.members(class).choose(rng).unwrap());
        state = edge.target;
    }
    tokens
}

const PAIRS: [(&str, &str); 9] = [
    ("(?s:.)*ab(?s:.)*", "(?s:.)*ba(?s:.)*"),
    ("(?s:.)*c a(?s:.)*", "(?s:.){3,9}"),
    (r"\s*(?:\S+(?:\s+\S+){1,3})\s*", "(?s:.)*é(?s:.)*"),
    ("(?:ab|é){2,5}", "(?s:.)*é"),
    ("[^é]*", "(?s:.)*a"),
    ("a*", "b*"),
    ("a+", "b+"),
    ("(?s:.)*", "(?:a|b| )*"),
    ("a{0,3}(?:bc?)*", "(?:[ab]{2})*c?"),
];

#[test]
fn products_over_tokens_equal_products_over_bytes() {
    let (vocab, limits) = (vocab(), Limits::default());
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for (a, b) in PAIRS {
        let lift =
            |language: &Language| TokenAutomaton::lift(&Dfa::compile(language, &limits).unwrap(), &vocab).unwrap();
        let (left, right) = (lift(&regex(a)), lift(&regex(b)));
        let (over_bytes, over_tokens) = (lift(&regex(a).and(regex(b))), left.intersect(&right, &limits).unwrap());
        assert_eq!(over_bytes.is_empty(), over_tokens.is_empty(), "{a} {b}");
        assert_eq!(over_bytes.min_tokens(), over_tokens.min_tokens(), "{a} {b}");
        let mut accepted = 0;
        for round in 0..2000 {
            let tokens = match [&over_bytes, &over_tokens, &left, &right][round % 4] {
                empty if empty.is_empty() => continue,
                automaton => walk(automaton, &mut rng),
            };
            let expected = left.accepts(&tokens) && right.accepts(&tokens);
            assert_eq!(over_bytes.accepts(&tokens), expected, "{a} {b} {tokens:?}");
            assert_eq!(over_tokens.accepts(&tokens), expected, "{a} {b} {tokens:?}");
            accepted += usize::from(expected);
        }
        assert!(accepted > 100 || over_bytes.is_empty(), "{a} {b}: {accepted}");
        consistent(&over_tokens, &vocab);
    }
}

/// What the type promises: every state is useful, rows ascend, labels and classes are distinct, the tail is a tail.
fn consistent(automaton: &TokenAutomaton, vocab: &Vocab) {
    let states = 0..automaton.states() as u32;
    let mut reached = HashSet::from([0]);
    for state in states.clone() {
        let targets: Vec<u32> = automaton.successors(state).collect();
        assert!(targets.windows(2).all(|pair| pair[0] < pair[1]), "{targets:?}");
        assert!(automaton.accepting(state) || !targets.is_empty(), "a dead end");
        let mut taken = HashSet::new();
        for edge in automaton.edges(state) {
            let label = automaton.label(edge.label);
            assert!(!label.is_empty() && label.windows(2).all(|pair| pair[0] < pair[1]));
            assert!(label.iter().all(|class| taken.insert(*class)), "two ways on for one class");
        }
        reached.extend(targets);
    }
    assert_eq!(reached.len(), automaton.states().max(1));
    let labels: HashSet<_> = (0..automaton.labels() as u32).map(|l| automaton.label(l)).collect();
    assert_eq!(labels.len(), automaton.labels());
    for class in 0..automaton.classes() as u32 {
        assert!(!automaton.members(class).is_empty());
        assert!(automaton.members(class).iter().all(|&token| automaton.class_of(token) == Some(class)));
        assert!(states.clone().any(|q| automaton.next(q, class).is_some()), "a class that is legal nowhere");
    }
    if let Some(ended) = automaton.ended() {
        assert_eq!(ended as usize + 1, automaton.states());
        let tail: HashSet<_> = [vocab.eos(), vocab.pad()].into_iter().flatten().collect();
        let edges = automaton.edges(ended);
        assert!(edges.len() == 1 && edges[0].target == ended);
        let members = automaton.label(edges[0].label).iter().flat_map(|&class| automaton.members(class));
        assert_eq!(members.copied().collect::<HashSet<_>>(), tail);
    }
}

#[test]
fn large_conjunctions_are_kept_apart() {
    let vocab = vocab();
    let word = |c: char| regex(&format!("(?s:.)*{c}{{3}}(?s:.)*")).named(format!("contains {c}"));
    let words: Vec<Language> = ('a'..='l').map(word).collect();
    let all = Language::Intersect(words).named("contains");
    let factors = Dfa::factors(&all, &Limits::default()).unwrap();
    assert!(factors.len() > 1 && factors.iter().map(Dfa::states).sum::<usize>() < 20_000);
    // Most of the letters have no token.
    assert!(TokenAutomaton::compile(&all, &vocab, &Limits::default()).unwrap().is_empty());
    let two = Language::Intersect(vec![word('a').named("x"), Language::Intersect(vec![word('b')])]);
    assert_eq!(Dfa::factors(&two, &Limits::default()).unwrap().len(), 1);
    let error = Dfa::factors(&regex("(").named("inner").named("outer"), &Limits::default()).unwrap_err();
    assert!(error.message().starts_with("outer: inner: "), "{error}");
}

#[test]
fn compiling_stops_at_the_deadline() {
    let vocab = Vocab::from_bytes((0..=255).map(|b| Some(vec![b])).collect(), None, None).unwrap();
    let word = |i: usize| regex(&format!(r"(?:(?s:.)*\W)?word{i}(?:\W(?s:.)*)?"));
    let many = Language::Intersect((0..24).map(word).collect());
    let started = Instant::now();
    let limits = Limits { deadline: Some(started + Duration::from_millis(200)), ..Limits::default() };
    let error = TokenAutomaton::compile(&many, &vocab, &limits).unwrap_err();
    assert!(error.is_too_large() && !error.helps().is_empty(), "{error}");
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
}

#[test]
fn lists_of_texts_are_minimal() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    for _ in 0..200 {
        let texts: HashSet<String> = (0..rng.random_range(0..40))
            .map(|_| {
                (0..rng.random_range(0..6))
                    .map(|_| *['a', 'b', 'é', '日', '\u{10348}'].choose(&mut rng).unwrap())
                    .collect()
            })
            .collect();
        let list = Language::Union(texts.iter().map(Language::literal).collect());
        let dfa = Dfa::compile(&list, &Limits::default()).unwrap();
        assert_eq!(dfa.0.clone().minimized().states(), dfa.states(), "{texts:?}");
        for text in ["", "a", "ab", "é", "日a", "aé日"].into_iter().chain(texts.iter().map(String::as_str)) {
            assert_eq!(dfa.accepts(text.as_bytes()), texts.contains(text), "{text:?} {texts:?}");
        }
    }
}
