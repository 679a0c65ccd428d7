//! Keeps the good among the sentences that `scripts/teacher_text.py` wrote.

use crate::line::Line;
use crate::wordnet::{TOPICS, words};
use std::collections::HashMap;
use std::io;

/// Length of a kept sentence, in words.
const LENGTH: std::ops::RangeInclusive<usize> = 4..=22;
/// Words this rare in all that was written are slips.
const RARE: usize = 3;
/// Function words may come back in a sentence; others not.
const AGAIN: &str = "the a an of to in and or is are was were that it its on for with at by from as be you your they \
    their them he his him she her i my we our us not can will would have has had who which this these very when than \
    more most one people used use so up out into about do does if while after all some too other there many";
/// What a model says that has lost the thread.
const LOST: &str = "sentence word called meaning means ashwood";

struct Written {
    key: String,
    topic: Option<&'static str>,
    text: String,
}

/// Reads the JSON lines.
pub fn lines(content: &str) -> io::Result<Vec<Line>> {
    let mut written = Vec::new();
    for line in content.lines() {
        let value: serde_json::Value = serde_json::from_str(line)?;
        let field = |name: &str| value.get(name).and_then(|v| v.as_str());
        if let (Some(key), Some(text)) = (field("key"), field("text")) {
            let topic = field("topic").and_then(|t| TOPICS.into_iter().find(|&known| known == t));
            written.push(Written { key: key.into(), topic, text: text.into() });
        }
    }
    let mut count: HashMap<String, usize> = HashMap::new();
    for word in written.iter().flat_map(|w| words(&w.text)) {
        *count.entry(word.to_lowercase()).or_default() += 1;
    }
    let common = |w: &str| count.get(&w.to_lowercase()).is_some_and(|&n| n >= RARE);
    written.retain(|w| good(&w.text, &w.key) && words(&w.text).all(common));
    let line = |w: Written| Line { text: w.text, key: w.key, topic: w.topic, format: None, part: "sentences" };
    Ok(written.into_iter().map(line).collect())
}

fn good(text: &str, key: &str) -> bool {
    let all: Vec<String> = words(text).map(str::to_lowercase).collect();
    let plain = |c: char| c.is_ascii_alphabetic() || " ,.'!?-;".contains(c);
    let list = |list: &str, word: &str| list.split_whitespace().any(|w| w == word);
    // Long words share their stem with their forms: "city", "cities".
    let stem = |word: &str| word.get(..word.len().min(5).max(word.len().saturating_sub(3))).unwrap_or(word).to_string();
    let mut content: Vec<String> = all.iter().filter(|w| !list(AGAIN, w)).map(|w| stem(w)).collect();
    let words = content.len();
    content.sort();
    content.dedup();
    let present = all.iter().any(|w| w.starts_with(key.get(..key.len().min(4).max(key.len() - 2)).unwrap_or(key)));
    LENGTH.contains(&all.len())
        && text.starts_with(|c: char| c.is_ascii_uppercase())
        && text.ends_with(['.', '!', '?'])
        && text.matches(['.', '!', '?']).count() == 1
        && text.chars().all(plain)
        && text.matches('\'').count() <= 1
        && content.len() == words
        && all.windows(2).all(|w| w[0] != w[1])
        && !all.iter().any(|w| list(LOST, w) && w != key)
        && present
}
