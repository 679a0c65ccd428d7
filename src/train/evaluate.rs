//! Evaluation during training: held-out likelihood and sample texts of the averaged weights.

use super::{Run, data::Example, journal::Journal, journal::TrainRecord};
use crate::eval::{Coded, LanguageModel, likelihood};
use crate::models::{CausalModel, MaskedModel, masked::MaskedConfig, masked::MaskedNetwork};
use crate::random::rng;
use crate::{CanvasView, Denoiser, Model, Result, Vocab};
use rand::{Rng, seq::SliceRandom};

/// Purpose of the random numbers of this file.
const SAMPLES: u64 = 4;
/// The temperature of sample texts: below 1, so that a few words show what was learnt.
const TEMPERATURE: f32 = 0.8;

impl Run {
    /// Reports held-out likelihood and sample texts. The last evaluation takes all held-out texts.
    pub(super) fn evaluate(&self, journal: &mut Journal, last: bool) -> Result<()> {
        let trained = Trained::new(self.model.clone(), self.corpus.vocab.clone(), self.averaged()?)?;
        let (seed, step) = (self.config.seed, self.progress.step);
        let all = self.corpus.held_out.len();
        let texts = if last { all } else { all.min(self.config.report.evaluate_texts as u64) };
        let mut record = TrainRecord { step, epoch: self.order.epochs(), ..TrainRecord::default() };
        if texts > 0 {
            let text = |i: u64| self.corpus.held_out.get(i * all / texts).map(|example| self.coded(example));
            let coded = (0..texts).map(text).collect::<Result<Vec<Coded>>>()?;
            let found = likelihood(trained.language_model(), &coded, seed, if last { 4 } else { 2 })?;
            self.options.tell(&format!(
                "held out: {:.3} nats/token  {:.3} bits/byte  ({} texts)",
                found.nats_per_token(),
                found.bits_per_byte(),
                found.texts
            ));
            record.held_out_nats_per_token = Some(found.nats_per_token());
            record.held_out_bits_per_byte = Some(found.bits_per_byte());
        }
        self.record(journal, record, true);
        let labels = &self.model.conditions;
        for i in 0..self.config.report.samples {
            let counter = (step * self.config.report.samples + i) as u64;
            let label = (!labels.is_empty() && i > 0).then(|| rng(seed, 5, counter).random_range(0..labels.len()));
            let text = trained.sample(24.min(self.model.max_len), label, seed, counter)?;
            let label = label.and_then(|c| labels.get(c));
            self.options.tell(&format!("  [{}] {text}", label.map_or("-", |c| &c.label)));
        }
        Ok(())
    }

    pub(super) fn coded(&self, example: Example) -> Coded {
        let mut tokens = example.tokens;
        tokens.extend(example.ends.then_some(self.model.eos_token));
        Coded { tokens, condition: example.label, bytes: example.bytes }
    }
}

/// A model of either objective.
pub enum Trained {
    Masked(Model),
    Causal(Box<CausalModel>),
}

impl Trained {
    pub fn new(config: MaskedConfig, vocab: Vocab, network: MaskedNetwork) -> Result<Self> {
        Ok(if config.causal {
            Self::Causal(Box::new(CausalModel::new(config, vocab, network)?))
        } else {
            Self::Masked(Model::new(MaskedModel::new(config, vocab, network)?))
        })
    }

    pub fn language_model(&self) -> &dyn LanguageModel {
        match self {
            Self::Masked(model) => model,
            Self::Causal(model) => &**model,
        }
    }

    /// Samples a text of at most `len` tokens: from left to right, or one position after the other in random order.
    pub fn sample(&self, len: usize, condition: Option<usize>, seed: u64, counter: u64) -> Result<String> {
        let mut rng = rng(seed, SAMPLES, counter);
        match self {
            Self::Causal(model) => model.sample(len, condition, TEMPERATURE, &mut rng),
            Self::Masked(model) => sample(model.denoiser(), len, condition, &mut rng),
        }
    }
}

fn sample(model: &dyn Denoiser, len: usize, condition: Option<usize>, rng: &mut impl Rng) -> Result<String> {
    let mut view = CanvasView { prompt: Vec::new().into(), condition, tokens: vec![None; len] };
    let mut order: Vec<usize> = (0..len).collect();
    order.shuffle(rng);
    for pos in order {
        if let Some(scores) = model.predict(std::slice::from_ref(&view))?.first() {
            view.tokens[pos] = Some(crate::models::draw(scores.row(pos), TEMPERATURE, rng));
        }
    }
    let eos = model.vocab().eos();
    let written: Vec<u32> = view.tokens.into_iter().flatten().take_while(|&t| Some(t) != eos).collect();
    Ok(String::from_utf8_lossy(&model.vocab().decode(&written)).into_owned())
}
