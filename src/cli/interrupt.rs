//! Ctrl-C: the first asks the work at hand to stop, the second (or one that nobody is there to obey) ends the program.

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

/// Listens for Ctrl-C from now on.
pub fn listen() {
    // Without a handler the default action ends the program at once, which is all that is lost if this fails.
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

/// Becomes true when the user asks to stop.
pub fn flag() -> Arc<AtomicBool> {
    Arc::clone(&REQUESTED)
}

/// From now on somebody asks [`requested`] often enough and stops by themselves.
pub fn obey() {
    OBEYED.store(true, SeqCst);
}
