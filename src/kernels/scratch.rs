//! Buffers that a thread keeps between calls, so that temporaries need no fresh pages.

use std::cell::RefCell;

thread_local! {
    /// One buffer per depth of nested calls.
    static KEPT: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// Calls `f` with `len` numbers of unspecified value, aligned to a cache line.
pub(super) fn with_scratch<R>(len: usize, f: impl FnOnce(&mut [f32]) -> R) -> R {
    const LINE: usize = 64;
    // The buffer is taken out, not borrowed, since `f` may call this function.
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
