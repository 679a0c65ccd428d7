//! Held-out likelihood and sample texts.

use super::{batch::rng, data::Example};
use crate::models::masked::{MaskedConfig, MaskedModel, Network, Packed};
use crate::{CanvasView, Denoiser, Result};
use rand::Rng;

/// An upper bound on the negative log-likelihood.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Nelbo {
    /// The end of the text counts as a token.
    pub nats_per_token: f64,
    /// Bytes of the texts, their ends not counted.
    pub bits_per_byte: f64,
    /// Texts measured.
    pub texts: usize,
}

/// The masked bound, E over t of (1/t)·Σ over masked positions of −log p, with the same masks on every call.
pub fn nelbo(network: &Network, config: &MaskedConfig, examples: &[Example], seed: u64) -> Result<Nelbo> {
    const DRAWS: usize = 4;
    const BATCH: usize = 32;
    let (mut nats, mut tokens, mut bytes) = (0.0, 0, 0);
    for (i, group) in examples.chunks(BATCH).enumerate() {
        let mut rng = rng(seed, 2, i as u64);
        for draw in 0..DRAWS {
            let (mut packed, mut rows, mut targets, mut weights) = (Packed::default(), vec![], vec![], vec![]);
            for example in group {
                let t = ((draw as f64 + rng.random::<f64>()) / DRAWS as f64).max(1e-3);
                let condition = example.label.and_then(|l| config.conditions.get(l));
                let mut seen = vec![condition.map_or(config.null_token, |c| c.token)];
                for token in example.tokens.iter().copied().chain([config.eos_token]) {
                    let masked = rng.random_bool(t);
                    if masked {
                        rows.push((packed.tokens.len() + seen.len()) as u32);
                        targets.push(token);
                        weights.push(1.0 / t);
                    }
                    seen.push(if masked { config.mask_token } else { token });
                }
                packed.push(seen);
            }
            let losses = network.losses(&packed, &rows, &targets);
            nats += losses.iter().zip(weights).map(|(&l, w)| f64::from(l) * w).sum::<f64>() / DRAWS as f64;
        }
        tokens += group.iter().map(|e| e.tokens.len() + 1).sum::<usize>();
        bytes += group.iter().map(|e| e.bytes).sum::<usize>();
    }
    Ok(Nelbo {
        nats_per_token: nats / tokens.max(1) as f64,
        bits_per_byte: nats / std::f64::consts::LN_2 / bytes.max(1) as f64,
        texts: examples.len(),
    })
}

/// A text of at most `len` tokens: one step per position, the most confident of the sampled tokens first.
pub fn sample(model: &MaskedModel, len: usize, condition: Option<usize>, rng: &mut impl Rng) -> Result<String> {
    let mut view = CanvasView { prompt: Vec::new(), condition, tokens: vec![None; len] };
    while view.tokens.contains(&None) {
        let scores = model.predict(std::slice::from_ref(&view))?;
        let Some(scores) = scores.first() else { break };
        let open = (0..len).filter(|&pos| view.tokens[pos].is_none());
        let drawn = open.map(|pos| {
            let (token, p) = draw(scores.row(pos), 0.7, rng);
            (pos, token, p)
        });
        if let Some((pos, token, _)) = drawn.max_by(|a, b| a.2.total_cmp(&b.2)) {
            view.tokens[pos] = Some(token);
        }
    }
    let written = view.tokens.iter().flatten().copied().take_while(|&t| t != model.config().eos_token);
    Ok(String::from_utf8_lossy(&model.vocab().decode(&written.collect::<Vec<_>>())).into_owned())
}

/// A token drawn at this temperature, and its probability.
fn draw(scores: &[f32], temperature: f32, rng: &mut impl Rng) -> (u32, f32) {
    let top = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weights: Vec<f32> = scores.iter().map(|s| ((s - top) / temperature).exp()).collect();
    let total: f32 = weights.iter().sum();
    let mut left = rng.random::<f32>() * total;
    let chosen = weights.iter().position(|w| {
        left -= w;
        left < 0.0
    });
    let token = chosen.unwrap_or(0);
    (token as u32, weights.get(token).map_or(0.0, |w| w / total))
}
