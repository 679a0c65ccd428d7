//! The engine at scale: random logits, fixed positions and commit orders, every text verified by the `regex` crate, and
//! all probabilities against a slow implementation in double precision that knows no classes.
//!
//! Always run over a small vocabulary. `STENCIL_TOKENIZER=tokenizer.json cargo test --release real_vocabulary -- --ignored`
//! runs over a real one, `STENCIL_ROUNDS` times for each item of `stencil bench engine` (1,000 if not given), or for those
//! in `STENCIL_ITEMS`, separated by commas.

mod oracle;
mod rounds;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rounds::small_vocab;
use stencil_lm::engine::{Compiled, Engine, Logits, Options, Query};
use stencil_lm::{ErrorKind, Token, Vocab};

#[test]
fn every_text_matches_and_probabilities_are_right() {
    rounds::run(&Engine::new(small_vocab()), 20, None);
}

#[test]
#[ignore = "needs STENCIL_TOKENIZER"]
fn every_text_matches_over_a_real_vocabulary() {
    let path = std::env::var("STENCIL_TOKENIZER").expect("STENCIL_TOKENIZER: a tokenizer.json");
    let rounds = std::env::var("STENCIL_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(1000);
    let items = std::env::var("STENCIL_ITEMS").ok();
    rounds::run(&Engine::from_file(path.as_ref(), None).unwrap(), rounds, items.as_deref());
}

/// Engines, constraints and answers may be used by any thread.
#[test]
fn all_of_it_is_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<(Engine, Compiled, Query, Logits, Options)>();
    let compiled = bytes().regex("[ab]{2}").unwrap();
    let decided = [None, Some(b'a' as Token)];
    let draw = |projection: &stencil_lm::engine::Projection| {
        let draw = || (projection.sample(1), projection.map(), projection.candidates(&[0, 1], &projection.sample(1)));
        std::thread::scope(|scope| [scope.spawn(draw), scope.spawn(draw)].map(|thread| thread.join().unwrap()))
    };
    let answers = compiled.project(Logits::F32(&[0.0; 2 * 257]), &decided, &Options::default(), draw).unwrap();
    assert_eq!(answers[0], answers[1]);
    // The decided position is passed over.
    assert!(answers[0].2.len() == 1 && (answers[0].2[0].prob - 0.5).abs() < 1e-6, "{answers:?}");
}

fn bytes() -> Engine {
    let tokens = (0..=255).map(|byte| Some(vec![byte])).chain([None]).collect();
    Engine::new(Vocab::from_bytes(tokens, Some(256), None).unwrap())
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
    let engine = Engine::new(
        Vocab::from_bytes((0..=255).map(|b| Some(vec![b])).chain([None]).collect(), Some(256), None).unwrap(),
    );
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
