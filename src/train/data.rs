//! Training texts: reading, splitting, tokenising.

use super::config::DataConfig;
use super::text::{Reading, Text};
use crate::{Error, Result};

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

/// Reads all texts of the corpus.
///
/// # Errors
/// With the line number, on a line that is not an object with a text.
pub fn read(config: &DataConfig) -> Result<Vec<Text>> {
    let reading = Reading {
        text_field: config.text_field.clone(),
        label_fields: vec![config.label_field.clone()],
        key_field: config.key_field.clone(),
        held_out: config.held_out,
        ..Reading::default()
    };
    let help = |e: Error| e.help("data.file is relative to the configuration file");
    let texts = reading.texts(&config.file).map_err(help)?.collect::<Result<Vec<Text>>>()?;
    if texts.is_empty() {
        return Err(Error::input(format!("{} holds no texts", config.file.display())));
    }
    Ok(texts)
}
