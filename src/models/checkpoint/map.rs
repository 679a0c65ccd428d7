//! Files as memory, so that weights are read when they are needed and shared between processes.
#![allow(unsafe_code)]

use memmap2::Mmap;
use std::{fs::File, io, path::Path};

/// Maps a file for reading.
///
/// # Errors
/// A file that is missing, unreadable, or no regular file.
pub(super) fn map(path: &Path) -> io::Result<Mmap> {
    let file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    // SAFETY: the map is only read. Another process that shortens the file while it is mapped ends this one with a
    // bus error, as for any program that maps files; there is no way to rule that out on the systems supported.
    unsafe { Mmap::map(&file) }
}
