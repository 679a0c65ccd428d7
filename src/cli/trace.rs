//! `--trace FILE`: every record of the run as a line of JSON (documented in docs/cli.md), enough to redraw it.

use std::{
    fs::File,
    io::{BufWriter, Write},
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};
use stencil_lm::{Error, Observer, Record, Result};

/// The file being written, shared by the observer and the command that waits for the run.
#[derive(Clone)]
pub struct Trace {
    recorder: Arc<Mutex<Recorder>>,
}

struct Recorder {
    path: PathBuf,
    out: BufWriter<File>,
    failure: Option<std::io::Error>,
}

impl Trace {
    pub fn create(path: &Path) -> Result<Self> {
        let file = File::create(path)
            .map_err(|e| Error::io(format!("cannot write the trace {}", path.display())).because(e))?;
        let recorder = Recorder { path: path.into(), out: BufWriter::new(file), failure: None };
        Ok(Self { recorder: Arc::new(Mutex::new(recorder)) })
    }

    /// Writes out what is buffered.
    ///
    /// # Errors
    /// If any line could not be written.
    pub fn close(self) -> Result<()> {
        let mut recorder = self.recorder.lock().unwrap_or_else(PoisonError::into_inner);
        let failure = recorder.failure.take().or(recorder.out.flush().err());
        match failure {
            Some(e) => Err(Error::io(format!("cannot write the trace {}", recorder.path.display())).because(e)),
            None => Ok(()),
        }
    }
}

impl Recorder {
    fn write(&mut self, record: &Record) -> std::io::Result<()> {
        serde_json::to_writer(&mut self.out, record)?;
        self.out.write_all(b"\n")
    }
}

impl Observer for Trace {
    fn on_step(&mut self, record: &Record) -> ControlFlow<()> {
        let mut recorder = self.recorder.lock().unwrap_or_else(PoisonError::into_inner);
        match recorder.write(record) {
            Ok(()) => ControlFlow::Continue(()),
            Err(e) => {
                recorder.failure.get_or_insert(e);
                ControlFlow::Break(())
            }
        }
    }
}
