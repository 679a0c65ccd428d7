//! Causal language models: the masked model's network, trained from left to right.

use super::masked::{MaskedCheckpoint, MaskedConfig, MaskedNetwork, PackedSequences, check_special_tokens};
use crate::{Error, Result, Scores, Token, Vocab};
use rand::Rng;
use std::path::Path;

/// An autoregressive language model: it predicts each token from the tokens before it. A causal model is no
/// [`Denoiser`](super::Denoiser), since it cannot fill gaps between fixed words, but it computes the exact probability
/// of a text.
pub struct CausalModel {
    config: MaskedConfig,
    labels: Vec<String>,
    vocab: Vocab,
    network: MaskedNetwork,
}

/// The tokens of a text, or of the beginning of a text, with its condition.
#[derive(Debug, Clone, PartialEq)]
pub struct ConditionedText {
    /// Index into [`CausalModel::conditions`].
    pub condition: Option<usize>,
    /// The tokens so far.
    pub tokens: Vec<Token>,
}

impl CausalModel {
    /// # Errors
    /// A configuration of a masked model, or a tokenizer that does not fit the configuration.
    pub fn new(config: MaskedConfig, vocab: Vocab, network: MaskedNetwork) -> Result<Self> {
        config.check()?;
        if !config.causal {
            return Err(Error::model(format!("{:?} is a masked model, not a causal one", config.name)));
        }
        check_special_tokens(&config, &vocab)?;
        let labels = config.conditions.iter().map(|c| c.label.clone()).collect();
        Ok(Self { config, labels, vocab, network })
    }

    /// Reads a checkpoint directory.
    ///
    /// # Errors
    /// Of kind `Model`, naming the file and what is wrong with it.
    pub fn load(directory: &Path) -> Result<Self> {
        let MaskedCheckpoint { config, vocab, network } = MaskedCheckpoint::load(directory)?;
        Self::new(config, vocab, network).map_err(|e| e.context(directory.display()))
    }

    /// Sizes and special tokens.
    pub fn config(&self) -> &MaskedConfig {
        &self.config
    }
    /// The vocabulary.
    pub fn vocab(&self) -> &Vocab {
        &self.vocab
    }
    /// The labels of the conditions that the model was trained with.
    pub fn conditions(&self) -> &[String] {
        &self.labels
    }

    /// log p(token | earlier tokens, condition) of each token, in nats; one list per text.
    ///
    /// # Errors
    /// A text longer than the model holds, an unknown token or condition.
    pub fn log_probs(&self, texts: &[ConditionedText]) -> Result<Vec<Vec<f32>>> {
        let mut packed = PackedSequences::default();
        let mut rows = Vec::new();
        for text in texts {
            let first = packed.tokens.len();
            let seen = text.tokens.len().saturating_sub(1);
            packed.push(self.sequence(text)?.take(1 + seen));
            rows.extend((first..first + text.tokens.len()).map(|row| row as u32));
        }
        if rows.is_empty() {
            return Ok(texts.iter().map(|_| Vec::new()).collect());
        }
        let targets: Vec<Token> = texts.iter().flat_map(|t| t.tokens.iter().copied()).collect();
        let mut found = self.network.losses(&packed, &rows, &targets).into_iter().map(|nats| -nats);
        Ok(texts.iter().map(|t| found.by_ref().take(t.tokens.len()).collect()).collect())
    }

    /// Scores of the next token after each prefix: one row of unnormalised log-probabilities per prefix.
    ///
    /// # Errors
    /// As [`log_probs`](Self::log_probs).
    pub fn next(&self, prefixes: &[ConditionedText]) -> Result<Scores> {
        let mut packed = PackedSequences::default();
        let mut rows = Vec::new();
        for prefix in prefixes {
            packed.push(self.sequence(prefix)?);
            rows.push(packed.tokens.len() as u32 - 1);
        }
        let size = self.config.vocab_size;
        if rows.is_empty() {
            return Ok(Scores::zeros(0, size));
        }
        let mut logits = self.network.logits(&packed, &rows);
        for row in logits.chunks_exact_mut(size) {
            for token in self.config.unpredictable() {
                row[token as usize] = super::masked::NEVER;
            }
        }
        Scores::new(size, logits)
    }

    /// Samples a text of at most `len` tokens from left to right.
    ///
    /// # Errors
    /// More positions than the model holds, or an unknown condition.
    pub fn sample(&self, len: usize, condition: Option<usize>, temperature: f32, rng: &mut impl Rng) -> Result<String> {
        let mut text = ConditionedText { condition, tokens: Vec::new() };
        while text.tokens.len() < len {
            let scores = self.next(std::slice::from_ref(&text))?;
            let token = draw(scores.row(0), temperature, rng);
            if token == self.config.eos_token {
                break;
            }
            text.tokens.push(token);
        }
        Ok(String::from_utf8_lossy(&self.vocab.decode(&text.tokens)).into_owned())
    }

    /// The condition's token, then the text.
    fn sequence<'a>(&self, text: &'a ConditionedText) -> Result<impl Iterator<Item = Token> + use<'a>> {
        let (len, config) = (text.tokens.len(), &self.config);
        if len > config.max_len {
            return Err(Error::input(format!("{len} positions, but the model holds {}", config.max_len)));
        }
        if let Some(token) = text.tokens.iter().find(|&&t| t as usize >= config.vocab_size) {
            return Err(Error::input(format!(
                "token {token} lies outside the model's vocabulary of {}",
                config.vocab_size
            )));
        }
        let first = match text.condition {
            None => config.null_token,
            Some(index) => config.conditions.get(index).map(|c| c.token).ok_or_else(|| {
                Error::input(format!("condition {index}, but the model knows {}", config.conditions.len()))
            })?,
        };
        Ok(std::iter::once(first).chain(text.tokens.iter().copied()))
    }
}

/// Draws a token at a temperature; 0 takes the likeliest token.
pub(crate) fn draw(scores: &[f32], temperature: f32, rng: &mut impl Rng) -> Token {
    let top = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weight = |s: f32| ((s - top) / temperature.max(1e-6)).exp();
    let mut left = rng.random::<f32>() * scores.iter().copied().map(weight).sum::<f32>();
    let chosen = scores.iter().position(|&s| {
        left -= weight(s);
        left < 0.0
    });
    chosen.or_else(|| scores.iter().position(|&s| s == top)).unwrap_or(0) as Token
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::masked::{MODEL_TYPE, MaskedModel};
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    fn parts(causal: bool) -> (MaskedConfig, Vocab, MaskedNetwork) {
        let config = MaskedConfig {
            model_type: MODEL_TYPE.into(),
            name: "tiny".into(),
            vocab_size: 12,
            hidden_size: 16,
            layers: 2,
            heads: 2,
            ff_size: 24,
            max_len: 20,
            rope_theta: 1e4,
            norm_eps: 1e-5,
            mask_token: 1,
            eos_token: 0,
            null_token: 2,
            conditions: Vec::new(),
            causal,
            lengths: Vec::new(),
        };
        let bytes = (0..12u8).map(|t| (t > 2).then(|| vec![b'a' + t])).collect();
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let network = MaskedNetwork::build(&config, |parameter| {
            Ok::<_, Error>(parameter.range.clone().map(|_| rng.random::<f32>() - 0.5).collect())
        });
        (config, Vocab::from_bytes(bytes, Some(0), None).unwrap(), network.unwrap())
    }

    fn text(tokens: &[Token]) -> ConditionedText {
        ConditionedText { condition: None, tokens: tokens.to_vec() }
    }

    #[test]
    fn what_follows_changes_nothing_and_the_next_token_agrees() {
        let (config, vocab, network) = parts(true);
        let model = CausalModel::new(config, vocab, network).unwrap();
        let texts = [text(&[5, 6, 7, 8, 0]), text(&[5, 6, 9, 3]), text(&[]), text(&[4])];
        let found = model.log_probs(&texts).unwrap();
        assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [5, 4, 0, 1]);
        for i in 0..2 {
            assert!((found[0][i] - found[1][i]).abs() < 1e-5, "{found:?}");
        }
        let next = model.next(&[text(&[5, 6])]).unwrap();
        let logits = |t: usize| next.row(0)[t];
        assert!((logits(7) - logits(9) - (found[0][2] - found[1][2])).abs() < 1e-4);
    }

    #[test]
    fn each_kind_of_checkpoint_is_refused_where_the_other_belongs() {
        let (config, vocab, network) = parts(true);
        let error = MaskedModel::new(config, vocab, network).err().unwrap();
        assert!(error.message().contains("from left to right"), "{error}");
        let (config, vocab, network) = parts(false);
        let error = CausalModel::new(config, vocab, network).err().unwrap();
        assert!(error.message().contains("masked model"), "{error}");
    }

    #[test]
    fn samples_are_reproducible_and_bad_input_is_refused() {
        let (config, vocab, network) = parts(true);
        let model = CausalModel::new(config, vocab, network).unwrap();
        let sample = |seed| model.sample(10, None, 1.0, &mut ChaCha8Rng::seed_from_u64(seed)).unwrap();
        assert_eq!(sample(1), sample(1));
        assert!((0..5).any(|seed| sample(seed) != sample(1)));
        assert!(model.next(&[text(&[3; 21])]).unwrap_err().message().contains("holds 20"));
        assert!(model.next(&[text(&[12])]).is_err());
        assert!(model.next(&[ConditionedText { condition: Some(0), tokens: vec![] }]).is_err());
    }
}
