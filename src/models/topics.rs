//! Label statistics: the evidence that the presence of a token gives for a topic.

use crate::{Error, Result, Token};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use std::collections::{BTreeSet, HashMap};

/// Naive-Bayes statistics of labelled texts over a model's vocabulary.
#[derive(Debug, Clone, PartialEq)]
pub struct Topics {
    labels: Vec<String>,
    log_prior: Vec<f32>,
    /// labels × V: log p(v present | label) − log p(v present), smoothed, clipped to ±[`CLIP`](Self::CLIP).
    weights: Vec<f32>,
    vocab: usize,
}

impl Topics {
    /// Maximum weight of one token, in nats, so that a rare token does not decide alone.
    pub const CLIP: f32 = 4.0;

    /// Fits the statistics: W = log (present + 1) / (expected + 1), where `present` is the number of texts of the label
    /// that contain the token, and `expected` follows from the token's overall rate. A token that is too rare has
    /// weight 0.
    pub fn fit<'a, T: AsRef<[Token]>>(vocab: usize, texts: impl IntoIterator<Item = (&'a str, T)>) -> Result<Self> {
        let mut counts: HashMap<&str, (f64, Vec<f64>)> = HashMap::new();
        let mut overall = vec![0.0f64; vocab];
        let mut total = 0.0;
        for (label, tokens) in texts {
            let (n, present) = counts.entry(label).or_insert_with(|| (0.0, vec![0.0; vocab]));
            *n += 1.0;
            total += 1.0;
            for &token in tokens.as_ref().iter().collect::<BTreeSet<_>>() {
                let token = token as usize;
                if token >= vocab {
                    return Err(Error::model(format!("token {token} lies outside the vocabulary of {vocab}")));
                }
                present[token] += 1.0;
                overall[token] += 1.0;
            }
        }
        if total == 0.0 {
            return Err(Error::input("no labelled text to learn topics from"));
        }
        let mut labels: Vec<String> = counts.keys().map(|l| l.to_string()).collect();
        labels.sort();
        let mut log_prior = Vec::new();
        let mut weights = Vec::new();
        for label in &labels {
            let (n, present) = &counts[label.as_str()];
            log_prior.push((n / total).ln() as f32);
            weights.extend((0..vocab).map(|v| {
                let expected = overall[v] * n / total;
                (((present[v] + 1.0) / (expected + 1.0)).ln() as f32).clamp(-Self::CLIP, Self::CLIP)
            }));
        }
        Ok(Self { labels, log_prior, weights, vocab })
    }

    /// The labels of the topics.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }
    /// log π of each label, in nats.
    pub fn log_prior(&self) -> &[f32] {
        &self.log_prior
    }
    /// W_y of a label: one weight per token.
    pub fn weights(&self, label: usize) -> &[f32] {
        &self.weights[label * self.vocab..(label + 1) * self.vocab]
    }
    /// Number of tokens.
    pub fn vocab(&self) -> usize {
        self.vocab
    }

    /// Serialises the statistics as a safetensors file: `weights` (labels × V, f16), `log_prior` (f32), the labels in
    /// its metadata.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let weights: Vec<u8> = self.weights.iter().flat_map(|&w| half::f16::from_f32(w).to_le_bytes()).collect();
        let prior: Vec<u8> = self.log_prior.iter().flat_map(|p| p.to_le_bytes()).collect();
        let view = |dtype, shape, data| TensorView::new(dtype, shape, data).map_err(damaged);
        let tensors = [
            ("weights", view(Dtype::F16, vec![self.labels.len(), self.vocab], &weights)?),
            ("log_prior", view(Dtype::F32, vec![self.labels.len()], &prior)?),
        ];
        let labels = serde_json::to_string(&self.labels).map_err(|e| Error::io(e.to_string()))?;
        safetensors::serialize(tensors, Some(HashMap::from([("labels".to_string(), labels)]))).map_err(damaged)
    }

    /// Reads statistics that [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    /// A damaged file (kind `Model`).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
        let labels = header.metadata().as_ref().and_then(|m| m.get("labels"));
        let labels: Vec<String> = labels
            .and_then(|l| serde_json::from_str(l).ok())
            .ok_or_else(|| Error::model("the topic statistics name no labels"))?;
        let file = SafeTensors::deserialize(bytes).map_err(damaged)?;
        let tensor = |name| file.tensor(name).map_err(damaged);
        let weights: Vec<f32> = tensor("weights")?
            .data()
            .chunks_exact(2)
            .map(|b| half::f16::from_le_bytes([b[0], b[1]]).to_f32())
            .collect();
        let log_prior: Vec<f32> =
            tensor("log_prior")?.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        if labels.is_empty() || log_prior.len() != labels.len() || !weights.len().is_multiple_of(labels.len()) {
            return Err(Error::model("the topic statistics have the wrong shape"));
        }
        Ok(Self { vocab: weights.len() / labels.len(), labels, log_prior, weights })
    }
}

fn damaged(e: safetensors::SafeTensorError) -> Error {
    Error::model(format!("the topic statistics are damaged: {e}"))
}
