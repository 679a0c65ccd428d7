//! Buffers that a thread keeps between calls, so that temporaries cost no fresh pages.

use std::cell::RefCell;

thread_local! {
    /// One for each depth of calls within calls.
    static KEPT: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// Calls `f` with `len` numbers that hold anything and start at a cache line.
pub(super) fn with_scratch<R>(len: usize, f: impl FnOnce(&mut [f32]) -> R) -> R {
    const LINE: usize = 64;
    // Taken out, not borrowed: `f` may come back here.
    let mut buffer = KEPT.with_borrow_mut(Vec::pop).unwrap_or_default();
    let most = len + LINE / size_of::<f32>();
    if buffer.len() < most {
        buffer = vec![0.0; most];
    }
    let skip = buffer.as_ptr().align_offset(LINE).min(most - len);
    let result = f(&mut buffer[skip..skip + len]);
    KEPT.with_borrow_mut(|kept| kept.push(buffer));
    result
}
