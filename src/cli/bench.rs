//! `stencil bench`

mod items;
mod measure;

use super::Status;
use clap::{Args, Subcommand};
use measure::{Measured, Setting};
use std::{collections::HashSet, path::PathBuf};
use stencil_lm::{Error, Result, Vocab, engine::Engine};

#[derive(Debug, Args)]
pub struct Bench {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Compile constraints for a tokenizer and project random logits on them
    Engine(Box<Projection>),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  stencil bench engine --tokenizer tokenizer.json
  stencil bench engine --tokenizer tokenizer.json --extend 262144 --item iso_date --json

All times are medians in milliseconds, the stages interleaved; on one thread of Linux, of the thread's own processor time.
compile       from the expression to the automaton, the tokenizer prepared
compile_cold  the same with a tokenizer seen for the first time, read from its file before
project       the pass over the logits, class masses, and both passes of the sums: after it a draw, a probability or a
              projected row needs nothing of other positions. What fits the canvas is known from the round before, as it
              is in a step from the search for forced positions
sample, map   one text for all positions from that; map looks for the likeliest token of each class
candidates    what an order of positions may ask for: likeliest token, margin and entropy of every position
softmax       largest, argmax and sum of exponentials of the same logits, fused: what every sampler does anyway
ratio         project / softmax
peak_mib      what resident memory grew by while compiling and projecting (Linux; 0 elsewhere)")]
struct Projection {
    /// A tokenizer.json
    #[arg(long, value_name = "FILE")]
    tokenizer: PathBuf,
    /// Open positions
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u64).range(1..=65_536))]
    positions: u64,
    /// Threads
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1024))]
    threads: u64,
    /// Extend the vocabulary to so many tokens with joined pairs of its own
    #[arg(long, value_name = "TOKENS")]
    extend: Option<usize>,
    /// Only this item; may be repeated
    #[arg(long, value_name = "NAME")]
    item: Vec<String>,
    /// Rounds to take medians of
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    rounds: u64,
    /// One JSON object per item and line
    #[arg(long)]
    json: bool,
}

impl Bench {
    pub fn run(self) -> Result<Status> {
        match self.what {
            What::Engine(projection) => projection.run(),
        }
    }
}

impl Projection {
    fn run(self) -> Result<Status> {
        let known = items::NAMES;
        if let Some(stray) = self.item.iter().find(|item| !known.contains(&item.as_str())) {
            return Err(
                Error::input(format!("there is no item {stray:?}")).help(format!("items: {}", known.join(", ")))
            );
        }
        let mut engine = Engine::from_file(&self.tokenizer, None)?;
        if let Some(size) = self.extend {
            engine = Engine::new(extended(engine.vocab(), size)?);
        }
        let pool = rayon::ThreadPoolBuilder::new().num_threads(self.threads as usize).build();
        let pool = pool.map_err(|e| Error::input(format!("cannot start {} threads: {e}", self.threads)))?;
        let setting = Setting::new(engine, self.positions as usize, self.rounds as usize, self.threads as usize);
        if !self.json {
            println!("{}", Measured::HEAD);
        }
        for name in known.iter().filter(|name| self.item.is_empty() || self.item.iter().any(|item| item == *name)) {
            let measured = pool.install(|| setting.measure(name))?;
            println!("{}", if self.json { measured.json() } else { measured.row() });
        }
        Ok(Status::Good)
    }
}

/// The vocabulary with joined pairs of its short tokens after its own, in a fixed order.
fn extended(vocab: &Vocab, size: usize) -> Result<Vocab> {
    let mut tokens: Vec<Option<Vec<u8>>> =
        (0..vocab.len() as u32).map(|token| vocab.bytes(token).map(<[u8]>::to_vec)).collect();
    let short: Vec<Vec<u8>> = tokens.iter().flatten().filter(|bytes| bytes.len() < 8).cloned().collect();
    let most = short.len().saturating_mul(short.len()) / 2;
    if size < tokens.len() || size - tokens.len() > most {
        return Err(Error::input(format!("cannot extend {} tokens to {size}", tokens.len())));
    }
    let mut seen: HashSet<Vec<u8>> = tokens.iter().flatten().cloned().collect();
    let mut x = 1u64;
    while tokens.len() < size {
        x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let pick = |shift: u32| &*short[(x >> shift) as usize % short.len()];
        let joined = [pick(33), pick(17)].concat();
        if seen.insert(joined.clone()) {
            tokens.push(Some(joined));
        }
    }
    Vocab::from_bytes(tokens, vocab.eos(), vocab.pad())
}
