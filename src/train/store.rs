//! Tokenised texts on disk, read one at a time, so that a corpus may be larger than memory.

use super::data::Example;
use crate::{Error, Result, Token};
use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

/// Number of bytes of an index entry: offset of the text, its tokens, its bytes, its label, whether it ends.
const ENTRY: usize = 24;
/// The label of a text without a label.
const NONE: u32 = u32::MAX;

/// Writes a store; [`finish`](Self::finish) makes it readable.
pub struct Writer {
    path: PathBuf,
    tokens: BufWriter<File>,
    index: BufWriter<File>,
    written: u64,
    texts: u64,
}

/// The stored texts, in the order of writing.
pub struct Store {
    path: PathBuf,
    tokens: File,
    index: File,
    texts: u64,
}

fn parts(path: &Path) -> [PathBuf; 2] {
    [path.with_extension("tokens"), path.with_extension("index")]
}

impl Writer {
    /// Creates a store at `path` (`path.tokens` and `path.index`), and replaces an old one.
    ///
    /// # Errors
    /// Files that cannot be created.
    pub fn create(path: &Path) -> Result<Self> {
        let failed = |e: std::io::Error| Error::io(format!("cannot write {}", path.display())).because(e);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        let [tokens, index] = parts(path).map(|p| File::create(p).map(|file| BufWriter::with_capacity(1 << 18, file)));
        let (tokens, index) = (tokens.map_err(failed)?, index.map_err(failed)?);
        Ok(Self { path: path.into(), tokens, index, written: 0, texts: 0 })
    }

    /// Appends a text.
    ///
    /// # Errors
    /// A failed write.
    pub fn push(&mut self, example: &Example) -> Result<()> {
        let mut entry = [0u8; ENTRY];
        entry[..8].copy_from_slice(&self.written.to_le_bytes());
        let numbers = [
            example.tokens.len() as u32,
            example.bytes as u32,
            example.label.map_or(NONE, |l| l as u32),
            u32::from(example.ends),
        ];
        for (bytes, number) in entry[8..].chunks_exact_mut(4).zip(numbers) {
            bytes.copy_from_slice(&number.to_le_bytes());
        }
        let tokens: Vec<u8> = example.tokens.iter().flat_map(|t| t.to_le_bytes()).collect();
        let written = self.tokens.write_all(&tokens).and_then(|()| self.index.write_all(&entry));
        written.map_err(|e| Error::io(format!("cannot write {}", self.path.display())).because(e))?;
        self.written += example.tokens.len() as u64;
        self.texts += 1;
        Ok(())
    }

    /// Number of texts so far.
    pub fn texts(&self) -> u64 {
        self.texts
    }

    /// Makes the texts readable.
    ///
    /// # Errors
    /// A failed write.
    pub fn finish(mut self) -> Result<Store> {
        let flushed = self.tokens.flush().and_then(|()| self.index.flush());
        flushed.map_err(|e| Error::io(format!("cannot write {}", self.path.display())).because(e))?;
        Store::open(&self.path)
    }
}

impl Store {
    /// Opens a store that a [`Writer`] wrote.
    ///
    /// # Errors
    /// A missing store.
    pub fn open(path: &Path) -> Result<Self> {
        let failed = |e: std::io::Error| Error::io(format!("cannot read {}", path.display())).because(e);
        let [tokens, index] = parts(path).map(File::open);
        let (tokens, index) = (tokens.map_err(failed)?, index.map_err(failed)?);
        let texts = index.metadata().map_err(failed)?.len() / ENTRY as u64;
        Ok(Self { path: path.into(), tokens, index, texts })
    }

    /// Number of texts.
    pub fn len(&self) -> u64 {
        self.texts
    }

    /// The text at `index`.
    ///
    /// # Errors
    /// A text that is out of range or cannot be read.
    pub fn get(&self, index: u64) -> Result<Example> {
        let failed = |e: std::io::Error| {
            Error::io(format!("cannot read text {index} of {}", self.path.display()))
                .because(e)
                .help("run without --resume to read the corpus again")
        };
        let mut entry = [0u8; ENTRY];
        read_at(&self.index, &mut entry, index * ENTRY as u64).map_err(failed)?;
        let number = |at: usize| u32::from_le_bytes([entry[at], entry[at + 1], entry[at + 2], entry[at + 3]]);
        let start = u64::from(number(0)) | u64::from(number(4)) << 32;
        let mut bytes = vec![0u8; number(8) as usize * 4];
        read_at(&self.tokens, &mut bytes, start * 4).map_err(failed)?;
        let (tokens, _) = bytes.as_chunks::<4>();
        Ok(Example {
            tokens: tokens.iter().map(|b| Token::from_le_bytes(*b)).collect(),
            bytes: number(12) as usize,
            label: Some(number(16)).filter(|&l| l != NONE).map(|l| l as usize),
            ends: number(20) != 0,
        })
    }

    /// All texts in order.
    pub fn iter(&self) -> impl Iterator<Item = Result<Example>> {
        (0..self.texts).map(|i| self.get(i))
    }
}

#[cfg(unix)]
fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset)
}

#[cfg(not(unix))]
fn read_at(mut file: &File, bytes: &mut [u8], offset: u64) -> std::io::Result<()> {
    use std::io::{Read, Seek, SeekFrom};
    file.seek(SeekFrom::Start(offset))?;
    file.read_exact(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back_as_they_were() {
        let path = std::env::temp_dir().join(format!("stencil-store-{}", std::process::id()));
        let example = |n: u32| Example {
            tokens: (0..n % 7).map(|t| t * 1000 + n).collect(),
            label: (!n.is_multiple_of(3)).then_some(n as usize),
            bytes: n as usize * 5,
            ends: n.is_multiple_of(2),
        };
        let mut writer = Writer::create(&path).unwrap();
        (0..50).for_each(|n| writer.push(&example(n)).unwrap());
        assert_eq!(writer.texts(), 50);
        let store = writer.finish().unwrap();
        assert_eq!(store.len(), 50);
        for n in [49, 0, 7, 20] {
            assert_eq!(store.get(n as u64).unwrap(), example(n));
        }
        assert!(store.iter().map(Result::unwrap).eq((0..50).map(example)));
        assert!(store.get(50).is_err());
        parts(&path).iter().for_each(|p| fs::remove_file(p).unwrap());
        assert!(Store::open(&path).is_err());
    }
}
