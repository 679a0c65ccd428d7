//! The stages of the engine for one vocabulary, by Criterion: what a tokenizer costs to read, an expression to compile,
//! a canvas of logits to project, and a projection to ask.
//!
//! `STENCIL_TOKENIZER=tokenizer.json cargo bench --bench engine [-- FILTER]`; without a tokenizer the bundled one is used.
//! `stencil bench engine` gives the same stages as one line per item.

#[path = "../src/cli/bench/items.rs"]
mod items;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::{hint::black_box, path::PathBuf, time::Duration};
use stencil_lm::{
    CompileCx, Vocab,
    automata::{Dfa, Limits, TokenAutomaton},
    engine::{Engine, Logits, Options, softmax},
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const POSITIONS: usize = 256;

fn tokenizer() -> PathBuf {
    let bundled = || concat!(env!("CARGO_MANIFEST_DIR"), "/models/stencil-base/tokenizer.json").into();
    std::env::var_os("STENCIL_TOKENIZER").map_or_else(bundled, PathBuf::from)
}

/// The same tokens, of which nothing has been prepared.
fn fresh(vocab: &Vocab) -> Vocab {
    let bytes = (0..vocab.len() as u32).map(|token| vocab.bytes(token).map(<[u8]>::to_vec)).collect();
    Vocab::from_bytes(bytes, vocab.eos(), vocab.pad()).unwrap()
}

fn stages(criterion: &mut Criterion) {
    let path = tokenizer();
    let read = || Engine::from_file(&path, None).expect("STENCIL_TOKENIZER names a tokenizer.json");
    let engine = read();
    let (vocab, limits) = (engine.vocab(), Limits::default());
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let logits: Vec<f32> = (0..POSITIONS * vocab.len()).map(|_| rng.random_range(-4.0..4.0)).collect();
    let decided = vec![None; POSITIONS];

    let mut group = criterion.benchmark_group("vocabulary");
    group.bench_function("from the store on disk", |b| b.iter(read));
    let literal = Dfa::factors(&stencil_lm::Language::literal("a"), &limits).expect("a literal");
    group.bench_function("sorting", |b| {
        b.iter_batched_ref(
            || fresh(vocab),
            |vocab| TokenAutomaton::lift_all(&literal, vocab, &limits),
            BatchSize::LargeInput,
        )
    });
    group.bench_function("softmax of all rows", |b| {
        b.iter(|| logits.chunks(vocab.len()).map(|row| softmax(row, 1.0)).filter(Result::is_ok).count())
    });
    group.finish();

    for name in items::NAMES {
        let constraint = items::constraint(name).expect("an item");
        let language = constraint.language(&CompileCx::new(vocab)).expect("a language");
        let factors = Dfa::factors(&language, &limits).expect("factors");
        let compiled = engine.compile(&[constraint]).expect("an automaton");
        let mut group = criterion.benchmark_group(*name);
        let mut stage = |stage: &str, run: &mut dyn FnMut()| {
            group.bench_function(BenchmarkId::from_parameter(stage), |b| b.iter(&mut *run));
        };
        stage("expression to automata", &mut || drop(black_box(Dfa::factors(&language, &limits))));
        stage("automata to tokens", &mut || drop(black_box(TokenAutomaton::lift_all(&factors, vocab, &limits))));
        stage("forced tokens", &mut || drop(black_box(compiled.forced(&decided))));
        stage("projection", &mut || {
            let done = compiled.project(Logits::F32(&logits), &decided, &Options::default(), |_| ());
            assert!(black_box(done).is_ok(), "{name} fits");
        });
        let asked = compiled.project(Logits::F32(&logits), &decided, &Options::default(), |projection| {
            stage("a draw", &mut || drop(black_box(projection.sample(1))));
            stage("the likeliest text", &mut || drop(black_box(projection.map())));
            let (text, everywhere) = (projection.sample(1), (0..POSITIONS).collect::<Vec<_>>());
            stage("candidates", &mut || drop(black_box(projection.candidates(&everywhere, &text))));
            let mut row = vec![0.0; vocab.len()];
            stage("projected logits of a position", &mut || projection.logits(POSITIONS / 2, black_box(&mut row)));
            stage("log Z", &mut || drop(black_box(projection.log_z())));
        });
        assert!(asked.is_ok(), "{name} fits");
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    targets = stages
}
criterion_main!(benches);
