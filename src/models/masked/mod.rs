//! A masked diffusion transformer. This module shows open positions to the network as a mask token.

mod checkpoint;
mod config;
mod gradient;
mod network;
mod weight_format;
mod workspace;

pub use checkpoint::{CONFIG, MaskedCheckpoint, TOKENIZER, WEIGHTS};
pub use config::{Condition, MODEL_TYPE, MaskedConfig};
pub use gradient::Targets;
pub use network::{EMBEDDING, Init, MaskedNetwork, PackedSequences, Parameter};
pub use weight_format::{WeightFormat, weights_to_bytes};

use super::{Hidden, SamplingDefaults};
use crate::{CanvasView, Denoiser, Error, Result, Scores, Vocab};

/// The score of tokens without text (mask, conditions): finite, and out of reach of any guide.
pub(super) const NEVER: f32 = -1e4;

/// Checks that a tokenizer fits a configuration.
pub(super) fn check_special_tokens(config: &MaskedConfig, vocab: &Vocab) -> Result<()> {
    if vocab.len() != config.vocab_size {
        return Err(Error::model(format!(
            "the tokenizer has {} tokens, the model predicts {}",
            vocab.len(),
            config.vocab_size
        )));
    }
    if let Some(token) = config.unpredictable().find(|&t| vocab.bytes(t).is_some()) {
        return Err(Error::model(format!(
            "token {token} is special in config.json, but writes {:?} in the tokenizer",
            String::from_utf8_lossy(vocab.bytes(token).unwrap_or_default())
        ))
        .help("use the tokenizer.json that was trained with these weights"));
    }
    Ok(())
}

/// A masked denoiser without time conditioning (MDLM, arXiv 2406.07524; LLaDA, arXiv 2502.09992).
pub struct MaskedModel {
    config: MaskedConfig,
    labels: Vec<String>,
    vocab: Vocab,
    network: MaskedNetwork,
}

impl MaskedModel {
    /// # Errors
    /// A tokenizer that does not fit the configuration.
    pub fn new(config: MaskedConfig, vocab: Vocab, network: MaskedNetwork) -> Result<Self> {
        config.check()?;
        if config.causal {
            return Err(Error::model(format!(
                "{:?} writes from left to right and cannot fill what is open",
                config.name
            ))
            .help("use a masked model here; `stencil eval` measures causal ones"));
        }
        check_special_tokens(&config, &vocab)?;
        let labels = config.conditions.iter().map(|c| c.label.clone()).collect();
        Ok(Self { config, labels, vocab, network })
    }

    /// Sizes and special tokens.
    pub fn config(&self) -> &MaskedConfig {
        &self.config
    }
    /// The network.
    pub fn network(&self) -> &MaskedNetwork {
        &self.network
    }

    /// Packs the views into one batch. Returns the batch and the rows of the views' positions.
    fn pack(&self, views: &[CanvasView]) -> Result<(PackedSequences, Vec<u32>)> {
        let mut packed = PackedSequences::default();
        let mut rows = Vec::new();
        for view in views {
            packed.push(self.sequence(view)?);
            let end = packed.tokens.len();
            rows.extend((end - view.tokens.len()..end).map(|row| row as u32));
        }
        Ok((packed, rows))
    }

    fn sequence<'a>(&self, view: &'a CanvasView) -> Result<impl Iterator<Item = u32> + use<'a>> {
        let len = view.prompt.len() + view.tokens.len();
        if len > self.config.max_len {
            return Err(Error::input(format!("{len} positions, but the model holds {}", self.config.max_len))
                .help("use a shorter prompt or a smaller --len"));
        }
        let condition = match view.condition {
            None => self.config.null_token,
            Some(index) => {
                let known = self.config.conditions.get(index);
                known.map(|c| c.token).ok_or_else(|| {
                    Error::input(format!("condition {index}, but the model knows {}", self.labels.len()))
                })?
            }
        };
        let visible = view.prompt.iter().copied().map(Some).chain(view.tokens.iter().copied());
        let size = self.config.vocab_size;
        if let Some(token) = visible.clone().flatten().find(|&t| t as usize >= size) {
            return Err(Error::input(format!("token {token} lies outside the model's vocabulary of {size}")));
        }
        let mask = self.config.mask_token;
        Ok(std::iter::once(condition).chain(visible.map(move |t| t.unwrap_or(mask))))
    }
}

impl Denoiser for MaskedModel {
    fn name(&self) -> &str {
        &self.config.name
    }
    fn vocab(&self) -> &Vocab {
        &self.vocab
    }
    fn max_len(&self) -> usize {
        self.config.max_len
    }
    fn conditions(&self) -> &[String] {
        &self.labels
    }
    /// Defaults for the bundled model: as varied as its texts can be while they still read well
    /// (`docs/measurements.md`).
    fn defaults(&self) -> SamplingDefaults {
        SamplingDefaults { temperature: (1.0, 1.0), templates: Some(("entropy", 0.8)), ..SamplingDefaults::default() }
    }
    fn lengths(&self) -> &[usize] {
        &self.config.lengths
    }
    fn parameters(&self) -> Option<usize> {
        Some(self.config.parameters())
    }

    fn hidden(&self, views: &[CanvasView]) -> Result<Vec<Hidden>> {
        let (packed, rows) = self.pack(views)?;
        let width = self.config.hidden_size;
        let states = if rows.is_empty() { Vec::new() } else { self.network.hidden(&packed, &rows) };
        let mut rest = states.as_slice();
        let own = |view: &CanvasView| {
            let own = rest.split_off(..view.tokens.len() * width).unwrap_or_default();
            Hidden::new(width, own.to_vec())
        };
        views.iter().map(own).collect()
    }

    fn predict(&self, views: &[CanvasView]) -> Result<Vec<Scores>> {
        let (packed, rows) = self.pack(views)?;
        let size = self.config.vocab_size;
        if rows.is_empty() {
            return Ok(views.iter().map(|_| Scores::zeros(0, size)).collect());
        }
        let mut logits = self.network.logits(&packed, &rows);
        for row in logits.chunks_exact_mut(size) {
            for token in self.config.unpredictable() {
                row[token as usize] = NEVER;
            }
        }
        if let [view] = views
            && view.tokens.len() * size == logits.len()
        {
            return Ok(vec![Scores::new(size, logits)?]);
        }
        let mut rest = logits.as_slice();
        views
            .iter()
            .map(|view| {
                let own = rest.split_off(..view.tokens.len() * size).unwrap_or_default();
                Scores::new(size, own.to_vec())
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
