//! What enumeration (`tests/exact/brute_force.rs`) does not reach: large problems, other numbers, threads, bad input.

use super::messages::Messages;
use super::number::{Number, Wide};
use super::*;
use crate::automata::{Dfa, Limits, TokenAutomaton};
use crate::inference::simd::Semiring;
use crate::util::Bits;
use crate::{ErrorKind, Language, Scores, Vocab};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

mod kept;
mod likeliest;
#[cfg(feature = "rayon")]
mod threads;

fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// All bytes, and random words up to `size` tokens; 0 ends a text, 1 pads.
fn vocab(size: usize) -> Vocab {
    let mut rng = rng(99);
    let mut tokens: Vec<Option<Vec<u8>>> = vec![None, None];
    tokens.extend((0..=255).map(|b| Some(vec![b])));
    while tokens.len() < size {
        let len = rng.random_range(2..8);
        let mut word: Vec<u8> = (0..len).map(|_| rng.random_range(b'a'..=b'j')).collect();
        if rng.random_bool(0.4) {
            word[0] = b' ';
        }
        tokens.push(Some(word));
    }
    Vocab::from_bytes(tokens, Some(0), Some(1)).unwrap()
}

fn lift(pattern: &str, vocab: &Vocab) -> TokenAutomaton {
    TokenAutomaton::lift(&Dfa::compile(&Language::regex(pattern), &Limits::default()).unwrap(), vocab).unwrap()
}

fn scores(len: usize, vocab: usize, spread: f32, seed: u64) -> Scores {
    let mut rng = rng(seed);
    Scores::new(vocab, (0..len * vocab).map(|_| rng.random_range(-spread..spread)).collect()).unwrap()
}

const PATTERN: &str = r"(?:[a-e]+(?: [a-j]+){2,6}|\w{3,30}é?|(?s:.){5,12}) end\.?";

/// The messages in numbers of one kind, and the posterior of all classes.
fn solved<M: Message>(feasible: &Feasible, scores: &Scores) -> (f64, Vec<f64>) {
    let posterior = infer(feasible, scores, &Options::default()).unwrap();
    let messages: Messages<M> = pass(&feasible.problem, &feasible.tables, &feasible.layers, &posterior.masses).unwrap();
    let places = (0..scores.len()).filter_map(|pos| posterior.place(pos));
    let classes = places.flat_map(|place| {
        let masses = &posterior.masses[place.open];
        messages.classes(
            (feasible.problem.automaton, &*feasible.tables),
            &feasible.layers,
            (place.pos, place.support),
            masses,
        )
    });
    (messages.log_sum, classes.collect())
}

#[test]
fn plain_and_wide_numbers_agree() {
    let vocab = vocab(600);
    let automaton = lift(PATTERN, &vocab);
    let mut decided = [None; 24];
    decided[3] = Some(2 + b'b' as u32);
    decided[20] = Some(0);
    let feasible = feasible(&Problem::new(&automaton, &decided)).unwrap();
    for seed in 0..5 {
        let scores = scores(24, vocab.len(), 8.0, seed);
        let (plain, wide) = (solved::<f64>(&feasible, &scores), solved::<Wide>(&feasible, &scores));
        assert!((plain.0 - wide.0).abs() < 1e-9, "{} {}", plain.0, wide.0);
        for (a, b) in plain.1.iter().zip(&wide.1) {
            assert!((a - b).abs() < 1e-11, "{a} {b}");
        }
    }
}

/// Single precision, where it claims to suffice: many states whose edges lie side by side, with decided positions and
/// layers with gaps.
#[test]
fn single_precision_agrees() {
    let vocab = vocab(600);
    let automaton = lift("(?s:.){9,3000}|[ab]{3}", &vocab);
    let mut decided = [None; 250];
    decided[3] = Some(2 + b'b' as u32);
    decided[20] = Some(2 + 0xc3);
    let feasible = feasible(&Problem::new(&automaton, &decided)).unwrap();
    assert!(feasible.layers.len() >= MANY);
    let scores = scores(250, vocab.len(), 8.0, 1);
    let posterior = infer(&feasible, &scores, &Options::default()).unwrap();
    assert!(matches!(posterior.messages, Solved::Single(_)));
    assert!(feasible.contains(&posterior.sample(&mut rng(2))));
    let (single, plain) = (solved::<f32>(&feasible, &scores), solved::<f64>(&feasible, &scores));
    assert!((single.0 - plain.0).abs() < 1e-4, "{} {}", single.0, plain.0);
    for (a, b) in single.1.iter().zip(&plain.1) {
        assert!((a - b).abs() < 2e-5 * b + 1e-12, "{a} {b}");
    }
}

/// What single precision cannot tell is left to the next numbers.
#[test]
fn single_precision_knows_its_limits() {
    let vocab = vocab(300);
    let automaton = lift("[ab]{40}|c{40}", &vocab);
    let decided = [None; 40];
    let feasible = feasible(&Problem::new(&automaton, &decided)).unwrap();
    for (spread, suffices) in [(2.0, true), (200.0, false)] {
        let scores = scores(40, vocab.len(), spread, 3);
        let posterior = infer(&feasible, &scores, &Options::default()).unwrap();
        let pass = pass::<f32, _>(&feasible.problem, &feasible.tables, &feasible.layers, &posterior.masses);
        assert_eq!(pass.is_some(), suffices);
    }
}

#[test]
fn layers_find_their_states() {
    let mut rng = rng(5);
    for dense in [0.02, 0.5, 0.98] {
        let states: Vec<u32> = (0..500).filter(|_| rng.random_bool(dense)).collect();
        let mut bits = Bits::none(500);
        states.iter().for_each(|&q| bits.set(q, true));
        let mut at = 0;
        let run = |states: std::ops::Range<u32>| {
            at += states.len();
            layer::Run { at: at - states.len(), states }
        };
        let runs: Vec<layer::Run> = bits.runs().map(run).collect();
        assert!(runs.windows(2).all(|pair| pair[0].states.end < pair[1].states.start));
        let layer = layer::Layer(&runs);
        assert!(layer.iter().eq(states.iter().copied()) && layer.len() == states.len());
        assert_eq!((layer.first(), layer.last()), (states.first().copied(), states.last().copied()));
        (0..500).for_each(|q| assert_eq!(layer.place(q), states.binary_search(&q).ok()));
    }
    let mut bits = Bits::none(64);
    assert_eq!(bits.runs().count(), 0);
    (0..64).for_each(|q| bits.set(q, true));
    assert_eq!(bits.runs().collect::<Vec<_>>().len(), 1);
    assert_eq!(bits.runs().next(), Some(0..64));
}

#[test]
fn wide_numbers_calculate() {
    let mut rng = rng(1);
    let close = |a: f64, b: f64| assert!((a - b).abs() <= 1e-12 * b.abs().max(1e-300), "{a} {b}");
    for _ in 0..20_000 {
        let (a, b) = (rng.random_range(-300.0f64..300.0).exp(), rng.random_range(-300.0f64..300.0).exp());
        let (x, y) = (Wide::from(a), Wide::from(b));
        close(x.plus(y).over(Wide::FULL), a + b);
        close(x.times(y).over(Wide::FULL), a * b);
        close(x.over(y), a / b);
        close(x.ln(), a.ln());
        close(x.plus(Wide::ZERO).over(x), 1.0);
        assert_eq!(x.times(Wide::ZERO), Wide::ZERO);
    }
    let tiny = Wide::power(-1e6);
    close(tiny.plus(tiny).ln(), -1e6 + 2f64.ln());
    close(tiny.times(tiny).ln(), -2e6);
    close(tiny.over(Wide::power(-1e6 - 3.0)), 3f64.exp());
    assert_eq!(tiny.over(Wide::FULL), 0.0);
    assert_eq!(Wide::FULL.plus(tiny), Wide::FULL);
}

/// The guidance that log Z gives: its gradient is what the constraint adds to each probability.
#[test]
fn the_gradient_of_log_z_is_the_shift_of_the_marginals() {
    let vocab = vocab(300);
    let automaton = lift(PATTERN, &vocab);
    let decided = [None; 12];
    let feasible = feasible(&Problem::new(&automaton, &decided)).unwrap();
    let base = scores(12, vocab.len(), 3.0, 7);
    let posterior = infer(&feasible, &base, &Options::default()).unwrap();
    let mut rng = rng(8);
    for _ in 0..60 {
        let (pos, token) = (rng.random_range(0..12), rng.random_range(0..vocab.len()));
        let row = base.row(pos);
        let free = (row[token] as f64).exp() / row.iter().map(|&s| (s as f64).exp()).sum::<f64>();
        let log_z = |step: f32| {
            let mut moved = base.clone();
            moved.row_mut(pos)[token] += step;
            (infer(&feasible, &moved, &Options::default()).unwrap().log_z(), moved.row(pos)[token] as f64)
        };
        let ((up, at), (down, from)) = (log_z(0.01), log_z(-0.01));
        let shift = posterior.prob(pos, token as Token) as f64 - free;
        assert!(((up - down) / (at - from) - shift).abs() < 1e-4, "{pos} {token}: {shift}");
    }
}

#[test]
fn long_canvases_stay_finite() {
    let vocab = vocab(300);
    let automaton = lift(r"\w+(?: \w+){0,40}", &vocab);
    let decided = vec![None; 1500];
    let problem = Problem::new(&automaton, &decided).with_tokens(200, 1200);
    let feasible = feasible(&problem).unwrap();
    let scores = scores(1500, vocab.len(), 20.0, 4);
    let posterior = infer(&feasible, &scores, &Options::default()).unwrap();
    assert!(posterior.log_z().is_finite() && posterior.log_z() < -1000.0);
    for text in [posterior.sample(&mut rng(5)), posterior.map()] {
        assert!(automaton.accepts(&text));
        let length = text.iter().take_while(|&&t| t > 1).count();
        assert!((200..=1200).contains(&length), "{length}");
    }
    for pos in [0, 700, 1499] {
        let sum: f32 = posterior.marginal(pos).iter().sum();
        assert!((sum - 1.0).abs() < 1e-4, "{sum}");
    }
}

#[test]
fn truncation_keeps_what_it_says() {
    let vocab = vocab(2000);
    let automaton = lift(PATTERN, &vocab);
    let decided = [None; 16];
    let feasible = feasible(&Problem::new(&automaton, &decided)).unwrap();
    let scores = scores(16, vocab.len(), 3.0, 6);
    let full = infer(&feasible, &scores, &Options::default()).unwrap();
    let witness = full.sample(&mut rng(7));
    for (top_k, top_p) in
        [(Some(1), None), (Some(5), None), (None, Some(0.3)), (None, Some(1.0)), (Some(200), Some(0.9))]
    {
        let options = Options { top_k, top_p, witness: Some(&witness), ..Options::default() };
        let cut = infer(&feasible, &scores, &options).unwrap();
        assert_eq!(cut.log_z(), full.log_z());
        let text = cut.sample(&mut rng(8));
        assert!(automaton.accepts(&text));
        for pos in 0..16 {
            let mut order: Vec<(f32, Token)> = full.marginal(pos).into_iter().zip(0..).collect();
            order.sort_by(|a, b| b.0.total_cmp(&a.0));
            let support = cut.place(pos).unwrap().support;
            let places = 0..support.classes.len();
            let kept: Vec<Token> = places.flat_map(|i| support.members(&automaton, i)).copied().collect();
            assert!(kept.contains(&witness[pos]) && kept.contains(&text[pos]));
            let others = kept.iter().filter(|&&t| t != witness[pos]).count();
            assert!(top_k.is_none_or(|k| others <= k), "{others} kept");
            if let (Some(p), None) = (top_p, top_k) {
                let held = |n: usize| order[..n].iter().map(|o| o.0).sum::<f32>();
                let n = kept.len();
                assert!(held(n) >= p - 1e-3 && (n < 2 || held(n - 2) <= p + 1e-3), "{n} tokens for {p}");
            }
        }
    }
}

#[test]
fn bad_input_is_refused() {
    let vocab = vocab(300);
    let automaton = lift("a*", &vocab);
    let decided = [None; 4];
    let feasible = feasible(&Problem::new(&automaton, &decided)).unwrap();
    let good = Scores::zeros(4, vocab.len());
    let error = |scores: &Scores, options: &Options| infer(&feasible, scores, options).err().map(|e| e.kind());
    let with = |change: fn(&mut Options)| {
        let mut options = Options::default();
        change(&mut options);
        error(&good, &options)
    };
    assert_eq!(with(|_| {}), None);
    assert_eq!(with(|o| o.temperature = 0.0), Some(ErrorKind::Input));
    assert_eq!(with(|o| o.temperature = f32::NAN), Some(ErrorKind::Input));
    assert_eq!(with(|o| o.top_k = Some(0)), Some(ErrorKind::Input));
    assert_eq!(with(|o| o.top_p = Some(0.0)), Some(ErrorKind::Input));
    assert_eq!(with(|o| o.top_p = Some(1.1)), Some(ErrorKind::Input));
    let short = Options { top_k: Some(3), witness: Some(&[0, 0]), ..Options::default() };
    assert_eq!(error(&good, &short), Some(ErrorKind::Model));
    let stray = Options { top_k: Some(3), witness: Some(&[5, 5, 5, 5]), ..Options::default() };
    assert_eq!(error(&good, &stray), Some(ErrorKind::Model));
    assert_eq!(error(&Scores::zeros(3, vocab.len()), &Options::default()), Some(ErrorKind::Model));
    assert_eq!(error(&Scores::zeros(4, 7), &Options::default()), Some(ErrorKind::Model));
    let mut infinite = good.clone();
    infinite.row_mut(2)[2 + b'a' as usize] = f32::INFINITY;
    assert_eq!(error(&infinite, &Options::default()), Some(ErrorKind::Model));
}

#[test]
fn nothing_fits_where_nothing_can() {
    let vocab = vocab(300);
    let automaton = lift("a{3}", &vocab);
    let a = Some(2 + b'a' as Token);
    let fits = |decided: &[Option<Token>]| feasible(&Problem::new(&automaton, decided)).is_some();
    assert!(fits(&[a, a, a]) && fits(&[None, None, None, Some(0)]) && fits(&[a, None, None, None, Some(1)]));
    assert!(!fits(&[Some(2 + b'b' as Token), None, None]) && !fits(&[None, Some(0), None]) && !fits(&[]));
    assert!(!fits(&[None, None, None, Some(1)]), "padding without an end");
    assert!(!fits(&[None, None, None, Some(Token::MAX)]), "no such token");
    let none =
        TokenAutomaton::lift(&Dfa::compile(&Language::Union(vec![]), &Limits::default()).unwrap(), &vocab).unwrap();
    assert!(none.is_empty() && feasible(&Problem::new(&none, &[None; 3])).is_none());
    let empty = lift("", &vocab);
    let feasible = feasible(&Problem::new(&empty, &[])).unwrap();
    let scores = Scores::zeros(0, vocab.len());
    let posterior = infer(&feasible, &scores, &Options::default()).unwrap();
    assert_eq!((posterior.log_z(), posterior.map(), posterior.sample(&mut rng(9))), (0.0, vec![], vec![]));
}

/// An automaton unrolled along a canvas: states are made as they are found, as a grammar's would be.
struct Unrolled<'a> {
    automaton: &'a TokenAutomaton,
    edges: Vec<Vec<crate::automata::Edge>>,
    layers: Vec<Vec<u32>>,
}

impl<'a> Unrolled<'a> {
    fn new(automaton: &'a TokenAutomaton, len: usize) -> Self {
        let mut new = Self { automaton, edges: vec![Vec::new()], layers: vec![vec![0]] };
        let mut before = vec![automaton.start()];
        for _ in 0..len {
            let found: std::collections::BTreeSet<u32> =
                before.iter().flat_map(|&q| automaton.edges(q)).map(|e| e.target).collect();
            let found: Vec<u32> = found.into_iter().collect();
            let first = new.edges.len() as u32;
            for (&q, &name) in before.iter().zip(&new.layers[new.layers.len() - 1]) {
                let place = |to| first + found.binary_search(&to).unwrap() as u32;
                new.edges[name as usize] = (automaton.edges(q).iter())
                    .map(|e| crate::automata::Edge { label: e.label, target: place(e.target) })
                    .collect();
            }
            new.layers.push((first..first + found.len() as u32).collect());
            new.edges.resize(new.edges.len() + found.len(), Vec::new());
            before = found;
        }
        let last = new.layers.last_mut().unwrap();
        *last = last.iter().zip(&before).filter(|&(_, &q)| automaton.accepting(q)).map(|(&name, _)| name).collect();
        new
    }
}

impl Graph for Unrolled<'_> {
    fn states(&self) -> usize {
        self.edges.len()
    }
    fn start(&self) -> u32 {
        0
    }
    fn edges(&self, state: u32) -> &[crate::automata::Edge] {
        &self.edges[state as usize]
    }
    fn labels(&self) -> usize {
        self.automaton.labels()
    }
    fn label(&self, label: u32) -> &[u32] {
        self.automaton.label(label)
    }
    fn classes(&self) -> usize {
        self.automaton.classes()
    }
    fn members(&self, class: u32) -> &[Token] {
        self.automaton.members(class)
    }
    fn class_of(&self, token: Token) -> Option<u32> {
        self.automaton.class_of(token)
    }
    fn vocab_len(&self) -> usize {
        self.automaton.vocab_len()
    }
}

#[test]
fn graphs_of_your_own_answer_alike() {
    let vocab = vocab(600);
    let automaton = lift(PATTERN, &vocab);
    let mut decided = [None; 14];
    decided[3] = Some(2 + b'b' as u32);
    let unrolled = Unrolled::new(&automaton, decided.len());
    let problem = Problem::new(&unrolled, &decided);
    let own = Feasible::from_layers(&problem, unrolled.layers.clone()).unwrap().unwrap();
    let built_in = feasible(&Problem::new(&automaton, &decided)).unwrap();
    assert!((0..14).all(|pos| own.legal_tokens(pos) == built_in.legal_tokens(pos)));
    assert_eq!(own.forced(), built_in.forced());
    let scores = scores(14, vocab.len(), 5.0, 11);
    for top_k in [None, Some(4)] {
        let options = Options { top_k, ..Options::default() };
        let (a, b) = (infer(&own, &scores, &options).unwrap(), infer(&built_in, &scores, &options).unwrap());
        assert!((a.log_z() - b.log_z()).abs() < 1e-9);
        assert_eq!(a.map(), b.map());
        assert_eq!(a.sample(&mut rng(1)), b.sample(&mut rng(1)));
        for pos in 0..14 {
            assert!(a.marginal(pos).iter().zip(b.marginal(pos)).all(|(a, b)| (a - b).abs() < 1e-6));
        }
    }
    assert!(Feasible::from_layers(&problem, vec![vec![0]; 3]).is_err());
    assert!(Feasible::from_layers(&problem, vec![vec![0]; 15]).unwrap().is_none(), "no way from the start to itself");
}
