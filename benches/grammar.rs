//! A step under recursive grammars, for a real vocabulary: 256 open positions, one thread.
//!
//! `STENCIL_TOKENIZER=tokenizer.json RAYON_NUM_THREADS=1 cargo bench --bench grammar [-- NAME]`

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::{path::Path, time::Instant};
use stencil_lm::{
    Language, Result, Scores, Token, Vocab,
    automata::Limits,
    grammar::{Acceptor, Question},
    inference::{Feasible, Options, Problem, infer},
    language::Grammar,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const GRAMMARS: [(&str, &str); 2] = [
    ("json", include_str!("../constraints/grammars/json.gbnf")),
    ("c_function", include_str!("../constraints/grammars/c_function.lark")),
];

/// Milliseconds that the threads have worked, where the system tells: other work on the machine does not lengthen it.
fn worked(begin: Instant) -> f64 {
    // The system brings its count up to date when a thread gives way.
    std::thread::yield_now();
    let read = |thread: std::fs::DirEntry| std::fs::read_to_string(thread.path().join("schedstat")).ok();
    let nanoseconds = |text: String| text.split_whitespace().next()?.parse::<f64>().ok();
    let threads = std::fs::read_dir("/proc/self/task")
        .map(|threads| threads.filter_map(|thread| nanoseconds(read(thread.ok()?)?)).sum::<f64>() / 1e6);
    threads.unwrap_or_else(|_| begin.elapsed().as_secs_f64() * 1e3)
}

fn vocab() -> Result<Vocab> {
    match std::env::var("STENCIL_TOKENIZER") {
        Ok(path) => Vocab::from_file(Path::new(&path), 151_936, Some(151_643), Some(151_643)),
        Err(_) => Ok(stencil_lm::Model::bundled()?.denoiser().vocab().clone()),
    }
}

fn main() -> Result<()> {
    let only: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let steps = std::env::var("STENCIL_STEPS").ok().and_then(|n| n.parse().ok()).unwrap_or(16);
    let vocab = vocab()?;
    let len = 256;
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let values: Vec<f32> = (0..len * vocab.len()).map(|_| rng.random_range(-4.0..4.0)).collect();
    let scores = Scores::new(vocab.len(), values)?;
    let begin = Instant::now();
    for (name, text) in GRAMMARS.iter().filter(|(name, _)| only.is_empty() || only.iter().any(|only| only == name)) {
        let started = worked(begin);
        let parsed = if text.contains("::=") { Grammar::gbnf(text)? } else { Grammar::lark(text)? };
        let language = Language::grammar(parsed.grammar);
        let Acceptor::Pushdown(pushdown) = Acceptor::new(&language, &vocab, &Limits::default())? else { continue };
        println!("{name}: {} states, compiled in {:.1} ms", pushdown.states(), worked(begin) - started);
        let mut decided: Vec<Option<Token>> = vec![None; len];
        let mut witness: Option<Vec<Token>> = None;
        let mut stages: Vec<[f64; 5]> = Vec::new();
        for step in 0..steps {
            let mut clock = vec![worked(begin)];
            let question = Question { decided: &decided, tokens: (0, usize::MAX), witness: witness.as_deref() };
            let Some(view) = pushdown.view(question)? else { panic!("no text fits") };
            clock.push(worked(begin));
            let problem = Problem::new(&view.automaton, &decided);
            let Some(reach) = Feasible::from_layers(&problem, view.layers.clone())? else { panic!("no text fits") };
            clock.push(worked(begin));
            let posterior = infer(&reach, &scores, &Options::default())?;
            clock.push(worked(begin));
            let draw = posterior.sample(&mut rng);
            clock.push(worked(begin));
            posterior.candidates(&draw);
            clock.push(worked(begin));
            stages.push(std::array::from_fn(|i| clock[i + 1] - clock[i]));
            if step == 0 || step + 1 == steps {
                println!(
                    "  step {step}: {}; {:?}, {} kept, exact {}, log Z {:.1}",
                    report(stages[step]),
                    view.automaton,
                    view.layers.iter().map(Vec::len).sum::<usize>(),
                    view.exact,
                    posterior.log_z(),
                );
                println!("  {:?}", String::from_utf8_lossy(&vocab.decode(&draw)).chars().take(90).collect::<String>());
            }
            for (pos, &token) in draw.iter().enumerate() {
                if rng.random_bool(0.002) {
                    decided[pos] = Some(token);
                }
            }
            witness = Some(draw);
        }
        let mean = |stage: usize| stages.iter().skip(1).map(|s| s[stage]).sum::<f64>() / (steps - 1) as f64;
        println!("  mean of the other steps: {}", report(std::array::from_fn(mean)));
    }
    Ok(())
}

fn report(stages: [f64; 5]) -> String {
    let all: f64 = stages.iter().sum();
    let [view, reach, infer, draw, look] = stages;
    format!(
        "{all:.1} ms of work = view {view:.1} + reach {reach:.1} + inference {infer:.1} + draw {draw:.1} + \
         what policies ask {look:.1}"
    )
}
