//! The likelihood of texts: exact, or bounded by the masked-diffusion ELBO.

use super::{Coded, LanguageModel};
use crate::{CanvasView, Denoiser, Result, Token, random::rng};
use rand::Rng;
use rayon::prelude::*;

/// Maximum number of positions in one call of a model, which bounds the memory of the scores.
pub(super) const POSITIONS: usize = 1024;
/// Purpose of the random numbers of this file.
const MASKS: u64 = 20;

/// −log p of a set of texts, or a bound on it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Likelihood {
    /// −ln p: the sum over the texts, the mean over the draws.
    pub nats: f64,
    /// Standard error of `nats` over the draws; 0 for an exact likelihood.
    pub error: f64,
    /// Number of tokens, including ends.
    pub tokens: usize,
    /// Number of bytes, without ends.
    pub bytes: usize,
    /// Number of texts.
    pub texts: usize,
}

impl Likelihood {
    /// Nats per token. The end of a text counts as a token.
    pub fn nats_per_token(&self) -> f64 {
        self.nats / self.tokens.max(1) as f64
    }
    /// Bits per byte. Ends cost bits, but have no bytes.
    pub fn bits_per_byte(&self) -> f64 {
        self.nats / std::f64::consts::LN_2 / self.bytes.max(1) as f64
    }
}

/// Measures texts. Texts longer than the model's maximum are measured in separate pieces. An estimate is the mean of
/// `draws` independent estimates, which also give its standard error.
///
/// # Errors
/// A failing model.
pub fn likelihood(model: &dyn LanguageModel, texts: &[Coded], seed: u64, draws: u64) -> Result<Likelihood> {
    let pieces: Vec<Coded> = texts
        .iter()
        .flat_map(|text| {
            let condition = text.condition;
            text.tokens.chunks(model.max_len()).map(move |t| Coded { tokens: t.to_vec(), condition, bytes: 0 })
        })
        .collect();
    let draws = if model.exact() { 1 } else { draws.max(1) };
    let sums =
        (0..draws).map(|draw| Ok(model.nats(&pieces, seed, draw)?.iter().sum())).collect::<Result<Vec<f64>>>()?;
    let mean = sums.iter().sum::<f64>() / draws as f64;
    let variance = sums.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / draws.saturating_sub(1).max(1) as f64;
    Ok(Likelihood {
        nats: mean,
        error: (variance / draws as f64).sqrt(),
        tokens: texts.iter().map(|t| t.tokens.len()).sum(),
        bytes: texts.iter().map(|t| t.bytes).sum(),
        texts: texts.len(),
    })
}

/// One estimate of the negative ELBO of a masked model for each text.
///
/// With n positions, k of them masked, k uniform on 1..=n and the set uniform, (n/k)·Σ −log p over the masked positions
/// is an unbiased estimate of ∫ 1/t Σ −log p dt: independent masks of rate t, integrated over t with the weight 1/t,
/// give every set of k positions the weight 1/(k·C(n, k)). The k of different texts are spread evenly (a golden-ratio
/// sequence).
pub(super) fn masked_nats(denoiser: &dyn Denoiser, texts: &[Coded], seed: u64, draw: u64) -> Result<Vec<f64>> {
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    let offset: f64 = rng(seed, MASKS, draw).random();
    let mut nats = Vec::with_capacity(texts.len());
    let mut rest = texts;
    while !rest.is_empty() {
        let mut positions = 0;
        let fits = rest.iter().take_while(|t| {
            positions += t.tokens.len();
            positions <= POSITIONS
        });
        let (group, later) = rest.split_at(fits.count().max(1));
        rest = later;
        let mut views = Vec::with_capacity(group.len());
        let mut hidden = Vec::with_capacity(group.len());
        for text in group {
            let index = (nats.len() + views.len()) as u64;
            let t = (offset + GOLDEN * index as f64).fract();
            let n = text.tokens.len();
            let k = 1 + ((t * n as f64) as usize).min(n - 1);
            let mut random = rng(seed, MASKS + 1 + draw, index);
            let set = rand::seq::index::sample(&mut random, n, k).into_vec();
            let mut tokens: Vec<Option<Token>> = text.tokens.iter().copied().map(Some).collect();
            set.iter().for_each(|&i| tokens[i] = None);
            views.push(CanvasView { prompt: Vec::new().into(), condition: text.condition, tokens });
            hidden.push(set);
        }
        let tables = denoiser.predict(&views)?;
        let work = tables.par_iter().zip(group).zip(&hidden);
        nats.par_extend(work.map(|((table, text), set)| {
            let sum: f64 = set.iter().map(|&i| surprise(table.row(i), text.tokens[i])).sum();
            sum * text.tokens.len() as f64 / set.len() as f64
        }));
    }
    Ok(nats)
}

/// −log softmax(scores)\[token\].
pub(super) fn surprise(scores: &[f32], token: Token) -> f64 {
    let top = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = scores.iter().map(|s| f64::from((s - top).exp())).sum();
    sum.ln() + f64::from(top) - scores.get(token as usize).map_or(f64::NEG_INFINITY, |&s| f64::from(s))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Model, Vocab,
        models::{Chain, Oracle},
    };

    #[test]
    fn the_bound_is_tight_and_its_error_honest_for_a_model_that_knows_the_joint() {
        let vocab =
            Vocab::from_bytes((0..5u8).map(|t| (t > 0).then(|| vec![b'a' + t])).collect(), Some(0), None).unwrap();
        let texts: Vec<Vec<Token>> = (0..40u32).map(|i| (0..7).map(|j| 1 + (i * j + i / 3) % 4).collect()).collect();
        let chain = Chain::fit(&vocab, texts.iter().map(Vec::as_slice), 0.1).unwrap();
        let oracle = Oracle::new(vocab.clone(), chain.clone()).unwrap();
        let coded = |tokens: &Vec<Token>| Coded {
            tokens: tokens.iter().copied().chain([0]).collect(),
            condition: None,
            bytes: tokens.len(),
        };
        let coded: Vec<Coded> = texts.iter().map(coded).collect();
        let exact = |text: &Coded| {
            let tokens = text.tokens.iter().copied().map(Some).collect();
            -oracle.log_prob(&CanvasView { prompt: Vec::new().into(), condition: None, tokens })
        };
        let want: f64 = coded.iter().map(exact).sum();
        let found = likelihood(&Model::new(Oracle::new(vocab, chain).unwrap()), &coded, 0, 200).unwrap();
        assert_eq!((found.tokens, found.bytes, found.texts), (320, 280, 40));
        assert!(found.error > 0.0 && found.error < 0.02 * want, "{found:?}");
        assert!((found.nats - want).abs() < 4.0 * found.error, "{found:?}, not {want}");
    }

    #[test]
    fn long_texts_are_measured_in_pieces() {
        let vocab = Vocab::from_bytes((0..3u8).map(|t| Some(vec![b'a' + t])).collect(), None, None).unwrap();
        let chain = Chain::new(vec![1.0; 3], vec![1.0; 9]).unwrap();
        let model = Model::new(Oracle::new(vocab, chain).unwrap());
        let len = model.denoiser().max_len().min(3000) + 5;
        let text = Coded { tokens: vec![1; len], condition: None, bytes: len };
        let found = likelihood(&model, &[text], 0, 2).unwrap();
        assert!((found.nats_per_token() - 3f64.ln()).abs() < 1e-4, "{found:?}");
    }
}
