use super::{Energies, Guide};
use crate::{Answer, Error, Pos, Result, Step, Token, Vocab};
use std::collections::BTreeMap;

/// Adds a constant to the scores of words, at every position, independently of the text so far.
///
/// A word of several tokens is favoured token by token: its first token everywhere, each later token where its
/// predecessor stands to the left, and each earlier token where its successor stands to the right.
#[derive(Debug, Clone)]
pub struct Bias {
    /// The words in tokens, with their energies.
    words: Vec<(Vec<Token>, f32)>,
}

impl Bias {
    /// # Errors
    /// An empty word, a word the vocabulary cannot write, or an energy that is not finite.
    pub fn new<'a>(vocab: &Vocab, words: impl IntoIterator<Item = (&'a str, f32)>) -> Result<Self> {
        let mut spelled: BTreeMap<Vec<Token>, f32> = BTreeMap::new();
        for (word, energy) in words {
            if word.trim().is_empty() {
                return Err(Error::input("`bias` has an empty word"));
            }
            if !energy.is_finite() {
                return Err(Error::input(format!("the bias of {word:?} must be a finite number, not {energy}"))
                    .help("to forbid a word use `excludes`, to require it `contains`"));
            }
            spelled.insert(vocab.encode(word)?, energy);
            if let Ok(inner) = vocab.encode(&format!(" {word}")) {
                spelled.insert(inner, energy);
            }
        }
        Ok(Self { words: spelled.into_iter().collect() })
    }
}

impl Guide for Bias {
    fn guide(&mut self, step: &Step, to: &mut Energies, _: &[Answer]) -> Result<()> {
        let cells = step.canvas.cells();
        let token_at = |pos: Option<Pos>| pos.and_then(|p| cells.get(p)).and_then(|c| c.token());
        for pos in step.canvas.undecided() {
            let (left, right) = (token_at(pos.checked_sub(1)), token_at(Some(pos + 1)));
            for (pieces, energy) in &self.words {
                for (k, &piece) in pieces.iter().enumerate() {
                    let begun = k == 0 || left == Some(pieces[k - 1]);
                    let continued = pieces.get(k + 1).is_some_and(|&next| right == Some(next));
                    if begun || continued {
                        to.add(pos, piece, *energy);
                    }
                }
            }
        }
        Ok(())
    }
}
