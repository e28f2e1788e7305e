//! What a member of an archive holds.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use flate2::Crc;
use flate2::bufread::DeflateDecoder;

use crate::containers::Unreadable;

/// How a member is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Stored,
    Deflated,
}

/// A file in an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its path in the archive: parts that are neither empty nor `.` nor `..`, separated by `/`.
    pub name: String,
    /// Its unpacked size.
    pub bytes: u64,
    /// Where it begins; for a packed tar, in the unpacked tar.
    pub(super) offset: u64,
    /// Its size in the archive.
    pub(super) packed: u64,
    pub(super) packing: Packing,
    /// The CRC-32 of its bytes, if the archive has one.
    pub(super) crc: Option<u32>,
}

/// The bytes of a member: a part of a file, perhaps packed. Cheap to clone, and read by any number of threads.
#[derive(Clone, Debug)]
pub struct MemberContent {
    file: Arc<File>,
    offset: u64,
    packed: u64,
    packing: Packing,
    bytes: u64,
    crc: Option<u32>,
}

impl MemberContent {
    pub(super) fn new(file: Arc<File>, offset: u64, member: &Member) -> Self {
        let Member {
            bytes,
            packed,
            packing,
            crc,
            ..
        } = *member;
        Self {
            file,
            offset,
            packed,
            packing,
            bytes,
            crc,
        }
    }

    /// Returns its unpacked size.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Reads it. If what comes out is not what the archive says, reading fails, and [`convert`](crate::convert) rejects
    /// the member.
    pub fn open(&self) -> impl Read + Send + 'static {
        let failed = Arc::new(AtomicBool::default());
        let slice = Slice {
            failed: failed.clone(),
            ..Slice::new(self.file.clone(), self.offset, self.packed)
        };
        let input: Box<dyn Read + Send> = match self.packing {
            Packing::Stored => Box::new(slice),
            Packing::Deflated => Box::new(DeflateDecoder::new(BufReader::with_capacity(32 << 10, slice))),
        };
        Checked {
            input,
            failed,
            left: self.bytes,
            crc: self.crc.map(|expected| (Crc::new(), expected)),
        }
    }
}

/// A part of a file.
pub(super) struct Slice {
    file: Arc<File>,
    at: u64,
    end: u64,
    /// Whether the file system has failed, which says nothing about the archive.
    failed: Arc<AtomicBool>,
}

impl Slice {
    pub(super) fn new(file: Arc<File>, offset: u64, bytes: u64) -> Self {
        Self {
            file,
            at: offset,
            end: offset.saturating_add(bytes),
            failed: Arc::default(),
        }
    }
}

impl Read for Slice {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let most = most.min(buffer.len());
        let read = self.file.read_at(&mut buffer[..most], self.at);
        match &read {
            Ok(read) => self.at += *read as u64,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => self.failed.store(true, Ordering::Relaxed),
        }
        read
    }
}

/// Something that can be read from its beginning to its end, and passed over in parts.
pub(super) trait Forward: Read {
    /// Passes over just so many bytes.
    fn skip(&mut self, bytes: u64) -> io::Result<()>;
}

impl Forward for Slice {
    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        if self.end - self.at < bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += bytes;
        Ok(())
    }
}

impl Forward for Box<dyn Read + Send + '_> {
    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        match io::copy(&mut self.by_ref().take(bytes), &mut io::sink())? == bytes {
            true => Ok(()),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// Gives out what the archive says that a member holds, no less and no more.
struct Checked<R> {
    input: R,
    failed: Arc<AtomicBool>,
    left: u64,
    crc: Option<(Crc, u32)>,
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let unreadable = |text: &str| io::Error::other(Unreadable(format!("its archive {text}")));
        let read = match self.input.read(buffer) {
            Ok(read) => read,
            Err(error) if self.failed.load(Ordering::Relaxed) => return Err(error),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            Err(error) => return Err(unreadable(&format!("is damaged there: {error}"))),
        };
        if read as u64 > self.left {
            return Err(unreadable("says that it is smaller than it is"));
        }
        self.left -= read as u64;
        if read == 0 && self.left > 0 {
            return Err(unreadable("says that it is larger than it is"));
        }
        if let Some((crc, expected)) = &mut self.crc {
            crc.update(&buffer[..read]);
            if read == 0 && crc.sum() != *expected {
                return Err(unreadable("is damaged there: the checksum differs"));
            }
        }
        Ok(read)
    }
}
