//! The model as it would be shipped, while it is trained: how well it does, and what it writes.

use super::batch::rng;
use crate::eval::LanguageModel;
use crate::models::{CausalModel, MaskedModel, masked::MaskedConfig, masked::Network};
use crate::{CanvasView, Denoiser, Model, Result, Vocab};
use rand::{Rng, seq::SliceRandom};

/// Purpose of the random numbers here.
const SAMPLES: u64 = 4;
/// Below 1, so that a few words show what was learnt.
const TEMPERATURE: f32 = 0.8;

/// A model of either objective.
pub enum Trained {
    Masked(Model),
    Causal(Box<CausalModel>),
}

impl Trained {
    pub fn new(config: MaskedConfig, vocab: Vocab, network: Network) -> Result<Self> {
        Ok(match config.causal {
            true => Self::Causal(Box::new(CausalModel::new(config, vocab, network)?)),
            false => Self::Masked(Model::new(MaskedModel::new(config, vocab, network)?)),
        })
    }

    pub fn language_model(&self) -> &dyn LanguageModel {
        match self {
            Self::Masked(model) => model,
            Self::Causal(model) => &**model,
        }
    }

    /// A text of at most `len` tokens: from left to right, or one position after the other in random order.
    pub fn sample(&self, len: usize, condition: Option<usize>, seed: u64, counter: u64) -> Result<String> {
        let mut rng = rng(seed, SAMPLES, counter);
        match self {
            Self::Causal(model) => model.sample(len, condition, TEMPERATURE, &mut rng),
            Self::Masked(model) => sample(model.denoiser(), len, condition, &mut rng),
        }
    }
}

fn sample(model: &dyn Denoiser, len: usize, condition: Option<usize>, rng: &mut impl Rng) -> Result<String> {
    let mut view = CanvasView { prompt: Vec::new(), condition, tokens: vec![None; len] };
    let mut order: Vec<usize> = (0..len).collect();
    order.shuffle(rng);
    for pos in order {
        if let Some(scores) = model.predict(std::slice::from_ref(&view))?.first() {
            view.tokens[pos] = Some(crate::models::draw(scores.row(pos), TEMPERATURE, rng));
        }
    }
    let eos = model.vocab().eos();
    let written: Vec<u32> = view.tokens.into_iter().flatten().take_while(|&t| Some(t) != eos).collect();
    Ok(String::from_utf8_lossy(&model.vocab().decode(&written)).into_owned())
}
