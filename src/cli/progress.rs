//! A progress line on standard error, shown for work that takes more than a second.

use super::terminal::Terminal;
use std::{
    io::{self, Write},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

const SILENCE: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(200);

/// A progress line. It disappears when this value is dropped.
pub struct Progress(Option<Worker>);

struct Worker {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

struct Shared {
    state: Mutex<State>,
    wake: Condvar,
}

struct State {
    label: String,
    done: bool,
}

impl Progress {
    /// Starts a progress line; without a terminal nothing is shown.
    pub fn start(terminal: Option<Terminal>, label: impl Into<String>) -> Self {
        let Some(terminal) = terminal else { return Self(None) };
        let shared =
            Arc::new(Shared { state: Mutex::new(State { label: label.into(), done: false }), wake: Condvar::new() });
        let theirs = Arc::clone(&shared);
        Self(Some(Worker { shared, thread: std::thread::spawn(move || theirs.show(terminal)) }))
    }

    /// A handle by which another thread or an observer updates the line.
    pub fn teller(&self) -> Teller {
        Teller(self.0.as_ref().map(|w| Arc::clone(&w.shared)))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(Worker { shared, thread }) = self.0.take() {
            shared.lock().done = true;
            shared.wake.notify_one();
            let _ = thread.join();
        }
    }
}

/// Updates the text of a [`Progress`].
#[derive(Clone)]
pub struct Teller(Option<Arc<Shared>>);

impl Teller {
    pub fn tell(&self, label: impl FnOnce() -> String) {
        if let Some(shared) = &self.0 {
            shared.lock().label = label();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self, terminal: Terminal) {
        let start = Instant::now();
        let mut pause = SILENCE;
        let mut shown = false;
        let mut state = self.lock();
        while !state.done {
            let (woken, timeout) = self.wake.wait_timeout(state, pause).unwrap_or_else(PoisonError::into_inner);
            state = woken;
            if !state.done && timeout.timed_out() {
                let (width, _) = terminal.size();
                let line = format!("{} … {:.0} s", state.label, start.elapsed().as_secs_f32());
                let line: String = line.chars().take(width - 1).collect();
                let _ = write!(io::stderr(), "\r\x1b[K{line}");
                (pause, shown) = (TICK, true);
            }
        }
        if shown {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
