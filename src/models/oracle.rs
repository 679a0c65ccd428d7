use crate::{CanvasView, Denoiser, Error, Result, Scores, Token, Vocab};

/// A Markov chain over tokens: the probabilities of the first token, and of each token after each token.
#[derive(Debug, Clone)]
pub struct Chain {
    /// V probabilities.
    initial: Vec<f64>,
    /// V × V probabilities, row-major: the row is the previous token.
    transition: Vec<f64>,
}

/// A denoiser whose joint distribution is known in closed form.
///
/// The text is a Markov chain, or a mixture of chains where no condition is given. The prediction at each position is
/// the exact conditional marginal p(x_i | every other visible token), by forward–backward. The effect of a sampler, a
/// guide or a corrector on the distribution can be computed and compared. Cost per view: O(L·V²), meant for
/// vocabularies up to a few hundred tokens.
#[derive(Debug, Clone)]
pub struct Oracle {
    vocab: Vocab,
    labels: Vec<String>,
    prior: Vec<f64>,
    chains: Vec<Chain>,
    max_len: usize,
}

impl Chain {
    /// A chain from weights, which are normalised row by row.
    ///
    /// # Errors
    /// Sizes that do not match, and numbers that are negative or not finite.
    pub fn new(mut initial: Vec<f64>, mut transition: Vec<f64>) -> Result<Self> {
        let vocab = initial.len();
        if vocab == 0 || transition.len() != vocab * vocab {
            return Err(Error::model(format!(
                "a chain of {vocab} tokens needs {} transitions, not {}",
                vocab * vocab,
                transition.len()
            )));
        }
        normalise(&mut initial)?;
        transition.chunks_mut(vocab).try_for_each(normalise)?;
        Ok(Self { initial, transition })
    }

    /// Estimates a chain from transition counts; `smoothing` is added to each count. `vocab.eos()` is followed by
    /// itself only.
    ///
    /// # Errors
    /// A row without any probability (no texts, no smoothing), and a token outside the vocabulary.
    pub fn fit<'a>(vocab: &Vocab, texts: impl IntoIterator<Item = &'a [Token]>, smoothing: f64) -> Result<Self> {
        let size = vocab.len();
        let writes = |t: usize| vocab.bytes(t as Token).is_some() || Some(t as Token) == vocab.eos();
        let floor: Vec<f64> = (0..size).map(|t| if writes(t) { smoothing } else { 0.0 }).collect();
        let mut initial = floor.clone();
        let mut transition: Vec<f64> = (0..size).flat_map(|_| floor.iter().copied()).collect();
        for text in texts {
            let ids: Vec<usize> = text.iter().copied().chain(vocab.eos()).map(|t| t as usize).collect();
            if let Some(&bad) = ids.iter().find(|&&t| t >= size) {
                return Err(Error::model(format!("token {bad} lies outside the vocabulary of {size}")));
            }
            if let Some(&first) = ids.first() {
                initial[first] += 1.0;
            }
            for pair in ids.windows(2) {
                transition[pair[0] * size + pair[1]] += 1.0;
            }
        }
        if let Some(eos) = vocab.eos() {
            let row = &mut transition[eos as usize * size..(eos as usize + 1) * size];
            row.fill(0.0);
            row[eos as usize] = 1.0;
        }
        Self::new(initial, transition)
    }

    fn size(&self) -> usize {
        self.initial.len()
    }

    /// Returns p(x_i | the other visible tokens) for each position (L × V), and the log-probability of the visible
    /// tokens.
    fn marginals(&self, seen: &[Option<Token>]) -> (Vec<f64>, f64) {
        let (len, v) = (seen.len(), self.size());
        // before[i]: x_i given the visible tokens to its left; after[i]: likelihood of the visible tokens to its right.
        let mut before = vec![0.0; len * v];
        let mut after = vec![1.0; len * v];
        let mut log_evidence = 0.0;
        for i in 0..len {
            let (done, rest) = before.split_at_mut(i * v);
            let here = &mut rest[..v];
            match i {
                0 => here.copy_from_slice(&self.initial),
                _ => {
                    let previous = &done[(i - 1) * v..];
                    let mut evidence = 0.0;
                    for (u, &p) in previous.iter().enumerate() {
                        if p > 0.0 && seen[i - 1].is_none_or(|t| t as usize == u) {
                            evidence += p;
                            for (h, t) in here.iter_mut().zip(&self.transition[u * v..(u + 1) * v]) {
                                *h += p * t;
                            }
                        }
                    }
                    log_evidence += evidence.ln();
                    here.iter_mut().for_each(|h| *h /= evidence.max(f64::MIN_POSITIVE));
                }
            }
        }
        if let Some(last) = seen.last().copied().flatten() {
            log_evidence += before[(len - 1) * v + last as usize].ln();
        }
        for i in (0..len.saturating_sub(1)).rev() {
            let (now, later) = after.split_at_mut((i + 1) * v);
            let (here, next) = (&mut now[i * v..], &later[..v]);
            for (u, h) in here.iter_mut().enumerate() {
                let row = &self.transition[u * v..(u + 1) * v];
                *h = match seen[i + 1] {
                    Some(t) => row[t as usize] * next[t as usize],
                    None => row.iter().zip(next).map(|(t, n)| t * n).sum(),
                };
            }
            rescale(here);
        }
        for (i, row) in before.chunks_mut(v).enumerate() {
            row.iter_mut().zip(&after[i * v..]).for_each(|(b, a)| *b *= a);
            rescale(row);
        }
        (before, if log_evidence.is_nan() { f64::NEG_INFINITY } else { log_evidence })
    }
}

impl Oracle {
    /// An oracle of one chain, without conditions.
    pub fn new(vocab: Vocab, chain: Chain) -> Result<Self> {
        Self::mixture(vocab, vec![(String::new(), 1.0, chain)]).map(|o| Self { labels: Vec::new(), ..o })
    }

    /// An oracle with one chain per condition, each with a prior weight. The prediction without a condition is the
    /// exact mixture.
    pub fn mixture(vocab: Vocab, parts: Vec<(String, f64, Chain)>) -> Result<Self> {
        let (mut labels, mut prior, mut chains) = (Vec::new(), Vec::new(), Vec::new());
        for (label, weight, chain) in parts {
            if chain.size() != vocab.len() {
                return Err(Error::model(format!(
                    "a chain over {} tokens does not fit a vocabulary of {}",
                    chain.size(),
                    vocab.len()
                )));
            }
            labels.push(label);
            prior.push(weight);
            chains.push(chain);
        }
        normalise(&mut prior)?;
        Ok(Self { vocab, labels, prior, chains, max_len: 4096 })
    }

    /// The exact log p(visible tokens), in nats.
    pub fn log_prob(&self, view: &CanvasView) -> f64 {
        let seen = visible(view);
        let parts: Vec<f64> = self.parts(view).map(|(w, chain)| w.ln() + chain.marginals(&seen).1).collect();
        let max = parts.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if max.is_finite() { max + parts.iter().map(|p| (p - max).exp()).sum::<f64>().ln() } else { max }
    }

    fn parts(&self, view: &CanvasView) -> impl Iterator<Item = (f64, &Chain)> {
        let condition = view.condition;
        self.prior.iter().copied().zip(&self.chains).enumerate().filter_map(move |(i, part)| match condition {
            Some(c) => (c == i).then_some((1.0, part.1)),
            None => Some(part),
        })
    }

    fn predict_one(&self, view: &CanvasView) -> Result<Scores> {
        let seen = visible(view);
        let v = self.vocab.len();
        if let Some(bad) = seen.iter().flatten().find(|&&t| t as usize >= v) {
            return Err(Error::model(format!("token {bad} lies outside the vocabulary of {v}")));
        }
        if seen.len() > self.max_len {
            return Err(Error::model(format!("{} positions, but the model holds {}", seen.len(), self.max_len)));
        }
        let parts: Vec<(f64, (Vec<f64>, f64))> =
            self.parts(view).map(|(w, chain)| (w, chain.marginals(&seen))).collect();
        let best = parts.iter().map(|(_, (_, e))| *e).fold(f64::NEG_INFINITY, f64::max);
        let mut mixed = vec![0.0; seen.len() * v];
        for (weight, (marginals, evidence)) in &parts {
            // The posterior of the label given all visible tokens. Evidence of probability 0 carries no information.
            let share = weight * if best.is_finite() { (evidence - best).exp() } else { 1.0 };
            mixed.iter_mut().zip(marginals).for_each(|(m, p)| *m += share * p);
        }
        let answer = &mut mixed[view.prompt.len() * v..];
        for row in answer.chunks_mut(v) {
            if row.iter().all(|&p| p == 0.0) {
                row.fill(1.0);
            }
            rescale(row);
        }
        Scores::new(v, answer.iter().map(|p| p.ln() as f32).collect())
    }
}

impl Denoiser for Oracle {
    fn name(&self) -> &str {
        "oracle"
    }
    fn vocab(&self) -> &Vocab {
        &self.vocab
    }
    fn max_len(&self) -> usize {
        self.max_len
    }
    fn conditions(&self) -> &[String] {
        &self.labels
    }
    fn predict(&self, views: &[CanvasView]) -> Result<Vec<Scores>> {
        views.iter().map(|view| self.predict_one(view)).collect()
    }
}

fn visible(view: &CanvasView) -> Vec<Option<Token>> {
    view.prompt.iter().copied().map(Some).chain(view.tokens.iter().copied()).collect()
}

fn normalise(row: &mut [f64]) -> Result<()> {
    let sum: f64 = row.iter().sum();
    if row.iter().any(|p| *p < 0.0 || !p.is_finite()) || !(sum > 0.0 && sum.is_finite()) {
        return Err(Error::model("probabilities must be finite, not negative, and not all zero"));
    }
    row.iter_mut().for_each(|p| *p /= sum);
    Ok(())
}

/// Divides by the sum unless it is 0, so that long chains do not underflow.
fn rescale(row: &mut [f64]) {
    let sum: f64 = row.iter().sum();
    if sum > 0.0 {
        row.iter_mut().for_each(|p| *p /= sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn random_chain(rng: &mut ChaCha8Rng, v: usize) -> Chain {
        let initial = (0..v).map(|_| rng.random::<f64>()).collect();
        Chain::new(initial, (0..v * v).map(|_| rng.random::<f64>().powi(3)).collect()).unwrap()
    }

    fn joint(chain: &Chain, text: &[usize]) -> f64 {
        let steps = text.windows(2).map(|w| chain.transition[w[0] * chain.size() + w[1]]);
        chain.initial[text[0]] * steps.product::<f64>()
    }

    fn texts(v: usize, len: usize) -> impl Iterator<Item = Vec<usize>> {
        (0..v.pow(len as u32)).map(move |code| (0..len).map(|i| code / v.pow(i as u32) % v).collect())
    }

    #[test]
    fn marginals_are_those_of_the_enumerated_joint() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let (v, len) = (3, 5);
        for case in 0..200 {
            let chains = [random_chain(&mut rng, v), random_chain(&mut rng, v)];
            let vocab = Vocab::from_bytes((0..v).map(|i| Some(vec![b'a' + i as u8])).collect(), None, None).unwrap();
            let parts = vec![("x".into(), 0.3, chains[0].clone()), ("y".into(), 0.7, chains[1].clone())];
            let oracle = Oracle::mixture(vocab, parts).unwrap();
            let condition = [None, Some(0), Some(1)][case % 3];
            let weights = match condition {
                None => [0.3, 0.7],
                Some(0) => [1.0, 0.0],
                _ => [0.0, 1.0],
            };
            let seen: Vec<Option<Token>> =
                (0..len).map(|_| rng.random_bool(0.4).then(|| rng.random_range(0..v as u32))).collect();
            let split = rng.random_range(0..len).min(seen.iter().take_while(|t| t.is_some()).count());
            let view = CanvasView {
                prompt: seen[..split].iter().flatten().copied().collect(),
                condition,
                tokens: seen[split..].to_vec(),
            };
            let scores = oracle.predict(std::slice::from_ref(&view)).unwrap().remove(0);
            for (row, pos) in (split..len).enumerate() {
                let mut exact = vec![0.0; v];
                for text in texts(v, len) {
                    let agrees = (0..len).all(|i| i == pos || seen[i].is_none_or(|t| t as usize == text[i]));
                    if agrees {
                        // The label is inferred from all visible tokens, including the token of this position.
                        exact[text[pos]] += (0..2).map(|c| weights[c] * joint(&chains[c], &text)).sum::<f64>();
                    }
                }
                if seen[pos].is_some() && condition.is_none() {
                    continue; // p(x_i | x_−i) of a mixture would need the label's posterior without x_i
                }
                normalise(&mut exact).unwrap();
                for (got, want) in scores.row(row).iter().zip(&exact) {
                    assert!((got.exp() as f64 - want).abs() < 1e-5, "case {case} pos {pos}: {got} {want}");
                }
            }
            let evidence: f64 = texts(v, len)
                .filter(|t| (0..len).all(|i| seen[i].is_none_or(|s| s as usize == t[i])))
                .map(|t| (0..2).map(|c| weights[c] * joint(&chains[c], &t)).sum::<f64>())
                .sum();
            assert!((oracle.log_prob(&view) - evidence.ln()).abs() < 1e-9);
        }
    }

    #[test]
    fn text_ends_for_good() {
        let vocab = Vocab::from_bytes(vec![Some(b"a".to_vec()), Some(b"b".to_vec()), None], Some(2), None).unwrap();
        let chain = Chain::fit(&vocab, [&[0u32, 1][..], &[0, 1, 1]], 0.01).unwrap();
        let oracle = Oracle::new(vocab, chain).unwrap();
        let view = CanvasView { prompt: vec![0].into(), condition: None, tokens: vec![Some(2), None, None] };
        let scores = oracle.predict(&[view]).unwrap().remove(0);
        assert!(scores.row(1)[2].exp() > 0.999 && scores.row(2)[2].exp() > 0.999);
    }
}
