//! The vocabulary as the engine sees it: the bytes each token writes, and which token ends a text.

#[cfg(feature = "tokenizers")]
mod spelling;
#[cfg(feature = "tokenizers")]
mod store;
#[cfg(feature = "tokenizers")]
mod tokenizer;
mod trie;

#[cfg(feature = "tokenizers")]
pub(crate) use tokenizer::read as read_tokenizer;
pub(crate) use trie::{RootedNode, RootedTrie, TokenTrie};

use crate::{Error, Result};
use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, OnceLock};

/// Index into the vocabulary.
pub type Token = u32;

/// The tokens of a model: `bytes(t)` is what token `t` writes.
///
/// Special tokens (mask, padding, end of text, control marks) write nothing and have no bytes: no constraint
/// allows them inside a text, so they can never be predicted there. After the text only `eos` and `pad` are legal.
#[derive(Clone)]
pub struct Vocab {
    /// The bytes of all tokens, one after the other: those of token `t` from `ends[t - 1]` to `ends[t]`; none if it is
    /// special.
    written: Arc<[u8]>,
    ends: Arc<[u32]>,
    eos: Option<Token>,
    pad: Option<Token>,
    longest: usize,
    encoder: Encoder,
    trie: OnceLock<Arc<TokenTrie>>,
    fingerprint: OnceLock<u64>,
}

/// The bytes of each token; `None` if it is special.
type Written = Vec<Option<Box<[u8]>>>;

/// How texts become tokens.
#[derive(Clone)]
enum Encoder {
    #[cfg(feature = "tokenizers")]
    Tokenizer(Arc<tokenizer::LazyTokenizer>),
    /// Fewest tokens, for vocabularies given as a plain list.
    Shortest(HashMap<Box<[u8]>, Token>),
}

impl Vocab {
    /// A vocabulary given as a list of byte strings; `None` and empty strings are special tokens, and so are `eos` and
    /// `pad`.
    ///
    /// # Errors
    /// When `eos` or `pad` lies outside the list.
    pub fn from_bytes(tokens: Vec<Option<Vec<u8>>>, eos: Option<Token>, pad: Option<Token>) -> Result<Self> {
        let bytes: Written =
            tokens.into_iter().map(|t| t.filter(|b| !b.is_empty()).map(Vec::into_boxed_slice)).collect();
        let mut ids = HashMap::new();
        for (i, b) in bytes.iter().enumerate() {
            if let Some(b) = b {
                ids.entry(b.clone()).or_insert(i as Token);
            }
        }
        Self::assemble(bytes, eos, pad, Encoder::Shortest(ids))
    }

    /// Reads `tokenizer.json`. `size` is the width of the model's output; ids beyond the tokenizer's are special.
    ///
    /// # Errors
    /// A file that cannot be read, and those of [`from_tokenizer`](Self::from_tokenizer).
    #[cfg(feature = "tokenizers")]
    pub fn from_file(path: &std::path::Path, size: usize, eos: Option<Token>, pad: Option<Token>) -> Result<Self> {
        let tokenizer = tokenizers::Tokenizer::from_file(path)
            .map_err(|e| Error::model(format!("cannot read the tokenizer {}: {e}", path.display())))?;
        Self::from_tokenizer(tokenizer, size, eos, pad)
    }

    /// The vocabulary of a tokenizer that is at hand, as the crate `tokenizers` reads it.
    ///
    /// # Errors
    /// A `size` that is too small for the tokenizer, a token whose spelling cannot be read, and `eos` or `pad` outside
    /// the vocabulary.
    #[cfg(feature = "tokenizers")]
    pub fn from_tokenizer(
        tokenizer: tokenizers::Tokenizer,
        size: usize,
        eos: Option<Token>,
        pad: Option<Token>,
    ) -> Result<Self> {
        let bytes = tokenizer::spelled(&tokenizer, size, [eos, pad])?;
        Self::assemble(bytes, eos, pad, Encoder::Tokenizer(Arc::new(tokenizer.into())))
    }

    /// Makes these tokens special: they write nothing. Tokens outside the vocabulary are passed over.
    pub fn with_special(self, tokens: impl IntoIterator<Item = Token>) -> Self {
        let special: HashSet<Token> = tokens.into_iter().collect();
        let written = |t: Token| self.bytes(t).filter(|_| !special.contains(&t)).map(Box::from);
        let bytes = (0..self.len() as Token).map(written).collect();
        Self::joined(bytes, self.eos, self.pad, self.encoder)
    }

    /// [`joined`](Self::joined), after a check that the tail tokens exist; they become special.
    fn assemble(mut bytes: Written, eos: Option<Token>, pad: Option<Token>, encoder: Encoder) -> Result<Self> {
        let size = bytes.len();
        for (name, id) in [("eos", eos), ("pad", pad)] {
            let Some(id) = id else { continue };
            let outside = || Error::model(format!("the {name} token {id} lies outside the vocabulary of {size}"));
            *bytes.get_mut(id as usize).ok_or_else(outside)? = None;
        }
        Ok(Self::joined(bytes, eos, pad, encoder))
    }

    fn joined(bytes: Written, eos: Option<Token>, pad: Option<Token>, encoder: Encoder) -> Self {
        let longest = bytes.iter().flatten().map(|b| b.len()).max().unwrap_or(0);
        let mut written = Vec::with_capacity(bytes.iter().flatten().map(|b| b.len()).sum());
        let ends: Arc<[u32]> = bytes
            .iter()
            .map(|bytes| {
                written.extend_from_slice(bytes.as_deref().unwrap_or_default());
                written.len() as u32
            })
            .collect();
        Self {
            written: written.into(),
            ends,
            eos,
            pad,
            longest,
            encoder,
            trie: OnceLock::new(),
            fingerprint: OnceLock::new(),
        }
    }

    /// Number of tokens, special ones included: the width of a score row.
    pub fn len(&self) -> usize {
        self.ends.len()
    }
    /// Whether there are no tokens at all.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
    /// What the token writes; `None` for special tokens.
    pub fn bytes(&self, token: Token) -> Option<&[u8]> {
        let end = *self.ends.get(token as usize)? as usize;
        let begin = token.checked_sub(1).map_or(0, |before| self.ends[before as usize] as usize);
        (begin < end).then(|| &self.written[begin..end])
    }
    /// The token that ends a text.
    pub fn eos(&self) -> Option<Token> {
        self.eos
    }
    /// The padding token, where it differs from `eos`.
    pub fn pad(&self) -> Option<Token> {
        self.pad
    }
    /// Length in bytes of the longest token.
    pub fn longest(&self) -> usize {
        self.longest
    }
    /// The prefix tree of the tokens, built when first needed.
    pub(crate) fn trie(&self) -> &Arc<TokenTrie> {
        self.trie.get_or_init(|| Arc::new(TokenTrie::new(|token| self.bytes(token), self.len())))
    }
    /// A hash of the content: the bytes of the tokens, and which of them end a text.
    pub(crate) fn fingerprint(&self) -> u64 {
        *self.fingerprint.get_or_init(|| {
            let mut hasher = DefaultHasher::new();
            (&self.written, &self.ends, self.eos, self.pad).hash(&mut hasher);
            hasher.finish()
        })
    }
    /// Whether this token may only stand after the text.
    pub fn is_tail(&self, token: Token) -> bool {
        Some(token) == self.eos || Some(token) == self.pad
    }

    /// Tokens of a text, as the model's own tokenizer splits it; special tokens are not recognised in it.
    ///
    /// # Errors
    /// When the tokens do not write the text back byte for byte (a vocabulary that lacks some character).
    pub fn encode(&self, text: &str) -> Result<Vec<Token>> {
        let ids = match &self.encoder {
            Encoder::Shortest(ids) => shortest_encoding(ids, self.longest, text.as_bytes()).unwrap_or_default(),
            #[cfg(feature = "tokenizers")]
            Encoder::Tokenizer(tokenizer) => tokenizer.encode(text)?,
        };
        if self.decode(&ids) == text.as_bytes() {
            return Ok(ids);
        }
        let error = Error::input(format!("the model's vocabulary cannot write {text:?}"));
        let mut alone = [0; 4];
        Err(match text.chars().find(|c| text.len() > c.len_utf8() && self.encode(c.encode_utf8(&mut alone)).is_err()) {
            Some(c) => error.help(format!("leave out {c:?}, which the model has no token for")),
            None => error.help("leave out characters the model has no token for"),
        })
    }

    /// Tokens of a prompt: as [`encode`](Self::encode), but the tokenizer may normalise the text first, as it was
    /// trained to.
    ///
    /// # Errors
    /// A control token in the text, which would forge a turn, and characters that the vocabulary lacks.
    pub fn encode_prompt(&self, text: &str) -> Result<Vec<Token>> {
        match &self.encoder {
            Encoder::Shortest(_) => self.encode(text),
            #[cfg(feature = "tokenizers")]
            Encoder::Tokenizer(tokenizer) => {
                let ids = tokenizer.encode(text)?;
                let control = match ids.iter().find(|&&id| self.bytes(id).is_none()) {
                    Some(&id) => tokenizer.name(id)?,
                    None => None,
                };
                if let Some(control) = control.filter(|control| text.contains(&**control)) {
                    return Err(Error::input(format!("the prompt contains {control:?}, a control token of the model"))
                        .help("it would forge a turn of the conversation: leave it out"));
                }
                match self.decode(&ids) == tokenizer.normalised(text)?.as_bytes() {
                    true => Ok(ids),
                    false => self.encode(text),
                }
            }
        }
    }

    /// Tokens of a text in which control tokens are recognised by their names: a rendered chat template.
    ///
    /// # Errors
    /// When the tokenizer fails.
    pub fn encode_marked(&self, text: &str) -> Result<Vec<Token>> {
        match &self.encoder {
            Encoder::Shortest(_) => self.encode(text),
            #[cfg(feature = "tokenizers")]
            Encoder::Tokenizer(tokenizer) => tokenizer.encode(text),
        }
    }

    /// The bytes that the tokens write, special tokens skipped.
    pub fn decode(&self, tokens: &[Token]) -> Vec<u8> {
        tokens.iter().filter_map(|&t| self.bytes(t)).flatten().copied().collect()
    }
}

impl std::fmt::Debug for Vocab {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Vocab({} tokens, eos {:?}, pad {:?})", self.len(), self.eos, self.pad)
    }
}

fn shortest_encoding(ids: &HashMap<Box<[u8]>, Token>, longest: usize, text: &[u8]) -> Option<Vec<Token>> {
    // best[i]: (tokens needed for text[..i], the last of them)
    let mut best: Vec<Option<(usize, Token)>> = vec![None; text.len() + 1];
    best[0] = Some((0, 0));
    for end in 1..=text.len() {
        for start in end.saturating_sub(longest)..end {
            if let (Some((n, _)), Some(&id)) = (best[start], ids.get(&text[start..end]))
                && best[end].is_none_or(|(m, _)| n + 1 < m)
            {
                best[end] = Some((n + 1, id));
            }
        }
    }
    let by_id: HashMap<Token, usize> = ids.iter().map(|(b, &t)| (t, b.len())).collect();
    let mut tokens = Vec::new();
    let mut end = text.len();
    while end > 0 {
        let (_, token) = best[end]?;
        tokens.push(token);
        end -= by_id[&token];
    }
    tokens.reverse();
    Some(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tail_tokens_lie_inside_the_vocabulary() {
        let tokens = || vec![Some(b"a".to_vec()), None];
        let refused = |eos, pad| Vocab::from_bytes(tokens(), eos, pad).unwrap_err().to_string();
        assert_eq!(refused(Some(2), None), "the eos token 2 lies outside the vocabulary of 2");
        assert_eq!(refused(Some(1), Some(9)), "the pad token 9 lies outside the vocabulary of 2");
        assert_eq!(Vocab::from_bytes(tokens(), Some(0), Some(1)).unwrap().bytes(0), None);
    }

    #[cfg(feature = "tokenizers")]
    #[test]
    fn prompts_are_normalised_as_the_tokenizer_wants_but_forge_no_turn() {
        use serde_json::json;
        let level = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
        let token = |id: u32, text: &str| {
            json!({"id": id, "content": text, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
                   "special": true})
        };
        let file = json!({"version": "1.0", "truncation": null, "padding": null, "added_tokens": [token(5, "<|end|>")],
            "normalizer": {"type": "NFC"}, "pre_tokenizer": level, "post_processor": null, "decoder": level,
            "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                      "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
                      "vocab": {"c": 0, "a": 1, "f": 2, "\u{c3}": 3, "\u{a9}": 4}, "merges": []}});
        let tokenizer = tokenizers::Tokenizer::from_bytes(file.to_string()).unwrap();
        let vocab = Vocab::from_tokenizer(tokenizer, 6, Some(5), None).unwrap();
        // An e and an accent behind it are the one letter that the model knows.
        assert_eq!(vocab.encode_prompt("cafe\u{301}").unwrap(), [0, 1, 2, 3, 4]);
        assert!(vocab.encode("cafe\u{301}").is_err(), "what is written comes back byte for byte");
        let forged = vocab.encode_prompt("caf<|end|>").unwrap_err().report();
        assert!(forged.contains("\"<|end|>\", a control token"), "{forged}");
        assert!(vocab.encode_prompt("cab").unwrap_err().message().contains("cannot write"));
    }
}
