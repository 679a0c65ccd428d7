//! Training of the classifier: a head on the frozen network, with texts of which a share t is masked, t uniform.

use super::data::{Corpus, Example};
use super::order::Permutation;
use super::store::Store;
use super::{ClassifierConfig, TrainConfig, TrainOptions, state};
use crate::models::masked::{MaskedConfig, MaskedNetwork};
use crate::models::{CLASSIFIER, Head, states};
use crate::random::rng;
use crate::{Result, Token};
use rand::Rng;

/// Purposes of the random numbers of this file.
const MASKS: u64 = 6;
const TESTS: u64 = 7;
/// Number of held-out texts that measure its accuracy.
const TEXTS: u64 = 1000;

/// Trains the head, reports its accuracy on held-out texts, and writes it beside the model.
///
/// # Errors
/// A corpus without labels, a full disk, `Interrupted`.
pub fn train(
    settings: &ClassifierConfig,
    config: &TrainConfig,
    options: &TrainOptions,
    model: &MaskedConfig,
    network: &MaskedNetwork,
    corpus: &Corpus,
) -> Result<()> {
    let labels: Vec<String> = model.conditions.iter().map(|c| c.label.clone()).collect();
    if labels.len() < 2 {
        return Err(crate::Error::input("a classifier needs texts with at least two labels")
            .help("leave out [classifier], or check data.label_field"));
    }
    let mut head = Head::new(labels, model.hidden_size);
    let mut adam = Adam::new(head.weights.len());
    let texts = Permutation::new(corpus.training.len(), config.seed);
    let mut seen = 0;
    let mut loss = 0.0;
    for step in 0..settings.steps {
        options.check()?;
        let mut random = rng(config.seed, MASKS, step as u64);
        let examples = labelled(&corpus.training, settings.batch_texts, || {
            seen += 1;
            texts.at((seen - 1) % corpus.training.len())
        })?;
        let offset: f64 = random.random();
        let masked: Vec<Vec<Option<Token>>> = examples
            .iter()
            .enumerate()
            .map(|(i, e)| mask(e, (offset + i as f64 / examples.len() as f64).fract(), &mut random))
            .collect();
        let mut gradient = vec![0.0; head.weights.len()];
        let scale = 1.0 / examples.len().max(1) as f32;
        let batch = states(network, model, &masked);
        let losses = examples
            .iter()
            .zip(&batch)
            .filter_map(|(example, states)| Some(head.loss_and_gradient(states, example.label?, scale, &mut gradient)));
        loss += losses.sum::<f64>() / examples.len().max(1) as f64;
        // The learning rate decays linearly, so that the last steps average over masks.
        let rate = settings.lr * (1.0 - step as f64 / settings.steps as f64);
        adam.update(&mut head.weights, &gradient, rate as f32);
        if (step + 1).is_multiple_of(settings.steps.div_ceil(5)) {
            options.tell(&format!(
                "classifier: step {}/{}  loss {:.3}",
                step + 1,
                settings.steps,
                loss / settings.steps.div_ceil(5) as f64
            ));
            loss = 0.0;
        }
    }
    state::write(&config.out.join(CLASSIFIER), &head.to_bytes()?)?;
    let found = [0.0, 0.5, 0.9].map(|t| accuracy(&head, network, model, &corpus.held_out, t));
    if let [Some(whole), Some(half), Some(little)] = found.map(|found| found.ok().flatten()) {
        options.tell(&format!(
            "classifier: right on {whole:.1} % of held-out texts, with half of the tokens masked {half:.1} %, with \
             nine of ten {little:.1} %"
        ));
    }
    Ok(())
}

/// The next labelled texts; fewer where a whole round finds no more.
fn labelled(store: &Store, count: usize, mut next: impl FnMut() -> u64) -> Result<Vec<Example>> {
    let mut found = Vec::with_capacity(count);
    for _ in 0..store.len() * (1 + count as u64) {
        if found.len() == count {
            break;
        }
        let example = store.get(next())?;
        if example.label.is_some() && !example.tokens.is_empty() {
            found.push(example);
        }
    }
    Ok(found)
}

fn mask(example: &Example, t: f64, rng: &mut impl Rng) -> Vec<Option<Token>> {
    example.tokens.iter().map(|&token| (!rng.random_bool(t)).then_some(token)).collect()
}

/// The percentage of held-out texts that are classified correctly with a share `t` of the tokens masked.
fn accuracy(head: &Head, network: &MaskedNetwork, model: &MaskedConfig, store: &Store, t: f64) -> Result<Option<f64>> {
    let (mut right, mut all) = (0u32, 0u32);
    let count = store.len().min(TEXTS);
    for i in 0..count {
        let example = store.get(i * store.len() / count)?;
        let Some(label) = example.label else { continue };
        let text = mask(&example, t, &mut rng(0, TESTS, i));
        let states = states(network, model, &[text]);
        let scores = states.first().map(|s| head.log_probs(s)).unwrap_or_default();
        let best = scores.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map(|(y, _)| y);
        right += u32::from(best == Some(label));
        all += 1;
    }
    Ok((all > 0).then(|| 100.0 * f64::from(right) / f64::from(all)))
}

/// The Adam optimizer with the usual constants (Kingma and Ba 2015).
struct Adam {
    first: Vec<f32>,
    second: Vec<f32>,
    steps: i32,
}

impl Adam {
    fn new(size: usize) -> Self {
        Self { first: vec![0.0; size], second: vec![0.0; size], steps: 0 }
    }

    fn update(&mut self, weights: &mut [f32], gradient: &[f32], rate: f32) {
        const BETA: [f32; 2] = [0.9, 0.99];
        self.steps += 1;
        let correction = BETA.map(|beta| 1.0 - beta.powi(self.steps));
        for (((w, g), m), v) in weights.iter_mut().zip(gradient).zip(&mut self.first).zip(&mut self.second) {
            *m += (1.0 - BETA[0]) * (g - *m);
            *v += (1.0 - BETA[1]) * (g * g - *v);
            *w -= rate * (*m / correction[0]) / ((*v / correction[1]).sqrt() + 1e-8);
        }
    }
}
