//! The corpus: reads files and stores tokenised texts on disk.

use super::config::{DataConfig, Long, TrainConfig};
use super::store::{Store, Writer};
use super::text::{Reading, Text};
use super::{TrainOptions, state, tokenizer};
use crate::models::masked::{self, Condition};
use crate::{Error, Result, Token, Vocab};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fs, path::Path, path::PathBuf, sync::Mutex};

/// Number of texts that are tokenised together.
const CHUNK: usize = 2048;

/// A tokenised text, or a piece of one.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// The tokens, without the end of text.
    pub tokens: Vec<Token>,
    /// Index into the conditions.
    pub label: Option<usize>,
    /// The length in bytes.
    pub bytes: usize,
    /// Whether the text ends with this piece.
    pub ends: bool,
}

/// The tokenised texts of a run.
pub struct Corpus {
    /// The training texts, source after source.
    pub training: Store,
    /// The held-out texts, which are never trained on.
    pub held_out: Store,
    pub vocab: Vocab,
    pub special: tokenizer::Special,
    pub facts: Facts,
}

impl Corpus {
    /// Lengths of the training texts in tokens, including their ends: ten quantiles (5 %, 15 %, …) of a sample.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub fn lengths(&self) -> Result<Vec<usize>> {
        const SAMPLE: u64 = 10_000;
        const QUANTILES: usize = 10;
        let (all, taken) = (self.training.len(), self.training.len().min(SAMPLE));
        let length = |i: u64| self.training.get(i * all / taken).map(|example| example.tokens.len() + 1);
        let mut lengths = (0..taken).map(length).collect::<Result<Vec<usize>>>()?;
        lengths.sort_unstable();
        let quantile = |i: usize| lengths.get((2 * i + 1) * lengths.len() / (2 * QUANTILES)).copied();
        Ok((0..QUANTILES).filter_map(quantile).collect())
    }
}

/// Facts about the stores. They are written last, so that a store without facts is not used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// The inputs on which the stores depend.
    made_from: String,
    /// The number of texts and the weight of each source.
    pub parts: Vec<(u64, f64)>,
    pub tokens: u64,
    pub held_out_tokens: u64,
    pub too_long: u64,
}

struct File {
    path: PathBuf,
    weight: f64,
    reading: Reading,
}

/// Reads and tokenises the corpus; trains a tokenizer where none is given. With `keep`, matching stores and tokenizers
/// of an earlier call are used.
///
/// # Errors
/// Damaged files, with the line; no text at all; a full disk; `Interrupted`.
pub fn prepare(config: &TrainConfig, session: &TrainOptions, keep: bool) -> Result<Corpus> {
    let files = files(&config.data)?;
    let path = config.out.join(masked::TOKENIZER);
    let tokenizer = if keep {
        tokenizer::read(&path, &[])?
    } else {
        let tokenizer = make_tokenizer(config, &files, session)?;
        let json = tokenizer.to_string(false).map_err(|e| Error::model(format!("tokenizer: {e}")))?;
        state::write(&path, json.as_bytes())?;
        tokenizer
    };
    let special = tokenizer::special(&tokenizer)?;
    let size = tokenizer.get_vocab_size(true);
    let vocab = Vocab::from_tokenizer(tokenizer, size, Some(special.eos), None)?;

    let folder = config.out.join("state");
    let [training, held_out, facts] = ["training", "held-out", "data.json"].map(|name| folder.join(name));
    let made_from = made_from(config, &files, &path)?;
    if keep && let Some(known) = fs::read(&facts).ok().and_then(|json| serde_json::from_slice::<Facts>(&json).ok()) {
        let (training, held_out) = (Store::open(&training)?, Store::open(&held_out)?);
        if known.made_from == made_from && known.parts.iter().map(|p| p.0).sum::<u64>() == training.len() {
            return Ok(Corpus { training, held_out, vocab, special, facts: known });
        }
        session.tell("the data has changed since: it is read again, and its order starts anew");
    }
    let _ = fs::remove_file(&facts);
    let mut writers = [Writer::create(&training)?, Writer::create(&held_out)?];
    let mut known = Facts { made_from, parts: Vec::new(), tokens: 0, held_out_tokens: 0, too_long: 0 };
    for file in &files {
        let before = writers[0].texts();
        let mut texts = file.reading.texts(&file.path)?;
        loop {
            session.check()?;
            let chunk = texts.by_ref().take(CHUNK).collect::<Result<Vec<Text>>>()?;
            if chunk.is_empty() {
                break;
            }
            let encode = |text: &Text| encode(text, &vocab, &special.labels, config);
            for (text, pieces) in chunk.iter().zip(chunk.par_iter().map(encode).collect::<Vec<_>>()) {
                let pieces = pieces?;
                known.too_long += u64::from(pieces.is_empty());
                for example in pieces {
                    let tokens = if text.held_out { &mut known.held_out_tokens } else { &mut known.tokens };
                    *tokens += example.tokens.len() as u64;
                    writers[usize::from(text.held_out)].push(&example)?;
                }
            }
        }
        known.parts.push((writers[0].texts() - before, file.weight));
    }
    let [training, held_out] = writers;
    let (training, held_out) = (training.finish()?, held_out.finish()?);
    if training.len() == 0 {
        return Err(Error::input("no text is left to train on").help(format!(
            "too long for model.max_len: {}; held out: {}",
            known.too_long,
            held_out.len()
        )));
    }
    let json = serde_json::to_vec(&known).map_err(|e| Error::io(e.to_string()))?;
    state::write(&facts, &json)?;
    Ok(Corpus { training, held_out, vocab, special, facts: known })
}

/// The pieces of a text; none where the text is left out.
fn encode(text: &Text, vocab: &Vocab, labels: &[Condition], config: &TrainConfig) -> Result<Vec<Example>> {
    let tokens = vocab.encode(&text.text)?;
    let label = match &text.label {
        None => None,
        Some(label) => Some(labels.iter().position(|c| c.label == *label).ok_or_else(|| {
            Error::input(format!("the label {label:?} is new: the model has no token for it"))
                .help("start a new run, without --resume")
        })?),
    };
    // The end takes a position, too.
    let room = config.model.max_len.saturating_sub(1).max(1);
    if tokens.len() <= room {
        return Ok(vec![Example { tokens, label, bytes: text.text.len(), ends: true }]);
    }
    if config.data.long == Long::Skip {
        return Ok(Vec::new());
    }
    let pieces = tokens.len().div_ceil(room);
    let piece = |(i, tokens): (usize, &[Token])| Example {
        tokens: tokens.to_vec(),
        label,
        bytes: vocab.decode(tokens).len(),
        ends: i + 1 == pieces,
    };
    Ok(tokens.chunks(room).enumerate().map(piece).collect())
}

fn make_tokenizer(config: &TrainConfig, files: &[File], session: &TrainOptions) -> Result<tokenizers::Tokenizer> {
    let mut labels = BTreeSet::new();
    let mut texts = 0u64;
    for file in files {
        for text in file.reading.texts(&file.path)? {
            if texts.is_multiple_of(CHUNK as u64) {
                session.check()?;
            }
            texts += 1;
            labels.extend(text?.label);
        }
    }
    if texts == 0 {
        let names: Vec<String> = files.iter().map(|f| f.path.display().to_string()).collect();
        return Err(Error::input(format!("there are no texts in {}", names.join(", "))));
    }
    let labels: Vec<String> = labels.into_iter().collect();
    let Some(size) = config.tokenizer.vocab_size else {
        let path = config.tokenizer.file.as_deref().unwrap_or(Path::new(masked::TOKENIZER));
        return tokenizer::read(path, &labels);
    };
    let failure = Mutex::new(None);
    let fail = |e: Error| drop(failure.lock().map(|mut failure| failure.get_or_insert(e).kind()));
    let texts = files.iter().flat_map(|file| match file.reading.texts(&file.path) {
        Ok(texts) => Some(texts).into_iter().flatten(),
        Err(e) => {
            fail(e);
            None.into_iter().flatten()
        }
    });
    let mut seen = 0u64;
    let texts = texts.map_while(|text| {
        seen += 1;
        let stopped = if seen.is_multiple_of(CHUNK as u64) { session.check() } else { Ok(()) };
        stopped.and(text).map_err(&fail).ok()
    });
    let texts = texts.filter(|t| !t.held_out).map(|t| t.text);
    let tokenizer = tokenizer::train(texts, &labels, size, &config.tokenizer)?;
    match failure.into_inner() {
        Ok(Some(e)) => Err(e),
        _ => Ok(tokenizer),
    }
}

/// The files of the configuration, with wildcards expanded.
fn files(config: &DataConfig) -> Result<Vec<File>> {
    let reading = Reading {
        text_field: config.text_field.clone(),
        label_fields: vec![config.label_field.clone()],
        key_field: config.key_field.clone(),
        held_out: config.held_out,
        lowercase: config.lowercase,
        label: None,
        unit: config.unit,
    };
    let mut files = Vec::new();
    for path in config.file.iter().chain(&config.files) {
        files.extend(matches(path)?.into_iter().map(|path| File { path, weight: 1.0, reading: reading.clone() }));
    }
    for source in &config.source {
        let reading =
            Reading { label: source.label.clone(), unit: source.unit.unwrap_or(config.unit), ..reading.clone() };
        let weight = source.weight;
        files.extend(matches(&source.path)?.into_iter().map(|path| File { path, weight, reading: reading.clone() }));
    }
    Ok(files)
}

/// The path itself, or the files that match its wildcards, sorted.
fn matches(pattern: &Path) -> Result<Vec<PathBuf>> {
    let name = pattern.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    if pattern.exists() || !name.contains(['*', '?']) {
        return Ok(vec![pattern.into()]);
    }
    let expression = regex::escape(name).replace(r"\*", ".*").replace(r"\?", ".");
    let expression = regex::Regex::new(&format!("^{expression}$")).map_err(|e| Error::input(e.to_string()))?;
    let folder = pattern.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let failed = |e: std::io::Error| Error::io(format!("cannot list {}", folder.display())).because(e);
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_name().to_str().is_some_and(|name| expression.is_match(name)) && entry.path().is_file() {
            found.push(entry.path());
        }
    }
    if found.is_empty() {
        return Err(Error::io(format!("no file is like {}", pattern.display()))
            .help("paths are relative to the configuration file"));
    }
    found.sort();
    Ok(found)
}

/// The inputs on which the stores depend, as text.
fn made_from(config: &TrainConfig, files: &[File], tokenizer: &Path) -> Result<String> {
    let describe = |path: &Path| {
        let about = fs::metadata(path).map_err(|e| {
            Error::io(format!("cannot read {}", path.display()))
                .because(e)
                .help("paths are relative to the configuration file")
        })?;
        let changed = about.modified().ok().and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok());
        Ok::<_, Error>(format!("{} {} {:?}", path.display(), about.len(), changed.unwrap_or_default()))
    };
    let mut parts = vec![format!("{:?} {}", config.data, config.model.max_len), describe(tokenizer)?];
    for file in files {
        parts.push(describe(&file.path)?);
    }
    Ok(parts.join("\n"))
}
