//! Reads input that the user names: files, and standard input as `-`.

use std::{
    io::{self, Read},
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};
use stencil_lm::{
    Error, Result, Source,
    spec::{Inputs, Registry, Spec},
};

/// Maximum size of input, so that an endless pipe does not fill the memory.
const LIMIT: u64 = 64 << 20;

pub fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Reads a text file, or standard input.
pub fn read(path: &Path) -> Result<Source> {
    if is_stdin(path) { stdin() } else { Source::read(path) }
}

pub fn stdin() -> Result<Source> {
    static READ: AtomicBool = AtomicBool::new(false);
    if READ.swap(true, Ordering::Relaxed) {
        return Err(Error::input("`-` stands for standard input, which can be read only once"));
    }
    let mut bytes = Vec::new();
    let mut limited = io::stdin().lock().take(LIMIT + 1);
    limited.read_to_end(&mut bytes).map_err(|e| Error::io("cannot read standard input").because(e))?;
    if bytes.len() as u64 > LIMIT {
        return Err(Error::input("standard input is longer than 64 MiB"));
    }
    let text = String::from_utf8(bytes).map_err(|e| {
        Error::input(format!("standard input is not UTF-8: byte {} starts no character", e.utf8_error().valid_up_to()))
    })?;
    Ok(Source::new("<stdin>", text))
}

/// Reads a constraint file.
pub fn spec(path: &Path, registry: &Registry, inputs: &Inputs) -> Result<Spec> {
    if !is_stdin(path) {
        return Spec::load(path, registry, inputs);
    }
    let source = stdin()?;
    match source.text.trim_start().starts_with('{') {
        true => Spec::from_json(&source, registry, inputs),
        false => Spec::from_toml(&source, registry, inputs),
    }
}
