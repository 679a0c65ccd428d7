//! From the names of tokens to the bytes they write.

use crate::{Error, Result};
use std::collections::HashMap;

/// How a tokenizer spells bytes in its vocabulary.
pub(super) enum Spelling {
    /// GPT-2's byte-to-character table.
    ByteLevel,
    /// `▁` for a space, `<0xNN>` for a byte (SentencePiece with byte fallback).
    Metaspace,
    Plain,
}

impl Spelling {
    /// The spelling that the tokenizer's decoder undoes.
    ///
    /// # Errors
    /// A decoder that cannot be described.
    pub(super) fn of(tokenizer: &tokenizers::Tokenizer) -> Result<Self> {
        let described = tokenizer.get_decoder().map(serde_json::to_string).transpose();
        let decoder = described
            .map_err(|e| Error::model("the tokenizer's decoder cannot be described").because(e))?
            .unwrap_or_default();
        Ok(if decoder.contains("ByteLevel") {
            Self::ByteLevel
        } else if decoder.contains("ByteFallback") || decoder.contains("Metaspace") || decoder.contains('▁') {
            Self::Metaspace
        } else {
            Self::Plain
        })
    }

    pub(super) fn bytes(&self, text: &str, unmap: &HashMap<char, u8>) -> Result<Vec<u8>> {
        match self {
            Self::ByteLevel => text
                .chars()
                .map(|c| unmap.get(&c).copied())
                .collect::<Option<Vec<u8>>>()
                .ok_or_else(|| Error::model(format!("token {text:?} is not spelled in the byte-level alphabet"))),
            Self::Metaspace => {
                let byte = text.strip_prefix("<0x").and_then(|t| t.strip_suffix('>'));
                Ok(match byte.and_then(|h| u8::from_str_radix(h, 16).ok()) {
                    Some(b) => vec![b],
                    None => text.replace('▁', " ").into_bytes(),
                })
            }
            Self::Plain => Ok(text.as_bytes().to_vec()),
        }
    }
}

/// GPT-2's printable stand-ins for the 256 bytes, inverted.
pub(super) fn byte_level_alphabet() -> HashMap<char, u8> {
    let mut spare = 256u32;
    (0..=255u8)
        .map(|b| {
            let printable = matches!(b, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
            let c = if printable {
                b as u32
            } else {
                spare += 1;
                spare - 1
            };
            (char::from_u32(c).unwrap_or('\0'), b)
        })
        .collect()
}
