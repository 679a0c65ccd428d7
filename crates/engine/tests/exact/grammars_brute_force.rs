//! Grammars against enumeration: small vocabularies and canvases, all strings tried, membership decided by the
//! independent recogniser.

use rand::{Rng, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use std::collections::HashMap;
use stencil_engine::{
    Check, Language, Scores, Token, Vocab,
    automata::Limits,
    constraints,
    grammar::{Acceptor, Pushdown, Question},
    inference::{Feasible, Options, Problem, infer},
    language::Grammar,
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
        Vocab::from_bytes(bytes, eos, pad).unwrap()
    };
    vec![
        vocab(&[b"a", b"b", b"(", b")", b"+"], Some(5), Some(5)),
        vocab(&[b"a", b"(", b")", b"((", b"))", b"b)"], None, None),
        vocab(&[b"a", b"ab", b"b", b")", b"a(", b"(b"], Some(6), Some(7)),
        vocab(&[b"a)", b"(a", b")", b"+a", b"a", b"("], Some(6), Some(6)),
        vocab(&[b"\xc3", b"\xa9", b"\xa9(", b"a", b"\xc3\xa9"], Some(5), Some(5)),
    ]
}

/// A part of a text: of a regular language, or of a grammar and a regular language.
type Part = (Option<&'static str>, &'static str);

/// Grammars narrowed in parts of a text. Where a part ends is often open.
const NARROWED: [&[Part]; 8] = [
    &[(None, "a*"), (Some(r#"root ::= "a" root "b" | """#), "(?:ab|aabb)?"), (None, "b*")],
    &[(Some(r#"root ::= root root | "(" root ")" | """#), ".{0,3}"), (None, r"\)*")],
    &[(None, "[ab]*"), (Some(r#"root ::= "a" root "a" | "b" root "b" | [+(]?"#), "..+"), (None, r"[ab+]?")],
    &[(Some(r#"root ::= "(" root ")" | "a" | root "b""#), ".*b.*"), (None, "b?a*")],
    &[
        (Some(r#"root ::= "(" root ")" | "a"?"#), ".{1,3}"),
        (None, r"\+?"),
        (
            Some(
                r#"root ::= x root | "a" ("(" root ")")?
                 x ::= "b" | """#,
            ),
            "[^(]*|.*b",
        ),
    ],
    &[(None, "é*"), (Some(r#"root ::= "é" root "(" | "é" | [a-cé] root"#), "(?:.{2})*"), (None, "a*")],
    &[(None, "a"), (Some(r#"root ::= root "a" | "(" root ")" | """#), "[^a]*"), (None, "a*b?")],
    &[(Some(r#"root ::= "a" root ")" | "b" "#), "[^b]*"), (None, r"a*")],
];

struct Case {
    name: String,
    language: Language,
    accepts: Box<dyn Fn(&str) -> bool>,
    vocab: Vocab,
    known: HashMap<Vec<u8>, bool>,
}

impl Case {
    fn of_grammar(text: &str, vocab: &Vocab) -> Self {
        let grammar = Grammar::gbnf(text).unwrap().grammar;
        let language = Language::grammar(grammar.clone());
        let checker = constraints::ContextFree::new(grammar).unwrap();
        let accepts = Box::new(move |text: &str| checker.check(text).accepted());
        Self { name: text.into(), language, accepts, vocab: vocab.clone(), known: HashMap::new() }
    }

    /// Part by part; a text is tried with every way to cut it.
    fn of_parts(parts: &[Part], vocab: &Vocab) -> Self {
        let (mut languages, mut checks) = (Vec::new(), Vec::new());
        for (grammar, pattern) in parts {
            let regular = Language::regex(*pattern);
            let grammar = grammar.map(|text| Grammar::gbnf(text).unwrap().grammar);
            languages.push(match &grammar {
                Some(grammar) => Language::grammar(grammar.clone()).and(regular),
                None => regular,
            });
            let checker = grammar.map(|grammar| constraints::ContextFree::new(grammar).unwrap());
            let regex = regex::Regex::new(&format!("^(?s:{pattern})$")).unwrap();
            checks.push(move |text: &str| {
                regex.is_match(text) && checker.as_ref().is_none_or(|checker| checker.check(text).accepted())
            });
        }
        let accepts = Box::new(move |text: &str| {
            let mut ends = vec![0];
            for check in &checks {
                let from = |&start: &usize| {
                    let ends = (start..=text.len()).filter(move |&end| text.is_char_boundary(end));
                    ends.filter(move |&end| check(&text[start..end])).collect::<Vec<usize>>()
                };
                ends = ends.iter().flat_map(from).collect();
                ends.sort_unstable();
                ends.dedup();
            }
            ends.contains(&text.len())
        });
        let language = Language::Concat(languages);
        Self { name: format!("{parts:?}"), language, accepts, vocab: vocab.clone(), known: HashMap::new() }
    }

    fn pushdown(&self) -> Option<Pushdown> {
        match Acceptor::new(&self.language, &self.vocab, &Limits::default()).unwrap() {
            Acceptor::Pushdown(pushdown) => Some(*pushdown),
            Acceptor::Regular(_) => None,
        }
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
        let accepts = &self.accepts;
        *self.known.entry(bytes).or_insert_with_key(|bytes| std::str::from_utf8(bytes).is_ok_and(accepts))
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

/// What has been tried.
#[derive(Default, Debug)]
struct Tally {
    canvases: usize,
    feasible: usize,
    /// Distributions compared.
    solved: usize,
    /// Canvases of which a narrow budget has left texts out.
    cut: usize,
}

/// Random canvases: are they decided as enumeration does, with much room and with hardly any, and are the
/// distributions those of enumeration?
fn enumerate(mut case: Case, rounds: usize, rng: &mut ChaCha8Rng, tally: &mut Tally) {
    let Some(pushdown) = case.pushdown() else { return };
    let narrow = case.pushdown().unwrap().with_budget(8);
    let vocab = case.vocab.clone();
    for round in 0..rounds {
        let len = rng.random_range(0..=5);
        let decided = random_canvas(vocab.len(), len, rng);
        let bounds = if round % 4 == 0 { (rng.random_range(0..=2), rng.random_range(2..=5)) } else { (0, 99) };
        let texts: Vec<Vec<Token>> =
            strings(&decided, vocab.len()).into_iter().filter(|s| case.fits(s, bounds)).collect();
        let about = format!("{}\n{vocab:?} {decided:?} {bounds:?}", case.name);
        let question = Question { decided: &decided, tokens: bounds, witness: None };
        let view = pushdown.view(question).unwrap();
        tally.canvases += 1;
        assert_eq!(view.is_some(), !texts.is_empty(), "{about}");
        let witness = pushdown.witness(question).unwrap();
        assert_eq!(witness.is_some(), !texts.is_empty(), "{about}");
        assert!(witness.as_ref().is_none_or(|witness| texts.contains(witness)), "{about}");
        // However little is kept, a known text is.
        for known in [None, texts.choose(rng)] {
            let question = Question { witness: known.map(Vec::as_slice), ..question };
            let view = narrow.view(question).unwrap();
            assert_eq!(view.is_some(), !texts.is_empty(), "{about}");
            let Some(view) = view else { continue };
            let problem = Problem::new(&view.automaton, &decided);
            let reach = Feasible::from_layers(&problem, view.layers.clone()).unwrap().unwrap();
            let kept = texts.iter().filter(|t| reach.contains(t)).count();
            assert!(kept > 0 && (kept == texts.len() || !view.exact), "{about}");
            assert!(known.is_none_or(|known| reach.contains(known)), "{about}");
            tally.cut += usize::from(!view.exact);
        }
        let Some(view) = view else { continue };
        tally.feasible += 1;
        assert!(view.exact);
        let problem = Problem::new(&view.automaton, &decided);
        let reach = Feasible::from_layers(&problem, view.layers.clone()).unwrap().unwrap();
        texts.iter().for_each(|t| assert!(reach.contains(t), "{about}"));
        let values: Vec<f32> = (0..len * vocab.len()).map(|_| rng.random_range(-3.0..3.0)).collect();
        if len == 0 {
            continue;
        }
        let scores = Scores::new(vocab.len(), values).unwrap();
        let posterior = infer(&reach, &scores, &Options::default()).unwrap();
        compare(&scores, &decided, &texts, &posterior, rng);
        tally.solved += 1;
    }
}

#[test]
fn feasibility_and_distributions_are_those_of_enumeration() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut tally = Tally::default();
    for text in GRAMMARS {
        for vocab in vocabularies() {
            enumerate(Case::of_grammar(text, &vocab), 40, &mut rng, &mut tally);
        }
    }
    println!("{tally:?}");
    assert!(tally.canvases >= 2000 && tally.feasible > 300 && tally.canvases - tally.feasible > 300);
    assert!(tally.cut > 100);
}

#[test]
fn grammars_are_narrowed_in_parts_of_a_text() {
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    let mut tally = Tally::default();
    for parts in NARROWED {
        for vocab in vocabularies() {
            enumerate(Case::of_parts(parts, &vocab), 40, &mut rng, &mut tally);
        }
    }
    println!("{tally:?}");
    assert!(tally.canvases >= 1200 && tally.feasible > 200 && tally.canvases - tally.feasible > 200);
}

fn compare(
    scores: &Scores,
    decided: &[Option<Token>],
    texts: &[Vec<Token>],
    posterior: &stencil_engine::inference::Posterior,
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
