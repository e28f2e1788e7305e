//! The bytes of a file that is read here and there, and not from its beginning to its end.
//!
//! Workbooks and Parquet have their directories at the end. Whatever a file comes from, a folder, a bucket or a packed
//! file, its bytes are read once, so that what is converted is what was hashed. Small files stay in memory, others go to a
//! file without a name in the scratch folder.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use super::record::unreadable;
use crate::error::EngineError;

/// Files up to this size stay in memory.
const IN_MEMORY: u64 = 4 << 20;

/// Larger files are not read: the scratch folder must have room for them, once for each file that is read at a time.
const LARGEST: u64 = 8 << 30;

/// Bytes that are read at a time.
const PIECE: usize = 256 << 10;

/// All bytes of a file.
#[derive(Clone)]
pub(super) struct Spool {
    content: Content,
    length: u64,
}

#[derive(Clone)]
enum Content {
    Memory(Bytes),
    File(Arc<File>),
}

impl Spool {
    /// Reads a whole input.
    pub(super) fn of(mut input: impl Read, folder: &Path) -> Result<Self, EngineError> {
        let mut start = Vec::new();
        let read = input.by_ref().take(IN_MEMORY + 1).read_to_end(&mut start);
        let mut length = read.map_err(EngineError::Read)? as u64;
        if length <= IN_MEMORY {
            let content = Content::Memory(start.into());
            return Ok(Self { content, length });
        }
        let unwritable = || EngineError::write(folder);
        let mut file = tempfile::tempfile_in(folder).map_err(unwritable())?;
        file.write_all(&start).map_err(unwritable())?;
        let mut piece = start;
        piece.resize(PIECE, 0);
        loop {
            let read = match input.read(&mut piece) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read.map_err(EngineError::Read)?,
            };
            if read == 0 {
                break;
            }
            length += read as u64;
            if length > LARGEST {
                return Err(EngineError::Read(unreadable(format!(
                    "it has over {} GiB, more than is read of a file that needs a copy in the scratch folder",
                    LARGEST >> 30
                ))));
            }
            file.write_all(&piece[..read]).map_err(unwritable())?;
        }
        let content = Content::File(Arc::new(file));
        Ok(Self { content, length })
    }

    pub(super) fn len(&self) -> u64 {
        self.length
    }

    /// Returns the first bytes, as far as there are so many.
    pub(super) fn beginning(&self, bytes: usize) -> io::Result<Vec<u8>> {
        let mut beginning = Vec::new();
        self.reader().take(bytes as u64).read_to_end(&mut beginning)?;
        Ok(beginning)
    }

    /// Returns a reader with a position of its own.
    pub(super) fn reader(&self) -> SpoolReader {
        SpoolReader {
            spool: self.clone(),
            at: 0,
        }
    }
}

/// Reads a spool.
pub(super) struct SpoolReader {
    spool: Spool,
    at: u64,
}

impl Read for SpoolReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match &self.spool.content {
            Content::Memory(bytes) => {
                let at = usize::try_from(self.at).unwrap_or(usize::MAX).min(bytes.len());
                (&bytes[at..]).read(buffer)?
            }
            Content::File(file) => file.read_at(buffer, self.at)?,
        };
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for SpoolReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.spool.length.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

impl Length for Spool {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for Spool {
    type T = io::BufReader<SpoolReader>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        let reader = SpoolReader {
            spool: self.clone(),
            at: start,
        };
        Ok(io::BufReader::with_capacity(64 << 10, reader))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        let end = start.checked_add(length as u64).filter(|end| *end <= self.length);
        let Some(end) = end else {
            return Err(ParquetError::EOF(format!(
                "{length} bytes at {start} of a file that has {}",
                self.length
            )));
        };
        match &self.content {
            Content::Memory(bytes) => Ok(bytes.slice(start as usize..end as usize)),
            Content::File(file) => {
                let mut bytes = vec![0; length];
                file.read_exact_at(&mut bytes, start)?;
                Ok(bytes.into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn small_and_large_files_are_read_alike() {
        let folder = TempDir::new().unwrap();
        for length in [0, 10, IN_MEMORY as usize, IN_MEMORY as usize + PIECE + 3] {
            let bytes: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            let spool = Spool::of(&bytes[..], folder.path()).unwrap();
            assert_eq!(spool.len(), length as u64);
            let mut all = Vec::new();
            spool.reader().read_to_end(&mut all).unwrap();
            assert!(all == bytes, "{length}");
            assert_eq!(spool.beginning(4).unwrap(), bytes[..length.min(4)]);
            let last = length.min(3);
            let mut reader = spool.reader();
            reader.seek(SeekFrom::End(-(last as i64))).unwrap();
            let mut end = Vec::new();
            reader.read_to_end(&mut end).unwrap();
            assert_eq!(end, bytes[length - last..]);
            assert_eq!(spool.get_bytes((length - last) as u64, last).unwrap(), end);
            assert!(spool.get_bytes(length as u64, 1).is_err() && spool.get_bytes(u64::MAX, 1).is_err());
        }
        assert_eq!(
            std::fs::read_dir(folder.path()).unwrap().count(),
            0,
            "no file is left"
        );
    }
}
