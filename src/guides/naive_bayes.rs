use super::{Energies, Guide};
use crate::{Answer, Error, Result, Step, models::Topics};
use std::{collections::BTreeSet, sync::Arc};

/// Guides towards a topic with naive-Bayes label statistics, exactly.
///
/// With s_y = log π_y + Σ W_y\[v\] over the distinct visible tokens, every token v that is not yet present gains γ·(log
/// softmax(s + W\[:, v\])_y − log softmax(s)_y): the gain of the topic's posterior if v were written. The gain fades as
/// the topic becomes certain, so the text is not flooded with keywords. γ < 0 steers away.
#[derive(Debug, Clone)]
pub struct NaiveBayes {
    topics: Arc<Topics>,
    label: usize,
    scale: f32,
}

impl NaiveBayes {
    /// # Errors
    /// When the statistics have no such label, or `scale` is not finite.
    pub fn new(topics: Arc<Topics>, label: &str, scale: f32) -> Result<Self> {
        if !scale.is_finite() {
            return Err(Error::input(format!("the scale of a topic must be a finite number, not {scale}")));
        }
        let Some(index) = topics.labels().iter().position(|l| l == label) else {
            return Err(Error::input(format!("the model knows no topic {label:?}"))
                .help(format!("topics: {}", topics.labels().join(", "))));
        };
        Ok(Self { topics, label: index, scale })
    }

    /// The log posterior of the topic, given label scores.
    fn log_posterior(&self, scores: impl Iterator<Item = f32> + Clone) -> f32 {
        let max = scores.clone().fold(f32::NEG_INFINITY, f32::max);
        let sum: f32 = scores.clone().map(|s| (s - max).exp()).sum();
        scores.clone().nth(self.label).unwrap_or(max) - max - sum.ln()
    }

    /// γ·gain for each of the V tokens; `visible` are the tokens already written.
    fn gains(&self, visible: &BTreeSet<usize>) -> Vec<f32> {
        let labels = 0..self.topics.labels().len();
        let evidence: Vec<f32> = labels
            .map(|y| self.topics.log_prior()[y] + visible.iter().map(|&v| self.topics.weights(y)[v]).sum::<f32>())
            .collect();
        let now = self.log_posterior(evidence.iter().copied());
        (0..self.topics.vocab())
            .map(|v| {
                if visible.contains(&v) {
                    0.0
                } else {
                    let then = evidence.iter().enumerate().map(|(y, e)| e + self.topics.weights(y)[v]);
                    self.scale * (self.log_posterior(then) - now)
                }
            })
            .collect()
    }
}

impl Guide for NaiveBayes {
    fn guide(&mut self, step: &Step, to: &mut Energies, _: &[Answer]) -> Result<()> {
        if self.topics.vocab() != to.vocab() {
            return Err(Error::model(format!(
                "the topic statistics are of {} tokens, the model predicts {}",
                self.topics.vocab(),
                to.vocab()
            )));
        }
        let visible = step.canvas.cells().iter().filter_map(|c| c.token()).map(|t| t as usize).collect();
        let gains = self.gains(&visible);
        for pos in step.canvas.undecided() {
            to.add_row(pos, &gains);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statistics() -> Arc<Topics> {
        let texts: [(&str, &[u32]); 4] = [("a", &[0, 1]), ("a", &[0]), ("b", &[2]), ("b", &[2, 1])];
        Arc::new(Topics::fit(4, texts).unwrap())
    }

    #[test]
    fn gains_are_the_change_of_the_posterior() {
        let guide = NaiveBayes::new(statistics(), "a", 1.0).unwrap();
        let gains = guide.gains(&BTreeSet::new());
        assert!(gains[0] > 0.0 && gains[2] < 0.0);
        assert!(gains[1].abs() < 1e-6, "equally common in both: {}", gains[1]);
        assert!(gains[3].abs() < 1e-6, "never seen: {}", gains[3]);
        let posterior = |w: [f32; 2]| (w[0].exp() / (w[0].exp() + w[1].exp())).ln();
        let w = |y: usize| guide.topics.weights(y)[0];
        assert!((gains[0] - (posterior([w(0), w(1)]) - 0.5f32.ln())).abs() < 1e-6);
    }

    #[test]
    fn the_gain_fades_once_the_topic_is_certain() {
        let guide = NaiveBayes::new(statistics(), "a", 1.0).unwrap();
        let fresh = guide.gains(&BTreeSet::new());
        let after = guide.gains(&BTreeSet::from([0]));
        assert_eq!(after[0], 0.0, "already present");
        assert!(after[2].abs() > 0.0 && fresh[0] > 0.0);
    }

    #[test]
    fn statistics_survive_their_file() {
        let topics = statistics();
        let read = Topics::from_bytes(&topics.to_bytes().unwrap()).unwrap();
        assert_eq!(read.labels(), topics.labels());
        for v in 0..4 {
            assert!((read.weights(0)[v] - topics.weights(0)[v]).abs() < 1e-3);
        }
        assert!(Topics::from_bytes(b"nonsense").is_err());
    }
}
