//! Threads, where they save more than they cost. Results are in order and do not depend on the number of threads; without
//! the feature `rayon` there is one.

#[cfg(feature = "rayon")]
use rayon::prelude::*;

/// Scores that take about a millisecond to read.
#[cfg(feature = "rayon")]
const WORTHWHILE: usize = 1 << 19;

/// `f` of each item; `work` counts the scores that `f` will read in all.
pub(crate) fn map<T: Send, R: Send>(items: Vec<T>, work: usize, f: impl Fn(T) -> R + Send + Sync) -> Vec<R> {
    #[cfg(feature = "rayon")]
    if work >= WORTHWHILE {
        return items.into_par_iter().map(f).collect();
    }
    #[cfg(not(feature = "rayon"))]
    let _ = work;
    items.into_iter().map(f).collect()
}

/// `f` of each item, each worth a thread of its own, with its index.
pub(crate) fn each<T: Sync, R: Send>(items: &[T], f: impl Fn(usize, &T) -> R + Send + Sync) -> Vec<R> {
    #[cfg(feature = "rayon")]
    return items.par_iter().enumerate().map(|(i, item)| f(i, item)).collect();
    #[cfg(not(feature = "rayon"))]
    items.iter().enumerate().map(|(i, item)| f(i, item)).collect()
}
