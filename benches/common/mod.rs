//! Judges that share nothing with what they judge: a word trigram model for fluency, a logistic regression for topics.
#![allow(dead_code)]

use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;
use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
};

/// A line of the training corpus.
#[derive(Deserialize)]
pub struct Entry {
    pub text: String,
    #[serde(default)]
    pub label: Option<String>,
    /// Lines of one key (a headword) stay on one side of every split.
    #[serde(default)]
    pub key: Option<String>,
}

/// The corpus named by `STENCIL_CORPUS`; `None`, loudly, where it is not set.
pub fn corpus() -> Option<Vec<Entry>> {
    let Ok(path) = std::env::var("STENCIL_CORPUS") else {
        eprintln!(
            "skipped: set STENCIL_CORPUS to the corpus (JSONL) that models/stencil-base/README.md tells how to make"
        );
        return None;
    };
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    Some(text.lines().map(|line| serde_json::from_str(line).expect("a line of the corpus")).collect())
}

pub fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).map(str::to_lowercase).collect()
}

/// Share of word pairs that are different, over all texts together.
pub fn distinct_2(texts: &[String]) -> f64 {
    let pairs: Vec<(String, String)> = texts
        .iter()
        .flat_map(|t| words(t).windows(2).map(|w| (w[0].clone(), w[1].clone())).collect::<Vec<_>>())
        .collect();
    pairs.iter().collect::<HashSet<_>>().len() as f64 / pairs.len().max(1) as f64
}

/// Interpolated Kneser–Ney trigram model over words.
#[derive(Default)]
pub struct Trigrams {
    vocab: HashMap<String, u32>,
    counts: [HashMap<Vec<u32>, f64>; 3],
    contexts: [HashMap<Vec<u32>, (f64, f64)>; 3],
}

impl Trigrams {
    const DISCOUNT: f64 = 0.75;

    pub fn fit<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut model = Self::default();
        let mut trigrams: HashMap<Vec<u32>, f64> = HashMap::new();
        for text in texts {
            let ids: Vec<u32> = words(text)
                .into_iter()
                .map(|w| {
                    let next = model.vocab.len() as u32 + 2;
                    *model.vocab.entry(w).or_insert(next)
                })
                .collect();
            let padded: Vec<u32> = [0, 0].into_iter().chain(ids).chain([0]).collect();
            for gram in padded.windows(3) {
                *trigrams.entry(gram.to_vec()).or_default() += 1.0;
            }
        }
        // Lower orders count in how many contexts a gram continues, not how often it occurs.
        model.counts[2] = trigrams;
        for order in [1, 0] {
            let mut lower: HashMap<Vec<u32>, f64> = HashMap::new();
            for gram in model.counts[order + 1].keys() {
                *lower.entry(gram[1..].to_vec()).or_default() += 1.0;
            }
            model.counts[order] = lower;
        }
        for order in 0..3 {
            let mut contexts: HashMap<Vec<u32>, (f64, f64)> = HashMap::new();
            for (gram, count) in &model.counts[order] {
                let context = contexts.entry(gram[..order].to_vec()).or_default();
                context.0 += count;
                context.1 += 1.0;
            }
            model.contexts[order] = contexts;
        }
        model
    }

    fn prob(&self, gram: &[u32]) -> f64 {
        let Some(order) = gram.len().checked_sub(1) else { return 1.0 / (self.vocab.len() + 2) as f64 };
        let lower = self.prob(&gram[1..]);
        let Some((total, kinds)) = self.contexts[order].get(&gram[..order]) else { return lower };
        let count = self.counts[order].get(gram).copied().unwrap_or(0.0);
        (count - Self::DISCOUNT).max(0.0) / total + Self::DISCOUNT * kinds / total * lower
    }

    /// Perplexity per word, the end of each text counted as a word.
    pub fn perplexity(&self, texts: &[String]) -> f64 {
        let (mut nats, mut n) = (0.0, 0.0);
        for text in texts {
            let ids = words(text).into_iter().map(|w| self.vocab.get(&w).copied().unwrap_or(1));
            let padded: Vec<u32> = [0, 0].into_iter().chain(ids).chain([0]).collect();
            for gram in padded.windows(3) {
                nats -= self.prob(gram).ln();
                n += 1.0;
            }
        }
        (nats / n).exp()
    }
}

/// Multinomial logistic regression on the presence of words and word pairs (hashed), by stochastic gradient descent.
pub struct Logistic {
    labels: Vec<String>,
    weights: Vec<f32>,
}

impl Logistic {
    const FEATURES: usize = 1 << 16;

    fn features(text: &str) -> Vec<usize> {
        let words = words(text);
        let hash = |item: &dyn Fn(&mut DefaultHasher)| {
            let mut hasher = DefaultHasher::new();
            item(&mut hasher);
            hasher.finish() as usize % Self::FEATURES
        };
        let single = words.iter().map(|w| hash(&|h| w.hash(h)));
        let pairs = words.windows(2).map(|p| hash(&|h| p.hash(h)));
        single.chain(pairs).collect::<HashSet<_>>().into_iter().collect()
    }

    fn probabilities(&self, features: &[usize]) -> Vec<f32> {
        let score = |y: usize| features.iter().map(|f| self.weights[y * Self::FEATURES + f]).sum::<f32>();
        let scores: Vec<f32> = (0..self.labels.len()).map(score).collect();
        let max = scores.iter().copied().fold(f32::MIN, f32::max);
        let exp: Vec<f32> = scores.iter().map(|s| (s - max).exp()).collect();
        let sum: f32 = exp.iter().sum();
        exp.into_iter().map(|e| e / sum).collect()
    }

    pub fn fit(examples: &[(&str, &str)], epochs: usize) -> Self {
        let mut labels: Vec<String> = examples.iter().map(|(_, y)| y.to_string()).collect();
        labels.sort();
        labels.dedup();
        let index: HashMap<&str, usize> = labels.iter().enumerate().map(|(i, l)| (l.as_str(), i)).collect();
        let prepared: Vec<(Vec<usize>, usize)> = examples.iter().map(|(t, y)| (Self::features(t), index[y])).collect();
        let mut model = Self { weights: vec![0.0; labels.len() * Self::FEATURES], labels: labels.clone() };
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut order: Vec<usize> = (0..prepared.len()).collect();
        for epoch in 0..epochs {
            order.shuffle(&mut rng);
            let rate = 0.3 / (1.0 + epoch as f32);
            for &i in &order {
                let (features, label) = &prepared[i];
                for (y, p) in model.probabilities(features).into_iter().enumerate() {
                    let step = rate * (f32::from(u8::from(y == *label)) - p);
                    for f in features {
                        model.weights[y * Self::FEATURES + f] += step;
                    }
                }
            }
        }
        model
    }

    pub fn predict(&self, text: &str) -> &str {
        let probabilities = self.probabilities(&Self::features(text));
        let best = (0..self.labels.len()).max_by(|&a, &b| probabilities[a].total_cmp(&probabilities[b]));
        best.map_or("", |y| &self.labels[y])
    }

    pub fn accuracy(&self, examples: &[(&str, &str)]) -> f64 {
        examples.iter().filter(|(t, y)| self.predict(t) == *y).count() as f64 / examples.len().max(1) as f64
    }
}
