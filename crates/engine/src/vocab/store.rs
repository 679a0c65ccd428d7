//! Vocabularies on disk: parsing a large `tokenizer.json` and sorting its tokens takes most of the start of a small
//! job.

use super::tokenizer::LazyTokenizer;
use super::trie::{Node, TokenTrie};
use super::{Encoder, Vocab};
use crate::{Result, Token};
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::{env, fs};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

/// First bytes of a file; changes with the format, and with what is made of a tokenizer.
const MAGIC: &[u8; 16] = b"stencil vocab 02";
/// Stands for no token.
const NONE: u32 = u32::MAX;

/// A folder of vocabularies, named by the content of the file each was made from.
///
/// A folder that cannot be used, or a damaged file in it, only costs time: the vocabulary is made anew. Files appear
/// whole, by a rename, so any number of processes may share the folder.
pub(crate) struct Store {
    folder: PathBuf,
}

impl Store {
    /// `STENCIL_CACHE`, or else the user's folder for such files. `None` where that is not known, or the variable empty.
    pub(crate) fn of_user() -> Option<Self> {
        let folder = |name: &str| env::var_os(name).map(PathBuf::from);
        let folder = match folder("STENCIL_CACHE") {
            Some(folder) => folder,
            None if cfg!(windows) => folder("LOCALAPPDATA")?.join("stencil"),
            None if cfg!(target_os = "macos") => folder("HOME")?.join("Library/Caches/stencil"),
            None => folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache")))?.join("stencil"),
        };
        // A relative path would mean another folder in every directory.
        folder.is_absolute().then_some(Self { folder })
    }

    /// The vocabulary of a `tokenizer.json`, as stored or as `make` makes it from the file; `size` is what else it
    /// depends on.
    pub(crate) fn vocab(
        &self,
        json: Vec<u8>,
        size: Option<usize>,
        make: impl FnOnce(&[u8]) -> Result<Vocab>,
    ) -> Result<Vocab> {
        let mut key = Xxh3::new();
        key.update(MAGIC);
        key.update(&size.map_or(u64::MAX, |size| size as u64).to_le_bytes());
        key.update(&json);
        let key = key.digest128();
        let path = self.folder.join(format!("{key:032x}.vocab"));
        let file = Arc::new(LazyTokenizer::unread(json));
        let stored = fs::read(&path).ok();
        if let Some(vocab) = stored.and_then(|stored| decode(&stored, key, Encoder::Tokenizer(file.clone()))) {
            return Ok(vocab);
        }
        let vocab = make(file.json())?;
        // Without room or permission the next process does this work again; nothing else is lost.
        let _ = write(&path, &encode(&vocab, key));
        Ok(vocab)
    }
}

/// Under a random name first: others may be writing the same file, on other machines too, where process numbers recur.
fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let draft = path.with_extension(format!("{:016x}", RandomState::new().hash_one(bytes.len())));
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let written = fs::write(&draft, bytes).and_then(|()| fs::rename(&draft, path));
    if written.is_err() {
        let _ = fs::remove_file(&draft);
    }
    written
}

/// Magic, what it is the vocabulary of, hash of the rest, sizes, numbers (four bytes, little-endian), bytes.
fn encode(vocab: &Vocab, key: u128) -> Vec<u8> {
    let trie = vocab.trie();
    let head = [vocab.eos.unwrap_or(NONE), vocab.pad.unwrap_or(NONE)];
    let sizes = [vocab.ends.len(), trie.nodes.len(), trie.tokens.len(), vocab.written.len()].map(|n| n as u32);
    let numbers = head.into_iter().chain(sizes).chain(vocab.ends.iter().copied());
    let numbers = numbers.chain(trie.nodes.iter().flat_map(|node| [node.end, node.tokens]));
    let numbers = numbers.chain(trie.tokens.iter().copied());
    let mut body: Vec<u8> = numbers.flat_map(u32::to_le_bytes).collect();
    body.extend(trie.nodes.iter().map(|node| node.byte));
    body.extend_from_slice(&vocab.written);
    framed(key, &body)
}

fn framed(key: u128, body: &[u8]) -> Vec<u8> {
    [MAGIC.as_slice(), &key.to_le_bytes(), &xxh3_64(body).to_le_bytes(), body].concat()
}

/// `None` for anything that [`encode`] does not write for this key.
fn decode(file: &[u8], key: u128, encoder: Encoder) -> Option<Vocab> {
    let file = file.strip_prefix(MAGIC)?.strip_prefix(&key.to_le_bytes())?;
    let (hash, body) = file.split_first_chunk::<8>()?;
    if u64::from_le_bytes(*hash) != xxh3_64(body) {
        return None;
    }
    let mut rest = body;
    let [eos, pad, size, nodes, tokens, written] = *numbers(&mut rest, 6)? else { return None };
    let ends = numbers(&mut rest, size)?;
    let places = numbers(&mut rest, nodes.checked_mul(2)?)?;
    let tokens = numbers(&mut rest, tokens)?;
    let bytes = rest.split_off(..nodes as usize)?;
    let fits = rest.len() == written as usize
        && ends.last().is_none_or(|&end| end == written)
        && ends.is_sorted()
        && tokens.iter().all(|&token| token < size)
        && (places.as_chunks::<2>().0.iter().zip(0..)).all(|(place, at)| at < place[0] && place[0] <= nodes)
        && places.as_chunks::<2>().0.is_sorted_by_key(|place| place[1])
        && places.last().is_none_or(|&end| end as usize == tokens.len());
    if !fits {
        return None;
    }
    let place = places.as_chunks::<2>().0.iter().zip(bytes);
    let nodes = place.map(|(&[end, tokens], &byte)| Node { end, tokens, byte }).collect();
    let token = |token: Token| (token < size).then_some(token);
    let longest = ends.iter().scan(0, |before, &end| Some(end - std::mem::replace(before, end))).max();
    Some(Vocab {
        written: rest.into(),
        ends: ends.into(),
        eos: token(eos),
        pad: token(pad),
        longest: longest.unwrap_or(0) as usize,
        encoder,
        trie: Arc::new(TokenTrie { nodes, tokens }).into(),
        fingerprint: OnceLock::new(),
    })
}

fn numbers(rest: &mut &[u8], count: u32) -> Option<Vec<u32>> {
    let bytes = rest.split_off(..(count as usize).checked_mul(4)?)?;
    Some(bytes.as_chunks::<4>().0.iter().map(|&bytes| u32::from_le_bytes(bytes)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocab::spelling::byte_level_alphabet;
    use serde_json::{Value, json};
    use std::sync::LazyLock;

    /// A byte-level tokenizer of 256 bytes, some English pieces and an end of text.
    static JSON: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let level = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
        let mut letters: Vec<char> = byte_level_alphabet().into_keys().collect();
        letters.sort_unstable();
        let mut names: Vec<String> = vec!["<|endoftext|>".into()];
        names.extend(letters.iter().map(char::to_string));
        let merges = [("t", "h"), ("th", "e"), ("T", "h"), ("Th", "e"), ("d", "o"), ("do", "g"), ("\u{120}", "dog")];
        names.extend(merges.iter().map(|(a, b)| format!("{a}{b}")));
        let vocab: serde_json::Map<String, Value> =
            names.into_iter().zip(0..).map(|(name, id)| (name, json!(id))).collect();
        let end = json!({"id": 0, "content": "<|endoftext|>", "single_word": false, "lstrip": false, "rstrip": false,
                         "normalized": false, "special": true});
        let file = json!({"version": "1.0", "truncation": null, "padding": null, "added_tokens": [end],
            "normalizer": null, "pre_tokenizer": level, "post_processor": null, "decoder": level,
            "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                      "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
                      "vocab": vocab, "merges": merges.map(|(a, b)| [a, b])}});
        file.to_string().into_bytes()
    });

    fn read(json: &[u8]) -> Result<Vocab> {
        let tokenizer = tokenizers::Tokenizer::from_bytes(json).unwrap();
        let size = tokenizer.get_vocab_size(true);
        Vocab::from_tokenizer(tokenizer, size, Some(0), None)
    }
    fn no_need(_: &[u8]) -> Result<Vocab> {
        panic!("made again")
    }
    fn same(a: &Vocab, b: &Vocab) {
        assert!(a.fingerprint() == b.fingerprint() && a.longest == b.longest && a.trie() == b.trie());
        assert_eq!(a.encode("The dog, 2 cats.").unwrap(), b.encode("The dog, 2 cats.").unwrap());
    }
    /// A folder that is removed in the end.
    struct Folder(Store);
    impl Folder {
        fn new(name: &str) -> Self {
            let folder = env::temp_dir().join(format!("stencil-{name}-{}", std::process::id()));
            Self(Store { folder })
        }
        fn files(&self) -> Vec<PathBuf> {
            fs::read_dir(&self.0.folder).unwrap().map(|entry| entry.unwrap().path()).collect()
        }
    }
    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0.folder);
        }
    }

    #[test]
    fn a_vocabulary_is_made_once() {
        let folder = Folder::new("once");
        let made = folder.0.vocab(JSON.clone(), None, read).unwrap();
        same(&made, &folder.0.vocab(JSON.clone(), None, no_need).unwrap());
        // Another width, or another file, is another vocabulary.
        folder.0.vocab(JSON.clone(), Some(9000), read).unwrap();
        folder.0.vocab([&JSON, b" ".as_slice()].concat(), None, read).unwrap();
        assert_eq!(folder.files().len(), 3);
    }

    #[test]
    fn a_damaged_file_is_made_anew() {
        let folder = Folder::new("damaged");
        let made = folder.0.vocab(JSON.clone(), None, read).unwrap();
        let [path] = &*folder.files() else { panic!("one file") };
        let good = fs::read(path).unwrap();
        for at in [0, 20, 34, 40, 46, 56, good.len() / 2, good.len() - 1] {
            let mut flipped = good.clone();
            flipped[at] ^= 0x40;
            let damaged = [flipped, good[..at].to_vec(), [&good[..], b"x"].concat()];
            for bytes in damaged {
                fs::write(path, bytes).unwrap();
                same(&made, &folder.0.vocab(JSON.clone(), None, read).unwrap());
                assert_eq!(fs::read(path).unwrap(), good);
            }
        }
        // So is one of another vocabulary, and one that is none at all.
        folder.0.vocab(JSON.clone(), Some(9000), read).unwrap();
        let other = folder.files().into_iter().find(|other| other != path).unwrap();
        for bytes in [fs::read(other).unwrap(), Vec::new(), JSON.clone()] {
            fs::write(path, bytes).unwrap();
            same(&made, &folder.0.vocab(JSON.clone(), None, read).unwrap());
            assert_eq!(fs::read(path).unwrap(), good);
        }
        // A file with a right hash and wrong numbers is refused too.
        let key = u128::from_le_bytes(*good[16..].first_chunk().unwrap());
        for number in 0..good.len().min(4000) / 4 - 10 {
            let mut body = good[40..].to_vec();
            body[number * 4..][..4].copy_from_slice(&0x7fff_fff0u32.to_le_bytes());
            assert!(decode(&framed(key, &body), key, Encoder::Shortest(Default::default())).is_none() || number < 2);
        }
    }

    #[test]
    fn many_may_write_at_once() {
        let folder = Folder::new("many");
        let made = read(&JSON).unwrap();
        if let Some(shared) = env::var_os(SHARED) {
            let store = Store { folder: shared.into() };
            return same(&made, &store.vocab(JSON.clone(), None, read).unwrap());
        }
        // Processes, each of them this test again, and threads.
        let process = || {
            let mut process = std::process::Command::new(env::current_exe().unwrap());
            process.args(["--exact", "vocab::store::tests::many_may_write_at_once"]);
            process.env(SHARED, &folder.0.folder).stdout(std::process::Stdio::null()).spawn().unwrap()
        };
        let processes = [process(), process(), process()];
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| same(&made, &folder.0.vocab(JSON.clone(), None, read).unwrap()));
            }
        });
        for mut process in processes {
            assert!(process.wait().unwrap().success());
        }
        assert_eq!(folder.files().len(), 1);
        same(&made, &folder.0.vocab(JSON.clone(), None, no_need).unwrap());
    }
    /// Names a folder for processes of the test above.
    const SHARED: &str = "STENCIL_TEST_SHARED";

    #[test]
    fn a_folder_that_cannot_be_written_costs_only_time() {
        let file = Folder::new("file");
        fs::write(&file.0.folder, "not a folder").unwrap();
        let store = Store { folder: file.0.folder.join("below") };
        same(&read(&JSON).unwrap(), &store.vocab(JSON.clone(), None, read).unwrap());
        fs::remove_file(&file.0.folder).unwrap();
        // Neither does a folder where the file should be.
        let made = file.0.vocab(JSON.clone(), None, read).unwrap();
        let [path] = &*file.files() else { panic!("one file") };
        fs::remove_file(path).unwrap();
        fs::create_dir_all(path.join("below")).unwrap();
        same(&made, &file.0.vocab(JSON.clone(), None, read).unwrap());
        assert_eq!(file.files(), std::slice::from_ref(path), "no draft is left behind");
    }
}
