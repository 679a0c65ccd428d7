//! The canvas can always be completed: whatever the constraint, the scores, the policy, the order of commits and the
//! remasking, every run ends with a verified text and never starts over.

use crate::common::noise;

use noise::{Noise, Whim};
use rand::{Rng, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use stencil_lm::{
    Layout, Model, Output, Result, Sampler, Settings, Source, Token, Vocab,
    models::{Chain, Oracle},
    spec::{Inputs, Registry, Spec},
};

/// Letters, digits, punctuation, overlapping words with and without spaces, whole and broken multi-byte characters.
fn vocab() -> Vocab {
    let words =
        ["the", " the", " river", "riv", "er", " a", " cat", "cat", "s", " is", " small", "é", " é", "ab", "ba"];
    let mut tokens: Vec<Option<Vec<u8>>> = words.iter().map(|w| Some(w.as_bytes().to_vec())).collect();
    tokens.extend((b'a'..=b'z').chain(b'0'..=b'9').chain(*b" .,-:@{}\"\nTA").map(|b| Some(vec![b])));
    tokens.extend([Some(vec![0xE2]), Some(vec![0x82]), Some(vec![0xAC]), Some("€5".into())]);
    tokens.extend([None, None, None]); // end, padding, a special token that must never appear
    let n = tokens.len() as Token;
    Vocab::from_bytes(tokens, Some(n - 3), Some(n - 2)).unwrap()
}

fn expression(rng: &mut ChaCha8Rng, depth: usize) -> String {
    let leaves = ["a", "ab", "ba", "the", "[a-z]", "[0-9]{2}", "[a-zé]", "€", "é", ".", " ", "[^a]", "cat"];
    if depth == 0 {
        return (*leaves.choose(rng).unwrap()).to_string();
    }
    let mut sub = || expression(rng, depth - 1);
    let (x, y) = (sub(), sub());
    match rng.random_range(0..6) {
        0 => format!("(?:{x}|{y})"),
        1 => format!("(?:{x})*"),
        2 => format!("(?:{x})?{y}"),
        3 => format!("(?:{x}){{1,{}}}", rng.random_range(1..4)),
        _ => format!("{x}{y}"),
    }
}

fn random_spec(rng: &mut ChaCha8Rng) -> Result<Spec> {
    let template = |spec: Spec, text: &str| spec.template(&Source::new("template", text), &Inputs::default());
    let words = ["the", "cat", "river", "a", "is"];
    let mut spec = match rng.random_range(0..8) {
        0 => Spec::new(),
        1 => template(Spec::new(), "the {{a:1-2}} is {{b|small|a cat|the river}}.")?,
        2 => template(Spec::new(), "{{x}}, {{y~/[a-z]+\\d?/}} {{}}")?,
        3 => template(Spec::new(), "é {{c:2-5 chars}}-{{d:1-2 tokens}}.")?,
        4 => Spec::new().choice(["the cat", "a river is small", "€5"])?,
        _ => {
            let depth = rng.random_range(1..4);
            Spec::new().regex(&expression(rng, depth))?
        }
    };
    // Word boundaries cost hundreds of states: few cases suffice.
    if rng.random_bool(0.06) {
        spec = spec.contains([*words.choose(rng).unwrap()])?;
    }
    if rng.random_bool(0.06) {
        spec = spec.excludes([*words.choose(rng).unwrap()])?;
    }
    if rng.random_bool(0.25) {
        spec = spec.length(["1-6w", "3-30c", "2-9t", "4t"].choose(rng).unwrap())?;
    }
    if rng.random_bool(0.1) {
        spec = spec.prefix(["t", "a", "é"].choose(rng).unwrap().to_string());
    }
    if rng.random_bool(0.1) {
        spec = spec.suffix([".", "s", "a"].choose(rng).unwrap().to_string());
    }
    Ok(spec)
}

fn random_settings(rng: &mut ChaCha8Rng) -> Settings {
    let kinds = stencil_lm::policies::KINDS;
    Settings {
        steps: Some(rng.random_range(1..12)),
        len: rng.random_bool(0.9).then(|| rng.random_range(3..20)),
        policy: Some(kinds.choose(rng).unwrap().name.to_string()),
        temperature: Some(*[0.0, 0.5, 1.0, 3.0].choose(rng).unwrap()),
        top_k: rng.random_bool(0.2).then(|| rng.random_range(1..5)),
        top_p: rng.random_bool(0.2).then(|| rng.random_range(0.1..1.0)),
        seed: Some(rng.random()),
        layout: Some(*[Layout::Floating, Layout::Pinned].choose(rng).unwrap()),
        ..Settings::default()
    }
}

/// One random constraint with several samples: how many were finished, none where it was refused.
fn case(seed: u64, oracle: &Model, noise: &Model) -> usize {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let spec = random_spec(&mut rng).unwrap();
    let settings = random_settings(&mut rng);
    let about = format!("case {seed}: {:?} {settings:?}", spec.description);
    let model = if rng.random_bool(0.15) { oracle } else { noise };
    let count = rng.random_range(4..12);
    let whim = rng.random_bool(0.4).then(|| rng.random());
    let policy = settings.policy.filter(|_| whim.is_none());
    let mut sampler = Sampler::new(model).spec(&spec).settings(Settings { policy, ..settings }).count(count);
    if let Some(seed) = whim {
        sampler = sampler.policy_with(move || Whim { seed, reopen: 0.2 });
    }
    match sampler.run() {
        Ok(outputs) => {
            for Output { text, report, .. } in &outputs {
                assert!(report.verified, "{about}: {text:?} {:?}", report.rejected);
            }
            outputs.len()
        }
        // Contradictions and too few positions are told before the first step, never later.
        Err(e) if e.is_unsatisfiable() => {
            assert!(!e.message().contains("cannot be completed"), "{about}: {e:?}");
            0
        }
        Err(e) => panic!("{about}: {e:?}"),
    }
}

#[test]
fn ten_thousand_random_runs_end_verified() {
    let vocab = vocab();
    let texts: Vec<Vec<Token>> = ["the cat is small.", "a river is a river.", "cats, ab ba €5."]
        .iter()
        .map(|t| vocab.encode(t).unwrap())
        .collect();
    let chain = Chain::fit(&vocab, texts.iter().map(|t| &t[..]), 0.01).unwrap();
    let oracle = Model::new(Oracle::new(vocab.clone(), chain).unwrap());
    let noise = Model::new(Noise { vocab, max_len: 64 });
    let finished: Vec<usize> = (0..1900u64).into_par_iter().map(|seed| case(seed, &oracle, &noise)).collect();
    let refused = finished.iter().filter(|&&n| n == 0).count();
    let finished: usize = finished.iter().sum();
    assert!(finished >= 10_000, "{finished} samples, {refused} constraints refused: the cases are too narrow");
}

/// Templates, files and flags as people write them, on the bundled model: 200 seeds over ten of them.
#[test]
fn two_hundred_seeds_over_ten_requests_are_verified() {
    let template = |text: &str| Spec::new().template(&Source::new("template", text), &Inputs::default()).unwrap();
    let file = |name: &str| {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("constraints").join(name);
        Spec::load(path, &Registry::builtin(), &Inputs::default()).unwrap()
    };
    let topic = Source::new("topic.toml", "topic = { label = 'food', scale = 3.0 }");
    let topic = Spec::from_toml(&topic, &Registry::builtin(), &Inputs::default()).unwrap();
    let requests = [
        template("The {{animal:1-2}} is a {{size|small|large}} animal that {{does:2-6}}."),
        template("Dear {{name}},\n\nthe [MASK] is ____.\n\nYours, {{who:3-12 chars}}").excludes(["the of"]).unwrap(),
        template("{{when~/\\d{4}-\\d{2}-\\d{2}/}}: {{what:2-4 tokens}}; {{x|a|b}} and {{x}}"),
        template("A {{dish:1-2}} is made of {{parts:2-5}}.").merge(topic).unwrap(),
        file("definition.toml"),
        file("record.toml"),
        file("url.toml"),
        Spec::new().regex("[A-Z][a-z ]{10,40}\\.").unwrap().contains(["water"]).unwrap(),
        Spec::new().choice(["yes", "no", "it depends on the weather"]).unwrap(),
        Spec::new().length("4-9w").unwrap().prefix("A ").suffix("."),
    ];
    let model = Model::bundled().unwrap();
    for (i, request) in requests.iter().enumerate() {
        let settings = Settings { seed: Some(20 * i as u64), ..Settings::default() };
        let outputs = Sampler::new(&model).spec(request).settings(settings).count(20).run().unwrap();
        assert_eq!(outputs.len(), 20);
        for output in outputs {
            assert!(output.report.verified, "request {i}: {:?} {:?}", output.text, output.report.rejected);
        }
    }
}
