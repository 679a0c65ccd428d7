//! AdamW for vectors and embeddings, Muon for the matrices between them, and a running mean of all weights.

use super::config::OptimizerConfig;
use crate::kernels::{Matrix, MatrixMut, gemm, vectorised};
use crate::models::masked::{EMBEDDING, MaskedNetwork, Parameter};
use crate::{Error, Result};
use rayon::prelude::*;

/// Number of weights that one thread updates at a time.
const CHUNK: usize = 1 << 14;

/// The optimizer's state of each weight, laid out as the network's weights.
pub struct Optimizer {
    /// Running mean of the gradient.
    pub first: Vec<f32>,
    /// Running mean of the squared gradient; not used by Muon.
    pub second: Vec<f32>,
    /// Running mean of the weights.
    pub mean: Vec<f32>,
}

/// The learning rate of a step: linear warm-up, then cosine decay to a tenth. With `decay`, the rate is constant until
/// the last steps and falls linearly to 0 in them (warm-up, stable, decay), so `steps` may be changed during the
/// constant phase.
pub fn learning_rate(config: &OptimizerConfig, step: usize) -> f64 {
    let warm = ((step + 1) as f64 / config.warmup.max(1) as f64).min(1.0);
    if let Some(decay) = config.decay {
        let left = config.steps.saturating_sub(step) as f64;
        return config.lr * warm.min(left / decay as f64);
    }
    if step < config.warmup {
        return config.lr * warm;
    }
    let length = config.steps.saturating_sub(config.warmup).max(1);
    let done = ((step - config.warmup) as f64 / length as f64).min(1.0);
    config.lr * (0.1 + 0.45 * (1.0 + (std::f64::consts::PI * done).cos()))
}

impl Optimizer {
    /// A new state: zero moments, and the present weights as mean.
    pub fn new(network: &MaskedNetwork) -> Self {
        let size = network.weights().len();
        Self { first: vec![0.0; size], second: vec![0.0; size], mean: network.weights().to_vec() }
    }

    /// Makes one update. Returns the norm of the gradient before clipping.
    ///
    /// # Errors
    /// A gradient that is not finite; then nothing has changed.
    pub fn update(
        &mut self,
        network: &mut MaskedNetwork,
        gradient: &[f32],
        config: &OptimizerConfig,
        step: usize,
    ) -> Result<f64> {
        let norm = norm(gradient);
        if !norm.is_finite() {
            return Err(Error::model(format!("the gradient is {norm} at step {step}"))
                .help("lower optimizer.lr or raise optimizer.warmup, then resume from the last checkpoint"));
        }
        let correction = |beta: f64| 1.0 - beta.powi(step as i32 + 1);
        let decayed = learning_rate(config, step);
        // Early running means would remember the random start, so they average over the steps so far instead.
        let ema = config.ema.min((1.0 + step as f64) / (10.0 + step as f64));
        for parameter in network.parameters().to_vec() {
            let range = parameter.range.clone();
            let matrix = parameter.shape.len() > 1;
            let adam = Update {
                beta: [config.beta1 as f32, config.beta2 as f32],
                rate: (decayed / correction(config.beta1)) as f32,
                second_scale: (1.0 / correction(config.beta2)) as f32,
                decay: if matrix { (decayed * config.weight_decay) as f32 } else { 0.0 },
                scale: (config.clip / norm.max(config.clip)) as f32,
                ema: ema as f32,
            };
            let weights = &mut network.weights_mut()[range.clone()];
            let (gradient, mean) = (&gradient[range.clone()], &mut self.mean[range.clone()]);
            let first = &mut self.first[range.clone()];
            if matrix && parameter.name != EMBEDDING && config.muon_lr > 0.0 {
                let (direction, stretch) = muon(&parameter, first, gradient, config.momentum as f32, adam.scale);
                let rate = (config.muon_lr * decayed / config.lr * stretch) as f32;
                Update { rate, ..adam }.follow(weights, &direction, mean);
            } else {
                adam.adam(weights, gradient, first, &mut self.second[range], mean);
            }
        }
        Ok(norm)
    }
}

/// √Σx², summed in an order that does not depend on the number of threads.
fn norm(numbers: &[f32]) -> f64 {
    let square = |chunk: &[f32]| chunk.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>();
    numbers.par_chunks(CHUNK).map(square).collect::<Vec<_>>().iter().sum::<f64>().sqrt()
}

/// Adds the gradient to the momentum. Returns the direction, which is the orthogonalised Nesterov look-ahead, and a
/// factor for the learning rate.
fn muon(parameter: &Parameter, first: &mut [f32], gradient: &[f32], beta: f32, scale: f32) -> (Vec<f32>, f64) {
    let ahead = first.par_iter_mut().zip(gradient).with_min_len(CHUNK).map(|(m, g)| {
        let g = g * scale;
        *m += (1.0 - beta) * (g - *m);
        g + beta * (*m - g)
    });
    let (rows, columns) = (parameter.shape[0], parameter.shape[1]);
    let direction = orthogonalised(ahead.collect(), rows, columns);
    (direction, (columns as f64 / rows as f64).max(1.0).sqrt())
}

/// An approximation of the nearest matrix with orthogonal rows or columns: five Newton–Schulz steps of degree five
/// (Muon, Jordan et al. 2024, <https://kellerjordan.github.io/posts/muon>).
fn orthogonalised(mut x: Vec<f32>, rows: usize, columns: usize) -> Vec<f32> {
    const STEPS: usize = 5;
    const FACTORS: [f32; 3] = [3.4445, -4.7750, 2.0315];
    let scale = 1.0 / (norm(&x) as f32 + 1e-7);
    x.iter_mut().for_each(|x| *x *= scale);
    // The product x·xᵀ is computed on the smaller side.
    let tall = rows > columns;
    let small = rows.min(columns);
    let (mut square, mut factor) = (vec![0.0; small * small], vec![0.0; small * small]);
    let mut next = vec![0.0; x.len()];
    for _ in 0..STEPS {
        let matrix = Matrix::new(&x, rows, columns);
        let (a, b) = if tall { (matrix.t(), matrix) } else { (matrix, matrix.t()) };
        gemm(MatrixMut::new(&mut square, small, small), a, b, 1.0, false);
        let squared = Matrix::new(&square, small, small);
        gemm(MatrixMut::new(&mut factor, small, small), squared, squared, FACTORS[2], false);
        factor.iter_mut().zip(&square).for_each(|(f, s)| *f += FACTORS[1] * s);
        (0..small).for_each(|i| factor[i * small + i] += FACTORS[0]);
        let factor = Matrix::new(&factor, small, small);
        let (a, b) = if tall { (matrix, factor) } else { (factor, matrix) };
        gemm(MatrixMut::new(&mut next, rows, columns), a, b, 1.0, false);
        std::mem::swap(&mut x, &mut next);
    }
    x
}

#[derive(Clone, Copy)]
struct Update {
    beta: [f32; 2],
    /// The learning rate divided by the bias correction of the first moment.
    rate: f32,
    /// The reciprocal of the bias correction of the second moment.
    second_scale: f32,
    decay: f32,
    /// The factor that clips the gradient.
    scale: f32,
    ema: f32,
}

impl Update {
    /// Moves the weights in a direction.
    fn follow(self, weights: &mut [f32], direction: &[f32], mean: &mut [f32]) {
        let chunks = weights.par_chunks_mut(CHUNK).zip(direction.par_chunks(CHUNK)).zip(mean.par_chunks_mut(CHUNK));
        chunks.for_each(|((weights, direction), mean)| follow(self, weights, direction, mean));
    }

    fn adam(self, weights: &mut [f32], gradient: &[f32], first: &mut [f32], second: &mut [f32], mean: &mut [f32]) {
        let moments = first.par_chunks_mut(CHUNK).zip(second.par_chunks_mut(CHUNK));
        let chunks = weights.par_chunks_mut(CHUNK).zip(gradient.par_chunks(CHUNK)).zip(moments);
        chunks.zip(mean.par_chunks_mut(CHUNK)).for_each(|(((weights, gradient), (first, second)), mean)| {
            adam(self, weights, gradient, first, second, mean);
        });
    }
}

vectorised! {
    fn follow(update: Update, weights: &mut [f32], direction: &[f32], mean: &mut [f32]) {
        for ((w, g), mean) in weights.iter_mut().zip(direction).zip(mean) {
            *w -= update.decay * *w + update.rate * g;
            *mean += (1.0 - update.ema) * (*w - *mean);
        }
    }

    fn adam(
        update: Update,
        weights: &mut [f32],
        gradient: &[f32],
        first: &mut [f32],
        second: &mut [f32],
        mean: &mut [f32],
    ) {
        let [beta1, beta2] = update.beta;
        let moments = first.iter_mut().zip(second);
        for (((w, g), (m, v)), mean) in weights.iter_mut().zip(gradient).zip(moments).zip(mean) {
            let g = g * update.scale;
            *m += (1.0 - beta1) * (g - *m);
            *v += (1.0 - beta2) * (g * g - *v);
            *w -= update.decay * *w + update.rate * *m / ((*v * update.second_scale).sqrt() + 1e-8);
            *mean += (1.0 - update.ema) * (*w - *mean);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_decay_the_rate_is_stable_and_then_falls_in_a_line_to_zero() {
        let settings = r#"{"steps": 100, "batch_tokens": 1, "lr": 2.0, "warmup": 10, "decay": 20}"#;
        let config: OptimizerConfig = serde_json::from_str(settings).unwrap();
        let rates: Vec<f64> = [0, 9, 10, 50, 80, 90, 99].map(|step| learning_rate(&config, step)).to_vec();
        assert_eq!(rates, [0.2, 2.0, 2.0, 2.0, 2.0, 1.0, 0.1]);
        // More steps prolong the constant phase: earlier steps keep their rates.
        let longer = OptimizerConfig { steps: 200, ..config };
        assert!((0..80).all(|step| learning_rate(&longer, step) == learning_rate(&longer, step.min(80))));
        let whole = OptimizerConfig { decay: None, ..longer };
        assert!((learning_rate(&whole, 200) - 0.2).abs() < 1e-12 && learning_rate(&whole, 105) < 1.2);
    }
}
