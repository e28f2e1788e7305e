//! Looks at the file system, on blocking threads: at given paths, or at everything.
//!
//! A listing streams what it sees in batches and keeps none of it, so its memory is that of the folders still
//! to read. It follows links to files and to folders. Within one listing a folder is read once, however many
//! names it has: links come after everything in the root itself, in the order of their names. So a folder
//! always appears under the same name, its sales are not counted twice, and a loop of links ends.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::{self, DirEntry, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::sync::mpsc;
use tracing::debug;

use crate::error::Error;
use crate::notices::{Notices, lock};
use crate::settling::Reason;
use crate::{Stamp, Wanted, names};

/// Large enough that reading 256 files' metadata costs far more than sending the batch.
const BATCH: usize = 256;

/// A look at one file.
pub(crate) struct Look {
    /// Relative to the root.
    pub(crate) path: PathBuf,
    pub(crate) why: Reason,
    /// `None` if it is gone, or is not a regular file.
    pub(crate) stamp: Option<Stamp>,
    pub(crate) at: Instant,
}

/// What the blocking threads send to the task.
pub(crate) enum Report {
    Looks(Vec<Look>),
    /// The requested paths have been looked at.
    Looked(Seen),
    /// The full listing has ended.
    Listed(Seen),
}

/// Totals and problems of one walk.
#[derive(Default)]
pub(crate) struct Seen {
    /// Regular files, wanted or not.
    pub(crate) files: u64,
    /// The folders that could not be listed, and why.
    pub(crate) troubles: HashMap<PathBuf, String>,
    /// Why some folders are not watched, if any are not.
    pub(crate) unwatched: Option<String>,
    /// A link to a folder was met and not followed: only a full listing knows whether it leads anywhere new.
    pub(crate) link_met: bool,
}

/// What the threads need; cheap to clone.
#[derive(Clone)]
pub(crate) struct Lister {
    pub(crate) root: PathBuf,
    pub(crate) wanted: Wanted,
    pub(crate) notices: Arc<Mutex<Notices>>,
    pub(crate) reports: mpsc::Sender<Report>,
}

impl Lister {
    /// Looks at everything.
    pub(crate) fn list(self) {
        lock(&self.notices).try_again();
        let mut walk = Walk::new(&self);
        walk.folder(self.root.clone(), true);
        walk.end(Report::Listed);
    }

    /// Looks at these paths; a folder among them is listed.
    pub(crate) fn look(self, paths: HashMap<PathBuf, Reason>) {
        let mut walk = Walk::new(&self);
        for (path, why) in paths {
            walk.path(self.root.join(path), why);
        }
        walk.end(Report::Looked);
    }
}

struct Walk<'a> {
    lister: &'a Lister,
    batch: Vec<Look>,
    seen: Seen,
    /// Device and inode of the folders that were read.
    visited: HashSet<(u64, u64)>,
    links: BTreeSet<PathBuf>,
}

impl<'a> Walk<'a> {
    fn new(lister: &'a Lister) -> Self {
        Self {
            lister,
            batch: Vec::new(),
            seen: Seen::default(),
            visited: HashSet::new(),
            links: BTreeSet::new(),
        }
    }

    fn end(mut self, report: fn(Seen) -> Report) {
        self.seen.link_met = !self.links.is_empty();
        self.seen.unwatched = lock(&self.lister.notices).failure();
        self.send();
        // This fails only if the task has ended, and then the report is not needed.
        let _ = self.lister.reports.blocking_send(report(self.seen));
    }

    fn path(&mut self, path: PathBuf, why: Reason) {
        let Ok(metadata) = fs::symlink_metadata(&path) else {
            return self.note(&path, why, None);
        };
        if metadata.is_dir() {
            // A file may have been waiting under this name.
            self.note(&path, why, None);
            self.visited.clear();
            self.folder(path, false);
        } else if metadata.is_symlink() {
            self.link(path, why);
        } else {
            self.file(&path, why, Some(metadata));
        }
    }

    /// Reads a folder and everything below it.
    fn folder(&mut self, start: PathBuf, follow: bool) {
        let mut folders = vec![start];
        while let Some(folder) = folders
            .pop()
            .or_else(|| if follow { self.links.pop_first() } else { None })
        {
            if self.lister.reports.is_closed() {
                return;
            }
            match self.read(&folder, &mut folders) {
                Err(error) if error.kind() == ErrorKind::NotFound && folder != self.lister.root => {
                    debug!(?folder, "the folder disappeared while it was listed");
                }
                Err(source) => self.trouble(folder, source),
                Ok(()) => {}
            }
        }
    }

    fn read(&mut self, folder: &Path, folders: &mut Vec<PathBuf>) -> io::Result<()> {
        let metadata = fs::metadata(folder)?;
        if !self.visited.insert((metadata.dev(), metadata.ino())) {
            return Ok(());
        }
        lock(&self.lister.notices).watch(folder);
        for entry in fs::read_dir(folder)? {
            self.entry(&entry?, folders)?;
        }
        Ok(())
    }

    fn entry(&mut self, entry: &DirEntry, folders: &mut Vec<PathBuf>) -> io::Result<()> {
        if !names::is_looked_at(&entry.file_name()) {
            return Ok(());
        }
        let kind = match entry.file_type() {
            // Some file systems do not give the type with the entry; then it takes a call of its own, and the entry
            // may be gone by then.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            kind => kind?,
        };
        if kind.is_dir() {
            folders.push(entry.path());
        } else if kind.is_symlink() {
            self.link(entry.path(), Reason::Found);
        } else if kind.is_file() {
            self.file(&entry.path(), Reason::Found, None);
        }
        Ok(())
    }

    fn link(&mut self, path: PathBuf, why: Reason) {
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => {
                self.note(&path, why, None);
                self.links.insert(path);
            }
            Ok(metadata) => self.file(&path, why, Some(metadata)),
            Err(error) => {
                debug!(?path, %error, "the link leads nowhere");
                self.note(&path, why, None);
            }
        }
    }

    /// Handles anything but a folder. A listing does not read the metadata of unwanted files.
    fn file(&mut self, path: &Path, why: Reason, metadata: Option<Metadata>) {
        if metadata.as_ref().is_some_and(|metadata| !metadata.is_file()) {
            return self.note(path, why, None);
        }
        self.seen.files += 1;
        let relative = path.strip_prefix(&self.lister.root).ok().and_then(Path::to_str);
        if !relative.is_none_or(|path| (self.lister.wanted)(path)) {
            return;
        }
        match metadata.map_or_else(|| fs::metadata(path), Ok) {
            Ok(metadata) => self.note(path, why, Some(Stamp::of(&metadata))),
            Err(error) if error.kind() == ErrorKind::NotFound => self.note(path, why, None),
            // A folder with read but not execute permission shows names and nothing else.
            Err(source) => self.trouble(path.parent().unwrap_or(path).to_owned(), source),
        }
    }

    fn note(&mut self, path: &Path, why: Reason, stamp: Option<Stamp>) {
        let Ok(path) = path.strip_prefix(&self.lister.root) else {
            return;
        };
        self.batch.push(Look {
            path: path.to_owned(),
            why,
            stamp,
            at: Instant::now(),
        });
        if self.batch.len() >= BATCH {
            self.send();
        }
    }

    fn send(&mut self) {
        // This fails only if the task has ended; `folder` notices that and stops.
        let _ = self
            .lister
            .reports
            .blocking_send(Report::Looks(std::mem::take(&mut self.batch)));
    }

    fn trouble(&mut self, folder: PathBuf, source: io::Error) {
        let error = Error::List {
            folder: folder.clone(),
            source,
        };
        self.seen
            .troubles
            .entry(folder)
            .or_insert_with(|| error.to_string());
    }
}
