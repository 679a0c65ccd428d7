//! Infilling: how often a model finds a hidden word.

use super::{Coded, LanguageModel, likelihood::POSITIONS, likelihood::surprise};
use crate::{Result, Token, Vocab, random::rng};
use rand::Rng;
use std::ops::Range;

/// Purpose of the random numbers of this file.
const WORDS: u64 = 10;
/// Width of the beam search for words of several tokens.
const BEAM: usize = 8;

/// A text with open positions, one of which is to be predicted.
#[derive(Debug, Clone, PartialEq)]
pub struct Blank {
    /// Index of the condition.
    pub condition: Option<usize>,
    /// The tokens; `None` is an open position.
    pub tokens: Vec<Option<Token>>,
    /// The position to predict; all earlier positions are visible.
    pub at: usize,
}

/// The number of hidden words that a model found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Infill {
    /// Number of hidden words.
    pub words: usize,
    /// Number of words that were the likeliest candidate.
    pub first: usize,
    /// Number of words among the five likeliest candidates.
    pub five: usize,
}

/// A hidden word.
struct Hidden<'a> {
    text: &'a Coded,
    at: Range<usize>,
    /// Whether the first token of the word writes a leading space.
    spaced: bool,
}

/// The beam: candidates for the first tokens of a word with their scores, best first.
type Beam = Vec<(Vec<Token>, f64)>;

/// Hides one random word in each text, with all its tokens, and asks the model for it.
///
/// The model knows the number of hidden tokens. Candidates are words of this number of tokens that start with a space
/// if the hidden word does. A beam search writes them from left to right. Causal models see the text to the left only.
pub(super) fn measure(model: &dyn LanguageModel, texts: &[Coded], most: usize, seed: u64) -> Result<Infill> {
    let vocab = model.vocab();
    let letters = Letters::new(vocab);
    let mut hidden = Vec::new();
    for (i, text) in texts.iter().enumerate() {
        let words = words(&text.tokens, &letters);
        let fits = text.tokens.len() <= model.max_len();
        if hidden.len() < most && fits && !words.is_empty() {
            let at = words[rng(seed, WORDS, i as u64).random_range(0..words.len())].clone();
            let spaced = letters.spaced[text.tokens[at.start] as usize];
            hidden.push(Hidden { text, at, spaced });
        }
    }
    let mut found = Infill { words: hidden.len(), ..Infill::default() };
    let mut rest = hidden.as_slice();
    while !rest.is_empty() {
        let mut positions = 0;
        let fits = rest.iter().take_while(|h| {
            positions += h.text.tokens.len();
            positions <= POSITIONS
        });
        let (group, later) = rest.split_at(fits.count().max(1));
        rest = later;
        for (hidden, beam) in group.iter().zip(search(model, group, &letters)?) {
            let word = &hidden.text.tokens[hidden.at.clone()];
            let rank = beam.iter().position(|(tokens, _)| tokens == word);
            found.first += usize::from(rank == Some(0));
            found.five += usize::from(rank.is_some_and(|r| r < 5));
        }
    }
    Ok(found)
}

/// The candidates of each word, best first.
fn search(model: &dyn LanguageModel, group: &[Hidden], letters: &Letters) -> Result<Vec<Beam>> {
    let mut beams: Vec<Beam> = group.iter().map(|_| vec![(Vec::new(), 0.0)]).collect();
    for depth in 0.. {
        let open: Vec<usize> = (0..group.len()).filter(|&i| group[i].at.len() > depth).collect();
        if open.is_empty() {
            break;
        }
        let mut blanks = Vec::new();
        for &i in &open {
            let Hidden { text, at, .. } = &group[i];
            for (written, _) in &beams[i] {
                let mut tokens: Vec<Option<Token>> = text.tokens.iter().copied().map(Some).collect();
                tokens[at.clone()].fill(None);
                tokens[at.start..].iter_mut().zip(written).for_each(|(t, &w)| *t = Some(w));
                blanks.push(Blank { condition: text.condition, tokens, at: at.start + depth });
            }
        }
        let mut next: Vec<Beam> = open.iter().map(|_| Vec::new()).collect();
        let owners = open.iter().enumerate().flat_map(|(o, &i)| beams[i].iter().map(move |c| (o, i, c)));
        let owners: Vec<_> = owners.collect();
        let calls = blanks.chunks(POSITIONS / 16).zip(owners.chunks(POSITIONS / 16));
        for (blanks, owners) in calls {
            let scores = model.scores(blanks)?;
            for (row, &(o, i, (written, so_far))) in owners.iter().enumerate() {
                let allowed = if depth == 0 && group[i].spaced { &letters.spaced } else { &letters.plain };
                for token in best(scores.row(row), allowed) {
                    let word = written.iter().copied().chain([token]).collect();
                    next[o].push((word, so_far - surprise(scores.row(row), token)));
                }
            }
        }
        for (&i, mut beam) in open.iter().zip(next) {
            beam.sort_by(|a, b| b.1.total_cmp(&a.1));
            beam.truncate(BEAM);
            beams[i] = beam;
        }
    }
    Ok(beams)
}

/// The likeliest allowed tokens, best first.
fn best(scores: &[f32], allowed: &[bool]) -> Vec<Token> {
    let mut best: Vec<Token> = Vec::with_capacity(BEAM + 1);
    for (token, &score) in scores.iter().enumerate().filter(|&(t, _)| allowed[t]) {
        if best.len() < BEAM || best.last().is_some_and(|&b| score > scores[b as usize]) {
            let place = best.partition_point(|&b| scores[b as usize] >= score);
            best.insert(place, token as Token);
            best.truncate(BEAM);
        }
    }
    best
}

/// The tokens that are made of letters.
struct Letters {
    /// Tokens of a space and at least one letter.
    spaced: Vec<bool>,
    /// Tokens of letters only.
    plain: Vec<bool>,
}

impl Letters {
    fn new(vocab: &Vocab) -> Self {
        let letters = |bytes: &[u8]| !bytes.is_empty() && bytes.iter().all(|b| b.is_ascii_alphabetic() || *b >= 0x80);
        let tokens = || (0..vocab.len() as Token).map(|t| vocab.bytes(t).unwrap_or_default());
        Self {
            spaced: tokens().map(|b| b.strip_prefix(b" ").is_some_and(letters)).collect(),
            plain: tokens().map(letters).collect(),
        }
    }
}

/// The token ranges of the words: runs of letters whose tokens hold nothing else but a leading space.
fn words(tokens: &[Token], letters: &Letters) -> Vec<Range<usize>> {
    let mut words: Vec<Range<usize>> = Vec::new();
    for (i, &token) in tokens.iter().enumerate() {
        let token = token as usize;
        if letters.spaced[token] {
            words.push(i..i + 1);
        } else if letters.plain[token] {
            match words.last_mut() {
                Some(word) if word.end == i => word.end += 1,
                _ => words.push(i..i + 1),
            }
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_runs_of_letters() {
        let pieces = ["The", " li", "on", "'", "s", " 3", " tail", "."];
        let vocab =
            Vocab::from_bytes(pieces.iter().map(|p| Some(p.as_bytes().to_vec())).collect(), None, None).unwrap();
        let letters = Letters::new(&vocab);
        let all: Vec<Token> = (0..pieces.len() as Token).collect();
        assert_eq!(words(&all, &letters), [0..1, 1..3, 4..5, 6..7]);
    }

    #[test]
    fn the_best_are_sorted_and_allowed() {
        let scores: Vec<f32> = (0..20).map(|i| ((i * 7) % 20) as f32).collect();
        let allowed: Vec<bool> = (0..20).map(|i| i % 2 == 0).collect();
        let found = best(&scores, &allowed);
        let values: Vec<f32> = found.iter().map(|&t| scores[t as usize]).collect();
        assert_eq!(values, [18.0, 16.0, 14.0, 12.0, 10.0, 8.0, 6.0, 4.0]);
    }
}
