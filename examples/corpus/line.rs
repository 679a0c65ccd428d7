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
    /// The object written; its `label`, the condition of the model, is the format or else the topic.
    pub fn json(&self) -> Value {
        let label = self.format.or(self.topic);
        json!({"text": self.text, "label": label, "key": self.key, "topic": self.topic, "format": self.format,
               "part": self.part})
    }
}
