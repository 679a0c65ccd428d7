//! The likeliest tokens and texts where classes are large and many scores are equal, against one look at each token.

use super::*;

/// Scores on a coarse grid, so that many are equal and sums of logarithms are exact; some are −∞.
fn coarse(len: usize, vocab: usize, seed: u64, impossible: f64) -> Scores {
    let mut rng = rng(seed);
    let score = |_| match rng.random_bool(impossible) {
        true => f32::NEG_INFINITY,
        false => rng.random_range(-40..=24) as f32 / 8.0,
    };
    Scores::new(vocab, (0..len * vocab).map(score).collect()).unwrap()
}

fn cases() -> impl Iterator<Item = (&'static str, Vec<Option<Token>>, f64)> {
    let mut decided = vec![None; 10];
    decided[2] = Some(2 + b'b' as u32);
    let patterns = [PATTERN, r"(?s:.){2,12}", r"[a-j ]{3,20}(?:[0-9]|é)?", r"\w+(?: \w+){0,9}"];
    patterns.into_iter().flat_map(move |pattern| {
        [(vec![None; 10], 0.0), (decided.clone(), 0.3), (vec![None; 10], 0.999)]
            .map(|(decided, impossible)| (pattern, decided, impossible))
    })
}

#[test]
fn the_two_likeliest_tokens_are_those_of_the_marginal() {
    let vocab = vocab(1200);
    for (seed, (pattern, decided, impossible)) in (0..).zip(cases()) {
        let automaton = lift(pattern, &vocab);
        let feasible = feasible(&Problem::new(&automaton, &decided)).unwrap();
        let scores = coarse(decided.len(), vocab.len(), seed, impossible);
        let posterior = infer(&feasible, &scores, &Options::default()).unwrap();
        for pos in (0..decided.len()).filter(|&pos| decided[pos].is_none()) {
            let marginal = posterior.marginal(pos);
            let mut order: Vec<usize> = (0..marginal.len()).collect();
            order.sort_by(|&a, &b| marginal[b].total_cmp(&marginal[a]));
            let (first, second) = posterior.top2(pos);
            let found = [Some(first), second];
            for (rank, found) in found.into_iter().enumerate().filter_map(|(rank, found)| Some((rank, found?))) {
                let (token, p) = (found.0 as usize, marginal[order[rank]]);
                let close = |a: f32, b: f32| (a - b).abs() <= 2e-6 * (a + b);
                assert!(close(found.1, p) && close(marginal[token], p), "{pattern} at {pos}: {found:?}, {p}");
                // Equal scores of one class have equal probabilities, and the lower token comes first.
                let same = |t: &usize| {
                    let of = |t: usize| (automaton.class_of(t as Token), scores.row(pos)[t].to_bits());
                    of(*t) == of(token)
                };
                let lower = (0..token).filter(same).count();
                assert!(lower <= rank, "{pattern} at {pos}: {token} is not the lowest");
            }
            assert!(second.is_some() || marginal.iter().filter(|&&p| p > 0.0).count() < 2);
            assert!(second.is_none() || feasible.legal_tokens(pos).len() > 1);
            let entropy: f64 = marginal.iter().filter(|&&p| p > 0.0).map(|&p| -(p as f64) * (p as f64).ln()).sum();
            assert!((posterior.entropy(pos) as f64 - entropy).abs() < 1e-4 * (1.0 + entropy), "{pattern} at {pos}");
        }
    }
}

#[test]
fn the_likeliest_text_is_that_of_a_plain_search() {
    let vocab = vocab(1200);
    for (seed, (pattern, decided, impossible)) in (0..).zip(cases()) {
        let automaton = lift(pattern, &vocab);
        let feasible = feasible(&Problem::new(&automaton, &decided)).unwrap();
        let scores = coarse(decided.len(), vocab.len(), seed + 100, impossible);
        let largest = |pos| scores.row(pos).iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let largest: Vec<f32> = (0..decided.len()).map(largest).collect();
        let weigh = |pos: usize, token: usize| match decided[pos] {
            Some(decided) => {
                if decided as usize == token {
                    0.0
                } else {
                    f64::NEG_INFINITY
                }
            }
            // What the model calls impossible is very unlikely only, compared with the row's largest score.
            None => (scores.row(pos)[token] as f64 - largest[pos] as f64).max(-1e9),
        };
        let next = |q: u32, token: usize| automaton.next(q, automaton.class_of(token as Token)?);
        let ends = |q: u32| if automaton.accepting(q) { 0.0 } else { f64::NEG_INFINITY };
        let mut value: Vec<f64> = (0..automaton.states() as u32).map(ends).collect();
        let mut choices = Vec::new();
        for pos in (0..decided.len()).rev() {
            let best = |q: u32| {
                let mut best = (f64::NEG_INFINITY, 0, q);
                for token in 0..vocab.len() {
                    let Some(to) = next(q, token) else { continue };
                    let this = weigh(pos, token) + value[to as usize];
                    if this > best.0 {
                        best = (this, token as Token, to);
                    }
                }
                best
            };
            let all: Vec<_> = (0..automaton.states() as u32).map(best).collect();
            value = all.iter().map(|&(value, ..)| value).collect();
            choices.push(all);
        }
        let mut state = automaton.start();
        let follow = |choices: Vec<(f64, Token, u32)>| {
            let (_, token, to) = choices[state as usize];
            state = to;
            token
        };
        let expected: Vec<Token> = choices.into_iter().rev().map(follow).collect();
        let posterior = infer(&feasible, &scores, &Options::default()).unwrap();
        let found = posterior.map();
        if impossible < 0.5 {
            assert_eq!(found, expected, "{pattern}, {impossible}");
        }
        let total = |text: &[Token]| text.iter().enumerate().map(|(pos, &t)| weigh(pos, t as usize)).sum::<f64>();
        assert!(automaton.accepts(&found) && total(&found) >= total(&expected), "{pattern}, {impossible}");
    }
}
