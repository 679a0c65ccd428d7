use super::*;
use crate::kernels::tests::{check_gradient, random};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

fn tiny() -> MaskedConfig {
    let condition = |label: &str, token| Condition { label: label.into(), token };
    MaskedConfig {
        model_type: MODEL_TYPE.into(),
        name: "tiny".into(),
        vocab_size: 24,
        hidden_size: 16,
        layers: 2,
        heads: 2,
        ff_size: 24,
        max_len: 70,
        rope_theta: 1e4,
        norm_eps: 1e-5,
        mask_token: 1,
        eos_token: 0,
        null_token: 2,
        conditions: vec![condition("animal", 3), condition("food", 4)],
        causal: false,
        lengths: Vec::new(),
    }
}

fn tiny_network(config: &MaskedConfig, seed: u64) -> MaskedNetwork {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    MaskedNetwork::build(config, |parameter| Ok::<_, Error>(random(parameter.range.len(), 0.5, &mut rng))).unwrap()
}

fn tiny_vocab() -> Vocab {
    Vocab::from_bytes((0..24u8).map(|t| (t > 4).then(|| vec![b'a' + t])).collect(), Some(0), None).unwrap()
}

fn tiny_model() -> MaskedModel {
    MaskedModel::new(tiny(), tiny_vocab(), tiny_network(&tiny(), 7)).unwrap()
}

fn view(prompt: &[u32], condition: Option<usize>, tokens: &[Option<u32>]) -> CanvasView {
    CanvasView { prompt: prompt.to_vec().into(), condition, tokens: tokens.to_vec() }
}

/// Three sequences with losses.
fn tiny_batch() -> (PackedSequences, Targets) {
    let mut packed = PackedSequences::default();
    packed.push([2, 1, 6, 1, 9]);
    packed.push([3, 1]);
    packed.push([2]);
    (packed, Targets { rows: vec![1, 3, 6, 7], tokens: vec![5, 8, 0, 3], weights: vec![1.0, 0.5, 2.0, 0.25] })
}

#[test]
fn gradients_of_the_whole_network_agree_with_differences() {
    let (packed, targets) = tiny_batch();
    for causal in [false, true] {
        let mut network = tiny_network(&MaskedConfig { causal, ..tiny() }, 3);
        let mut gradient = vec![0.0; network.weights().len()];
        network.loss_and_gradient(&packed, &targets, &mut gradient);
        for parameter in network.parameters().to_vec() {
            // Three numbers of each weight, the largest gradient among them.
            let own = &gradient[parameter.range.clone()];
            let largest = (0..own.len()).max_by(|&a, &b| own[a].abs().total_cmp(&own[b].abs())).unwrap();
            for at in [0, own.len() / 2, largest].map(|i| parameter.range.start + i) {
                let kept = network.weights()[at];
                let loss = |x: f32| {
                    network.weights_mut()[at] = x;
                    let losses = network.losses(&packed, &targets.rows, &targets.tokens);
                    losses.iter().zip(&targets.weights).map(|(l, w)| f64::from(l * w)).sum()
                };
                check_gradient(&parameter.name, gradient[at], kept, loss);
                network.weights_mut()[at] = kept;
            }
        }
    }
}

#[test]
fn every_weight_receives_a_gradient() {
    let network = tiny_network(&tiny(), 3);
    let (packed, targets) = tiny_batch();
    let mut gradient = vec![0.0; network.weights().len()];
    network.loss_and_gradient(&packed, &targets, &mut gradient);
    assert_eq!(network.parameters().len(), 2 + 2 * 6);
    for parameter in network.parameters() {
        let own = &gradient[parameter.range.clone()];
        assert!(own.iter().all(|g| g.is_finite()), "{}", parameter.name);
        // Of the embedding, too: the head reaches every token.
        assert!(own.iter().filter(|&&g| g != 0.0).count() > own.len() / 2, "{}", parameter.name);
    }
}

#[test]
fn loss_and_gradient_are_the_same_for_any_number_of_threads_and_cut_of_the_batch() {
    let network = tiny_network(&tiny(), 5);
    let (mut packed, mut targets) = (PackedSequences::default(), Targets::default());
    // More than one part.
    for i in 0..90u32 {
        let start = packed.tokens.len() as u32;
        packed.push((0..30 + i % 40).map(|j| 5 + (i + j) % 19));
        targets.rows.extend([start + 3, start + 17]);
        targets.tokens.extend([i % 24, 5]);
        targets.weights.extend([0.01, 0.02]);
    }
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let mut gradient = vec![0.0; network.weights().len()];
        (pool.install(|| network.loss_and_gradient(&packed, &targets, &mut gradient)), gradient)
    };
    let (loss, gradient) = on(1);
    assert_eq!(on(3), (loss, gradient.clone()));

    let (mut sum, mut total, mut start) = (vec![0.0; gradient.len()], 0.0, 0);
    for (i, &len) in packed.lengths.iter().enumerate() {
        let mut one = PackedSequences::default();
        one.push(packed.tokens[start..start + len].iter().copied());
        let own = 2 * i..2 * i + 2;
        let rows = targets.rows[own.clone()].iter().map(|row| row - start as u32).collect();
        let (tokens, weights) = (targets.tokens[own.clone()].to_vec(), targets.weights[own].to_vec());
        total += network.loss_and_gradient(&one, &Targets { rows, tokens, weights }, &mut sum);
        start += len;
    }
    assert!((loss - total).abs() < 1e-4 * loss, "{loss} {total}");
    for (a, b) in gradient.iter().zip(&sum) {
        assert!((a - b).abs() < 1e-3 * (1.0 + a.abs()), "{a} {b}");
    }
}

#[test]
fn a_causal_network_does_not_look_ahead() {
    let logits = |causal, last| {
        let mut packed = PackedSequences::default();
        packed.push([2, 7, 9, last]);
        tiny_network(&MaskedConfig { causal, ..tiny() }, 3).logits(&packed, &[0, 1, 2])
    };
    assert_eq!(logits(true, 5), logits(true, 6));
    assert_ne!(logits(false, 5), logits(false, 6));
}

#[test]
fn a_batch_gives_each_view_what_it_would_get_alone() {
    let model = tiny_model();
    let long: Vec<Option<u32>> = (0..60).map(|i| (i % 3 == 0).then_some(5 + i % 19)).collect();
    let views = [
        view(&[], None, &[Some(6), None, None]),
        view(&[9, 10], Some(1), &[None]),
        view(&[5], Some(0), &long),
        view(&[], None, &[]),
    ];
    let together = model.predict(&views).unwrap();
    for (view, scores) in views.iter().zip(&together) {
        assert_eq!((scores.len(), scores.vocab()), (view.tokens.len(), 24));
        let alone = model.predict(std::slice::from_ref(view)).unwrap();
        for (a, b) in scores.values().iter().zip(alone[0].values()) {
            assert!((a - b).abs() < 1e-4, "{a} {b}");
        }
    }
}

#[test]
fn special_tokens_are_never_predicted_and_conditions_matter() {
    let model = tiny_model();
    let scores = |condition| model.predict(&[view(&[], condition, &[None, Some(7)])]).unwrap().remove(0);
    for row in [scores(None).row(0), scores(Some(0)).row(1)] {
        assert!(row[1..5].iter().all(|&s| s == NEVER), "{row:?}");
        assert!(row[0] > NEVER && row[5] > NEVER);
    }
    assert_ne!(scores(None), scores(Some(0)));
    assert_ne!(scores(Some(1)), scores(Some(0)));
}

#[test]
fn bad_views_are_refused() {
    let model = tiny_model();
    let refused = |view| model.predict(&[view]).unwrap_err().message().to_string();
    assert!(refused(view(&[], None, &[None; 71])).contains("the model holds 70"));
    assert!(refused(view(&[], Some(2), &[None])).contains("condition 2"));
    assert!(refused(view(&[24], None, &[None])).contains("token 24"));
}

#[test]
fn weights_survive_the_file_and_wrong_files_are_named() {
    let config = serde_json::to_vec(&tiny()).unwrap();
    let network = tiny_network(&tiny(), 7);
    let views = [view(&[], None, &[None; 5])];
    let want = tiny_model().predict(&views).unwrap();
    let mut sizes = Vec::new();
    for (precision, tolerance) in [(WeightFormat::F32, 0.0), (WeightFormat::F16, 0.01), (WeightFormat::Int8, 0.1)] {
        let bytes = weights_to_bytes(network.parameters(), network.weights(), precision).unwrap();
        let read = checkpoint::network_from_bytes(&tiny(), &bytes).unwrap();
        let model = MaskedModel::new(tiny(), tiny_vocab(), read).unwrap();
        for (a, b) in model.predict(&views).unwrap()[0].values().iter().zip(want[0].values()) {
            assert!((a - b).abs() <= tolerance * (1.0 + b.abs()), "{precision:?}: {a} {b}");
        }
        sizes.push(bytes.len());
    }
    assert!(sizes[2] < sizes[1] && sizes[1] < sizes[0], "{sizes:?}");
    let mut damaged = network.weights().to_vec();
    damaged[9] = f32::NAN;
    for precision in [WeightFormat::F16, WeightFormat::Int8] {
        let error = weights_to_bytes(network.parameters(), &damaged, precision).unwrap_err();
        assert!(error.message().contains("embedding"), "{error}");
    }
    let bytes = weights_to_bytes(network.parameters(), network.weights(), WeightFormat::F16).unwrap();

    let failure = |config: &MaskedConfig, bytes: &[u8]| {
        let error = checkpoint::network_from_bytes(config, bytes).err().expect("an error");
        assert_eq!(error.kind(), crate::ErrorKind::Model);
        error.message().to_string()
    };
    assert!(failure(&tiny(), &bytes[..bytes.len() / 2]).contains("truncated"));
    assert!(failure(&tiny(), b"").contains("truncated"));
    let wider = MaskedConfig { ff_size: 32, ..tiny() };
    let message = failure(&wider, &bytes);
    assert!(message.contains("blocks.0.ff.gate_up.weight") && message.contains("[16, 48]"), "{message}");
    assert!(failure(&MaskedConfig { layers: 3, ..tiny() }, &bytes).contains("blocks.2"));
    assert!(failure(&MaskedConfig { layers: 1, ..tiny() }, &bytes).contains("belongs to no layer"));
    let huge = MaskedConfig { hidden_size: 1 << 20, vocab_size: 1 << 20, layers: 1 << 20, ..tiny() };
    assert!(failure(&huge, &bytes).contains("embedding.weight"));

    let other = String::from_utf8(config.clone()).unwrap().replace("\"stencil\"", "\"llada\"");
    let error = MaskedConfig::from_json(other.as_bytes()).unwrap_err();
    assert!(error.message().contains("unknown model_type \"llada\""), "{error}");
    for (key, value) in [("hidden_size", 6), ("heads", 0), ("mask_token", 0), ("eos_token", 99)] {
        let mut json: serde_json::Value = serde_json::from_slice(&config).unwrap();
        json[key] = value.into();
        assert!(MaskedConfig::from_json(json.to_string().as_bytes()).is_err(), "{key} = {value}");
    }
}
