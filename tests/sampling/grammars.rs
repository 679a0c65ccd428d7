//! Texts of the ready-made grammars: drawn with random scores, in random orders, around tokens of real texts that stand
//! fixed, and read by independent parsers.
//!
//! `scripts/check_grammar_samples.py` draws more, around more texts, and has them read by parsers of other people: it
//! sets `STENCIL_SAMPLES`, `STENCIL_SAMPLES_FILE` and `STENCIL_REAL_TEXTS`, lines of `{"grammar", "text"}`.

use rand::{Rng, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use std::path::Path;
use stencil_lm::{
    Model, Scores, Token, Vocab,
    automata::TokenAutomaton,
    grammar::{Acceptor, Question},
    inference::{Feasible, Options, Problem, feasible, infer},
    spec::{Inputs, Registry, Spec},
};

const NAMES: [&str; 11] = [
    "json_document",
    "arithmetic",
    "sql_query",
    "python_expression",
    "csv_table",
    "markdown_table",
    "chess_game",
    "smiles",
    "s_expression",
    "ini_file",
    "c_function",
];

enum Engine {
    Finite(Box<TokenAutomaton>),
    Pushdown(Box<stencil_lm::grammar::Pushdown>),
}

/// One text: a few positions of each draw are kept, in random order. `exact` stays true where all draws were exact.
fn draw(
    engine: &Engine,
    vocab: &Vocab,
    mut decided: Vec<Option<Token>>,
    rng: &mut impl Rng,
    exact: &mut bool,
) -> Vec<Token> {
    let mut witness: Option<Vec<Token>> = None;
    loop {
        let values = (0..decided.len() * vocab.len()).map(|_| rng.random_range(-6.0f32..6.0)).collect();
        let scores = Scores::new(vocab.len(), values).unwrap();
        let text = match engine {
            Engine::Finite(automaton) => {
                let fitting = feasible(&Problem::new(automaton, &decided)).expect("a text fits");
                infer(&fitting, &scores, &Options::default()).unwrap().sample(rng)
            }
            Engine::Pushdown(pushdown) => {
                let question = Question { decided: &decided, tokens: (0, usize::MAX), witness: witness.as_deref() };
                let view = pushdown.view(question).unwrap().expect("a text fits");
                *exact &= view.exact;
                let problem = Problem::new(&view.automaton, &decided);
                let fitting = Feasible::from_layers(&problem, view.layers.clone()).unwrap().expect("a text fits");
                infer(&fitting, &scores, &Options::default()).unwrap().sample(rng)
            }
        };
        let open: Vec<usize> = (0..decided.len()).filter(|&pos| decided[pos].is_none()).collect();
        if open.is_empty() {
            return text;
        }
        for &pos in &open {
            if open.len() < 4 || rng.random_bool(0.4) {
                decided[pos] = Some(text[pos]);
            }
        }
        witness = Some(text);
    }
}

/// Real texts of a grammar: the examples of its file, and those given that it has.
fn real_texts(name: &str, spec: &Spec) -> Vec<String> {
    let given = std::env::var_os("STENCIL_REAL_TEXTS").map(|path| std::fs::read_to_string(path).unwrap());
    let parse = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
    let of_it = given.iter().flat_map(|lines| lines.lines().map(parse)).filter(|line| line["grammar"] == name);
    let texts = of_it.map(|line| line["text"].as_str().unwrap().to_string()).filter(|text| spec.check(text).accepted());
    let texts: Vec<String> = texts.collect();
    if texts.is_empty() { spec.accepts.clone() } else { texts }
}

fn ready_made(name: &str) -> Spec {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("constraints").join(name).with_extension("toml");
    Spec::load(&path, &Registry::builtin(), &Inputs::default()).unwrap()
}

/// However few states are kept, a text that is begun is finished in just the positions there are.
#[test]
fn a_tiny_budget_never_runs_into_a_dead_end() {
    let model = Model::bundled().unwrap();
    let vocab = model.denoiser().vocab().clone();
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let (mut inexact, mut texts) = (0, 0);
    for name in NAMES {
        let spec = ready_made(name);
        let Acceptor::Pushdown(pushdown) = spec.acceptor(&vocab).unwrap() else { continue };
        let fewest = pushdown.fewest_tokens().unwrap().unwrap();
        let engine = Engine::Pushdown(Box::new(pushdown.with_budget(4)));
        let Engine::Pushdown(pushdown) = &engine else { continue };
        for len in 0..fewest {
            let question = Question { decided: &vec![None; len], tokens: (0, usize::MAX), witness: None };
            assert!(pushdown.view(question).unwrap().is_none(), "{name}: {len} tokens");
        }
        let real: Vec<Vec<Token>> = spec.accepts.iter().filter_map(|text| vocab.encode(text).ok()).collect();
        for more in [0, 0, 1, 7] {
            let text = real.choose(&mut rng).unwrap();
            let fixed = |&token: &Token| rng.random_bool(0.1).then_some(token);
            let mut decided: Vec<Option<Token>> = text.iter().map(fixed).collect();
            decided.resize(text.len() + more, None);
            let (fixed, mut exact) = (decided.clone(), true);
            let drawn = draw(&engine, &vocab, decided, &mut rng, &mut exact);
            assert!(drawn.len() == fixed.len() && fixed.iter().zip(&drawn).all(|(f, t)| f.is_none_or(|f| f == *t)));
            let text = String::from_utf8(vocab.decode(&drawn)).unwrap();
            assert!(spec.check(&text).accepted(), "{name}: {text:?}: {:?}", spec.check(&text));
            inexact += usize::from(!exact);
            texts += 1;
        }
    }
    println!("{texts} texts, {inexact} of them not drawn exactly");
    assert!(inexact > texts / 2, "{inexact} of {texts}");
}

#[test]
fn texts_of_the_ready_made_grammars_are_parsed() {
    let samples: usize = std::env::var("STENCIL_SAMPLES").ok().and_then(|n| n.parse().ok()).unwrap_or(6);
    let model = Model::bundled().unwrap();
    let vocab = model.denoiser().vocab().clone();
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut lines = String::new();
    for name in NAMES {
        let spec = ready_made(name);
        let engine = match spec.acceptor(&vocab).unwrap() {
            Acceptor::Regular(dfa) => Engine::Finite(Box::new(TokenAutomaton::lift(&dfa, &vocab).unwrap())),
            Acceptor::Pushdown(pushdown) => Engine::Pushdown(pushdown),
        };
        let real = real_texts(name, &spec);
        let real: Vec<Vec<Token>> = real.iter().filter_map(|text| vocab.encode(text).ok()).collect();
        let mut total = 0;
        for _ in 0..samples {
            let text = real.choose(&mut rng).unwrap();
            let room = text.len() + rng.random_range(0..=text.len().div_ceil(4)) + 1;
            let mut decided: Vec<Option<Token>> = vec![None; room];
            let fixed: Vec<usize> = (0..text.len()).filter(|_| rng.random_bool(0.1)).collect();
            fixed.iter().for_each(|&pos| decided[pos] = Some(text[pos]));
            total += fixed.len();
            let drawn = draw(&engine, &vocab, decided, &mut rng, &mut true);
            let text = String::from_utf8(vocab.decode(&drawn)).unwrap();
            assert!(spec.check(&text).accepted(), "{name}: {text:?}: {:?}", spec.check(&text));
            if name == "json_document" {
                serde_json::from_str::<serde_json::Value>(&text).unwrap_or_else(|e| panic!("{text:?}: {e}"));
            }
            let (fixed, real) = (fixed.len(), real.len());
            let line = serde_json::json!({ "grammar": name, "text": text, "fixed": fixed, "real": real });
            lines += &format!("{line}\n");
        }
        println!("{name}: {samples} texts around {} real ones, {total} tokens fixed", real.len());
    }
    if let Some(file) = std::env::var_os("STENCIL_SAMPLES_FILE") {
        std::fs::write(file, lines).unwrap();
    }
}
