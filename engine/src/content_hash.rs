//! The content hash: what a file version is named by.

use std::io::{self, Read};

/// The content hash of all that `input` gives: BLAKE3 in 64 hexadecimal digits.
pub fn content_hash(input: impl Read) -> io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(input)?;
    Ok(hasher.finalize().to_hex().to_string())
}

/// Passes bytes on, and hashes them on the way, so that a file that is converted is hashed in the same pass.
#[derive(Debug)]
pub struct HashingReader<R> {
    input: R,
    hasher: blake3::Hasher,
}

impl<R: Read> HashingReader<R> {
    /// Hashes from the first byte that `input` gives.
    pub fn new(input: R) -> Self {
        Self {
            input,
            hasher: blake3::Hasher::new(),
        }
    }

    /// The content hash of the bytes that were read.
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
