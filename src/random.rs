//! Random number generators that depend on a seed and a purpose, and on nothing else.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// A generator for a seed and two numbers that name the purpose. The same three numbers give the same generator.
pub(crate) fn rng(seed: u64, first: u64, second: u64) -> ChaCha8Rng {
    let mut key = [0u8; 32];
    for (part, number) in key.chunks_exact_mut(8).zip([seed, first, second]) {
        part.copy_from_slice(&number.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}
