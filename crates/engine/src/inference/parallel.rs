//! Threads, where they save more than they cost. Results are in order and do not depend on how many there are.

use rayon::prelude::*;

/// About a millisecond of work.
const WORTHWHILE: usize = 1 << 19;

/// `f` of each item; `work` counts the scores it will look at in all.
pub(super) fn map<T: Send, R: Send>(items: Vec<T>, work: usize, f: impl Fn(T) -> R + Send + Sync) -> Vec<R> {
    match work >= WORTHWHILE {
        true => items.into_par_iter().map(f).collect(),
        false => items.into_iter().map(f).collect(),
    }
}
