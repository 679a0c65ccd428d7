use super::attention::{Attention, Rope};
use super::ops::{RmsNorm, SwiGlu};
use super::*;
use candle_core::{Device, Tensor, Var};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::sync::Arc;

fn random(shape: &[usize], scale: f32, rng: &mut impl Rng) -> Tensor {
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| (rng.random::<f32>() - 0.5) * 2.0 * scale).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// Compares the gradient of `loss` with central differences at every number of every input.
fn check_gradients(inputs: Vec<Tensor>, loss: impl Fn(&[Tensor]) -> Tensor) {
    let vars: Vec<Var> = inputs.iter().map(|t| Var::from_tensor(t).unwrap()).collect();
    let tensors: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
    let grads = loss(&tensors).backward().unwrap();
    let step = 1e-2f32;
    for (i, input) in inputs.iter().enumerate() {
        let grad = grads.get(&vars[i]).expect("a gradient").flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let values = input.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        for j in 0..values.len() {
            let at = |delta: f32| {
                let mut moved = values.clone();
                moved[j] += delta;
                let mut all = inputs.clone();
                all[i] = Tensor::from_vec(moved, input.shape(), &Device::Cpu).unwrap();
                f64::from(loss(&all).to_scalar::<f32>().unwrap())
            };
            // Fourth order, so that a large step may keep f32 noise small.
            let h = f64::from(step);
            let want = (8.0 * (at(step) - at(-step)) - (at(2.0 * step) - at(-2.0 * step))) / (12.0 * h);
            let got = f64::from(grad[j]);
            assert!((got - want).abs() < 2e-3 * (1.0 + want.abs()), "input {i}, number {j}: {got}, not {want}");
        }
    }
}

/// A scalar that depends on every number of `x` in its own way.
fn mix(x: &Tensor) -> Tensor {
    let n = x.elem_count();
    let weights: Vec<f32> = (0..n).map(|i| ((i * 7 + 3) % 11) as f32 / 11.0 - 0.4).collect();
    let weights = Tensor::from_vec(weights, x.shape(), &Device::Cpu).unwrap();
    (x * weights).unwrap().sum_all().unwrap()
}

#[test]
fn hand_written_gradients_agree_with_differences() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    check_gradients(vec![random(&[3, 18], 1.0, &mut rng), random(&[18], 1.0, &mut rng)], |x| {
        mix(&x[0].apply_op2(&x[1], RmsNorm { eps: 1e-5 }).unwrap())
    });
    check_gradients(vec![random(&[3, 14], 2.0, &mut rng)], |x| mix(&x[0].apply_op1(SwiGlu).unwrap()));
    check_gradients(vec![random(&[3, 19], 2.0, &mut rng)], |x| {
        let op = CrossEntropy { targets: vec![0, 18, 7], weights: vec![1.0, 0.5, 2.0] };
        x[0].apply_op1(op).unwrap()
    });
    let lengths: Arc<[usize]> = Arc::new([2, 5, 1]);
    let rope = Arc::new(Rope::new(5, 4, 100.0));
    for causal in [false, true] {
        check_gradients(vec![random(&[8, 24], 1.0, &mut rng)], |x| {
            let attention = Attention { heads: 2, causal, lengths: lengths.clone(), rope: rope.clone() };
            mix(&x[0].apply_op1(attention).unwrap())
        });
    }
}

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
    }
}

fn tiny_weights(seed: u64) -> BTreeMap<String, Tensor> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut weights = BTreeMap::new();
    Network::build(&tiny(), |name, shape, _| {
        let tensor = random(shape, 0.5, &mut rng);
        weights.insert(name.to_string(), tensor.clone());
        Ok::<_, candle_core::Error>(tensor)
    })
    .unwrap();
    weights
}

fn tiny_vocab() -> Vocab {
    Vocab::from_bytes((0..24u8).map(|t| (t > 4).then(|| vec![b'a' + t])).collect(), Some(0), None)
}

fn tiny_model() -> MaskedModel {
    let weights = tiny_weights(7);
    let network = Network::build(&tiny(), |name, _, _| Ok::<_, Error>(weights[name].clone())).unwrap();
    MaskedModel::new(tiny(), tiny_vocab(), network).unwrap()
}

fn view(prompt: &[u32], condition: Option<usize>, tokens: &[Option<u32>]) -> CanvasView {
    CanvasView { prompt: prompt.to_vec(), condition, tokens: tokens.to_vec() }
}

#[test]
fn every_weight_receives_a_gradient() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut vars = BTreeMap::new();
    let network = Network::build(&tiny(), |name, shape, _| {
        let var = Var::from_tensor(&random(shape, 0.5, &mut rng)).unwrap();
        let tensor = var.as_tensor().clone();
        vars.insert(name.to_string(), var);
        Ok::<_, candle_core::Error>(tensor)
    })
    .unwrap();
    let mut packed = Packed::default();
    packed.push([2, 1, 6, 1]);
    packed.push([3, 1]);
    let logits = network.logits(&packed, &[1, 3, 5]).unwrap();
    let loss = logits.apply_op1(CrossEntropy { targets: vec![5, 8, 0], weights: vec![1.0; 3] }).unwrap();
    let grads = loss.backward().unwrap();
    assert_eq!(vars.len(), 2 + 2 * 6);
    for (name, var) in &vars {
        let size = grads.get(var).map(|g| g.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap());
        assert!(size.is_some_and(|s| s > 0.0), "{name}: {size:?}");
    }
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
    let weights = tiny_weights(7);
    let bytes = weights_to_bytes(&weights).unwrap();
    let read = checkpoint::network_from_bytes(&tiny(), &bytes).unwrap();
    let model = MaskedModel::new(tiny(), tiny_vocab(), read).unwrap();
    let views = [view(&[], None, &[None; 5])];
    let (a, b) = (model.predict(&views).unwrap(), tiny_model().predict(&views).unwrap());
    for (a, b) in a[0].values().iter().zip(b[0].values()) {
        assert!((a - b).abs() < 0.02 * (1.0 + b.abs()), "{a} {b}");
    }

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
