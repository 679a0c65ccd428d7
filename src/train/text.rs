//! Readers of text files: JSON lines or plain text, one text at a time.

use crate::{Error, Result, Source};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fs::File, io::BufRead, io::BufReader, path::Path};

/// A text of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Text {
    /// The text, which is not empty.
    pub text: String,
    /// The label, which is its condition and topic.
    pub label: Option<String>,
    /// Whether the text is held out of training.
    pub held_out: bool,
}

/// Where a text of a plain file ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextUnit {
    /// At each line break.
    #[default]
    Line,
    /// At each blank line.
    Paragraph,
    /// At the end of the file.
    File,
}

/// The options for reading the texts of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// Field with the text.
    pub text_field: String,
    /// Fields with the label; the first field present counts.
    pub label_fields: Vec<String>,
    /// The key field. Texts with the same key fall on the same side of the split; the key of a text without the field
    /// is the text itself.
    pub key_field: String,
    /// Share of the keys held out.
    pub held_out: f64,
    /// Whether texts are converted to lower case.
    pub lowercase: bool,
    /// The label of texts without a label.
    pub label: Option<String>,
    /// The unit of text in a plain file.
    pub unit: TextUnit,
}

impl Default for Reading {
    fn default() -> Self {
        Self {
            text_field: "text".into(),
            label_fields: vec!["topic".into(), "label".into()],
            key_field: "key".into(),
            held_out: 0.0,
            lowercase: false,
            label: None,
            unit: TextUnit::Line,
        }
    }
}

impl Reading {
    /// The texts of a file, in order. `.jsonl`, `.ndjson` and `.json` hold one JSON object per line, anything else
    /// plain text.
    ///
    /// # Errors
    /// A file that cannot be read. Each text may be an error with its line: a line that is no object with a text, or
    /// not UTF-8.
    pub fn texts(&self, path: &Path) -> Result<impl Iterator<Item = Result<Text>> + use<>> {
        let name = path.display().to_string();
        let file = File::open(path).map_err(|e| Error::io(format!("cannot read {name}")).because(e))?;
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        let json = matches!(extension, "jsonl" | "ndjson" | "json");
        Ok(Texts { name, json, reading: self.clone(), lines: BufReader::new(file), line: 0 })
    }

    fn json(&self, line: &str) -> Result<Text> {
        let object: BTreeMap<String, serde_json::Value> =
            serde_json::from_str(line).map_err(|e| Error::input("not a JSON object").because(e))?;
        let string = |field: &str| match object.get(field) {
            None | Some(serde_json::Value::Null) => Ok(None),
            Some(serde_json::Value::String(s)) => Ok(Some(s.clone())),
            Some(other) => Err(Error::input(format!("{field:?} is {other}, expected a string"))),
        };
        let text = string(&self.text_field)?
            .filter(|t| !t.is_empty())
            .ok_or_else(|| Error::input(format!("no text in field {:?}", self.text_field)))?;
        let mut label = None;
        for field in &self.label_fields {
            label = label.or(string(field)?);
        }
        Ok(self.text(text, label, string(&self.key_field)?))
    }

    fn text(&self, text: String, label: Option<String>, key: Option<String>) -> Text {
        let held_out = share(key.as_deref().unwrap_or(&text)) < self.held_out;
        let text = if self.lowercase { text.to_lowercase() } else { text };
        Text { text, label: label.or_else(|| self.label.clone()), held_out }
    }
}

struct Texts {
    name: String,
    json: bool,
    reading: Reading,
    lines: BufReader<File>,
    line: usize,
}

impl Texts {
    /// The next line without its end; `None` at the end of the file.
    fn line(&mut self) -> Result<Option<String>> {
        let mut line = String::new();
        self.line += 1;
        let place = format!("{}: line {}", self.name, self.line);
        if self.lines.read_line(&mut line).map_err(|e| Error::io(format!("cannot read {place}")).because(e))? == 0 {
            return Ok(None);
        }
        let kept = line.trim_end_matches(['\n', '\r']).len();
        line.truncate(kept);
        Ok(Some(line))
    }

    fn next_text(&mut self) -> Result<Option<Text>> {
        let mut whole = String::new();
        let unit = if self.json { TextUnit::Line } else { self.reading.unit };
        while let Some(line) = self.line()? {
            let blank = line.trim().is_empty();
            match unit {
                TextUnit::Line if blank => continue,
                TextUnit::Paragraph if blank && whole.is_empty() => continue,
                TextUnit::Paragraph if blank => break,
                _ => {}
            }
            if unit == TextUnit::Line {
                whole = line;
                break;
            }
            if !whole.is_empty() {
                whole.push('\n');
            }
            whole += &line;
        }
        let whole = if self.json { whole.as_str() } else { whole.trim() };
        if whole.is_empty() {
            return Ok(None);
        }
        if !self.json {
            return Ok(Some(self.reading.text(whole.to_string(), None, None)));
        }
        let place = |e: Error| e.in_source(&Source::new(format!("{} (line {})", self.name, self.line), whole));
        self.reading.json(whole).map(Some).map_err(place)
    }
}

impl Iterator for Texts {
    type Item = Result<Text>;
    fn next(&mut self) -> Option<Result<Text>> {
        self.next_text().transpose()
    }
}

/// A number in [0, 1) that depends on the key alone (FNV-1a, then the finaliser of MurmurHash3).
fn share(key: &str) -> f64 {
    let mut hash = key.bytes().fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
    for multiplier in [0xff51_afd7_ed55_8ccd, 0xc4ce_b9fe_1a85_ec53] {
        hash = (hash ^ (hash >> 33)).wrapping_mul(multiplier);
    }
    (hash >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, content: &str, reading: &Reading) -> Vec<Result<Text>> {
        let path = std::env::temp_dir().join(format!("stencil-text-{}-{name}", std::process::id()));
        std::fs::write(&path, content).unwrap();
        let texts = reading.texts(&path).unwrap().collect();
        std::fs::remove_file(&path).unwrap();
        texts
    }
    fn strings(texts: Vec<Result<Text>>) -> Vec<String> {
        texts.into_iter().map(|t| t.unwrap().text).collect()
    }

    #[test]
    fn the_split_is_stable_and_near_its_share() {
        let held = (0..10_000).filter(|i| share(&format!("key{i}")) < 0.02).count();
        assert!((150..250).contains(&held), "{held}");
        // A changed split would leak held-out texts into training.
        assert_eq!((share("lion") * 1e9) as u64, 375_924_636);
    }

    #[test]
    fn plain_text_falls_into_lines_paragraphs_or_files() {
        let content = "One.\r\ntwo\n\n\n Three.\n";
        let unit = |unit| strings(read("plain.txt", content, &Reading { unit, ..Reading::default() }));
        assert_eq!(unit(TextUnit::Line), ["One.", "two", "Three."]);
        assert_eq!(unit(TextUnit::Paragraph), ["One.\ntwo", "Three."]);
        assert_eq!(unit(TextUnit::File), ["One.\ntwo\n\n\n Three."]);
    }

    #[test]
    fn json_lines_give_labels_and_errors_their_line() {
        let reading = Reading { lowercase: true, label: Some("other".into()), ..Reading::default() };
        let content = "{\"text\": \"A B\", \"topic\": \"x\"}\n\n{\"text\": \"C\"}\n{\"text\": 3}\n";
        let texts = read("labels.jsonl", content, &reading);
        let labels: Vec<_> = texts.iter().flatten().map(|t| (t.text.as_str(), t.label.as_deref())).collect();
        assert_eq!(labels, [("a b", Some("x")), ("c", Some("other"))]);
        assert!(texts[2].as_ref().unwrap_err().report().contains("(line 4)"));
    }
}
