//! The files of WordNet: wndb(5), cntlist(5), lexnames(5).

use std::collections::HashMap;
use std::{fs, io};

/// Lexicographer files of nouns, from number 3.
const LEXNAMES: [&str; 26] = [
    "top",
    "act",
    "animal",
    "artifact",
    "attribute",
    "body",
    "cognition",
    "communication",
    "event",
    "feeling",
    "food",
    "group",
    "location",
    "motive",
    "object",
    "person",
    "phenomenon",
    "plant",
    "possession",
    "process",
    "quantity",
    "relation",
    "shape",
    "state",
    "substance",
    "time",
];
/// Topics that are written about; the abstract ones are beyond a small model.
pub const TOPICS: [&str; 12] = [
    "animal",
    "artifact",
    "body",
    "feeling",
    "food",
    "location",
    "object",
    "person",
    "phenomenon",
    "plant",
    "substance",
    "time",
];

/// Part of speech, as the files name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    Noun,
    Verb,
    Adjective,
}

impl Part {
    pub fn name(self) -> &'static str {
        match self {
            Self::Noun => "noun",
            Self::Verb => "verb",
            Self::Adjective => "adjective",
        }
    }
}

/// One sense: its words and what WordNet says of them.
pub struct Synset {
    /// Lexicographer file of a noun.
    pub label: Option<&'static str>,
    pub words: Vec<String>,
    /// Keys of [`WordNet::synsets`].
    pub hypernyms: Vec<String>,
    /// The gloss without remarks in brackets, cut at semicolons.
    pub definitions: Vec<String>,
    pub examples: Vec<String>,
}

/// A word in one of its senses.
pub struct Word<'a> {
    pub lemma: &'a str,
    pub synset: &'a Synset,
    /// How common: occurrences of the sense in the tagged texts of WordNet and, of a word's chief sense, in its glosses.
    pub uses: usize,
}

pub struct WordNet {
    /// By letter of the part of speech and offset, `n02084071`, in the order of the files.
    pub synsets: Vec<(String, Synset)>,
    index: HashMap<String, usize>,
    /// Offsets of a lemma's senses, the most common first.
    senses: HashMap<(Part, String), Vec<String>>,
    /// Occurrences of a sense in tagged texts, by lemma and number of the sense.
    tagged: HashMap<(Part, String, usize), usize>,
    /// How often a word form occurs in glosses and examples.
    glosses: HashMap<String, usize>,
}

impl WordNet {
    /// Reads the folder that holds `data.noun`.
    pub fn read(folder: &str) -> io::Result<Self> {
        let read = |name: &str| {
            let path = format!("{folder}/{name}");
            fs::read_to_string(&path).map_err(|e| io::Error::new(e.kind(), format!("cannot read {path}: {e}")))
        };
        let (mut synsets, mut senses) = (Vec::new(), HashMap::new());
        for (name, part) in [("noun", Part::Noun), ("verb", Part::Verb), ("adj", Part::Adjective)] {
            synsets.extend(read(&format!("data.{name}"))?.lines().filter_map(|line| synset(line, part)));
            for line in read(&format!("index.{name}"))?.lines().filter(|l| !l.starts_with(' ')) {
                let fields: Vec<&str> = line.split_whitespace().collect();
                let offsets = fields.iter().rev().take_while(|f| f.len() == 8).map(|f| id(part, f));
                let mut offsets: Vec<String> = offsets.collect();
                offsets.reverse();
                if let Some(lemma) = fields.first() {
                    senses.insert((part, lemma.replace('_', " ")), offsets);
                }
            }
        }
        let tagged = read("cntlist.rev")?.lines().filter_map(count).collect();
        let mut glosses = HashMap::new();
        for (_, s) in &synsets {
            for word in s.definitions.iter().chain(&s.examples).flat_map(|t| words(t)) {
                *glosses.entry(word.to_lowercase()).or_default() += 1;
            }
        }
        let index = synsets.iter().enumerate().map(|(i, (id, _))| (id.clone(), i)).collect();
        Ok(Self { synsets, index, senses, tagged, glosses })
    }

    pub fn get(&self, id: &str) -> Option<&Synset> {
        self.index.get(id).and_then(|&i| self.synsets.get(i)).map(|(_, s)| s)
    }

    /// How often a word form occurs in glosses and examples.
    pub fn in_glosses(&self, word: &str) -> usize {
        self.glosses.get(&word.to_lowercase()).copied().unwrap_or(0)
    }

    /// The lower-case words of one part of speech in each sense that a fourth of their tagged occurrences have, the most
    /// common first.
    pub fn common(&self, part: Part) -> Vec<Word<'_>> {
        let mut totals: HashMap<&str, usize> = HashMap::new();
        for ((_, lemma, _), times) in &self.tagged {
            *totals.entry(lemma).or_default() += times;
        }
        let mut out = Vec::new();
        for ((_, lemma), offsets) in self.senses.iter().filter(|((p, _), _)| *p == part) {
            let total = totals.get(lemma.as_str()).copied().unwrap_or(0);
            let others = [Part::Noun, Part::Verb, Part::Adjective].into_iter().filter(|&p| p != part);
            let alone = others.into_iter().all(|p| !self.senses.contains_key(&(p, lemma.clone())));
            for (sense, synset) in offsets.iter().take(3).filter_map(|o| self.get(o)).enumerate() {
                let written = synset.words.contains(lemma) && lemma.chars().all(|c| c.is_ascii_lowercase());
                let tagged = self.tagged.get(&(part, lemma.clone(), sense + 1)).copied().unwrap_or(0);
                let chief = if total == 0 { sense == 0 && alone } else { 4 * tagged >= total };
                let glosses = if 2 * tagged >= total { self.in_glosses(lemma) } else { 0 };
                if written && lemma.len() > 2 && chief && tagged + glosses > 1 {
                    out.push(Word { lemma, synset, uses: tagged + glosses });
                }
            }
        }
        out.sort_by_key(|w| (std::cmp::Reverse(w.uses), w.lemma, w.synset.label));
        out
    }
}

fn id(part: Part, offset: &str) -> String {
    let letter = match part {
        Part::Noun => 'n',
        Part::Verb => 'v',
        Part::Adjective => 'a',
    };
    format!("{letter}{offset}")
}

/// A line of `data.*`: offset, file, type, words, pointers, `|`, gloss.
fn synset(line: &str, part: Part) -> Option<(String, Synset)> {
    let (fields, gloss) = line.split_once('|')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let (offset, file) = (fields.first()?, fields.get(1)?.parse::<usize>().ok()?);
    let count = usize::from_str_radix(fields.get(3)?, 16).ok()?;
    let words = fields.get(4..4 + 2 * count)?.iter().step_by(2);
    let words = words.map(|w| w.split('(').next().unwrap_or(w).replace('_', " ")).collect();
    let pointers = fields.get(5 + 2 * count..)?.chunks_exact(4);
    let hypernyms = pointers.filter(|p| p[0] == "@").map(|p| id(part, p[1])).collect();
    let (definitions, examples) = split_gloss(gloss);
    let label = if part == Part::Noun { file.checked_sub(3).and_then(|i| LEXNAMES.get(i)).copied() } else { None };
    Some((id(part, offset), Synset { label, words, hypernyms, definitions, examples }))
}

/// A line of `cntlist.rev`: sense key, number of the sense, occurrences.
fn count(line: &str) -> Option<((Part, String, usize), usize)> {
    let mut fields = line.split_whitespace();
    let (lemma, rest) = fields.next()?.split_once('%')?;
    let part = match rest.as_bytes().first()? {
        b'1' => Part::Noun,
        b'2' => Part::Verb,
        b'3' | b'5' => Part::Adjective,
        _ => return None,
    };
    let (sense, times) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(((part, lemma.replace('_', " "), sense), times))
}

/// Definitions outside quotation marks and brackets, and the quoted examples.
fn split_gloss(gloss: &str) -> (Vec<String>, Vec<String>) {
    let (mut plain, mut examples, mut depth) = (String::new(), Vec::new(), 0);
    for (i, part) in gloss.split('"').enumerate() {
        if i % 2 == 1 {
            examples.push(tidy(part));
            continue;
        }
        for c in part.chars() {
            match c {
                '(' => depth += 1,
                ')' => depth -= 1,
                c if depth <= 0 => plain.push(c),
                _ => {}
            }
        }
    }
    let definitions = plain.split([';', ':']).map(tidy).filter(|d| !d.is_empty()).collect();
    (definitions, examples)
}

fn tidy(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ").replace(" ,", ",");
    text.trim_matches([' ', ',', '-', '.', ';']).to_string()
}

/// The words of a text, without its punctuation.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c.is_whitespace() || ",.:;!?\"".contains(c)).filter(|w| !w.is_empty())
}
