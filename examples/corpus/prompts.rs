//! Requests to the model that writes plain sentences about common words: see `scripts/teacher_text.py`.

use crate::wordnet::{Part, TOPICS, Word, WordNet, words};
use serde_json::{Value, json};

/// Most words of a topic.
const WORDS: usize = 600;
const VERBS: usize = 700;
const ADJECTIVES: usize = 500;
/// Longest meaning shown, in words.
const MEANING: usize = 9;

/// All requests: topic after topic in turn, the most common words first, so that any beginning is balanced.
pub fn prompts(wordnet: &WordNet) -> Vec<Value> {
    let nouns = wordnet.common(Part::Noun);
    let topics = TOPICS.map(|topic| {
        let of_topic = nouns.iter().filter(move |w| w.synset.label == Some(topic));
        of_topic.filter_map(|w| meaning(wordnet, w).map(|m| (w, m))).take(WORDS).collect::<Vec<_>>()
    });
    let (verbs, adjectives) = (wordnet.common(Part::Verb), wordnet.common(Part::Adjective));
    let others = |words: &'_ [Word], most: usize| -> Vec<Value> {
        let words = words.iter().filter_map(|w| Some((w, meaning(wordnet, w)?))).take(most);
        words.map(|(w, m)| request(w, &m, "says")).collect()
    };
    let mut others = [others(&verbs, VERBS), others(&adjectives, ADJECTIVES)].map(Vec::into_iter);
    let mut out = Vec::new();
    for rank in 0..WORDS.max(VERBS).max(ADJECTIVES) {
        for (word, meaning) in topics.iter().filter_map(|words| words.get(rank)) {
            out.extend(["is", "does", "says"].map(|form| request(word, meaning, form)));
        }
        out.extend(others.iter_mut().filter_map(Iterator::next));
    }
    out
}

fn request(word: &Word, meaning: &str, form: &str) -> Value {
    json!({"key": word.lemma, "topic": word.synset.label, "meaning": meaning, "form": form})
}

/// A short definition, or the word above it.
fn meaning(wordnet: &WordNet, word: &Word) -> Option<String> {
    let short = |d: &&String| words(d).count() <= MEANING && !words(d).any(|w| w == word.lemma);
    word.synset.definitions.iter().find(short).cloned().or_else(|| {
        let above = wordnet.get(word.synset.hypernyms.first()?)?.words.first()?;
        Some(format!("a kind of {above}"))
    })
}
