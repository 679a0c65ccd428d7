//! Makes the corpus of the bundled model, from WordNet, a generator of records and text by a small teacher model.
//!
//! ```text
//! apt-get download wordnet-base && dpkg -x wordnet-base_*.deb wordnet
//! cargo run --release --example corpus -- prompts wordnet/usr/share/wordnet > prompts.jsonl
//! python3 scripts/teacher_text.py prompts.jsonl teacher.jsonl
//! cargo run --release --example corpus -- build wordnet/usr/share/wordnet teacher.jsonl > corpus.jsonl
//! cargo run --release --example corpus -- check corpus.jsonl
//! ```
//! Each line is `{"text", "label", "topic", "key", "part"}`. The label is the condition of the model: a topic ("animal", "food",
//! …) or a format ("json", "date", …). The key is the word, name or value a text is about: all its
//! lines fall on the same side of the held-out split. `check` shows that nothing held out is trained on, and
//! `check corpus.jsonl FOLDER` writes the held-out texts there, a file per part, and those trained on.

mod check;
mod line;
mod lists;
mod prompts;
mod records;
mod sentences;
mod teacher;
mod wordnet;

use line::Line;
use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::{env, fs, io, process::ExitCode};
use wordnet::WordNet;

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args.as_slice() {
        ["prompts", folder] => prompts(folder),
        ["build", folder] => build(folder, None),
        ["build", folder, teacher] => build(folder, Some(teacher)),
        ["check", file] => check::check(file, None),
        ["check", file, folder] => check::check(file, Some(folder)),
        _ => {
            eprintln!("usage: corpus prompts WORDNET | build WORDNET [TEACHER.jsonl] | check CORPUS.jsonl [FOLDER]");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(e) => {
            eprintln!("error: {e}");
            ExitCode::from(2)
        }
    }
}

/// Leaves out what holds a word that few texts hold: a small vocabulary writes it in pieces, and a small model puts such
/// pieces together to words that are none. Records are made of names and numbers and stay.
fn keep_common(lines: &mut Vec<Line>) {
    const FEWEST: usize = 5;
    let prose = |line: &Line| ["sentences", "definitions", "entries"].contains(&line.part);
    let words = |line: &Line| -> HashSet<String> {
        let words = line.text.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| !word.is_empty());
        words.map(str::to_lowercase).collect()
    };
    let mut texts: HashMap<String, usize> = HashMap::new();
    for word in lines.iter().filter(|line| prose(line)).flat_map(words) {
        *texts.entry(word).or_default() += 1;
    }
    lines.retain(|line| !prose(line) || words(line).iter().all(|word| texts[word] >= FEWEST));
}

fn prompts(folder: &str) -> io::Result<bool> {
    let wordnet = WordNet::read(folder)?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    prompts::prompts(&wordnet).iter().try_for_each(|request| writeln!(out, "{request}"))?;
    out.flush().map(|()| true)
}

fn build(folder: &str, teacher: Option<&str>) -> io::Result<bool> {
    let mut lines = sentences::lines(&WordNet::read(folder)?);
    if let Some(path) = teacher {
        lines.extend(teacher::lines(&fs::read_to_string(path)?)?);
    }
    lines.extend(records::lines());
    // A text stands once, under the first word it was written for.
    let mut seen = HashSet::new();
    lines.retain(|line| seen.insert(line.text.clone()));
    keep_common(&mut lines);
    let mut out = io::BufWriter::new(io::stdout().lock());
    for line in &lines {
        // The plain sentences count twice: they are what the model should write like.
        for _ in 0..if line.part == "sentences" { 2 } else { 1 } {
            writeln!(out, "{}", line.json())?;
        }
    }
    out.flush().map(|()| true)
}
