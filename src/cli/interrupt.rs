//! Ctrl-C. The first asks the running work to stop. The second ends the program, and so does the first if no work
//! listens.

use super::terminal;
use std::{
    io,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

static REQUESTED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);
static OBEYED: AtomicBool = AtomicBool::new(false);

/// Exit status of an interrupted command.
pub const STATUS: u8 = 130;

/// Installs the handler of Ctrl-C.
pub fn listen() {
    // Without a handler, Ctrl-C ends the program at once, so a failure here is harmless.
    let _ = ctrlc::set_handler(|| {
        let first = !REQUESTED.swap(true, SeqCst);
        if first && OBEYED.load(SeqCst) {
            return;
        }
        let _ = terminal::show_cursor(&mut io::stderr());
        std::process::exit(STATUS.into());
    });
}

/// Whether the user asked to stop.
pub fn requested() -> bool {
    REQUESTED.load(SeqCst)
}

/// A flag that becomes true when the user asks to stop.
pub fn flag() -> Arc<AtomicBool> {
    Arc::clone(&REQUESTED)
}

/// Declares that the caller polls [`requested`] and stops by itself.
pub fn obey() {
    OBEYED.store(true, SeqCst);
}
