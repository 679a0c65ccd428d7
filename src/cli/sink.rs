//! Destinations of results: standard output, or a file that is written whole or not at all.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};
use stencil_lm::{Error, Result};

/// Prints to standard output at once. If the reader has closed the pipe (`| head`), the program ends.
pub fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        written => written.map_err(|e| Error::io("cannot write to standard output").because(e)),
    }
}

/// Prints `text`, or writes it to `file`.
pub fn deliver(text: &str, file: Option<&Path>) -> Result<()> {
    match file {
        None => print(text),
        Some(path) if path.as_os_str() == "-" || path == Path::new("/dev/stdout") => print(text),
        Some(path) => replace(path, text).map_err(|e| Error::io(format!("cannot write {}", path.display())).because(e)),
    }
}

/// Checks early that `deliver` will be able to write, before minutes of work.
pub fn check_writable(file: &Path) -> Result<()> {
    let folder = folder(file);
    let problem = if file.is_dir() {
        Some(format!("cannot write {}: it is a directory", file.display()))
    } else if !folder.is_dir() {
        Some(format!("cannot write {}: there is no directory {}", file.display(), folder.display()))
    } else {
        None
    };
    problem.map_or(Ok(()), |p| Err(Error::io(p)))
}

fn folder(file: &Path) -> PathBuf {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.into(),
        _ => ".".into(),
    }
}

/// Replaces a file atomically: a new file is written beside the old one and renamed. Devices and pipes are written to
/// directly.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let old = fs::metadata(path).ok();
    let descriptor = path.starts_with("/dev") || path.starts_with("/proc");
    if descriptor || old.as_ref().is_some_and(|m| !m.is_file()) {
        return File::options().write(true).open(path)?.write_all(text.as_bytes());
    }
    // A symbolic link stays; its target is replaced.
    let path = if old.is_some() { fs::canonicalize(path)? } else { path.to_path_buf() };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let draft = folder(&path).join(format!(".{name}.{}.tmp", std::process::id()));
    let written = File::create_new(&draft).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        if let Some(old) = &old {
            file.set_permissions(old.permissions())?;
        }
        file.sync_all()?;
        fs::rename(&draft, &path)
    });
    if written.is_err() {
        let _ = fs::remove_file(&draft);
    }
    written
}
