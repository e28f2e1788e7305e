//! Seeded mutations of files: what a fuzzer does, in short, and the same in each run.

use std::fs;
use std::path::{Path, PathBuf};

/// What is put into files besides parts of others: what means something in one format or another.
const ODD: &[u8] = b"\n\r,|\"\\'\t\0\x1a{}[]:~-.0;T$=%+\xff\xef\xbb\xbf";

/// Mutations of a corpus, one after the other.
#[derive(Debug)]
pub struct Mutations {
    corpus: Vec<Vec<u8>>,
    most: usize,
    state: u64,
}

impl Mutations {
    /// Begins a series. Of each file of the corpus, the first `most` bytes are used.
    ///
    /// # Panics
    /// If the corpus is empty.
    pub fn of(corpus: Vec<Vec<u8>>, most: usize) -> Self {
        assert!(!corpus.is_empty(), "there is nothing to mutate");
        Self {
            corpus,
            most,
            state: 0x9E37_79B9_7F4A_7C15,
        }
    }

    /// Returns a number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        // xorshift64.
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state % end as u64) as usize
    }

    /// Returns a file of the corpus with up to seven changes: a byte more, less or another, the end cut off, or a part of
    /// another file put in.
    pub fn next_file(&mut self) -> Vec<u8> {
        let from = self.below(self.corpus.len());
        let mut bytes = self.corpus[from].clone();
        bytes.truncate(self.most);
        for _ in 0..self.below(8) {
            let at = self.below(bytes.len() + 1);
            match self.below(5) {
                0 => bytes.insert(at, ODD[self.below(ODD.len())]),
                1 if at < bytes.len() => bytes[at] = self.below(256) as u8,
                2 if at < bytes.len() => _ = bytes.remove(at),
                3 => bytes.truncate(at),
                _ => {
                    let other = self.below(self.corpus.len());
                    let (start, length) = (self.below(self.corpus[other].len() + 1), self.below(40));
                    let other = &self.corpus[other][start..];
                    let part = &other[..length.min(other.len())];
                    bytes.splice(at..at, part.iter().copied());
                }
            }
        }
        bytes
    }
}

/// Returns what the files below a folder hold, in the order of their paths.
///
/// # Panics
/// If one cannot be read.
pub fn files_below(folder: impl AsRef<Path>) -> Vec<Vec<u8>> {
    let mut files = Vec::new();
    let mut folders: Vec<PathBuf> = vec![folder.as_ref().to_owned()];
    while let Some(folder) = folders.pop() {
        let entries =
            fs::read_dir(&folder).unwrap_or_else(|error| panic!("cannot list {}: {error}", folder.display()));
        let mut paths: Vec<_> = entries
            .map(|entry| entry.expect("the folder can be listed").path())
            .collect();
        paths.sort();
        for path in paths {
            match path.is_dir() {
                true => folders.push(path),
                false => files.push(fs::read(path).expect("the file can be read")),
            }
        }
    }
    files
}
