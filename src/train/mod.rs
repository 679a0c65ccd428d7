//! Training a masked denoiser, readable top to bottom: read texts, train a tokenizer, mask, predict, learn, save.

mod batch;
mod config;
mod data;
mod evaluate;
mod optimizer;
mod start;
mod state;
mod text;
mod tokenizer;

pub(crate) use batch::rng;
pub use config::{
    DataConfig, ModelConfig, ObjectiveConfig, OptimizerConfig, ReportConfig, TokenizerConfig, TrainConfig,
};
pub use evaluate::Nelbo;
pub use optimizer::{Optimizer, learning_rate};
pub use state::Progress;
pub use text::{Reading, Text, Unit};

use crate::guides::Topics;
use crate::models::masked::{Condition, Init, MaskedConfig, MaskedModel, Network, Parameter};
use crate::models::{TOPICS, masked};
use crate::{Denoiser, Error, Result, Vocab};
use batch::Order;
use data::Example;
use rand::Rng;
use start::Start;
use std::path::Path;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use std::time::Instant;

/// How to run, beside what the configuration file says.
#[derive(Debug, Clone, Default)]
pub struct TrainOptions {
    /// Go on from `state/` in the output directory.
    pub resume: bool,
    /// Say nothing on stderr.
    pub quiet: bool,
    /// Set it (from a Ctrl-C handler) to stop after the current step; the run is saved first.
    pub stop: Arc<AtomicBool>,
}

/// Trains as a configuration file says; writes a checkpoint that [`Model::load`](crate::Model::load) reads.
///
/// # Errors
/// On bad configuration or data, a loss that is not a number, a full disk; `Interrupted` after a stop that saved.
pub fn run(config_path: &Path, options: TrainOptions) -> Result<()> {
    Run::prepare(TrainConfig::read(config_path)?, options)?.train()
}

/// Everything a step needs.
struct Run {
    config: TrainConfig,
    options: TrainOptions,
    model: MaskedConfig,
    vocab: Vocab,
    training: Vec<Example>,
    held_out: Vec<Example>,
    network: Network,
    optimizer: Optimizer,
    gradient: Vec<f32>,
    progress: Progress,
}

impl Run {
    fn prepare(config: TrainConfig, options: TrainOptions) -> Result<Self> {
        let tell = |line: String| {
            if !options.quiet {
                eprintln!("{line}");
            }
        };
        let texts = data::read(&config.data)?;
        let mut labels: Vec<String> = texts.iter().filter_map(|t| t.label.clone()).collect();
        labels.sort();
        labels.dedup();
        let tokenizer_path = config.out.join(masked::TOKENIZER);
        let size = config.tokenizer.vocab_size;
        let json = if options.resume {
            std::fs::read(&tokenizer_path)
                .map_err(|e| Error::io(format!("cannot read {}", tokenizer_path.display())).because(e))?
        } else {
            let training = texts.iter().filter(|t| !t.held_out).map(|t| t.text.as_str());
            let tokenizer = tokenizer::train(training, &labels, size)?;
            let json = tokenizer.to_string(false).map_err(|e| Error::model(format!("tokenizer: {e}")))?;
            state::write(&tokenizer_path, json.as_bytes())?;
            json.into_bytes()
        };
        let tokenizer = tokenizers::Tokenizer::from_bytes(&json)
            .map_err(|e| Error::model(format!("{}: {e}", tokenizer_path.display())))?;
        let vocab = Vocab::from_tokenizer(tokenizer, size, Some(tokenizer::EOS), None)?;

        let sizes = &config.model;
        let token = |i: usize| tokenizer::FIRST_CONDITION + i as u32;
        let model = MaskedConfig {
            model_type: masked::MODEL_TYPE.into(),
            name: sizes.name.clone(),
            vocab_size: size,
            hidden_size: sizes.hidden_size,
            layers: sizes.layers,
            heads: sizes.heads,
            ff_size: sizes.ff_size,
            max_len: sizes.max_len,
            rope_theta: sizes.rope_theta,
            norm_eps: 1e-5,
            mask_token: tokenizer::MASK,
            eos_token: tokenizer::EOS,
            null_token: tokenizer::NULL,
            conditions: labels
                .iter()
                .enumerate()
                .map(|(i, l)| Condition { label: l.clone(), token: token(i) })
                .collect(),
            causal: false,
        };
        model.check().map_err(|e| e.context("[model]"))?;

        let (mut training, mut held_out, mut left_out) = (Vec::new(), Vec::new(), 0);
        for text in &texts {
            let tokens = vocab.encode(&text.text)?;
            if tokens.len() >= model.max_len {
                left_out += 1;
                continue;
            }
            let label = text.label.as_ref().and_then(|l| labels.binary_search(l).ok());
            let side = if text.held_out { &mut held_out } else { &mut training };
            side.push(Example { tokens, label, bytes: text.text.len() });
        }
        if training.is_empty() {
            return Err(Error::input("no text is left to train on"));
        }
        let count = |e: &[Example]| e.iter().map(|e| e.tokens.len()).sum::<usize>();
        tell(format!(
            "data: {} texts, {} tokens; held out {} texts, {} tokens; {left_out} too long; {} labels",
            training.len(),
            count(&training),
            held_out.len(),
            count(&held_out),
            labels.len()
        ));
        tell(format!("model: {} parameters", model.parameters()));

        let mut init = rng(config.seed, 0, 0);
        let start = sizes.start.as_ref().filter(|_| !options.resume);
        let start = start.map(|path| Start::load(path, &model, &vocab)).transpose()?;
        let network = Network::build(&model, |parameter| match &start {
            Some(start) => start.weight(parameter),
            None => Ok(initial(parameter, &mut init)),
        })?;
        let (optimizer, gradient) = (Optimizer::new(&network), vec![0.0; network.weights().len()]);
        let progress = Progress::default();
        let mut run =
            Self { config, options, model, vocab, training, held_out, network, optimizer, gradient, progress };
        if run.options.resume {
            run.progress = state::load(&run.state_path(), &mut run.network, &mut run.optimizer)?;
            run.tell(&format!("resuming at step {}", run.progress.step));
        }
        Ok(run)
    }

    fn tell(&self, line: &str) {
        if !self.options.quiet {
            eprintln!("{line}");
        }
    }
    fn state_path(&self) -> std::path::PathBuf {
        self.config.out.join("state").join("state.safetensors")
    }

    fn train(mut self) -> Result<()> {
        let report = self.config.report.clone();
        let steps = self.config.optimizer.steps;
        let mut order = Order::new(self.config.seed, self.training.len(), self.progress.epoch, self.progress.next);
        let started = Instant::now();
        let first = self.progress;
        let (mut loss, mut logged, mut idle) = (0.0, 0, 0.0);
        while self.progress.step < steps {
            loss += self.step(&mut order)?;
            logged += 1;
            let step = self.progress.step;
            if step.is_multiple_of(report.log_every) || step == steps {
                let busy = started.elapsed().as_secs_f64() - idle;
                let rate = (self.progress.tokens - first.tokens) as f64 / busy;
                let left = busy / (step - first.step) as f64 * (steps - step) as f64;
                self.tell(&format!(
                    "step {step}/{steps}  epoch {:.2}  loss {:.3}  lr {:.1e}  {rate:.0} tokens/s  {} left",
                    order.epoch as f64 + order.next as f64 / self.training.len() as f64,
                    loss / f64::from(logged),
                    optimizer::learning_rate(&self.config.optimizer, step),
                    duration(left),
                ));
                (loss, logged) = (0.0, 0);
            }
            let pause = Instant::now();
            let stop = self.options.stop.load(Ordering::Relaxed);
            if step.is_multiple_of(report.save_every) || stop || step == steps {
                self.save()?;
            }
            if stop {
                return Err(Error::interrupted(format!("stopped and saved at step {step}"))
                    .help("run the same command with --resume to go on"));
            }
            if step.is_multiple_of(report.evaluate_every) || step == steps {
                self.evaluate(step == steps)?;
            }
            idle += pause.elapsed().as_secs_f64();
        }
        self.tell(&format!("wrote {}", self.config.out.display()));
        Ok(())
    }

    /// One batch, one update; returns the loss in nats per position.
    fn step(&mut self, order: &mut Order) -> Result<f64> {
        let config = &self.config;
        let step = self.progress.step;
        let length = |i: usize| batch::expected_length(self.training[i].tokens.len(), &config.objective);
        let chosen = order.take(config.optimizer.batch_tokens, length);
        let examples: Vec<&Example> = chosen.iter().map(|&i| &self.training[i]).collect();
        let batch = batch::masked(&examples, &self.model, &config.objective, &mut rng(config.seed, 3, step as u64));
        let positions = batch.packed.tokens.len() - batch.packed.lengths.len();
        self.progress =
            Progress { step: step + 1, epoch: order.epoch, next: order.next, tokens: self.progress.tokens + positions };
        if batch.targets.rows.is_empty() {
            return Ok(0.0);
        }
        self.gradient.fill(0.0);
        let value = self.network.loss_and_gradient(&batch.packed, &batch.targets, &mut self.gradient);
        if !value.is_finite() {
            return Err(Error::model(format!("the loss is {value} at step {step}"))
                .help("lower optimizer.lr or raise optimizer.warmup, then resume from the last checkpoint"));
        }
        self.optimizer.update(&mut self.network, &self.gradient, &config.optimizer, step)?;
        Ok(value)
    }

    /// The model as it would be shipped.
    fn averaged(&self) -> Result<MaskedModel> {
        let mean = |parameter: &Parameter| Ok::<_, Error>(self.optimizer.mean[parameter.range.clone()].to_vec());
        let network = Network::build(&self.model, mean)?;
        MaskedModel::new(self.model.clone(), self.vocab.clone(), network)
    }

    fn evaluate(&self, all: bool) -> Result<()> {
        let model = self.averaged()?;
        let texts = if all { self.held_out.len() } else { self.config.report.evaluate_texts.min(self.held_out.len()) };
        if texts > 0 {
            let nelbo = evaluate::nelbo(model.network(), &self.model, &self.held_out[..texts], self.config.seed)?;
            self.tell(&format!(
                "held out: {:.3} nats/token  {:.3} bits/byte  ({} texts)",
                nelbo.nats_per_token, nelbo.bits_per_byte, nelbo.texts
            ));
        }
        let mut random = rng(self.config.seed, 4, self.progress.step as u64);
        for i in 0..self.config.report.samples {
            let labels = model.conditions().len();
            let condition = (labels > 0 && i > 0).then(|| random.random_range(0..labels));
            let text = evaluate::sample(&model, 24.min(self.model.max_len), condition, &mut random)?;
            let label = condition.and_then(|c| model.conditions().get(c));
            self.tell(&format!("  [{}] {text}", label.map_or("-", |l| l)));
        }
        Ok(())
    }

    fn save(&self) -> Result<()> {
        let out = &self.config.out;
        let json = serde_json::to_string_pretty(&self.model).map_err(|e| Error::io(e.to_string()))?;
        state::write(&out.join(masked::CONFIG), (json + "\n").as_bytes())?;
        state::write(
            &out.join(masked::WEIGHTS),
            &masked::weights_to_bytes(self.network.parameters(), &self.optimizer.mean)?,
        )?;
        if !self.model.conditions.is_empty() {
            let labels = self.training.iter().filter_map(|e| {
                let label = e.label.and_then(|l| self.model.conditions.get(l))?;
                Some((label.label.as_str(), e.tokens.as_slice()))
            });
            state::write(&out.join(TOPICS), &Topics::fit(self.vocab.len(), labels)?.to_bytes()?)?;
        }
        state::save(&self.state_path(), &self.network, &self.optimizer, self.progress)
    }
}

fn initial(parameter: &Parameter, rng: &mut impl Rng) -> Vec<f32> {
    match parameter.init {
        Init::Ones => vec![1.0; parameter.range.len()],
        Init::Normal(std) => parameter.range.clone().map(|_| (normal(rng) * std) as f32).collect(),
    }
}

/// A standard normal number (Box–Muller).
fn normal(rng: &mut impl Rng) -> f64 {
    let (a, b): (f64, f64) = (1.0 - rng.random::<f64>(), rng.random());
    (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
}

fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 90.0 => format!("{s:.0} s"),
        s if s < 5400.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

#[cfg(test)]
mod tests;
