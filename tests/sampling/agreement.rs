//! On random constraints, the automaton over tokens and the independent check decide every text alike.
//!
//! `STENCIL_CASES=10000 cargo test --release agreement` tries more of them.

use rand::{Rng, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value, json};
use stencil_lm::{
    CompileCx, Language, Token, Verdict, Vocab,
    automata::{Dfa, Limits, TokenAutomaton},
    spec::{Document, Inputs, Registry, Spec},
};

const TOKENS: [&str; 20] =
    ["a", "b", "é", " ", "-", ",", "A", "\n", "ab", "ba", " a", " b", " ab", "b ", "- ", "a,", "a b", "--", "éa", "  "];

fn vocab() -> Vocab {
    let mut tokens: Vec<_> = TOKENS.iter().map(|t| Some(t.as_bytes().to_vec())).collect();
    // Half characters: a token may end inside one.
    tokens.extend([Some(vec![0xC3]), Some(vec![0xA9]), Some(vec![0xA9, b'a'])]);
    Vocab::from_bytes(tokens, None, None).unwrap()
}

fn pick(rng: &mut impl Rng, from: &[&str]) -> String {
    from.choose(rng).unwrap().to_string()
}

fn range(rng: &mut impl Rng) -> String {
    let (a, b) = (rng.random_range(0..3), rng.random_range(0..4));
    pick(rng, &[&format!("{}", a + 1), &format!("{a}-{}", a + b.max(1)), &format!("{a}-"), &format!("-{}", b.max(1))])
}

fn slot(rng: &mut impl Rng) -> String {
    let name = pick(rng, &["x", "y", "z", ""]);
    let content = match rng.random_range(0..6) {
        0 => String::new(),
        1 => format!(":{}", range(rng)),
        2 => format!(":{} chars", range(rng)),
        3 => format!(":{} tokens", range(rng)),
        4 => pick(rng, &["|a|b", "|a b|a|", "|é|ab|-a-", "|--|-"]),
        _ => pick(rng, &["~/[ab]{1,2}/", "~/a| ?b/", "~/(?:ab)+/", "~/[^,]*/", "~/-?/"]),
    };
    format!("{{{{{name}{content}}}}}")
}

fn template(rng: &mut impl Rng) -> String {
    let mut text = String::new();
    for _ in 0..rng.random_range(1..5) {
        match rng.random_range(0..3) {
            0 => text += &pick(rng, &["a", " ", "- ", ", ", "ab", "A b ", "é"]),
            _ => text += &slot(rng),
        }
    }
    text
}

fn condition(rng: &mut impl Rng, slot: bool) -> (String, Value) {
    let words = |rng: &mut _| json!([pick(rng, &["a", "b", "ab", "-", "a b", "é", "-a", ", b"])]);
    let case: bool = rng.random();
    match rng.random_range(0..if slot { 9 } else { 8 }) {
        0 => ("contains".into(), words(rng)),
        1 => ("excludes".into(), json!({ "words": words(rng), "ignore_case": case })),
        2 => ("length".into(), json!({ "words": range(rng) })),
        3 => ("length".into(), json!({ "chars": range(rng) })),
        4 => ("length".into(), json!({ "tokens": range(rng) })),
        5 => ("prefix".into(), json!(pick(rng, &["a", " ", "A b"]))),
        6 => ("suffix".into(), json!(pick(rng, &["a", "b", "-"]))),
        7 => ("regex".into(), json!(pick(rng, &["(?s:.)*", "[ab ]*", r"^\S*( \S+)*$", "[^b]+|b"]))),
        _ => (pick(rng, &["words", "chars", "tokens"]), json!(range(rng))),
    }
}

fn file(rng: &mut impl Rng) -> Value {
    let mut file = Map::new();
    if rng.random_bool(0.8) {
        file.insert("template".into(), json!(template(rng)));
        for name in ["x", "y", "1"] {
            if rng.random_bool(0.3) {
                let slots = file.entry("slots").or_insert_with(|| json!({}));
                slots[name] = Value::Object((0..2).map(|_| condition(rng, true)).collect());
            }
        }
    }
    file.extend((0..rng.random_range(0..3)).map(|_| condition(rng, false)));
    Value::Object(file)
}

/// A random path of the automaton to an accepting state, if one is met.
fn walk(automaton: &TokenAutomaton, rng: &mut impl Rng) -> Option<Vec<Token>> {
    let mut state = automaton.start();
    let mut tokens = Vec::new();
    for _ in 0..12 {
        if automaton.accepting(state) && rng.random_bool(0.4) {
            return Some(tokens);
        }
        let edge = automaton.edges(state).choose(rng)?;
        let class = *automaton.label(edge.label).choose(rng)?;
        tokens.push(*automaton.members(class).choose(rng)?);
        state = edge.target;
    }
    automaton.accepting(state).then_some(tokens)
}

#[test]
fn the_token_automaton_agrees_with_the_check() {
    let vocab = vocab();
    let registry = Registry::builtin();
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let limits = Limits { states: 10_000, ..Limits::default() };
    let (mut files, mut large, mut accepted, mut rejected) = (0, 0, 0, 0);
    let wanted = std::env::var("STENCIL_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(500);
    while files < wanted {
        let file = file(&mut rng);
        let document: Document = serde_json::from_value(file.clone()).unwrap();
        let Ok(spec) = Spec::from_document(&document, &registry, &Inputs::default()) else { continue };
        files += 1;
        let cx = CompileCx::new(&vocab);
        let all = spec.constraints.iter().map(|c| c.language(&cx).unwrap()).collect();
        let dfa = match Dfa::compile(&Language::Intersect(all), &limits) {
            Ok(dfa) => dfa,
            // Slots with nothing between them can need very many states.
            Err(e) if e.is_too_large() => {
                large += 1;
                continue;
            }
            Err(e) => panic!("{file}: {e}"),
        };
        let automaton = TokenAutomaton::lift(&dfa, &vocab).unwrap();
        if automaton.is_empty() {
            continue;
        }
        let mut tries: Vec<Vec<Token>> = (0..12).filter_map(|_| walk(&automaton, &mut rng)).collect();
        for i in 0..tries.len() {
            let mut tokens = tries[i].clone();
            let (at, other) = (rng.random_range(0..=tokens.len()), rng.random_range(0..vocab.len() as Token));
            match rng.random_range(0..3) {
                0 => tokens.insert(at, other),
                1 if at < tokens.len() => tokens[at] = other,
                _ if at < tokens.len() => drop(tokens.remove(at)),
                _ => {}
            }
            tries.push(tokens);
        }
        for tokens in tries {
            let bytes: Vec<&[u8]> = tokens.iter().map(|t| vocab.bytes(*t).unwrap()).collect();
            let Ok(text) = String::from_utf8(bytes.concat()) else { continue };
            let verdict = spec.constraints.iter().fold(Verdict::Accept, |v, c| v.and(|| c.check_tokens(&text, &bytes)));
            assert!(!matches!(verdict, Verdict::Unknown { .. }), "{file}: {text:?}");
            // Bounds on the tokens of the whole text are no part of the language.
            let fits = spec.constraints.iter().all(|c| (c.tokens().0..=c.tokens().1).contains(&tokens.len()));
            let automaton = fits && automaton.accepts(&tokens);
            assert_eq!(automaton, verdict.accepted(), "{file}: {text:?} {verdict:?}");
            *if automaton { &mut accepted } else { &mut rejected } += 1;
        }
    }
    println!("{files} files, {large} too large; {accepted} texts accepted, {rejected} rejected, by both");
    assert!(large < files / 20, "{large}");
    assert!(accepted > 5 * wanted && rejected > wanted, "{accepted} {rejected}");
}
