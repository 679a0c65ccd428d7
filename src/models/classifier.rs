//! A classifier on the hidden states of a network: it predicts the label of a text, even of a text that is mostly
//! masked.

use super::log_sum_exp;
use super::masked::{MaskedCheckpoint, MaskedConfig, MaskedNetwork, PackedSequences};
use crate::{Error, Result, Token};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use std::{collections::HashMap, path::Path};

/// File name of the classifier in a checkpoint directory.
pub const CLASSIFIER: &str = "classifier.safetensors";

/// log softmax(W·z + b) with z = Σᵢ softmax(q·hᵢ)·hᵢ: attention over the states of all positions, then a linear layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// The labels, in the order of the outputs.
    pub labels: Vec<String>,
    /// Width of a state.
    pub width: usize,
    /// q (width), W (labels × width), b (labels), one after the other.
    pub weights: Vec<f32>,
}

impl Head {
    /// A head with zero weights: it gives every label the same probability.
    pub fn new(labels: Vec<String>, width: usize) -> Self {
        let weights = vec![0.0; width + labels.len() * (width + 1)];
        Self { labels, width, weights }
    }

    fn parts<'a>(&self, numbers: &'a [f32]) -> [&'a [f32]; 3] {
        let (query, rest) = numbers.split_at(self.width);
        let (weight, bias) = rest.split_at(self.labels.len() * self.width);
        [query, weight, bias]
    }

    /// log p(label) of a text, given its states (positions × width).
    pub fn log_probs(&self, states: &[f32]) -> Vec<f32> {
        self.forward(states).1
    }

    /// Returns the attention over the positions, and the log-probabilities.
    fn forward(&self, states: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let [query, weight, bias] = self.parts(&self.weights);
        let mut attention: Vec<f32> = states.chunks_exact(self.width).map(|h| dot(query, h)).collect();
        log_softmax(&mut attention);
        attention.iter_mut().for_each(|a| *a = a.exp());
        let pooled = pool(&attention, states, self.width);
        let mut logits: Vec<f32> =
            weight.chunks_exact(self.width).zip(bias).map(|(w, b)| dot(w, &pooled) + b).collect();
        log_softmax(&mut logits);
        (attention, logits)
    }

    /// −log p(label) of a text. Adds the gradient times `scale` to `gradient`, which is laid out as the weights.
    pub fn loss_and_gradient(&self, states: &[f32], label: usize, scale: f32, gradient: &mut [f32]) -> f64 {
        let (attention, log_probs) = self.forward(states);
        let pooled = pool(&attention, states, self.width);
        let [_, weight, _] = self.parts(&self.weights);
        let (query_gradient, rest) = gradient.split_at_mut(self.width);
        let (weight_gradient, bias_gradient) = rest.split_at_mut(self.labels.len() * self.width);
        let mut pooled_gradient = vec![0.0; self.width];
        for (y, log_p) in log_probs.iter().enumerate() {
            let g = scale * (log_p.exp() - f32::from(y == label));
            let row = y * self.width..(y + 1) * self.width;
            add_scaled(&mut weight_gradient[row.clone()], g, &pooled);
            add_scaled(&mut pooled_gradient, g, &weight[row]);
            bias_gradient[y] += g;
        }
        let mean = dot(&pooled, &pooled_gradient);
        for (a, h) in attention.iter().zip(states.chunks_exact(self.width)) {
            add_scaled(query_gradient, a * (dot(h, &pooled_gradient) - mean), h);
        }
        f64::from(-log_probs[label])
    }

    /// Serialises the head as a safetensors file with the labels in its header.
    ///
    /// # Errors
    /// A head that cannot be serialised.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let bytes: Vec<u8> = self.weights.iter().flat_map(|w| w.to_le_bytes()).collect();
        let labels = serde_json::to_string(&self.labels).map_err(|e| Error::io(e.to_string()))?;
        // The header has a single entry, since several entries would be written in a random order. The width follows
        // from the sizes.
        let header = HashMap::from([("labels".to_string(), labels)]);
        let view = TensorView::new(Dtype::F32, vec![self.weights.len()], &bytes).map_err(damaged)?;
        safetensors::serialize([("weights", view)], Some(header)).map_err(damaged)
    }

    /// Reads a head that [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    /// A damaged file.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
        let labels = header.metadata().as_ref().and_then(|m| m.get("labels"));
        let labels: Vec<String> = labels.and_then(|labels| serde_json::from_str(labels).ok()).unwrap_or_default();
        let file = SafeTensors::deserialize(bytes).map_err(damaged)?;
        let (numbers, _) = file.tensor("weights").map_err(damaged)?.data().as_chunks::<4>();
        let weights: Vec<f32> = numbers.iter().map(|b| f32::from_le_bytes(*b)).collect();
        // The weights hold the query, and one row and one bias for every label.
        let width = weights.len().saturating_sub(labels.len()) / (labels.len() + 1);
        if labels.is_empty() || width == 0 || (labels.len() + 1) * width + labels.len() != weights.len() {
            return Err(Error::model("the classifier has the wrong shape"));
        }
        Ok(Self { labels, width, weights })
    }
}

/// A network with a classification head.
pub struct Classifier {
    config: MaskedConfig,
    network: MaskedNetwork,
    head: Head,
}

impl Classifier {
    /// Reads the classifier of a checkpoint directory; `None` where the directory has none.
    ///
    /// # Errors
    /// Of kind `Model`, naming the file and what is wrong with it.
    pub fn load(directory: &Path) -> Result<Option<Self>> {
        let path = directory.join(CLASSIFIER);
        if !path.exists() {
            return Ok(None);
        }
        let bytes =
            std::fs::read(&path).map_err(|e| Error::model(format!("cannot read {}", path.display())).because(e))?;
        let head = Head::from_bytes(&bytes).map_err(|e| e.context(path.display()))?;
        let MaskedCheckpoint { config, network, .. } = MaskedCheckpoint::load(directory)?;
        if head.width != config.hidden_size {
            return Err(Error::model(format!("{}: made for states of width {}", path.display(), head.width)));
        }
        Ok(Some(Self { config, network, head }))
    }

    /// The labels.
    pub fn labels(&self) -> &[String] {
        &self.head.labels
    }

    /// Maximum number of positions of a text.
    pub fn max_len(&self) -> usize {
        self.config.max_len
    }

    /// log p(label | visible tokens) of texts; `None` is a masked token. One list per text, in the order of the labels.
    ///
    /// # Errors
    /// A text longer than the model holds, or an unknown token.
    pub fn log_probs(&self, texts: &[Vec<Option<Token>>]) -> Result<Vec<Vec<f32>>> {
        let config = &self.config;
        for text in texts {
            if text.len() > config.max_len {
                return Err(Error::input(format!("{} positions, but the model holds {}", text.len(), config.max_len)));
            }
            if text.iter().flatten().any(|&t| t as usize >= config.vocab_size) {
                return Err(Error::input("a token lies outside the classifier's vocabulary"));
            }
        }
        Ok(states(&self.network, config, texts).iter().map(|states| self.head.log_probs(states)).collect())
    }
}

/// The hidden states of all positions of each text. The network sees the text without a condition.
pub(crate) fn states(network: &MaskedNetwork, config: &MaskedConfig, texts: &[Vec<Option<Token>>]) -> Vec<Vec<f32>> {
    let mut packed = PackedSequences::default();
    for text in texts {
        let text = text.iter().map(|token| token.unwrap_or(config.mask_token));
        packed.push(std::iter::once(config.null_token).chain(text));
    }
    let rows: Vec<u32> = (0..packed.tokens.len() as u32).collect();
    let hidden = network.hidden(&packed, &rows);
    let mut rest = hidden.as_slice();
    let lengths = packed.lengths.iter();
    lengths.map(|len| rest.split_off(..len * config.hidden_size).unwrap_or_default().to_vec()).collect()
}

fn pool(attention: &[f32], states: &[f32], width: usize) -> Vec<f32> {
    let mut pooled = vec![0.0; width];
    for (&a, h) in attention.iter().zip(states.chunks_exact(width)) {
        add_scaled(&mut pooled, a, h);
    }
    pooled
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add_scaled(y: &mut [f32], a: f32, x: &[f32]) {
    y.iter_mut().zip(x).for_each(|(y, x)| *y += a * x);
}

fn log_softmax(xs: &mut [f32]) {
    let log_sum = log_sum_exp(xs.iter().copied());
    xs.iter_mut().for_each(|x| *x -= log_sum);
}

fn damaged(e: safetensors::SafeTensorError) -> Error {
    Error::model(format!("the classifier is damaged: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> (Head, Vec<f32>) {
        let mut head = Head::new(vec!["a".into(), "b".into(), "c".into()], 4);
        let wave = |i: usize, f: f32| (i as f32 * f).sin();
        head.weights.iter_mut().enumerate().for_each(|(i, w)| *w = wave(i, 1.7));
        (head, (0..20).map(|i| wave(i, 2.3)).collect())
    }

    #[test]
    fn the_gradient_agrees_with_differences() {
        let (head, states) = head();
        let mut gradient = vec![0.0; head.weights.len()];
        head.loss_and_gradient(&states, 1, 2.0, &mut gradient);
        for (i, got) in gradient.into_iter().enumerate() {
            let at = |delta: f32| {
                let mut moved = head.clone();
                moved.weights[i] += delta;
                -f64::from(moved.log_probs(&states)[1]) * 2.0
            };
            let want = (at(1e-2) - at(-1e-2)) / 2e-2;
            assert!((f64::from(got) - want).abs() < 1e-3, "{i}: {got} {want}");
        }
    }

    #[test]
    fn a_head_survives_its_file_and_damage_is_refused() {
        let (head, states) = head();
        let bytes = head.to_bytes().unwrap();
        assert_eq!(Head::from_bytes(&bytes).unwrap(), head);
        assert!((head.log_probs(&states).iter().map(|p| p.exp()).sum::<f32>() - 1.0).abs() < 1e-5);
        assert!(Head::from_bytes(&bytes[..bytes.len() - 4]).is_err());
        assert!(Head::from_bytes(b"").is_err());
    }
}
