//! Opens a source's files: never a FIFO or a device, never one of gristmill's own files, and none outside the source
//! unless that is asked for.
//!
//! Between a listing and its reading, anything may take the place of a file. So the name is first opened as a mere
//! path (`O_PATH`), which neither waits for a FIFO's writer nor touches any lock. What that descriptor stands for is
//! looked at, and only then opened for reading, through the descriptor itself: nothing can be exchanged in between.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{CWD, FileType, Mode, OFlags, open, openat};
use rustix::io::Errno;

use crate::OwnFiles;

/// A folder that files come from.
#[derive(Clone, Debug)]
pub struct SourceFolder {
    /// Where it is. This path itself may lead through links.
    pub root: PathBuf,
    /// Whether links may lead out of it.
    pub follow_links: bool,
    /// What must not be read, wherever it is found.
    pub own: Arc<OwnFiles>,
}

/// Why a file cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenFileError {
    /// There is no such file.
    #[error("the file is gone")]
    Gone,
    /// There is something under its name that cannot be read like a file, such as a FIFO.
    #[error("it is no regular file")]
    NoFile,
    /// It belongs to gristmill.
    #[error("it is {0}, which is never read as input: remove it, or the link to it, from the source")]
    Own(String),
    /// A link leads out of the source.
    #[error("{}", LEADS_OUT)]
    LeadsOut,
    /// The system refuses to open it.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The reason why a link out of a source is not followed.
pub(crate) const LEADS_OUT: &str =
    "a link leads to it out of the source: put the file itself there, or set follow_links = true in [source]";

const PATH: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

impl SourceFolder {
    /// Opens a file, by its path relative to the folder. This never waits for the other end of a FIFO.
    pub fn open(&self, path: &str) -> Result<File, OpenFileError> {
        let root = open(&self.root, PATH | OFlags::DIRECTORY, Mode::empty()).map_err(of_errno)?;
        let path = Path::new(path);
        let found = match self.follow_links {
            true => openat(&root, path, PATH, Mode::empty()).map_err(of_errno)?,
            false => self.beneath(&root, path)?,
        };
        open_found(found, &self.own, false)
    }

    /// Finds a file that a path leads to without leaving the folder.
    fn beneath(&self, root: &OwnedFd, path: &Path) -> Result<OwnedFd, OpenFileError> {
        match step_by_step(root, path).map_err(of_errno)? {
            Some(found) => Ok(found),
            // Some part of it is a link. Where it leads to is one more path, which must not have any.
            None => {
                let resolved = self.resolve(path)?.ok_or(OpenFileError::LeadsOut)?;
                let found = step_by_step(root, &resolved).map_err(of_errno)?;
                found.ok_or(OpenFileError::Gone)
            }
        }
    }

    /// Returns the path relative to the folder that a path with links leads to, or `None` if it is outside.
    fn resolve(&self, path: &Path) -> io::Result<Option<PathBuf>> {
        let root = self.root.canonicalize()?;
        let resolved = root.join(path).canonicalize()?;
        Ok(resolved.strip_prefix(&root).ok().map(Path::to_owned))
    }
}

/// Opens a file that a person has named: also a FIFO, and through links, but none of gristmill's own.
pub fn open_named(path: &Path, own: &OwnFiles) -> Result<File, OpenFileError> {
    let found = openat(CWD, path, PATH, Mode::empty()).map_err(io::Error::from)?;
    open_found(found, own, true)
}

/// Opens a path one folder at a time, without following any link. `None` if there is one.
fn step_by_step(root: &OwnedFd, path: &Path) -> Result<Option<OwnedFd>, Errno> {
    let flags = PATH | OFlags::NOFOLLOW;
    let mut names = path.iter().peekable();
    let mut at: Option<OwnedFd> = None;
    while let Some(name) = names.next() {
        let is_last = names.peek().is_none();
        let folder = at.as_ref().unwrap_or(root);
        let found = openat(folder, name, flags, Mode::empty())?;
        if FileType::from_raw_mode(rustix::fs::fstat(&found)?.st_mode) == FileType::Symlink {
            return Ok(None);
        }
        if is_last {
            return Ok(Some(found));
        }
        at = Some(found);
    }
    Err(Errno::NOENT)
}

/// Opens what a path was found to stand for, after a look at it.
fn open_found(found: OwnedFd, own: &OwnFiles, is_named: bool) -> Result<File, OpenFileError> {
    let found = File::from(found);
    let metadata = found.metadata()?;
    let by_descriptor = PathBuf::from(format!("/proc/self/fd/{}", found.as_raw_fd()));
    let resolved = fs::read_link(&by_descriptor).map_err(|source| {
        let what = format!("cannot use {}: {source}; mount /proc", by_descriptor.display());
        io::Error::new(source.kind(), what)
    })?;
    let own = own.now_for(&metadata);
    if let Some(what) = own.of(&metadata).or_else(|| own.around(&resolved)) {
        return Err(OpenFileError::Own(what.to_owned()));
    }
    if !metadata.is_file() && !is_named {
        return Err(OpenFileError::NoFile);
    }
    let mut flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY;
    if !is_named {
        flags |= OFlags::NONBLOCK;
    }
    let opened = open(&by_descriptor, flags, Mode::empty()).map_err(io::Error::from)?;
    Ok(opened.into())
}

fn of_errno(error: Errno) -> OpenFileError {
    match error {
        Errno::NOENT | Errno::NOTDIR => OpenFileError::Gone,
        error => OpenFileError::Io(error.into()),
    }
}
