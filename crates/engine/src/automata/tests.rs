//! Constructions against plainer ones.

use super::automaton::{Automaton, DEAD, State};
use super::symbols::{Bytes, Symbols};
use super::*;
use crate::{ErrorKind, Language, Vocab};
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use regex_automata::dfa::{Automaton as _, StartKind, dense};
use regex_automata::util::start;
use regex_automata::{Anchored, MatchKind};

fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

fn compile(language: &Language) -> Dfa {
    Dfa::compile(language, &Limits::default()).unwrap()
}

fn regex(pattern: &str) -> Dfa {
    compile(&Language::regex(pattern))
}

const PATTERNS: &[&str] = &[
    "(?:ab)+",
    "a*?b??c+?",
    "(a|b)*abb",
    ".*",
    "(?s:.*)",
    "",
    "a|",
    "[^a]",
    r"\w+",
    r"\W+",
    r"(\w+ ){2,4}\w*",
    r"\d{2,3}",
    "(?i)straße",
    "[à-ÿ]*",
    r"\p{Greek}+|\p{Han}+",
    "a{3}b{0,2}(c{2,})?",
    "(a*)*",
    "(a?){3}",
    "((a|b)?c){2,}",
    "日本|日|本語",
    r"[\x{10348}-\x{10400}a]+",
    "(?x) a b # c",
    "(a|ab)(c|bcd)(d*)",
    r"[[:alpha:]&&[^aeiou]]+",
    r"\PL*",
    "[a&&b]|c",
    "(?-u:a)+b",
    r"\x{7FF}|\x{800}|\x{FFFF}|\x{10000}|\x{10FFFF}",
    r"[^\n]*",
    "x*(y|z?)w",
];

/// Bytes that patterns and their near misses are made of.
const PIECES: &[&[u8]] = &[
    b"a",
    b"b",
    b"c",
    b"d",
    b"w",
    b"x",
    b"y",
    b"z",
    b"A",
    b" ",
    b"\n",
    b"0",
    b"7",
    b"_",
    "ß".as_bytes(),
    "ſ".as_bytes(),
    "é".as_bytes(),
    "λ".as_bytes(),
    "日".as_bytes(),
    "本".as_bytes(),
    "語".as_bytes(),
    "\u{10348}".as_bytes(),
    b"stra",
    b"e",
    b"\xff",
    b"\xc3",
    b"\xa9",
    b"\xe6\x97",
    b"\xed\xa0\x80",
    b"\xc0\x80",
    b"\xf4\x90\x80\x80",
    "\u{800}".as_bytes(),
    "\u{7ff}".as_bytes(),
    "\u{ffff}".as_bytes(),
    "\u{10000}".as_bytes(),
    "\u{10ffff}".as_bytes(),
];

/// A text of few different pieces, so that repetitions are met; most of them occur in the pattern.
fn text(rng: &mut ChaCha8Rng, pattern: &str) -> Vec<u8> {
    let occurs = |piece: &&[u8]| std::str::from_utf8(piece).is_ok_and(|piece| pattern.contains(piece));
    let near: Vec<&[u8]> = PIECES.iter().copied().filter(occurs).collect();
    let pick = |rng: &mut ChaCha8Rng| {
        near.choose(rng).filter(|_| rng.random_bool(0.7)).or_else(|| PIECES.choose(rng)).unwrap()
    };
    let few: Vec<&[u8]> = (0..3).map(|_| *pick(rng)).collect();
    (0..rng.random_range(0..8)).flat_map(|_| *few.choose(rng).unwrap()).copied().collect()
}

/// The `regex` crate's dense automaton, asked for acceptance one symbol after the end, where it reports matches.
struct Dense(dense::DFA<Vec<u32>>);

impl Dense {
    fn new(pattern: &str) -> Self {
        let config = dense::Config::new().start_kind(StartKind::Anchored).match_kind(MatchKind::All);
        Self(dense::Builder::new().configure(config).build(pattern).unwrap())
    }
    fn accepts(&self, text: &[u8]) -> bool {
        let start = self.0.start_state(&start::Config::new().anchored(Anchored::Yes)).unwrap();
        let end = text.iter().fold(start, |state, &byte| self.0.next_state(state, byte));
        self.0.is_match_state(self.0.next_eoi_state(end))
    }
}

#[test]
fn patterns_agree_with_the_regex_crate() {
    let mut rng = rng(1);
    for pattern in PATTERNS {
        let (ours, theirs) = (regex(pattern), Dense::new(pattern));
        let shortest = ours.shortest().unwrap();
        let mut accepted = 0;
        for round in 0..4000 {
            let mut text = if round % 4 == 0 { shortest.clone().into_bytes() } else { text(&mut rng, pattern) };
            if round % 8 == 0 {
                let at = rng.random_range(0..=text.len());
                text.splice(at..at, PIECES.choose(&mut rng).unwrap().iter().copied());
            }
            let expected = theirs.accepts(&text);
            accepted += expected as usize;
            assert_eq!(ours.accepts(&text), expected, "{pattern} on {}", text.escape_ascii());
        }
        assert!(accepted > 0, "{pattern} was never met");
    }
}

#[test]
fn any_is_valid_utf8() {
    let any = compile(&Language::Any);
    let agrees = |text: &[u8]| assert_eq!(any.accepts(text), std::str::from_utf8(text).is_ok(), "{text:x?}");
    (0..=255).for_each(|a| agrees(&[a]));
    (0..=255).for_each(|a| (0..=255).for_each(|b| agrees(&[a, b])));
    let edges = [0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff];
    for a in 0xc0..=0xff {
        for b in 0..=255 {
            for c in edges {
                agrees(&[a, b, c]);
                edges.iter().for_each(|&d| agrees(&[a, b, c, d]));
            }
        }
    }
    assert_eq!(any.states(), 8);
}

/// A random table; some states lead nowhere, some cannot be reached.
fn random_automaton(rng: &mut ChaCha8Rng) -> Automaton<Bytes> {
    let (states, classes) = (rng.random_range(1..12), rng.random_range(1..4));
    let symbols = Bytes::group(|b| b % classes);
    let alive = rng.random_range(0.3..1.0);
    let mut next = vec![DEAD; symbols.width()];
    for _ in 0..states * symbols.width() {
        next.push(if rng.random_bool(alive) { rng.random_range(0..=states) as State } else { DEAD });
    }
    let accept = (0..=states).map(|q| q > 0 && rng.random_bool(0.3)).collect();
    Automaton { symbols, next, accept, start: rng.random_range(0..=states) as State }
}

/// Runs a word of bytes (and marks, as 256).
fn accepts(automaton: &Automaton<Bytes>, word: &[usize]) -> bool {
    let class = |&s: &usize| if s == 256 { automaton.symbols.width() - 1 } else { automaton.symbols.class(s as u8) };
    let end = word.iter().fold(automaton.start, |q, s| automaton.step(q, class(s)));
    automaton.accept[end as usize]
}

/// States that some word tells apart, by Moore's refinement until nothing changes.
fn distinguishable(automaton: &Automaton<Bytes>) -> usize {
    let mut label: Vec<usize> = automaton.accept.iter().map(|&a| a as usize).collect();
    loop {
        let mut ids = std::collections::HashMap::new();
        let fresh: Vec<usize> = (0..label.len())
            .map(|q| {
                let row: Vec<usize> = automaton.row(q as State).iter().map(|&to| label[to as usize]).collect();
                let new = ids.len();
                *ids.entry((label[q], row)).or_insert(new)
            })
            .collect();
        if fresh == label {
            return ids.len();
        }
        label = fresh;
    }
}

#[test]
fn minimal_automata_equal_the_original() {
    let mut rng = rng(2);
    for _ in 0..3000 {
        let original = random_automaton(&mut rng);
        let minimal = original.clone().minimized();
        for _ in 0..40 {
            let word: Vec<usize> =
                (0..rng.random_range(0..12)).map(|_| *[0, 1, 2, 7, 255, 256].choose(&mut rng).unwrap()).collect();
            assert_eq!(accepts(&original, &word), accepts(&minimal, &word));
        }
        assert_eq!(distinguishable(&minimal), minimal.accept.len(), "some states are equal");
        let again = minimal.clone().minimized();
        assert_eq!((&again.next, &again.accept, &again.symbols), (&minimal.next, &minimal.accept, &minimal.symbols));
        // Columns differ, and every state can be reached and left for acceptance.
        let columns: std::collections::HashSet<Vec<State>> = (0..minimal.symbols.width() - 1)
            .map(|class| (0..minimal.accept.len()).map(|q| minimal.step(q as State, class)).collect())
            .collect();
        assert_eq!(columns.len(), minimal.symbols.width() - 1);
    }
}

#[test]
fn bytes_of_minimal_automata_are_minimal() {
    for pattern in PATTERNS {
        let dfa = regex(pattern).0;
        assert_eq!(distinguishable(&dfa), dfa.accept.len(), "{pattern}");
        assert_eq!(dfa.clone().minimized().states(), dfa.states(), "{pattern}");
    }
}

#[test]
fn algebra_holds() {
    let part = |p: &&str| Language::regex(*p);
    let pairs: Vec<(Language, Language)> =
        PATTERNS.iter().zip(PATTERNS.iter().rev()).map(|(a, b)| (part(a), part(b))).collect();
    let same = |a: &Language, b: &Language| {
        let (a, b) = (compile(a).0.minimized(), compile(b).0.minimized());
        (a.next, a.accept) == (b.next, b.accept)
    };
    for (a, b) in pairs {
        let union = Language::Union(vec![a.clone(), b.clone()]);
        let neither = a.clone().not().and(b.clone().not());
        assert!(same(&union, &neither.clone().not()), "{a:?} {b:?}");
        assert!(same(&union.clone().not(), &neither), "{a:?} {b:?}");
        assert!(same(&a.clone().not().not(), &a), "{a:?}");
        assert!(compile(&a.clone().and(a.clone().not())).is_empty(), "{a:?}");
        assert!(same(&Language::Union(vec![a.clone(), a.clone().not()]), &Language::Any), "{a:?}");
        assert!(same(&a.clone().and(b.clone()), &b.clone().and(a.clone())), "{a:?} {b:?}");
        // The same over bytes, which speaking of tokens asks for.
        let all = Language::Tokens { inner: Box::new(Language::Any), min: 0, max: usize::MAX };
        assert!(same(&union, &union.clone().and(all.clone())), "{a:?} {b:?}");
        let sequence = Language::Concat(vec![a.clone(), b.clone(), a.clone()]);
        assert!(same(&sequence, &sequence.clone().and(all)), "{a:?} {b:?}");
    }
}

#[test]
fn large_scripts_are_kept_over_bytes() {
    let ideographs = |from: u32| (from..from + 300).filter_map(char::from_u32).collect::<String>();
    let (one, other) = (ideographs(0x4e00), ideographs(0x5e00));
    let all = compile(&Language::Union(vec![Language::literal(&one), Language::literal(&other)]));
    assert!(all.accepts(one.as_bytes()) && all.accepts(other.as_bytes()));
    assert!(!all.accepts(&one.as_bytes()[3..]) && !all.accepts(one.repeat(2).as_bytes()));
    let both = compile(&Language::Concat(vec![Language::literal(&one), Language::Any, Language::literal(&other)]));
    assert!(both.accepts(format!("{one}é{other}").as_bytes()) && !both.accepts(one.as_bytes()));
    let long = ideographs(0x4e00).repeat(200);
    assert_eq!(compile(&Language::literal(&long)).shortest(), Some(long));
}

#[test]
fn the_shortest_text_is_readable() {
    assert_eq!(regex("[^q]{3}x+").shortest().as_deref(), Some("aaax"));
    assert_eq!(regex(r"\d+é").shortest().as_deref(), Some("0é"));
    assert_eq!(compile(&Language::Any).shortest().as_deref(), Some(""));
    assert_eq!(compile(&Language::Union(vec![])).shortest(), None);
    assert_eq!(regex("[^[:ascii:]]").shortest().map(|t| t.chars().count()), Some(1));
    let marked = Language::Concat(vec![Language::literal("a"), Language::Mark, Language::literal("b")]);
    assert_eq!(compile(&marked).shortest().as_deref(), Some("ab"));
}

#[test]
fn anchors_at_the_ends_say_nothing() {
    for pattern in ["^a+$", r"\Aa+\z", "^(^a+$)$", "(?m)^a+$", "^^a+$$", "(?:^a+)|(?:^aa$)"] {
        assert_eq!(regex(pattern).0.next, regex("a+").0.next, "{pattern}");
    }
}

fn refused(pattern: &str) -> crate::Error {
    Dfa::compile(&Language::regex(pattern), &Limits::default()).unwrap_err()
}

#[test]
fn refusals_show_the_place() {
    for (pattern, kind, span) in [
        (r"ab\b", ErrorKind::Unsupported, 2..4),
        ("a^b", ErrorKind::Unsupported, 1..2),
        ("(a$)b", ErrorKind::Unsupported, 2..3),
        ("(^a)*", ErrorKind::Unsupported, 1..2),
        ("a(?=b)", ErrorKind::Unsupported, 1..4),
        (r"(a)\1", ErrorKind::Unsupported, 3..5),
        ("a(b", ErrorKind::Input, 1..2),
        ("é[", ErrorKind::Input, 2..3),
        (r"\p{Klingon}", ErrorKind::Input, 0..11),
        (r"(?-u:\xFF)", ErrorKind::Input, 5..9),
    ] {
        let error = refused(pattern);
        assert_eq!((error.kind(), error.span()), (kind, Some(span)), "{pattern}: {error}");
        assert!(!error.helps().is_empty(), "{pattern}: {error}");
    }
}

#[test]
fn what_is_too_large_fails_in_time() {
    let patterns = [
        "(a{1,1000}){1,1000}",
        r"(\w{1,300}){1,300}",
        "(a|b)*a(a|b){25}",
        r"\pL{1,1000}",
        r"(\w?){0,3000}",
        "(a?){0,20000}",
        "((a{0,99}){0,99}){0,99}",
        "(.*a.{12}|.*b.{11}|.*c.{13})*",
        r"(?i)(straße|groß|\pL){1,200}",
    ];
    let deep = "(".repeat(5000) + "a" + &")".repeat(5000);
    let long = "ab".repeat(1 << 20);
    for pattern in patterns.into_iter().chain([deep.as_str(), long.as_str()]) {
        let started = std::time::Instant::now();
        let error = refused(pattern);
        assert!(error.is_too_large(), "{error}");
        assert!(!error.helps().is_empty(), "{error}");
        assert!(started.elapsed().as_secs() < 10, "{error}: {:?}", started.elapsed());
    }
    let nested = (0..1000).fold(Language::Any, |inner, _| inner.not());
    assert!(Dfa::compile(&nested, &Limits::default()).unwrap_err().is_too_large());
    let literal = Language::literal("x".repeat(10 << 20)).named("template");
    let error = Dfa::compile(&literal, &Limits::default()).unwrap_err();
    assert!(error.is_too_large() && error.message().starts_with("template: "), "{error}");
    let words = |i| Language::regex(format!(r"(?:(?s:.)*\W)?word{i}(?:\W(?s:.)*)?"));
    let many = Language::Intersect((0..16).map(words).collect()).named("contains");
    let error = Dfa::compile(&many, &Limits::default()).unwrap_err();
    assert!(error.is_too_large() && error.message().starts_with("contains: "), "{error}");
}

#[test]
fn classes_and_labels_are_the_coarsest() {
    let tokens = ["a", "b", "c", "ab", "ba", "1", "2", "é", " ", "a1", "b2"];
    let mut bytes: Vec<_> = tokens.iter().map(|t| Some(t.as_bytes().to_vec())).collect();
    bytes.extend([None, None]);
    let vocab = Vocab::from_bytes(bytes, Some(11), Some(12)).unwrap();
    for pattern in PATTERNS {
        let automaton = TokenAutomaton::lift(&regex(pattern), &vocab).unwrap();
        let states = 0..automaton.states() as u32;
        let column = |class| states.clone().map(|q| automaton.next(q, class)).collect::<Vec<_>>();
        let columns: Vec<_> = (0..automaton.classes() as u32).map(column).collect();
        for (i, a) in columns.iter().enumerate() {
            let tail = |i: usize| automaton.members(i as u32).iter().any(|&t| vocab.is_tail(t));
            assert!(a.iter().any(Option::is_some), "{pattern}: a class that is legal nowhere");
            let equal = |j: usize| columns[j] == *a && !tail(i) && !tail(j);
            assert!(!(0..i).any(equal), "{pattern}: two classes with equal columns");
        }
        let labels: std::collections::HashSet<_> = (0..automaton.labels() as u32).map(|l| automaton.label(l)).collect();
        assert_eq!(labels.len(), automaton.labels(), "{pattern}");
    }
}

#[test]
fn a_text_is_the_automaton_of_its_pattern() {
    for text in ["", "a", "aa", "abcabd", "\"clé\":", "\0\u{10ffff}"] {
        let (written, read) = (compile(&Language::literal(text)), regex(&regex_syntax::escape(text)));
        assert_eq!(written.states(), read.states(), "{text:?}");
        let parts = text.chars().map(|c| Language::Union(vec![Language::literal(c)])).collect();
        let spelt = compile(&Language::Concat(parts));
        let near = ["", "a", "aaa", "abcabda", "abcab", "\"cle\":"].map(String::from);
        for other in near.into_iter().chain([text.to_string(), format!("{text}a")]) {
            for dfa in [&written, &spelt, &read] {
                assert_eq!(dfa.accepts(other.as_bytes()), other == text, "{text:?} {other:?}");
            }
        }
    }
}
