//! The content hash, which identifies a file version.

use std::io::{self, Read};

/// Returns the content hash of everything that `input` yields: BLAKE3 as 64 hexadecimal digits.
pub fn content_hash(input: impl Read) -> io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(input)?;
    Ok(hasher.finalize().to_hex().to_string())
}

/// A reader that hashes the bytes it passes on, so that a file is hashed in the same pass as its conversion.
#[derive(Debug)]
pub struct HashingReader<R> {
    input: R,
    hasher: blake3::Hasher,
}

impl<R: Read> HashingReader<R> {
    /// Creates a reader that hashes `input` from its first byte.
    pub fn new(input: R) -> Self {
        Self {
            input,
            hasher: blake3::Hasher::new(),
        }
    }

    /// Returns the content hash of the bytes read so far.
    pub fn content_hash(&self) -> String {
        self.hasher.finalize().to_hex().to_string()
    }
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        Ok(read)
    }
}
