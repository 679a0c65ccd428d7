//! Memory-mapped files: weights are read when they are needed, and shared between processes.
#![allow(unsafe_code)]

use memmap2::Mmap;
use std::{fs::File, io, ops::Range, path::Path};

/// Maps a file for reading.
///
/// # Errors
/// A file that is missing, unreadable, or no regular file.
pub(super) fn map(path: &Path) -> io::Result<Mmap> {
    let file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    // SAFETY: the file must not be modified while it is mapped, by this process or another one. No system that is
    // supported can guarantee that, so it is required of whoever keeps the file; see "Memory safety" in CONTRIBUTING.md.
    // This process never writes into a checkpoint in place: files appear by a rename, which leaves a map of the old file
    // as it was. Should another process write into the file, what is read here are plain numbers, of which all bits are
    // values, copied out of the map at once; lengths and offsets come from the header, which is parsed once. Should it
    // truncate the file, reading behind its end terminates this process (SIGBUS).
    unsafe { Mmap::map(&file) }
}

/// Tells the system that a part is not needed soon, so that the part does not count as this process's memory. Systems
/// that ignore the advice are fine.
pub(super) fn forget(map: &Mmap, part: &Range<usize>) {
    #[cfg(unix)]
    {
        // SAFETY: the map is shared, read-only and backed by a file: dropped pages are read again when they are used.
        let _ = unsafe { map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, part.start, part.len()) };
    }
    #[cfg(not(unix))]
    let _ = (map, part);
}
