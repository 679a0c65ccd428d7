//! What is kept from one canvas to the next changes no answer.

use super::{PATTERN, lift, rng, scores, vocab};
use crate::inference::{Options, Posterior, Problem, Tables, feasible, infer};
use rand::Rng;
use std::sync::Arc;

/// Log Z, one draw and the likeliest text.
fn answers(posterior: &Posterior) -> (u64, Vec<u32>, Vec<u32>) {
    (posterior.log_z().to_bits(), posterior.sample(&mut rng(3)), posterior.map())
}

#[test]
fn canvases_in_any_order() {
    let vocab = vocab(600);
    let automaton = lift(PATTERN, &vocab);
    let tables = Arc::new(Tables::new(&automaton));
    let mut rng = rng(8);
    // Few canvases, which come again and again, and differ in one thing each: a token, a bound, the length.
    let open = vec![None; 9];
    let first = scores(9, vocab.len(), 3.0, 1);
    let text = infer(&feasible(&Problem::new(&automaton, &open)).unwrap(), &first, &Options::default()).unwrap().map();
    let with = |pos: usize| (0..9).map(|i| (i == pos).then(|| text[i])).collect::<Vec<_>>();
    let canvases = [open.clone(), with(0), with(1), with(2), with(4), vec![None; 8], vec![None; 10]];
    for _ in 0..120 {
        let decided = &canvases[rng.random_range(0..canvases.len())];
        let most = [usize::MAX, 8][rng.random_range(0..2)];
        let problem = Problem::new(&automaton, decided).with_tokens(0, most);
        let (alone, shared) = (feasible(&problem), feasible(&problem.with_tables(&tables)));
        let (Some(alone), Some(shared)) = (&alone, &shared) else {
            assert!(alone.is_none() && shared.is_none());
            continue;
        };
        let legal =
            |feasible: &crate::inference::Feasible| (0..decided.len()).map(|pos| feasible.legal_tokens(pos)).collect();
        let (expected, found): (Vec<_>, Vec<_>) = (legal(alone), legal(shared));
        assert_eq!(found, expected);
        let scores = scores(decided.len(), vocab.len(), 5.0, rng.random());
        let fresh = Problem::new(&automaton, decided).with_tokens(0, most);
        let new = Arc::new(Tables::new(&automaton));
        let expected =
            answers(&infer(&feasible(&fresh.with_tables(&new)).unwrap(), &scores, &Options::default()).unwrap());
        assert_eq!(answers(&infer(shared, &scores, &Options::default()).unwrap()), expected);
    }
}
