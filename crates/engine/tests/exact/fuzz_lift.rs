//! Random expressions over random vocabularies: the automaton over tokens is compared, state by state and token by
//! token, with one made from the `regex` crate's own automata by reading each token's bytes.
//!
//! `STENCIL_FUZZ_CASES=100000 STENCIL_FUZZ_SEED=2 cargo test --release fuzz_lift -- --nocapture` tries more.

use rand::{Rng, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use regex_automata::{
    Anchored, MatchKind,
    dfa::{Automaton, StartKind, dense},
    util::{primitives::StateID, start},
};
use std::collections::{HashMap, HashSet, VecDeque};
use stencil_engine::{
    Language, Token, Vocab,
    automata::{Dfa, Limits, TokenAutomaton},
};

const ATOMS: [&str; 34] = [
    "a",
    "b",
    "c",
    "A",
    "0",
    " ",
    "-",
    "é",
    "ß",
    "日",
    "😀",
    "ab",
    "ba",
    "a b",
    ".",
    "(?s:.)",
    "[ab]",
    "[^a]",
    "[a-c]",
    "[^é]",
    r"\d",
    r"\w",
    r"\s",
    r"\W",
    r"\S",
    r"\p{Lu}",
    "(?i:aß)",
    r"\n",
    r"[^\x00-\x7f]",
    r"[à-ÿ]",
    r"[日-本]",
    "(?:)",
    r"[\x{1f600}-\x{1f64f}]",
    r"\PL",
];

const PIECES: [&[u8]; 30] = [
    b"a",
    b"b",
    b"c",
    b"A",
    b"B",
    b"0",
    b"7",
    b" ",
    b"-",
    b"_",
    b"\n",
    "é".as_bytes(),
    "ß".as_bytes(),
    "日".as_bytes(),
    "本".as_bytes(),
    "😀".as_bytes(),
    "ſ".as_bytes(),
    "٣".as_bytes(),
    b"\xc3",
    b"\xa9",
    b"\xe6",
    b"\xe6\x97",
    b"\xa5",
    b"\xf0\x9f",
    b"\x98\x80",
    b"\xff",
    b"\xed\xa0\x80",
    b"\xe2\x80",
    b"\x83",
    b"\xc2",
];

fn pattern(rng: &mut ChaCha8Rng, depth: usize) -> String {
    match rng.random_range(0..if depth == 0 { 3 } else { 12 }) {
        0..3 => ATOMS.choose(rng).unwrap().to_string(),
        3..7 => (0..rng.random_range(2..5)).map(|_| pattern(rng, depth - 1)).collect(),
        7..9 => {
            let branches: Vec<String> = (0..rng.random_range(2..5)).map(|_| pattern(rng, depth - 1)).collect();
            format!("(?:{})", branches.join("|"))
        }
        _ => {
            let (min, more) = (rng.random_range(0..3), rng.random_range(0..9));
            let count =
                [format!("{{{min},{}}}", min + more), "*".into(), "+".into(), "?".into(), format!("{{{min},}}")]
                    .choose(rng)
                    .unwrap()
                    .clone();
            format!("(?:{}){count}", pattern(rng, depth - 1))
        }
    }
}

/// Literal texts too, as a choice is written.
fn language(rng: &mut ChaCha8Rng) -> (Language, String) {
    if rng.random_bool(0.2) {
        let piece = |rng: &mut ChaCha8Rng| std::str::from_utf8(PIECES.choose(rng).unwrap()).unwrap_or("");
        let texts: Vec<String> =
            (0..rng.random_range(1..20)).map(|_| (0..rng.random_range(0..6)).map(|_| piece(rng)).collect()).collect();
        let escaped: Vec<String> = texts.iter().map(|text| regex::escape(text)).collect();
        return (
            Language::Union(texts.into_iter().map(Language::Literal).collect()),
            format!("(?:{})", escaped.join("|")),
        );
    }
    let pattern = match rng.random_range(0..4) {
        0 => format!("(?s:.)*(?:{})(?s:.)*", pattern(rng, 2)),
        _ => pattern(rng, 4),
    };
    (Language::regex(&pattern), pattern)
}

fn vocab(rng: &mut ChaCha8Rng) -> Vocab {
    let mut tokens: Vec<Option<Vec<u8>>> = Vec::new();
    if rng.random_bool(0.5) {
        tokens.extend((0..=255).map(|byte| Some(vec![byte])));
    }
    for _ in 0..rng.random_range(0..80) {
        tokens.push(Some((0..rng.random_range(1..5)).flat_map(|_| *PIECES.choose(rng).unwrap()).copied().collect()));
    }
    for _ in 0..rng.random_range(0..4) {
        tokens.insert(rng.random_range(0..=tokens.len()), None);
    }
    let special = |rng: &mut ChaCha8Rng| {
        (!tokens.is_empty() && rng.random_bool(0.7)).then(|| rng.random_range(0..tokens.len()) as Token)
    };
    let (eos, pad) = (special(rng), special(rng));
    Vocab::from_bytes(tokens, eos, pad).unwrap()
}

/// The same constraint, by the automata of the `regex` crate.
struct Reference {
    automata: Vec<dense::DFA<Vec<u32>>>,
}

type State = Vec<StateID>;

impl Reference {
    fn new(patterns: &[String]) -> Option<Self> {
        let config = dense::Config::new()
            .start_kind(StartKind::Anchored)
            .match_kind(MatchKind::All)
            .dfa_size_limit(Some(4 << 20))
            .determinize_size_limit(Some(16 << 20));
        let build = |pattern: &String| dense::Builder::new().configure(config.clone()).build(pattern).ok();
        Some(Self { automata: patterns.iter().map(build).collect::<Option<_>>()? })
    }
    fn start(&self) -> State {
        let config = start::Config::new().anchored(Anchored::Yes);
        self.automata.iter().map(|dfa| dfa.start_state(&config).unwrap()).collect()
    }
    fn step(&self, state: &State, bytes: &[u8]) -> State {
        let step =
            |(dfa, &q): (&dense::DFA<Vec<u32>>, &StateID)| bytes.iter().fold(q, |q, &byte| dfa.next_state(q, byte));
        self.automata.iter().zip(state).map(step).collect()
    }
    fn accepts(&self, state: &State) -> bool {
        self.automata.iter().zip(state).all(|(dfa, &q)| dfa.is_match_state(dfa.next_eoi_state(q)))
    }
    fn dead(&self, state: &State) -> bool {
        self.automata.iter().zip(state).any(|(dfa, &q)| dfa.is_dead_state(q))
    }

    /// All states that tokens lead to, from each the state after every token, and which can still be completed.
    fn graph(&self, vocab: &Vocab, most: usize) -> Option<Graph> {
        let mut ids = HashMap::from([(self.start(), 0)]);
        let mut states = vec![self.start()];
        let mut next: Vec<HashMap<Token, usize>> = Vec::new();
        while let Some(state) = states.get(next.len()).cloned() {
            let mut row = HashMap::new();
            for token in 0..vocab.len() as Token {
                let Some(bytes) = vocab.bytes(token) else { continue };
                let to = self.step(&state, bytes);
                if !self.dead(&to) {
                    let new = states.len();
                    row.insert(token, *ids.entry(to.clone()).or_insert(new));
                    if ids.len() > new {
                        states.push(to);
                    }
                }
            }
            next.push(row);
            if states.len() > most {
                return None;
            }
        }
        let accept: Vec<bool> = states.iter().map(|state| self.accepts(state)).collect();
        let mut before = vec![Vec::new(); states.len()];
        for (from, row) in next.iter().enumerate() {
            row.values().for_each(|&to| before[to].push(from));
        }
        let mut useful = accept.clone();
        let mut stack: Vec<usize> = (0..states.len()).filter(|&q| useful[q]).collect();
        while let Some(state) = stack.pop() {
            for &from in &before[state] {
                if !std::mem::replace(&mut useful[from], true) {
                    stack.push(from);
                }
            }
        }
        Some(Graph { next, accept, useful })
    }
}

struct Graph {
    next: Vec<HashMap<Token, usize>>,
    accept: Vec<bool>,
    useful: Vec<bool>,
}

impl Graph {
    /// Both allow the same tokens after the same tokens, to the end.
    fn compare(&self, automaton: &TokenAutomaton, vocab: &Vocab) -> Result<(), String> {
        if automaton.is_empty() || !self.useful[0] {
            return match automaton.is_empty() != self.useful[0] {
                true => Ok(()),
                false => Err(format!("empty: {} and {}", automaton.is_empty(), !self.useful[0])),
            };
        }
        let mut seen = HashSet::from([(automaton.start(), 0)]);
        let mut queue = VecDeque::from([(automaton.start(), 0, Vec::new())]);
        while let Some((ours, theirs, path)) = queue.pop_front() {
            if automaton.accepting(ours) != self.accept[theirs] {
                return Err(format!(
                    "after {path:?}: accepts {} and {}",
                    automaton.accepting(ours),
                    self.accept[theirs]
                ));
            }
            for token in 0..vocab.len() as Token {
                let next = automaton.class_of(token).and_then(|class| automaton.next(ours, class));
                if vocab.is_tail(token) {
                    let legal = Some(token) == vocab.eos() && self.accept[theirs];
                    if next != automaton.ended().filter(|_| legal) {
                        return Err(format!("after {path:?}: the tail {token} leads to {next:?}"));
                    }
                    continue;
                }
                let expected = self.next[theirs].get(&token).copied().filter(|&to| self.useful[to]);
                match (next, expected) {
                    (None, None) => {}
                    (Some(a), Some(b)) => {
                        if seen.insert((a, b)) {
                            let mut path = path.clone();
                            path.push(token);
                            queue.push_back((a, b, path));
                        }
                    }
                    _ => return Err(format!("after {path:?}: {token} leads to {next:?} and {expected:?}")),
                }
            }
        }
        let reached: HashSet<u32> = seen.iter().map(|&(ours, _)| ours).chain(automaton.ended()).collect();
        match reached.len() == automaton.states() {
            true => Ok(()),
            false => Err(format!("{} states, {} of them reached", automaton.states(), reached.len())),
        }
    }
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn lifted_automata_equal_a_plain_construction() {
    let cases = variable("STENCIL_FUZZ_CASES").unwrap_or(400);
    let seed = variable("STENCIL_FUZZ_SEED").unwrap_or(1);
    let limits = Limits { states: 20_000, bytes: 16 << 20, ..Limits::default() };
    let (mut compared, mut large, mut empty, mut most) = (0u64, 0u64, 0u64, 0);
    for case in 0..cases {
        let mut rng = ChaCha8Rng::seed_from_u64(seed.wrapping_mul(1 << 32).wrapping_add(case));
        let vocab = vocab(&mut rng);
        let (parts, patterns): (Vec<Language>, Vec<String>) =
            (0..*[1, 1, 2, 3].choose(&mut rng).unwrap()).map(|_| language(&mut rng)).unzip();
        let Some(reference) = Reference::new(&patterns) else {
            large += 1;
            continue;
        };
        let failed = |why: String| panic!("seed {seed}, case {case}, {patterns:?}, {vocab:?}: {why}");
        // As one automaton over bytes, and each part on its own until they are over tokens.
        let together = Dfa::compile(&Language::Intersect(parts.clone()), &limits)
            .and_then(|dfa| TokenAutomaton::lift(&dfa, &vocab));
        let apart = parts.iter().map(|part| Dfa::compile(part, &limits)).collect::<Result<Vec<_>, _>>();
        let apart = apart.and_then(|dfas| TokenAutomaton::lift_all(&dfas, &vocab, &limits));
        let compiled = TokenAutomaton::compile(&Language::Intersect(parts), &vocab, &limits);
        for result in [together.map(Into::into), apart.map(Into::into), compiled] {
            match result {
                Ok(automaton) if automaton.states() < 3000 => {
                    let Some(graph) = reference.graph(&vocab, 3000) else {
                        large += 1;
                        continue;
                    };
                    graph.compare(&automaton, &vocab).unwrap_or_else(failed);
                    compared += 1;
                    empty += u64::from(automaton.is_empty());
                    most = most.max(automaton.states());
                }
                Ok(_) => large += 1,
                Err(e) if e.is_too_large() => large += 1,
                Err(e) => failed(e.report()),
            }
        }
    }
    println!("{compared} automata compared, {empty} of them empty, the largest with {most} states; {large} too large");
    assert!(compared > 100 && empty < compared / 3 * 2 && large < compared / 2, "{compared} {empty} {large}");
}
