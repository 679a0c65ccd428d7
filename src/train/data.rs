//! Training texts: reading, splitting, tokenising.

use super::config::DataConfig;
use crate::{Error, Result, Source};
use std::{collections::BTreeMap, fs::File, io::BufRead, io::BufReader};

/// One line of the corpus.
#[derive(Debug, Clone, PartialEq)]
pub struct Text {
    /// Not empty.
    pub text: String,
    /// Its condition and topic.
    pub label: Option<String>,
    /// Not to be trained on.
    pub held_out: bool,
}

/// A tokenised text.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// Without the end of text.
    pub tokens: Vec<u32>,
    /// Index into the conditions.
    pub label: Option<usize>,
    /// Length of the text.
    pub bytes: usize,
}

/// Reads JSON lines.
///
/// # Errors
/// With the line number, on a line that is not an object with a text.
pub fn read(config: &DataConfig) -> Result<Vec<Text>> {
    let name = config.file.display();
    let file = File::open(&config.file).map_err(|e| {
        Error::io(format!("cannot read {name}")).because(e).help("data.file is relative to the configuration file")
    })?;
    let mut texts = Vec::new();
    for (i, line) in BufReader::new(file).lines().enumerate() {
        let line = line.map_err(|e| Error::io(format!("{name}: line {}", i + 1)).because(e))?;
        if line.trim().is_empty() {
            continue;
        }
        let place = |e: Error| e.in_source(&Source::new(format!("{name} (line {})", i + 1), line.as_str()));
        texts.push(parse(&line, config).map_err(place)?);
    }
    if texts.is_empty() {
        return Err(Error::input(format!("{name} holds no texts")));
    }
    Ok(texts)
}

fn parse(line: &str, config: &DataConfig) -> Result<Text> {
    let object: BTreeMap<String, serde_json::Value> =
        serde_json::from_str(line).map_err(|e| Error::input("not a JSON object").because(e))?;
    let string = |field: &str| match object.get(field) {
        None | Some(serde_json::Value::Null) => Ok(None),
        Some(serde_json::Value::String(s)) => Ok(Some(s.clone())),
        Some(other) => Err(Error::input(format!("{field:?} is {other}, expected a string"))),
    };
    let text = string(&config.text_field)?
        .filter(|t| !t.is_empty())
        .ok_or_else(|| Error::input(format!("no text in field {:?}", config.text_field)))?;
    let label = string(&config.label_field)?;
    let key = string(&config.key_field)?;
    let held_out = share(key.as_deref().unwrap_or(&text)) < config.held_out;
    Ok(Text { text, label, held_out })
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

    #[test]
    fn the_split_is_stable_and_near_its_share() {
        let held = (0..10_000).filter(|i| share(&format!("key{i}")) < 0.02).count();
        assert!((150..250).contains(&held), "{held}");
        assert_eq!(share("lion"), share("lion"));
    }
}
