//! Answers do not depend on the number of threads.

use super::{PATTERN, lift, rng, scores, vocab};
use crate::inference::{Feasible, Options, Problem, feasible, infer};
use crate::{Candidate, Scores, Token};

/// Everything a step asks for, as bits.
fn everything(
    feasible: &Feasible,
    scores: &Scores,
    options: &Options,
) -> (Vec<Token>, Vec<Token>, Vec<Candidate>, Vec<u32>) {
    let posterior = infer(feasible, scores, options).unwrap();
    let sample = posterior.sample(&mut rng(3));
    let mut bits: Vec<u32> = (0..8).flat_map(|pos| posterior.marginal(pos)).map(f32::to_bits).collect();
    bits.extend([posterior.log_z().to_bits() as u32, (posterior.log_z().to_bits() >> 32) as u32]);
    let candidates = posterior.candidates(&sample);
    (sample, posterior.map(), candidates, bits)
}

#[test]
fn threads_change_nothing() {
    let vocab = vocab(20_000);
    let automaton = lift(PATTERN, &vocab);
    let decided = [None; 40];
    let feasible = feasible(&Problem::new(&automaton, &decided)).unwrap();
    let scores = scores(40, vocab.len(), 6.0, 2);
    let cut = Options { top_k: Some(30), top_p: Some(0.8), ..Options::default() };
    for options in [Options::default(), cut] {
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| everything(&feasible, &scores, &options))
        };
        let one = run(1);
        assert!([2, 3, 7].into_iter().all(|threads| run(threads) == one));
    }
}
