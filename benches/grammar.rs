//! A step under recursive grammars, for a real vocabulary: 256 open positions, one thread.
//!
//! `STENCIL_TOKENIZER=tokenizer.json RAYON_NUM_THREADS=1 cargo bench --bench grammar [-- NAME]`

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::{path::Path, time::Instant};
use stencil_lm::{
    Language, Result, Scores, Token, Vocab,
    automata::Limits,
    grammar::{Compiled, Grammar, Question},
    inference::{Options, Problem, Reach, infer},
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const GRAMMARS: [(&str, &str); 2] = [
    ("json", include_str!("../constraints/grammars/json.gbnf")),
    ("c_function", include_str!("../constraints/grammars/c_function.lark")),
];

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

fn vocab() -> Result<Vocab> {
    match std::env::var("STENCIL_TOKENIZER") {
        Ok(path) => Vocab::from_file(Path::new(&path), 151_936, Some(151_643), Some(151_643)),
        Err(_) => Ok(stencil_lm::Model::bundled()?.denoiser().vocab().clone()),
    }
}

fn main() -> Result<()> {
    let only: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let vocab = vocab()?;
    let len = 256;
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let values: Vec<f32> = (0..len * vocab.len()).map(|_| rng.random_range(-4.0..4.0)).collect();
    let scores = Scores::new(vocab.len(), values)?;
    for (name, text) in GRAMMARS.iter().filter(|(name, _)| only.is_empty() || only.iter().any(|only| only == name)) {
        let started = Instant::now();
        let parsed = if text.contains("::=") { Grammar::gbnf(text)? } else { Grammar::lark(text)? };
        let language = Language::grammar(parsed.grammar);
        let Compiled::Pushdown(pushdown) = Compiled::new(&language, &vocab, &Limits::default())? else { continue };
        println!("{name}: {} states, compiled in {:.1} ms", pushdown.states(), milliseconds(started));
        let mut decided: Vec<Option<Token>> = vec![None; len];
        let mut witness: Option<Vec<Token>> = None;
        for step in 0..8 {
            let started = Instant::now();
            let question = Question { decided: &decided, tokens: (0, usize::MAX), witness: witness.as_deref() };
            let Some(view) = pushdown.view(question)? else { panic!("no text fits") };
            let viewed = milliseconds(started);
            let problem = Problem::new(&view.automaton, &decided);
            let Some(reach) = Reach::from_layers(&problem, view.layers.clone())? else { panic!("no text fits") };
            let posterior = infer(&reach, &scores, &Options::default())?;
            let inferred = milliseconds(started);
            let draw = posterior.sample(&mut rng);
            println!(
                "  step {step}: {:.1} ms = view {viewed:.1} + inference {:.1} + draw {:.1}; {:?}, {} kept, exact {}, log Z {:.1}",
                milliseconds(started),
                inferred - viewed,
                milliseconds(started) - inferred,
                view.automaton,
                view.layers.iter().map(Vec::len).sum::<usize>(),
                view.exact,
                posterior.log_z(),
            );
            for (pos, &token) in draw.iter().enumerate() {
                if rng.random_bool(0.01) {
                    decided[pos] = Some(token);
                }
            }
            println!("  {:?}", String::from_utf8_lossy(&vocab.decode(&draw)).chars().take(100).collect::<String>());
            witness = Some(draw);
        }
    }
    Ok(())
}
