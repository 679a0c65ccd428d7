//! Training, readable top to bottom: read texts, train a tokenizer, mask, predict, learn, save.

mod batch;
mod chart;
mod classifier;
mod config;
mod data;
mod evaluate;
mod export;
mod journal;
mod optimizer;
mod order;
mod start;
mod state;
mod store;
mod text;
mod tokenizer;

use crate::random::rng;
pub use config::{
    ClassifierConfig, DataConfig, Long, ModelConfig, ObjectiveConfig, ObjectiveKind, OptimizerConfig, ReportConfig,
    SourceConfig, TokenizerConfig, TrainConfig,
};
pub use export::{Exported, export};
pub use journal::TrainRecord;
pub use optimizer::{Optimizer, learning_rate};
pub use state::Progress;
pub use text::{Reading, Text, TextUnit};

use crate::models::Topics;
use crate::models::masked::{MaskedConfig, MaskedNetwork, Parameter};
use crate::models::{TOPICS, masked};
use crate::{Error, ErrorKind, Result};
use batch::Batch;
use data::{Corpus, Example};
use journal::{Journal, duration, peak_memory_mib};
use order::BatchOrder;
use start::{Start, initial};
use std::path::{Path, PathBuf};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use std::time::{Duration, Instant};

/// Options of a run beside the configuration file.
#[derive(Debug, Clone, Default)]
pub struct TrainOptions {
    /// Resume from `state/` in the output directory; start at the beginning if nothing is saved yet.
    pub resume: bool,
    /// Start at the beginning and replace a saved run.
    pub overwrite: bool,
    /// Write nothing to stderr.
    pub quiet: bool,
    /// A flag that stops the run after the current step, for example from a Ctrl-C handler. The run is saved first.
    pub stop: Arc<AtomicBool>,
}

impl TrainOptions {
    fn tell(&self, line: &str) {
        if !self.quiet {
            eprintln!("{line}");
        }
    }
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
    /// Returns `Interrupted` when the user asks to stop before there is anything to save.
    fn check(&self) -> Result<()> {
        if self.stopped() { Err(Error::interrupted("stopped")) } else { Ok(()) }
    }
}

/// Trains with a configuration file and writes a checkpoint that [`Model::load`](crate::Model::load) reads, or
/// [`CausalModel::load`](crate::models::CausalModel::load) for the causal objective.
///
/// # Errors
/// Invalid configuration or data, a loss that is not a number, a full disk; `Interrupted` after a stop that saved.
pub fn run(config_path: &Path, options: TrainOptions) -> Result<()> {
    Run::prepare(TrainConfig::read(config_path)?, options)?.train()
}

/// The state of a training run.
struct Run {
    config: TrainConfig,
    options: TrainOptions,
    model: MaskedConfig,
    corpus: Corpus,
    order: BatchOrder,
    network: MaskedNetwork,
    optimizer: Optimizer,
    gradient: Vec<f32>,
    progress: Progress,
}

impl Run {
    fn prepare(config: TrainConfig, options: TrainOptions) -> Result<Self> {
        let state = state_path(&config);
        let resume = options.resume && state.exists();
        if options.resume && !resume {
            options.tell("nothing is saved yet: starting at the beginning");
        }
        if !options.resume && !options.overwrite && state.exists() {
            return Err(Error::input(format!("{} holds a run already", config.out.display()))
                .help("go on with it (--resume), replace it (--overwrite) or set another `out`"));
        }
        let corpus = data::prepare(&config, &options, resume)?;
        let facts = &corpus.facts;
        options.tell(&format!(
            "data: {} texts, {} tokens; held out {} texts, {} tokens; {} too long; {} labels",
            corpus.training.len(),
            facts.tokens,
            corpus.held_out.len(),
            facts.held_out_tokens,
            facts.too_long,
            corpus.special.labels.len()
        ));
        let model = model_config(&config, &corpus)?;
        model.check().map_err(|e| e.context("[model]"))?;
        options.tell(&format!("model: {} parameters, {} tokens", model.parameters(), model.vocab_size));

        let mut init = rng(config.seed, 0, 0);
        let start = config.model.start.as_ref().filter(|_| !resume);
        let start = start.map(|path| Start::load(path, &model, &corpus.vocab)).transpose()?;
        let mut network = MaskedNetwork::build(&model, |parameter| match &start {
            Some(start) => start.weight(parameter),
            None => Ok(initial(parameter, &mut init)),
        })?;
        let mut optimizer = Optimizer::new(&network);
        let settings = serde_json::to_value(&config).map_err(|e| Error::io(e.to_string()))?;
        let progress = if resume {
            let (progress, before) = state::load(&state, &mut network, &mut optimizer)?;
            options.tell(&format!("resuming at step {}", progress.step));
            for change in before.iter().flat_map(|before| state::changes("", before, &settings)) {
                options.tell(&format!("changed since it was saved: {change}"));
            }
            progress
        } else {
            Progress::default()
        };
        let order = BatchOrder::new(config.seed, corpus.facts.parts.iter().copied(), progress.epoch, progress.next);
        let gradient = vec![0.0; network.weights().len()];
        Ok(Self { config, options, model, corpus, order, network, optimizer, gradient, progress })
    }

    fn train(mut self) -> Result<()> {
        let report = self.config.report.clone();
        let steps = self.config.optimizer.steps;
        let mut journal = Journal::open(&self.config.out, self.progress.step)?;
        self.write_topics()?;
        let started = Instant::now();
        let first = self.progress;
        let (mut loss, mut logged, mut idle) = (0.0, 0, 0.0);
        while self.progress.step < steps {
            loss += self.step()?;
            logged += 1;
            let step = self.progress.step;
            let last = step == steps;
            if step.is_multiple_of(report.log_every) || last {
                let busy = started.elapsed().as_secs_f64() - idle;
                let record = TrainRecord {
                    step,
                    epoch: self.order.epochs(),
                    loss: Some(loss / f64::from(logged)),
                    learning_rate: Some(learning_rate(&self.config.optimizer, step)),
                    tokens_per_second: Some((self.progress.tokens - first.tokens) as f64 / busy),
                    peak_memory_mib: peak_memory_mib(),
                    ..TrainRecord::default()
                };
                let left = busy / (step - first.step) as f64 * (steps - step) as f64;
                self.options.tell(&progress_line(&record, steps, left));
                self.record(&mut journal, record, false);
                (loss, logged) = (0.0, 0);
            }
            let pause = Instant::now();
            let stop = self.options.stopped();
            if step.is_multiple_of(report.save_every) || stop || last {
                self.save(stop || last)?;
            }
            if stop {
                return Err(Error::interrupted(format!("stopped and saved at step {step}"))
                    .help("run the same command with --resume to go on"));
            }
            if step.is_multiple_of(report.evaluate_every) && !last {
                self.evaluate(&mut journal, false)?;
            }
            idle += pause.elapsed().as_secs_f64();
        }
        // A run that is stopped here repeats this part.
        self.evaluate(&mut journal, true)?;
        if let Some(settings) = &self.config.classifier {
            let network = self.averaged()?;
            classifier::train(settings, &self.config, &self.options, &self.model, &network, &self.corpus)?;
        }
        let peak = peak_memory_mib().map_or(String::new(), |mib| format!(", peak memory {mib} MiB"));
        self.options.tell(&format!("wrote {}{peak}", self.config.out.display()));
        Ok(())
    }

    /// Computes the gradient of one or several batches and makes one update. Returns the loss in nats per position.
    fn step(&mut self) -> Result<f64> {
        let Self { config, corpus, model, order, .. } = self;
        let step = self.progress.step;
        let batches = config.optimizer.accumulate;
        let mut parts = Vec::with_capacity(batches);
        for part in 0..batches {
            let examples = take(order, corpus, config)?;
            let mut random = rng(config.seed, 3, (step * batches + part) as u64);
            parts.push(batch::batch(&examples, model, &config.objective, &mut random));
        }
        let positions: usize = parts.iter().map(|batch| batch.positions).sum();
        let tokens = self.progress.tokens + positions;
        self.progress = Progress { step: step + 1, epoch: order.epoch, next: order.next, tokens };
        self.gradient.fill(0.0);
        let mut loss = 0.0;
        for Batch { packed, mut targets, .. } in parts {
            targets.weights.iter_mut().for_each(|w| *w /= positions as f32);
            loss += self.network.loss_and_gradient(&packed, &targets, &mut self.gradient);
        }
        if !loss.is_finite() {
            return Err(Error::model(format!("the loss is {loss} at step {step}"))
                .help("lower optimizer.lr or raise optimizer.warmup, then resume from the last checkpoint"));
        }
        self.optimizer.update(&mut self.network, &self.gradient, &config.optimizer, step)?;
        Ok(loss)
    }

    /// The network with the averaged weights.
    fn averaged(&self) -> Result<MaskedNetwork> {
        let mean = |parameter: &Parameter| Ok::<_, Error>(self.optimizer.mean[parameter.range.clone()].to_vec());
        MaskedNetwork::build(&self.model, mean)
    }

    fn record(&self, journal: &mut Journal, record: TrainRecord, draw: bool) {
        if let Some(error) = journal.add(record, draw) {
            self.options.tell(&format!("the loss curve is not complete: {error:#}"));
        }
    }

    /// Saves the checkpoint, then the state. If nothing can be written (a full disk), training goes on and the next
    /// save may succeed. With `must`, the save is retried until the user's patience ends.
    fn save(&self, must: bool) -> Result<()> {
        let started = Instant::now();
        let patience = Duration::from_secs(self.config.report.patience);
        let mut told = false;
        loop {
            let error = match self.write_checkpoint() {
                Err(error) if error.kind() == ErrorKind::Io => error,
                other => return other,
            };
            if must && started.elapsed() >= patience {
                return Err(error.help("free some space, then go on from the last save with --resume"));
            }
            if !std::mem::replace(&mut told, true) {
                let then = if must { "trying again" } else { "training goes on" };
                self.options.tell(&format!("not saved at step {}, {then}: {error:#}", self.progress.step));
            }
            if !must {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(500).min(patience));
        }
    }

    fn write_checkpoint(&self) -> Result<()> {
        let out = &self.config.out;
        let json = serde_json::to_string_pretty(&self.model).map_err(|e| Error::io(e.to_string()))?;
        state::write(&out.join(masked::CONFIG), (json + "\n").as_bytes())?;
        let (parameters, mean) = (self.network.parameters(), &self.optimizer.mean);
        let weights = masked::weights_to_bytes(parameters, mean, self.config.export)?;
        state::write(&out.join(masked::WEIGHTS), &weights)?;
        let settings = serde_json::to_value(&self.config).map_err(|e| Error::io(e.to_string()))?;
        state::save(&state_path(&self.config), &self.network, &self.optimizer, self.progress, &settings)
    }

    /// Writes the label statistics, which depend on the data alone.
    fn write_topics(&self) -> Result<()> {
        let mut failure = None;
        let labels = &self.model.conditions;
        let labelled = |example: Result<Example>| match example {
            Ok(example) => Some((labels.get(example.label?)?.label.as_str(), example.tokens)),
            Err(error) => {
                failure.get_or_insert(error);
                None
            }
        };
        let mut texts = self.corpus.training.iter().filter_map(labelled).peekable();
        if texts.peek().is_none() {
            return failure.map_or(Ok(()), Err);
        }
        let topics = Topics::fit(self.model.vocab_size, texts)?;
        match failure {
            Some(error) => Err(error),
            None => state::write(&self.config.out.join(TOPICS), &topics.to_bytes()?),
        }
    }
}

fn state_path(config: &TrainConfig) -> PathBuf {
    config.out.join("state").join("state.safetensors")
}

fn model_config(config: &TrainConfig, corpus: &Corpus) -> Result<MaskedConfig> {
    let sizes = &config.model;
    Ok(MaskedConfig {
        model_type: masked::MODEL_TYPE.into(),
        name: sizes.name.clone(),
        vocab_size: corpus.vocab.len(),
        hidden_size: sizes.hidden_size,
        layers: sizes.layers,
        heads: sizes.heads,
        ff_size: sizes.ff_size,
        max_len: sizes.max_len,
        rope_theta: sizes.rope_theta,
        norm_eps: 1e-5,
        mask_token: corpus.special.mask,
        eos_token: corpus.special.eos,
        null_token: corpus.special.null,
        conditions: corpus.special.labels.clone(),
        causal: config.objective.kind == ObjectiveKind::Causal,
        lengths: corpus.lengths()?,
    })
}

/// The next texts: at least one text, and about as many positions as a batch should have.
fn take(order: &mut BatchOrder, corpus: &Corpus, config: &TrainConfig) -> Result<Vec<Example>> {
    let mut taken = Vec::new();
    let mut total = 0;
    while let Some(index) = order.peek() {
        let example = corpus.training.get(index)?;
        total += batch::expected_length(example.tokens.len(), &config.objective);
        if total > config.optimizer.batch_tokens && !taken.is_empty() {
            break;
        }
        taken.push(example);
        order.advance();
    }
    Ok(taken)
}

fn progress_line(record: &TrainRecord, steps: usize, left: f64) -> String {
    format!(
        "step {}/{steps}  epoch {:.2}  loss {:.3}  lr {:.1e}  {:.0} tokens/s{}  {} left",
        record.step,
        record.epoch,
        record.loss.unwrap_or_default(),
        record.learning_rate.unwrap_or_default(),
        record.tokens_per_second.unwrap_or_default(),
        record.peak_memory_mib.map_or(String::new(), |mib| format!("  peak {mib} MiB")),
        duration(left),
    )
}

#[cfg(test)]
mod tests;
