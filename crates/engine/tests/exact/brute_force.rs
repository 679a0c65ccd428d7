//! Inference against enumeration: small vocabularies, all strings, code that shares nothing with the automata.

mod cases;
mod oracle;

use cases::{Case, Extremes};
use oracle::Oracle;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet};
use stencil_engine::Language;
use stencil_engine::automata::{Dfa, Limits, TokenAutomaton};
use stencil_engine::inference::{Options, Posterior, Problem, feasible, infer};
use stencil_engine::{Scores, Token, Vocab};

/// Absolute tolerance of every number compared.
const CLOSE: f64 = 1e-5;

#[track_caller]
fn close(found: f64, expected: f64, what: &str, case: &Case) {
    assert!((found - expected).abs() <= CLOSE, "{what}: {found}, expected {expected}, in {case:#?}");
}

fn automaton(language: &Language, vocab: &Vocab) -> TokenAutomaton {
    let dfa = Dfa::compile(language, &Limits::default()).expect("small languages compile");
    TokenAutomaton::lift(&dfa, vocab).expect("small languages lift")
}

/// Runs one case through everything; whether any text fitted.
fn check(case: &Case, rng: &mut ChaCha8Rng) -> bool {
    let automaton = automaton(&case.language, &case.vocab);
    let mut oracle = Oracle::new(&case.language, &case.vocab);
    let problem = Problem::new(&automaton, &case.decided).with_tokens(case.tokens.0, case.tokens.1);
    if let Some(fewest) = oracle.fewest_tokens(case.decided.len()) {
        assert_eq!(automaton.min_tokens(), Some(fewest), "fewest tokens of {case:#?}");
    }
    let strings = oracle.fitting(case);
    let Some(reach) = feasible(&problem) else {
        assert!(strings.is_empty(), "found infeasible, but {:?} fits {case:#?}", strings[0]);
        return false;
    };
    assert!(!strings.is_empty(), "found feasible, but nothing fits {case:#?}");

    let mut forced = Vec::new();
    for (pos, decided) in case.decided.iter().enumerate() {
        let legal: BTreeSet<Token> = strings.iter().map(|s| s[pos]).collect();
        let legal: Vec<Token> = legal.into_iter().collect();
        assert_eq!(reach.legal_tokens(pos), legal, "legal at {pos} in {case:#?}");
        for token in 0..case.vocab.len() as Token {
            assert_eq!(reach.legal(pos, token), legal.contains(&token), "{token} at {pos} in {case:#?}");
        }
        if decided.is_none() && legal.len() == 1 {
            forced.push((pos, legal[0]));
        }
    }
    assert_eq!(reach.forced(), forced, "forced in {case:#?}");
    assert!(strings.iter().all(|s| reach.contains(s)), "a string that fits is not found to in {case:#?}");
    for _ in 0..5 {
        let random: Vec<Token> = case.decided.iter().map(|_| rng.random_range(0..case.vocab.len()) as Token).collect();
        assert_eq!(reach.contains(&random), strings.contains(&random), "{random:?} in {case:#?}");
    }

    let options = Options { temperature: case.temperature, ..Options::default() };
    let posterior = infer(&reach, &case.scores, &options).expect("valid input");
    let exact = oracle::Distribution::new(case, &strings);
    close(posterior.log_z(), exact.log_z.min(0.0), "log Z", case);
    compare(&posterior, &exact, case);
    for _ in 0..3 {
        let text = posterior.sample(rng);
        assert!(strings.contains(&text), "sampled {text:?}, which does not fit {case:#?}");
    }

    let cut = truncation(rng, &strings);
    let cut = Options { temperature: case.temperature, ..cut };
    let posterior = infer(&reach, &case.scores, &cut).expect("valid input");
    let witness = cut.witness.map_or_else(|| exact.best(), <[Token]>::to_vec);
    let kept = exact.truncated(&witness, cut.top_k, cut.top_p);
    // A tie at the edge of what is kept is broken by the last bit of a sum: nothing to compare.
    let Some(strings) = kept.map(|kept| strings.iter().filter(|s| kept(s)).cloned().collect::<Vec<_>>()) else {
        return true;
    };
    close(posterior.log_z(), exact.log_z.min(0.0), "log Z under truncation", case);
    compare(&posterior, &oracle::Distribution::new(case, &strings), case);
    let text = posterior.sample(rng);
    assert!(strings.contains(&text), "sampled {text:?} under truncation {cut:?}, which does not fit {case:#?}");
    true
}

fn truncation<'a>(rng: &mut ChaCha8Rng, strings: &'a [Vec<Token>]) -> Options<'a> {
    let top_k = rng.random_bool(0.7).then(|| rng.random_range(1..4));
    let top_p = (top_k.is_none() || rng.random_bool(0.5)).then(|| rng.random_range(0.05..1.0));
    let witness = rng.random_bool(0.5).then(|| &*strings[rng.random_range(0..strings.len())]);
    Options { top_k, top_p, witness, ..Options::default() }
}

/// Marginals, their summaries, and the most probable string.
fn compare(posterior: &Posterior, exact: &oracle::Distribution, case: &Case) {
    for pos in 0..case.decided.len() {
        let expected = exact.marginal(pos);
        let found = posterior.marginal(pos);
        for (token, (&found, &expected)) in found.iter().zip(&expected).enumerate() {
            close(found as f64, expected, &format!("marginal of {token} at {pos}"), case);
            close(posterior.prob(pos, token as Token) as f64, expected, "probability", case);
        }
        let entropy: f64 = expected.iter().filter(|&&p| p > 0.0).map(|p| -p * p.ln()).sum();
        close(posterior.entropy(pos) as f64, entropy, &format!("entropy at {pos}"), case);
        let mut sorted = expected.clone();
        sorted.sort_by(|a, b| b.total_cmp(a));
        let second = sorted.get(1).copied().unwrap_or(0.0);
        close(posterior.margin(pos) as f64, sorted[0] - second, &format!("margin at {pos}"), case);
    }
    let map = posterior.map();
    let score = exact.log_weight(&map).unwrap_or_else(|| panic!("the best string {map:?} does not fit {case:#?}"));
    close(score, exact.log_weight(&exact.best()).expect("it is one of them"), "score of the best string", case);
}

fn run(seed: u64, cases: usize, extremes: Extremes, most_strings: usize) -> usize {
    let rng = |stream: u64, i: usize| ChaCha8Rng::seed_from_u64(seed << 40 | stream << 32 | i as u64);
    let case = |i| Case::random(&mut rng(0, i), extremes, most_strings);
    (0..cases).filter(|&i| check(&case(i), &mut rng(1, i))).count()
}

#[test]
fn random_cases() {
    let feasible = run(1, 6000, Extremes::None, 1500);
    assert!(feasible > 2000, "only {feasible} cases had a fitting text");
}

#[test]
fn random_cases_with_the_largest_vocabularies() {
    let feasible = run(2, 120, Extremes::None, usize::MAX);
    assert!(feasible > 30, "only {feasible} cases had a fitting text");
}

#[test]
fn scores_that_underflow() {
    let feasible = run(3, 1200, Extremes::Deep, 800);
    assert!(feasible > 500, "only {feasible} cases had a fitting text");
}

#[test]
fn scores_of_minus_infinity() {
    let feasible = run(4, 600, Extremes::Infinite, 800);
    assert!(feasible > 200, "only {feasible} cases had a fitting text");
}

/// Joint samples, not only their marginals, follow the conditioned distribution.
#[test]
fn samples_follow_the_joint_distribution() {
    const DRAWS: usize = 3000;
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let (mut tested, mut sum) = (0, 0.0);
    while tested < 150 {
        let case = Case::random(&mut rng, Extremes::None, 800);
        let automaton = automaton(&case.language, &case.vocab);
        let problem = Problem::new(&automaton, &case.decided).with_tokens(case.tokens.0, case.tokens.1);
        let Some(reach) = feasible(&problem) else { continue };
        let strings = Oracle::new(&case.language, &case.vocab).fitting(&case);
        let exact = oracle::Distribution::new(&case, &strings);
        let options = Options { temperature: case.temperature, ..Options::default() };
        let posterior = infer(&reach, &case.scores, &options).expect("valid input");
        let mut counts: BTreeMap<Vec<Token>, usize> = BTreeMap::new();
        for _ in 0..DRAWS {
            *counts.entry(posterior.sample(&mut rng)).or_default() += 1;
        }
        let Some(z) = oracle::chi_square(&exact, &counts, DRAWS) else { continue };
        assert!(z < 4.5, "chi-square is {z} standard deviations off in {case:#?}");
        tested += 1;
        sum += z;
    }
    let mean = sum / (tested as f64).sqrt();
    assert!(mean.abs() < 4.0, "chi-square over all cases is {mean} standard deviations off");
}

/// `(?:ab)+` with tokens that cross the end of a match: after `a`, `ba` is legal.
#[test]
fn tokens_may_cross_the_end_of_a_match() {
    let token = |t: &str| Some(t.as_bytes().to_vec());
    let vocab = Vocab::from_bytes(vec![token("a"), token("b"), token("ab"), token("ba"), None], Some(4), None).unwrap();
    let automaton = automaton(&Language::regex("(?:ab)+"), &vocab);
    let decided = [Some(0), None, None, None];
    let reach = feasible(&Problem::new(&automaton, &decided)).expect("abab fits");
    assert_eq!(reach.legal_tokens(1), [1, 3]);
    let scores = Scores::zeros(4, 5);
    let posterior = infer(&reach, &scores, &Options::default()).expect("valid input");
    let strings = [[0, 1, 4, 4], [0, 1, 2, 4], [0, 1, 2, 2], [0, 3, 1, 4], [0, 3, 1, 2], [0, 3, 3, 1], [0, 1, 0, 1]];
    assert!((posterior.log_z() - (strings.len() as f64).ln() + 3.0 * 5f64.ln()).abs() < CLOSE);
    strings.iter().for_each(|s| assert!(automaton.accepts(s), "{s:?}"));
}

/// The text that is likelier at first must lose to one that is likelier in the end, however unlikely both are:
/// `pattern` allows two texts of `ab` before `xy`, with these scores in the first and the second half of each.
fn late_turn(pattern: &str, halves: [usize; 2], early: [f32; 4], late: [f32; 4], log_z: f64) {
    let vocab = Vocab::from_bytes("abxy".bytes().map(|b| Some(vec![b])).collect(), None, None).unwrap();
    let automaton = automaton(&Language::regex(pattern), &vocab);
    let decided = vec![None; halves[0] + halves[1]];
    let reach = feasible(&Problem::new(&automaton, &decided)).expect("both texts fit");
    let rows = [early.repeat(halves[0]), late.repeat(halves[1])];
    let scores = Scores::new(4, rows.concat()).expect("no NaN");
    let posterior = infer(&reach, &scores, &Options::default()).expect("valid input");
    let second = [vec![1; halves[0]], vec![3; halves[1]]].concat();
    assert_eq!(posterior.map(), second);
    assert_eq!(posterior.sample(&mut ChaCha8Rng::seed_from_u64(6)), second);
    assert_eq!(posterior.prob(0, 1), 1.0);
    assert!((posterior.log_z() - log_z).abs() < CLOSE, "{}, expected {log_z}", posterior.log_z());
}

#[test]
fn slow_underflow_loses_no_text() {
    let (early, late) = ([0.0, -200.0, 0.0, 0.0], [0.0, 0.0, -200.0, 0.0]);
    late_turn("a{4}x{8}|b{4}y{8}", [4, 8], early, late, -800.0 - 12.0 * 3f64.ln());
}

#[test]
fn sudden_underflow_loses_no_text() {
    let (early, late) = ([-600.0, -720.0, 0.0, 0.0], [0.0, 0.0, -140.0, 0.0]);
    late_turn("ax|by", [1, 1], early, late, -720.0 - 2f64.ln() - 3f64.ln());
}
