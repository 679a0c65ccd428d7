//! A fast hash for the short integer keys of automata construction.

use std::hash::{BuildHasherDefault, Hasher};

/// A map with short integer keys.
pub type FastMap<K, V> = std::collections::HashMap<K, V, BuildHasherDefault<FastHasher>>;

/// Multiply and rotate, as in the hash tables of Firefox and rustc. It does not resist adversarial keys.
#[derive(Default, Clone, Copy)]
pub struct FastHasher(u64);

impl FastHasher {
    fn mix(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
}

impl Hasher for FastHasher {
    fn write(&mut self, bytes: &[u8]) {
        let mut words = bytes.chunks_exact(8);
        for word in &mut words {
            self.mix(word.iter().rev().fold(0, |w, &b| w << 8 | b as u64));
        }
        if !words.remainder().is_empty() {
            self.mix(words.remainder().iter().rev().fold(0, |w, &b| w << 8 | b as u64));
        }
    }
    fn write_u32(&mut self, word: u32) {
        self.mix(word as u64);
    }
    fn write_u64(&mut self, word: u64) {
        self.mix(word);
    }
    fn write_usize(&mut self, word: usize) {
        self.mix(word as u64);
    }
    // A hash table takes the bucket from the low bits, but a product is best mixed in its high bits.
    fn finish(&self) -> u64 {
        self.0.rotate_left(26)
    }
}
