//! A line of the corpus.

use serde_json::{Value, json};

pub struct Line {
    pub text: String,
    /// What it is about: all lines with the same key are on the same side of the split.
    pub key: String,
    /// Lexicographer file of the noun it is about.
    pub topic: Option<&'static str>,
    /// What is not a sentence has a name: "json", "csv", "date", …
    pub format: Option<&'static str>,
    /// Where it comes from; the held-out texts are measured part by part.
    pub part: &'static str,
}

impl Line {
    /// The object written. Its condition is the format or else the topic; only one of both is named.
    pub fn json(&self) -> Value {
        let label = self.format.or(self.topic);
        let topic = self.topic.filter(|_| self.format.is_none());
        json!({"text": self.text, "label": label, "topic": topic, "key": self.key, "part": self.part})
    }
}
