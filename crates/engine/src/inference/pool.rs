//! Memory pools for messages.

use super::number::Wide;
use crate::inference::simd::MaxPlus;
use std::sync::{Mutex, PoisonError};

/// Buffers of dropped messages, reused by later ones: the system need not clear their pages again.
#[derive(Debug)]
pub(super) struct Pool<T>(Mutex<Vec<Vec<T>>>);

/// Most bytes that a pool holds.
const MOST_POOLED: usize = 64 << 20;

impl<T> Pool<T> {
    /// An empty vector, with memory from the pool if there is any.
    pub(super) fn take(&self) -> Vec<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }
    /// Gives vectors back to the pool; what exceeds its size is freed.
    pub(super) fn keep(&self, vectors: Vec<Vec<T>>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(vectors);
        let mut bytes = 0;
        kept.retain_mut(|vector| {
            vector.clear();
            bytes += vector.capacity() * size_of::<T>();
            bytes <= MOST_POOLED
        });
    }
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

/// A pool for each type of number that messages are made of.
#[derive(Debug, Default)]
pub(super) struct Pools {
    pub(super) single: Pool<f32>,
    pub(super) double: Pool<f64>,
    pub(super) wide: Pool<Wide>,
    pub(super) logs: Pool<MaxPlus>,
}
