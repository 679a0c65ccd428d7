//! The cache of compiled constraints of this process.

use super::{Dfa, Limits, TokenAutomaton, blame};
use crate::language::Language;
use crate::{Result, Vocab};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

/// The capacity in bytes: automata and the expressions that are their keys.
const CAPACITY: usize = 256 << 20;

static CACHE: Mutex<Cache> = Mutex::new(Cache::new(CAPACITY));

/// [`TokenAutomaton::compile`], with the cache of this process.
pub(super) fn compiled(language: &Language, vocab: &Vocab, limits: &Limits) -> Result<Arc<TokenAutomaton>> {
    compile(&CACHE, language, vocab, limits)
}

fn compile(cache: &Mutex<Cache>, language: &Language, vocab: &Vocab, limits: &Limits) -> Result<Arc<TokenAutomaton>> {
    let key = Key { vocab: vocab.fingerprint(), language: language.clone() };
    let lock = || cache.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = lock().get(&key) {
        return Ok(known);
    }
    // The lock is not held here: other threads may compile meanwhile.
    let lifted = Dfa::factors(language, limits).and_then(|factors| TokenAutomaton::lift_all(&factors, vocab, limits));
    let new = Arc::new(lifted.map_err(|e| blame::among(language, vocab, limits, e))?);
    lock().put(key, new.clone());
    Ok(new)
}

#[derive(PartialEq, Eq, Hash)]
struct Key {
    vocab: u64,
    language: Language,
}

/// A cache that drops the least recently used entries.
struct Cache {
    /// Entries in order of use, the latest last. They are few, so a look-up scans them and compares hashes first.
    entries: Vec<Entry>,
    bytes: usize,
    capacity: usize,
}

struct Entry {
    hash: u64,
    /// Bytes of the key and the automaton.
    bytes: usize,
    key: Key,
    automaton: Arc<TokenAutomaton>,
}

impl Cache {
    const fn new(capacity: usize) -> Self {
        Self { entries: Vec::new(), bytes: 0, capacity }
    }

    fn get(&mut self, key: &Key) -> Option<Arc<TokenAutomaton>> {
        let (hash, _) = hash(key);
        let at = self.entries.iter().rposition(|entry| entry.hash == hash && entry.key == *key)?;
        self.entries[at..].rotate_left(1);
        self.entries.last().map(|entry| entry.automaton.clone())
    }

    /// An entry larger than the whole cache is not kept.
    fn put(&mut self, key: Key, automaton: Arc<TokenAutomaton>) {
        let (hash, written) = hash(&key);
        let bytes = automaton.bytes() + written;
        if bytes > self.capacity || self.get(&key).is_some() {
            return;
        }
        let mut dropped = 0;
        while self.bytes + bytes > self.capacity {
            self.bytes -= self.entries[dropped].bytes;
            dropped += 1;
        }
        self.entries.drain(..dropped);
        self.bytes += bytes;
        self.entries.push(Entry { hash, bytes, key, automaton });
    }
}

/// The hash of a key, and the number of bytes hashed, which is about the size of the key.
fn hash(key: &Key) -> (u64, usize) {
    let mut hasher = Counting::default();
    key.hash(&mut hasher);
    (hasher.inner.finish(), hasher.bytes)
}

#[derive(Default)]
struct Counting {
    inner: DefaultHasher,
    bytes: usize,
}

impl Hasher for Counting {
    fn finish(&self) -> u64 {
        self.inner.finish()
    }
    fn write(&mut self, bytes: &[u8]) {
        self.inner.write(bytes);
        self.bytes += bytes.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vocab(tokens: &[&str]) -> Vocab {
        Vocab::from_bytes(tokens.iter().map(|t| Some(t.as_bytes().to_vec())).collect(), None, None).unwrap()
    }

    #[test]
    fn the_same_request_is_compiled_once() {
        let cache = Mutex::new(Cache::new(1 << 20));
        let (abc, again, other) = (vocab(&["a", "b", "c"]), vocab(&["a", "b", "c"]), vocab(&["a", "bc"]));
        let get = |pattern: &str, vocab: &Vocab| {
            compile(&cache, &Language::regex(pattern), vocab, &Limits::default()).unwrap()
        };
        let first = get("a*b", &abc);
        assert!(Arc::ptr_eq(&first, &get("a*b", &again)));
        assert!(!Arc::ptr_eq(&first, &get("a*b", &other)));
        assert!(!Arc::ptr_eq(&first, &get("a*c", &abc)));
    }

    #[test]
    fn what_was_used_last_stays() {
        let vocab = vocab(&["a", "b"]);
        let language = |n: usize| Language::regex(format!("a{{{n}}}"));
        let (_, key) = hash(&Key { vocab: 0, language: language(9) });
        let size = TokenAutomaton::compile(&language(9), &vocab, &Limits::default()).unwrap().bytes() + key;
        let cache = Mutex::new(Cache::new(3 * size));
        let get = |n: usize| compile(&cache, &language(n), &vocab, &Limits::default()).unwrap();
        let seven = get(7);
        (5..9).for_each(|n| {
            get(n);
            assert!(Arc::ptr_eq(&seven, &get(7)));
        });
        let held = cache.lock().unwrap();
        let bytes: usize = held.entries.iter().map(|entry| entry.bytes).sum();
        assert!(bytes == held.bytes && bytes <= held.capacity && held.entries.len() >= 2);
        drop(held);
        get(2000);
        assert!(cache.lock().unwrap().entries.iter().all(|entry| entry.key.language != language(2000)));
    }

    /// Long expressions with small automata fill the cache too.
    #[test]
    fn expressions_count() {
        let vocab = vocab(&["a", "b"]);
        let cache = Mutex::new(Cache::new(10_000));
        for n in 0..50 {
            let long = Language::regex(format!("a{{{n}}}|{}", "b|".repeat(1000)));
            compile(&cache, &long, &vocab, &Limits::default()).unwrap();
            let held = cache.lock().unwrap();
            let texts: usize = held.entries.len() * 2000;
            assert!(texts < held.bytes && held.bytes <= held.capacity && !held.entries.is_empty());
        }
    }
}
