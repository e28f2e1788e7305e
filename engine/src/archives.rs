//! Archives: files that hold other files. Each member is read as a file of its own, named as if the archive were a folder.
//!
//! Everything that can be known before a member is read is checked first ([`Archive::open`]): an archive is refused as a
//! whole, or all of its members can be read. What an archive says of a member (its size, its checksum) is held against
//! what comes out of it ([`MemberContent::open`]). Nothing is held in memory but the list of members.
//!
//! zip and tar are read by code of our own. The `zip` crate reads a directory as a whole before anything can be limited,
//! and keeps one of several members with the same name; the `tar` crate reads names of any length into memory. What is
//! needed of both formats is a few pages.

mod content;
mod tar;
mod zip;

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::sync::Arc;

use self::content::Slice;
pub use self::content::{Member, MemberContent};
use crate::containers::{BEGINNING, Container, beginning_of, unreadable};
use crate::kinds::is_workbook;

/// The most members of an archive, folders among them.
const MEMBERS: usize = 10_000;

/// The greatest length of a member's name, in bytes.
const NAME: usize = 1024;

/// The most members that are given out together.
const BATCH: usize = 256;

/// Unpacked members of this size in total are given out together, or a single larger one.
const BATCH_BYTES: u64 = 64 << 20;

/// An archive whose list of members was read, and found to be sound.
#[derive(Debug)]
pub struct Archive {
    file: Arc<File>,
    kind: Kind,
    members: Vec<Member>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Zip,
    Tar,
    /// A tar inside a packed file.
    PackedTar(Container),
}

/// Why an archive cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// What it holds, or how: reading it again does not help.
    #[error("{0}")]
    Refused(String),
    /// The file system.
    #[error("cannot read the archive")]
    Io(#[from] io::Error),
}

impl Archive {
    /// Reads the list of members. `None` if the file is no archive.
    pub fn open(file: Arc<File>) -> Result<Option<Self>, ArchiveError> {
        let bytes = file.metadata()?.len();
        let whole = || Slice::new(file.clone(), 0, bytes);
        let beginning = beginning_of(&mut whole())?;
        let (kind, members) = if is_zip(&beginning) {
            (Kind::Zip, zip::members(&file, bytes)?)
        } else if is_tar(&beginning) {
            (Kind::Tar, tar::members(&mut whole())?)
        } else if let Some(container) = Container::of(&beginning) {
            if !holds_tar(container, whole())? {
                return Ok(None);
            }
            let mut unpacked = container.open(whole()).map_err(of_reading)?;
            (Kind::PackedTar(container), tar::members(&mut unpacked)?)
        } else {
            return Ok(None);
        };
        if kind == Kind::Zip && zip::is_workbook(&members) {
            return Err(ArchiveError::Refused("it is a workbook".into()));
        }
        check_names(&members)?;
        Ok(Some(Self { file, kind, members }))
    }

    /// Returns all members but folders, in the order of the archive.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Gives out the contents of the members with these positions, which must ascend, some at a time. What has to be
    /// unpacked before it can be read is kept in `folder`, without a name.
    pub fn batches<'a>(&'a self, wanted: &'a [usize], folder: &'a Path) -> Batches<'a> {
        Batches {
            archive: self,
            wanted,
            folder,
            unpacked: None,
        }
    }
}

/// Members of an archive, with their positions.
pub type Batch = Vec<(usize, MemberContent)>;

/// Gives out members; see [`Archive::batches`].
pub struct Batches<'a> {
    archive: &'a Archive,
    wanted: &'a [usize],
    folder: &'a Path,
    /// The unpacked tar, and how many bytes of it were read.
    unpacked: Option<(Box<dyn Read + Send + 'a>, u64)>,
}

impl Iterator for Batches<'_> {
    type Item = Result<Batch, ArchiveError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.wanted.is_empty() {
            return None;
        }
        let members = &self.archive.members;
        let mut bytes = 0;
        let fits = |&&number: &&usize| {
            bytes += members[number].bytes;
            bytes <= BATCH_BYTES
        };
        let count = self.wanted.iter().take(BATCH).take_while(fits).count().max(1);
        let (batch, rest) = self.wanted.split_at(count);
        self.wanted = rest;
        Some(match self.archive.kind {
            Kind::PackedTar(container) => self.unpack(container, batch),
            _ => Ok(batch.iter().map(|&number| self.content(number)).collect()),
        })
    }
}

impl Batches<'_> {
    fn content(&self, number: usize) -> (usize, MemberContent) {
        let member = &self.archive.members[number];
        let file = self.archive.file.clone();
        (number, MemberContent::new(file, member.offset, member))
    }

    /// Unpacks members to a file.
    fn unpack(&mut self, container: Container, batch: &[usize]) -> Result<Batch, ArchiveError> {
        let (input, at) = match &mut self.unpacked {
            Some(unpacked) => unpacked,
            None => {
                let bytes = self.archive.file.metadata()?.len();
                let whole = Slice::new(self.archive.file.clone(), 0, bytes);
                let input = container.open(whole).map_err(of_reading)?;
                self.unpacked.insert((input, 0))
            }
        };
        let mut scratch = tempfile::tempfile_in(self.folder)?;
        let mut places = Vec::with_capacity(batch.len());
        for &number in batch {
            let member = &self.archive.members[number];
            pass(input, member.offset - *at, &mut io::sink())?;
            places.push((number, scratch.stream_position()?));
            pass(input, member.bytes, &mut scratch)?;
            *at = member.offset + member.bytes;
        }
        let scratch = Arc::new(scratch);
        let members = &self.archive.members;
        let content = |(number, offset)| {
            (
                number,
                MemberContent::new(scratch.clone(), offset, &members[number]),
            )
        };
        Ok(places.into_iter().map(content).collect())
    }
}

/// Copies just so many bytes.
fn pass(input: &mut impl Read, bytes: u64, to: &mut impl Write) -> Result<(), ArchiveError> {
    match io::copy(&mut input.take(bytes), to) {
        Ok(copied) if copied == bytes => Ok(()),
        Ok(_) => Err(cut()),
        Err(error) => Err(of_reading(error)),
    }
}

/// Returns whether a file begins as a zip archive does. Workbooks begin so, too.
pub(crate) fn is_zip(beginning: &[u8]) -> bool {
    beginning.starts_with(b"PK\x03\x04") || beginning.starts_with(b"PK\x05\x06")
}

/// Returns whether a file begins as a tar archive does.
pub(crate) fn is_tar(beginning: &[u8]) -> bool {
    beginning.get(257..262) == Some(b"ustar")
}

/// Returns whether a file begins as an archive does, and not as a workbook does.
pub fn is_archive(beginning: &[u8]) -> bool {
    is_tar(beginning) || (is_zip(beginning) && !is_workbook(beginning))
}

/// Returns whether a packed file holds a tar archive, as far as its beginning can be unpacked.
fn holds_tar(container: Container, packed: Slice) -> io::Result<bool> {
    let mut beginning = Vec::with_capacity(BEGINNING);
    let read = container
        .open(packed)
        .and_then(|unpacked| unpacked.take(BEGINNING as u64).read_to_end(&mut beginning));
    match read {
        Err(error) if unreadable(&error).is_none() => Err(error),
        _ => Ok(is_tar(&beginning)),
    }
}

/// Returns whether a file's name ends as those of archives do. A file that a feed matches is told by its first bytes
/// alone; one that no feed matches is looked into only if its name says that this is worth a look.
pub fn has_archive_name(name: &str) -> bool {
    const ENDINGS: [&str; 12] = [
        ".zip",
        ".tar",
        ".tgz",
        ".tbz",
        ".tbz2",
        ".txz",
        ".tzst",
        ".tar.gz",
        ".tar.bz2",
        ".tar.xz",
        ".tar.zst",
        ".tar.zstd",
    ];
    let name = name.rsplit('/').next().unwrap_or(name).to_ascii_lowercase();
    let mut endings = ENDINGS.iter();
    endings.any(|ending| name.len() > ending.len() && name.ends_with(ending))
}

/// Brings a member's name into its form.
fn checked_name(raw: &str) -> Result<String, ArchiveError> {
    let refuse = |what: &str| ArchiveError::Refused(format!("the name of its member {raw:?} {what}"));
    let has_drive =
        raw.as_bytes().get(1) == Some(&b':') && raw.starts_with(|c: char| c.is_ascii_alphabetic());
    if raw.starts_with('/') || has_drive {
        return Err(refuse("has a root, and would lead out of the archive"));
    }
    if raw.chars().any(char::is_control) {
        return Err(refuse("has control characters"));
    }
    let parts: Vec<&str> = raw.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.contains(&"..") {
        return Err(refuse("has `..`, and would lead out of the archive"));
    }
    if parts.is_empty() {
        return Err(refuse("is empty"));
    }
    Ok(parts.join("/"))
}

fn check_names(members: &[Member]) -> Result<(), ArchiveError> {
    let mut seen = HashSet::with_capacity(members.len());
    match members.iter().find(|member| !seen.insert(member.name.as_str())) {
        Some(twice) => Err(ArchiveError::Refused(format!(
            "it has two members called {:?}, of which only one could count",
            twice.name
        ))),
        None => Ok(()),
    }
}

fn too_many() -> ArchiveError {
    ArchiveError::Refused(format!("it has over {MEMBERS} members: send several archives"))
}

fn long_name() -> ArchiveError {
    ArchiveError::Refused(format!("it has a member whose name has over {NAME} bytes"))
}

fn damaged(what: &str) -> ArchiveError {
    ArchiveError::Refused(format!("the archive is damaged: {what}"))
}

fn cut() -> ArchiveError {
    ArchiveError::Refused("the archive was cut: its end is missing".into())
}

/// Tells what the archive is the cause of from failures of the file system.
fn of_reading(error: io::Error) -> ArchiveError {
    match unreadable(&error) {
        Some(reason) => ArchiveError::Refused(reason),
        None if error.kind() == io::ErrorKind::UnexpectedEof => cut(),
        None => ArchiveError::Io(error),
    }
}

#[cfg(test)]
mod tests;
