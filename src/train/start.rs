//! Initial weights: random, or those of another model.

use crate::models::masked::{EMBEDDING, Init, MaskedCheckpoint, MaskedConfig, Parameter};
use crate::{Error, Result, Vocab};
use rand::Rng;
use std::{collections::HashMap, path::Path};

/// A checkpoint whose weights initialise a new network. The tokenizers may differ: a token of both keeps its embedding,
/// and any other token starts at the mean of the tokens that write its bytes.
pub struct Start {
    old: MaskedCheckpoint,
    /// For each new token, the tokens of the checkpoint whose mean initialises it.
    sources: Vec<Vec<u32>>,
}

impl Start {
    /// Reads the checkpoint.
    ///
    /// # Errors
    /// A checkpoint that cannot be read or has other sizes than `model`.
    pub fn load(directory: &Path, model: &MaskedConfig, vocab: &Vocab) -> Result<Self> {
        let old = MaskedCheckpoint::load(directory).map_err(|e| e.context("model.start"))?;
        let sizes = |c: &MaskedConfig| [c.hidden_size, c.layers, c.heads, c.ff_size];
        if sizes(&old.config) != sizes(model) {
            return Err(Error::input(format!(
                "model.start: {} has other sizes (width, layers, heads, feed-forward {:?}) than [model] ({:?})",
                directory.display(),
                sizes(&old.config),
                sizes(model)
            )));
        }
        let tokens = 0..old.vocab.len() as u32;
        let known: HashMap<&[u8], u32> = tokens.filter_map(|t| Some((old.vocab.bytes(t)?, t))).collect();
        let condition = |token: u32| {
            let label = &model.conditions.iter().find(|c| c.token == token)?.label;
            old.config.conditions.iter().find(|c| &c.label == label).map(|c| c.token)
        };
        let source = |token: u32| match vocab.bytes(token) {
            _ if token == model.eos_token => vec![old.config.eos_token],
            _ if token == model.mask_token => vec![old.config.mask_token],
            Some(bytes) if !bytes.is_empty() => match known.get(bytes) {
                Some(&same) => vec![same],
                None => pieces(bytes, &old.vocab, &known),
            },
            _ => vec![condition(token).unwrap_or(old.config.null_token)],
        };
        let sources = (0..vocab.len() as u32).map(source).collect();
        Ok(Self { old, sources })
    }

    /// The initial numbers of a weight.
    ///
    /// # Errors
    /// A weight that the checkpoint lacks.
    pub fn weight(&self, parameter: &Parameter) -> Result<Vec<f32>> {
        let old = &self.old.network;
        let missing = || Error::model(format!("model.start: no weight {}", parameter.name));
        let same = old.parameters().iter().find(|p| p.name == parameter.name).ok_or_else(missing)?;
        let numbers = old.weights().get(same.range.clone()).ok_or_else(missing)?;
        if parameter.name != EMBEDDING {
            return Ok(numbers.to_vec());
        }
        let width = self.old.config.hidden_size;
        let row = |token: u32| numbers.chunks_exact(width).nth(token as usize).unwrap_or_default();
        let mut out = vec![0.0; self.sources.len() * width];
        for (mean, tokens) in out.chunks_exact_mut(width).zip(&self.sources) {
            for &token in tokens {
                mean.iter_mut().zip(row(token)).for_each(|(m, x)| *m += x / tokens.len() as f32);
            }
        }
        Ok(out)
    }
}

/// The tokens that write these bytes, which need not be whole characters.
fn pieces(bytes: &[u8], vocab: &Vocab, known: &HashMap<&[u8], u32>) -> Vec<u32> {
    let text = std::str::from_utf8(bytes).ok();
    let encoded = text.and_then(|text| vocab.encode(text).ok());
    encoded.unwrap_or_else(|| bytes.chunks(1).filter_map(|byte| known.get(byte).copied()).collect())
}

/// The random initial numbers of a weight.
pub fn initial(parameter: &Parameter, rng: &mut impl Rng) -> Vec<f32> {
    match parameter.init {
        Init::Ones => vec![1.0; parameter.range.len()],
        Init::Normal(std) => parameter.range.clone().map(|_| (normal(rng) * std) as f32).collect(),
    }
}

/// A number from the standard normal distribution (Box–Muller).
fn normal(rng: &mut impl Rng) -> f64 {
    let (a, b): (f64, f64) = (1.0 - rng.random::<f64>(), rng.random());
    (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_tokens_keep_their_embedding_and_new_ones_start_from_their_pieces() {
        let folder = Path::new("models/stencil-base");
        let old = MaskedCheckpoint::load(folder).unwrap();
        let bytes = |i: u32| old.vocab.bytes(i).map(<[u8]>::to_vec);
        // The same tokens in reverse, and at the end a word that is no token of the checkpoint.
        let mut tokens: Vec<_> = (0..old.vocab.len() as u32).rev().map(bytes).collect();
        let (mask, eos, null) = (old.config.mask_token, old.config.eos_token, old.config.null_token);
        let turned = |token: u32| (old.vocab.len() - 1) as u32 - token;
        tokens.push(Some(b" lionlion".to_vec()));
        let vocab = Vocab::from_bytes(tokens, Some(turned(eos)), None).unwrap();
        let mut model = old.config.clone();
        model.vocab_size += 1;
        (model.mask_token, model.eos_token, model.null_token) = (turned(mask), turned(eos), turned(null));
        model.conditions.iter_mut().for_each(|c| c.token = turned(c.token));
        let start = Start::load(folder, &model, &vocab).unwrap();
        let parameter = &old.network.parameters()[0];
        assert_eq!(parameter.name, EMBEDDING);
        let rows = start.weight(parameter).unwrap();
        let width = model.hidden_size;
        let new = |token: u32| &rows[token as usize * width..][..width];
        let was = |token: u32| &old.network.weights()[token as usize * width..][..width];
        for token in 0..old.vocab.len() as u32 {
            assert_eq!(new(turned(token)), was(token), "{token}");
        }
        let pieces = old.vocab.encode(" lionlion").unwrap();
        let mean = pieces.iter().map(|&t| was(t)[0]).sum::<f32>() / pieces.len() as f32;
        assert!((new(old.vocab.len() as u32)[0] - mean).abs() < 1e-6);
        model.layers += 1;
        let refused = Start::load(folder, &model, &vocab).err().unwrap();
        assert!(refused.to_string().contains("other sizes"), "{refused}");
    }
}
