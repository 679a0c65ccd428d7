//! Grammars against enumeration: small vocabularies and canvases, all strings tried, membership decided by the
//! independent recogniser.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::HashMap;
use stencil_lm::{
    Constraint, Language, Scores, Token, Vocab,
    automata::Limits,
    constraints,
    grammar::{Compiled, Grammar, Pushdown, Question},
    inference::{Options, Problem, Reach, infer},
};

/// Nested, ambiguous, left-recursive, hidden-left-recursive, nullable and mutually recursive ones.
const GRAMMARS: [&str; 12] = [
    r#"root ::= "(" root ")" | "a""#,
    r#"root ::= root root | "(" root ")" | """#,
    r#"root ::= root "+" root | "a" | "(" root ")""#,
    r#"root ::= "a" root "b" | """#,
    r#"root ::= x root | "a" ("(" root ")")?
       x ::= "b" | """#,
    r#"root ::= x "a" | "b"
       x ::= root "(" | x ")" | """#,
    r#"root ::= "a" root "a" | "b" root "b" | "c"?"#,
    r#"root ::= s | s "a"
       s ::= "a" s "b" s | """#,
    r#"root ::= t ("+" t)*
       t ::= f ("a" f)?
       f ::= "b"+ | "(" root ")""#,
    r#"root ::= [ab]{0,2} root [^ab]{1,2} | ")""#,
    r#"root ::= n n
       n ::= n "a" n | "b"? | "(" n ")""#,
    r#"root ::= "é" root "(" | "é" | [a-cé] root"#,
];

fn vocabularies() -> Vec<Vocab> {
    let vocab = |tokens: &[&[u8]], eos: Option<Token>, pad| {
        let mut bytes: Vec<Option<Vec<u8>>> = tokens.iter().map(|t| Some(t.to_vec())).collect();
        bytes.resize(tokens.len() + eos.is_some() as usize + (pad != eos) as usize, None);
        Vocab::from_bytes(bytes, eos, pad)
    };
    vec![
        vocab(&[b"a", b"b", b"(", b")", b"+"], Some(5), Some(5)),
        vocab(&[b"a", b"(", b")", b"((", b"))", b"b)"], None, None),
        vocab(&[b"a", b"ab", b"b", b")", b"a(", b"(b"], Some(6), Some(7)),
        vocab(&[b"a)", b"(a", b")", b"+a", b"a", b"("], Some(6), Some(6)),
        vocab(&[b"\xc3", b"\xa9", b"\xa9(", b"a", b"\xc3\xa9"], Some(5), Some(5)),
    ]
}

struct Case {
    checker: constraints::Grammar,
    pushdown: Option<Box<Pushdown>>,
    vocab: Vocab,
    known: HashMap<Vec<u8>, bool>,
}

impl Case {
    fn new(text: &str, vocab: &Vocab) -> Self {
        let grammar = Grammar::gbnf(text).unwrap().grammar;
        let language = Language::grammar(grammar.clone());
        let pushdown = match Compiled::new(&language, vocab, &Limits::default()).unwrap() {
            Compiled::Pushdown(pushdown) => Some(pushdown),
            Compiled::Regular(_) => None,
        };
        let checker = constraints::Grammar::new(grammar).unwrap();
        Self { checker, pushdown, vocab: vocab.clone(), known: HashMap::new() }
    }

    /// Whether a string, tail included, is a text of so many tokens.
    fn fits(&mut self, string: &[Token], bounds: (usize, usize)) -> bool {
        let text = string.iter().take_while(|&&t| !self.vocab.is_tail(t)).count();
        let tail = &string[text..];
        let ended = tail.first().is_none_or(|&t| Some(t) == self.vocab.eos());
        if !(bounds.0..=bounds.1).contains(&text) || !ended || !tail.iter().all(|&t| self.vocab.is_tail(t)) {
            return false;
        }
        let bytes = self.vocab.decode(&string[..text]);
        let checker = &self.checker;
        *self
            .known
            .entry(bytes)
            .or_insert_with_key(|bytes| std::str::from_utf8(bytes).is_ok_and(|text| checker.check(text).accepted()))
    }
}

fn strings(decided: &[Option<Token>], vocab: usize) -> Vec<Vec<Token>> {
    decided.iter().fold(vec![vec![]], |strings, decided| {
        let choices: Vec<Token> = decided.map_or_else(|| (0..vocab as Token).collect(), |t| vec![t]);
        strings.iter().flat_map(|s| choices.iter().map(|&t| [s.as_slice(), &[t]].concat())).collect()
    })
}

fn random_canvas(vocab: usize, len: usize, rng: &mut impl Rng) -> Vec<Option<Token>> {
    let share = [0.0, 0.2, 0.5][rng.random_range(0..3)];
    (0..len).map(|_| rng.random_bool(share).then(|| rng.random_range(0..vocab as Token))).collect()
}

#[test]
fn feasibility_and_distributions_are_those_of_enumeration() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let (mut cases, mut feasible, mut solved, mut cut) = (0, 0, 0, 0);
    for text in GRAMMARS {
        for vocab in vocabularies() {
            let mut case = Case::new(text, &vocab);
            let Some(pushdown) = case.pushdown.take() else { continue };
            let narrow = Case::new(text, &vocab).pushdown.unwrap().with_budget(8);
            for round in 0..40 {
                let len = rng.random_range(0..=5);
                let decided = random_canvas(vocab.len(), len, &mut rng);
                let bounds = if round % 4 == 0 { (rng.random_range(0..=2), rng.random_range(2..=5)) } else { (0, 99) };
                let texts: Vec<Vec<Token>> =
                    strings(&decided, vocab.len()).into_iter().filter(|s| case.fits(s, bounds)).collect();
                let view = pushdown.view(Question { decided: &decided, tokens: bounds, witness: None }).unwrap();
                cases += 1;
                assert_eq!(view.is_some(), !texts.is_empty(), "{text}\n{vocab:?} {decided:?} {bounds:?}");
                let question = Question { decided: &decided, tokens: bounds, witness: None };
                let witness = pushdown.witness(question).unwrap();
                assert_eq!(witness.is_some(), !texts.is_empty(), "{text}\n{vocab:?} {decided:?} {bounds:?}");
                assert!(witness.is_none_or(|witness| texts.contains(&witness)), "{text}\n{vocab:?} {decided:?}");
                let narrow_view = narrow.view(question).unwrap();
                assert_eq!(narrow_view.is_some(), !texts.is_empty(), "{text}\n{vocab:?} {decided:?} {bounds:?}");
                if let Some(view) = narrow_view {
                    let problem = Problem::new(&view.automaton, &decided);
                    let reach = Reach::from_layers(&problem, view.layers.clone()).unwrap().unwrap();
                    let kept = texts.iter().filter(|t| reach.contains(t)).count();
                    assert!(kept > 0 && (kept == texts.len() || !view.exact));
                    cut += usize::from(!view.exact);
                }
                let Some(view) = view else { continue };
                feasible += 1;
                assert!(view.exact);
                let problem = Problem::new(&view.automaton, &decided);
                let reach = Reach::from_layers(&problem, view.layers.clone()).unwrap().unwrap();
                texts.iter().for_each(|t| assert!(reach.contains(t)));
                let values: Vec<f32> = (0..len * vocab.len()).map(|_| rng.random_range(-3.0..3.0)).collect();
                if len == 0 {
                    continue;
                }
                let scores = Scores::new(vocab.len(), values).unwrap();
                let posterior = infer(&reach, &scores, &Options::default()).unwrap();
                compare(&scores, &decided, &texts, &posterior, &mut rng);
                solved += 1;
            }
        }
    }
    println!("{cases} canvases, {feasible} feasible, {solved} distributions compared, {cut} cut short");
    assert!(cases >= 2000 && feasible > 300 && cases - feasible > 300);
}

fn compare(
    scores: &Scores,
    decided: &[Option<Token>],
    texts: &[Vec<Token>],
    posterior: &stencil_lm::inference::Posterior,
    rng: &mut impl Rng,
) {
    let vocab = scores.vocab();
    let log = |pos: usize, t: Token| match decided[pos] {
        Some(_) => 0.0,
        None => {
            let row = scores.row(pos);
            let total: f64 = row.iter().map(|&s| f64::from(s).exp()).sum();
            f64::from(row[t as usize]) - total.ln()
        }
    };
    let weight = |text: &Vec<Token>| text.iter().enumerate().map(|(pos, &t)| log(pos, t)).sum::<f64>().exp();
    let z: f64 = texts.iter().map(weight).sum();
    assert!((posterior.log_z() - z.ln()).abs() < 1e-5, "{} {}", posterior.log_z(), z.ln());
    for pos in 0..decided.len() {
        let mut marginal = vec![0.0; vocab];
        texts.iter().for_each(|text| marginal[text[pos] as usize] += weight(text) / z);
        for (a, b) in posterior.marginal(pos).iter().zip(&marginal) {
            assert!((f64::from(*a) - b).abs() < 1e-5);
        }
    }
    let best = texts.iter().map(weight).fold(0.0, f64::max);
    assert!((weight(&posterior.map()) - best).abs() <= 1e-9 * best);
    // Few texts: their shares among samples; many: all samples fit.
    let mut counts: HashMap<Vec<Token>, usize> = HashMap::new();
    const SAMPLES: usize = 400;
    (0..SAMPLES).for_each(|_| *counts.entry(posterior.sample(rng)).or_default() += 1);
    for (text, &count) in &counts {
        assert!(texts.contains(text));
        let expected = weight(text) / z * SAMPLES as f64;
        assert!((count as f64 - expected).abs() < 6.0 * expected.sqrt() + 6.0, "{count} for {expected}");
    }
}
