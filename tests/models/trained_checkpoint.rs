//! The bundled model as a checkpoint of LLaDA's layout: trained weights tell what random ones cannot, how much approximate
//! caches and fewer bits change.

use crate::common::process;

use candle_core::{Device, Tensor};
use process::{Folder, stencil};
use serde_json::{Value, json};
use std::{collections::HashMap, path::Path};
use stencil_lm::{
    CanvasView, Denoiser, Model, Sampler, Scores, Settings, Token,
    models::{
        Cache, Loading,
        checkpoint::Precision,
        masked::{MaskedCheckpoint, MaskedModel},
    },
};

fn bundled() -> (std::path::PathBuf, MaskedCheckpoint) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/stencil-base");
    let checkpoint = MaskedCheckpoint::load(&folder).unwrap();
    (folder, checkpoint)
}

/// Writes the bundled model down as LLaDA's are. It expects a token in front that stands for no condition, which a chat
/// template can say.
fn llada(folder: &Folder) {
    let (source, MaskedCheckpoint { config, network, .. }) = bundled();
    let matrix = |name: &str| {
        let parameter = network.parameters().iter().find(|p| p.name == name).unwrap();
        let weights = network.weights()[parameter.range.clone()].to_vec();
        Tensor::from_vec(weights, parameter.shape.as_slice(), &Device::Cpu).unwrap()
    };
    let mut tensors = HashMap::new();
    // Here (in, out), there (out, in).
    let mut put = |name: String, tensor: Tensor| {
        let tensor = if tensor.rank() == 2 { tensor.t().unwrap() } else { tensor };
        tensors.insert(format!("model.transformer.{name}.weight"), tensor.contiguous().unwrap());
    };
    put("wte".into(), matrix("embedding.weight").t().unwrap());
    put("ln_f".into(), matrix("norm.weight"));
    let (d, ff) = (config.hidden_size, config.ff_size);
    for layer in 0..config.layers {
        let own = |part: &str| matrix(&format!("blocks.{layer}.{part}.weight"));
        let (qkv, gated) = (own("attention.qkv"), own("ff.gate_up"));
        for (i, part) in ["q_proj", "k_proj", "v_proj"].into_iter().enumerate() {
            put(format!("blocks.{layer}.{part}"), qkv.narrow(1, i * d, d).unwrap());
        }
        for (i, part) in ["ff_proj", "up_proj"].into_iter().enumerate() {
            put(format!("blocks.{layer}.{part}"), gated.narrow(1, i * ff, ff).unwrap());
        }
        let others = [
            ("attention.out", "attn_out"),
            ("ff.down", "ff_out"),
            ("attention_norm", "attn_norm"),
            ("ff_norm", "ff_norm"),
        ];
        for (from, to) in others {
            put(format!("blocks.{layer}.{to}"), own(from));
        }
    }
    candle_core::safetensors::save(&tensors, folder.path("model.safetensors")).unwrap();
    let write = |name: &str, value: Value| folder.file(name, value.to_string());
    write(
        "config.json",
        json!({"model_type": "llada", "d_model": d, "n_layers": config.layers, "n_heads": config.heads,
            "mlp_hidden_size": ff, "vocab_size": config.vocab_size, "embedding_size": config.vocab_size,
            "rope_theta": config.rope_theta, "rms_norm_eps": config.norm_eps, "block_type": "llama",
            "activation_type": "silu", "layer_norm_type": "rms", "weight_tying": true, "include_bias": false,
            "max_sequence_length": config.max_len + 1, "mask_token_id": config.mask_token, "eos_token_id": config.eos_token}),
    );
    write("tokenizer_config.json", json!({"chat_template": "<null>{{ messages[-1]['content'] }}"}));
    std::fs::copy(source.join("tokenizer.json"), folder.path("tokenizer.json")).unwrap();
}

/// Beginnings of texts, and what of them both models are shown.
const PROMPTS: &[&str] =
    &["The river", "A small dog", "In the morning", "Dear Ada,", "He bought", "The king of", "It is a", "She said"];

fn views(model: &dyn Denoiser, front: &[Token]) -> Vec<CanvasView> {
    let view = |text: &&str| {
        let shown = model.vocab().encode(text).unwrap();
        let tokens = shown.into_iter().map(Some).chain([None; 9]).chain([Some(shown_stop(model))]).collect();
        CanvasView { prompt: front.to_vec().into(), condition: None, tokens }
    };
    PROMPTS.iter().map(view).collect()
}

fn shown_stop(model: &dyn Denoiser) -> Token {
    model.vocab().encode(".").unwrap()[0]
}

/// Logarithms of the probabilities of tokens that are text, per open position.
fn predictions(model: &dyn Denoiser, front: &[Token]) -> Vec<Vec<f32>> {
    let views = views(model, front);
    let rows = |(view, scores): (&CanvasView, Scores)| {
        let open = (0..view.tokens.len()).filter(|&pos| view.tokens[pos].is_none());
        let row = |pos: usize| {
            let text = (0..model.vocab().len()).filter(|&t| model.vocab().bytes(t as Token).is_some());
            let row: Vec<f32> = text.map(|t| scores.row(pos)[t]).collect();
            let max = row.iter().copied().fold(f32::MIN, f32::max);
            let total = max + row.iter().map(|x| (x - max).exp()).sum::<f32>().ln();
            row.iter().map(|x| x - total).collect()
        };
        open.map(row).collect::<Vec<Vec<f32>>>()
    };
    let scores = model.predict(&views).unwrap();
    views.iter().zip(scores).flat_map(rows).collect()
}

/// Mean divergence of `other` from `exact` in nats, and how often both find the same token likeliest.
fn compare(exact: &[Vec<f32>], other: &[Vec<f32>]) -> (f32, f32) {
    let best = |row: &[f32]| (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b]));
    let divergence = |(p, q): (&Vec<f32>, &Vec<f32>)| p.iter().zip(q).map(|(p, q)| p.exp() * (p - q)).sum::<f32>();
    let n = exact.len() as f32;
    let same = exact.iter().zip(other).filter(|(a, b)| best(a) == best(b)).count() as f32;
    (exact.iter().zip(other).map(divergence).sum::<f32>() / n, same / n)
}

#[test]
fn a_family_predicts_with_trained_weights_what_their_own_network_does() {
    let folder = Folder::new("trained");
    llada(&folder);
    let (source, MaskedCheckpoint { config, .. }) = bundled();
    let read = |name: &str| std::fs::read(source.join(name)).unwrap();
    let own =
        MaskedModel::from_bytes(&read("config.json"), &read("tokenizer.json"), &read("model.safetensors")).unwrap();
    let own = predictions(&own, &[]);
    for (precision, most, agreement) in [
        (None, 1e-6, 1.0),
        (Some(Precision::Half), 1e-3, 0.95),
        (Some(Precision::Q8_0), 0.01, 0.9),
        (Some(Precision::Q4K), 0.5, 0.5),
    ] {
        let model = Model::load_with(&folder.0, &Loading { precision, memory: None }).unwrap();
        let theirs = predictions(model.denoiser(), &[config.null_token]);
        let (divergence, same) = compare(&own, &theirs);
        let largest = own.iter().flatten().zip(theirs.iter().flatten()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        let name = precision.unwrap_or(Precision::F32).name();
        println!(
            "{name}: {divergence:.1e} nats, same token likeliest at {:.0} %, largest difference {largest:.1e}",
            100.0 * same
        );
        assert!(divergence < most && same >= agreement, "{name}: {divergence}, {same}");
        assert!(precision.is_some() || largest < 1e-3, "{largest}");
    }
}

/// Mean logarithm of the probability that the model gives each token of a text between all others.
fn pseudo_likelihood(model: &Model, front: &[Token], prompt: &str, text: &str) -> (f64, usize) {
    let encode = |text: &str| model.denoiser().vocab().encode(text).unwrap();
    let (prompt, tokens) = (encode(prompt), encode(text));
    let hidden = |pos: usize| CanvasView {
        prompt: front.iter().copied().chain(prompt.iter().copied()).collect(),
        condition: None,
        tokens: (0..tokens.len()).map(|i| (i != pos).then_some(tokens[i])).collect(),
    };
    let views: Vec<CanvasView> = (0..tokens.len()).map(hidden).collect();
    let scores = model.denoiser().predict(&views).unwrap();
    let log_prob = |pos: usize| {
        let row = scores[pos].row(pos);
        let total = row.iter().map(|x| f64::from(*x).exp()).sum::<f64>().ln();
        f64::from(row[tokens[pos] as usize]) - total
    };
    ((0..tokens.len()).map(log_prob).sum(), tokens.len())
}

#[test]
fn approximate_caches_change_some_tokens_of_a_trained_model() {
    let folder = Folder::new("cached");
    llada(&folder);
    let model = Model::load(&folder.0).unwrap();
    let front = [bundled().1.config.null_token];
    let mut exact = Vec::new();
    for (name, cache) in [("none", None), ("prefix", Some(Cache::Prefix)), ("dual", Some(Cache::Dual))] {
        let clock = std::time::Instant::now();
        let write = |prompt: &&str| {
            let settings =
                Settings { len: Some(32), block_length: Some(8), temperature: Some(0.0), cache, ..Settings::default() };
            let output = Sampler::new(&model).settings(settings).prompt(*prompt).run().unwrap().remove(0);
            assert!(output.report.verified, "{output:?}");
            output.text
        };
        let texts: Vec<String> = PROMPTS.iter().map(write).collect();
        let seconds = clock.elapsed().as_secs_f64();
        if cache.is_none() {
            exact.clone_from(&texts);
        }
        let both = || exact.iter().zip(&texts);
        let same: usize = both().map(|(a, b)| a.bytes().zip(b.bytes()).filter(|(a, b)| a == b).count()).sum();
        let all: usize = both().map(|(a, b)| a.len().max(b.len())).sum();
        let (mut sum, mut count) = (0.0, 0);
        for (prompt, text) in PROMPTS.iter().zip(&texts) {
            let (own, tokens) = pseudo_likelihood(&model, &front, prompt, text);
            (sum, count) = (sum + own, count + tokens);
        }
        let nats = -sum / count as f64;
        println!("{name}: {same} of {all} characters as without, {nats:.3} nats per token, {seconds:.1} s\n{texts:?}");
        assert!(same * 5 >= all && nats < 6.0, "{name}");
    }
}

#[test]
fn the_command_line_writes_with_it_what_it_writes_with_the_bundled_model() {
    let folder = Folder::new("as bundled");
    llada(&folder);
    let write = |more: &[&str]| {
        let args = ["run", "The river", "--regex", "[a-z ]{20,40}\\.", "--temperature", "0", "--len", "24"];
        stencil(&[&args, more].concat()).expect(0).out
    };
    assert_eq!(write(&["-m", folder.0.to_str().unwrap()]), write(&[]));
}
