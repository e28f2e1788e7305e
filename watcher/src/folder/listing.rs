//! Looks at the file system, on blocking threads: at given paths, at everything, or at the folders that have changed.
//!
//! A listing streams what it sees in batches and keeps none of it, so its memory is that of the folders still
//! to read and of the names that it sorts. It follows links to files and to folders, but out of the root only if the settings say so. Within one
//! listing a folder is read once, however many names it has: links come after everything in the root itself, in the
//! order of their names. So a folder always appears under the same name, its sales are not counted twice, and a loop
//! of links ends. gristmill's own files are told apart by what they are, under any name.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::{self, DirEntry, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime};

use tokio::sync::mpsc;
use tracing::debug;

use super::folders::{FolderStamp, Folders, is_local};
use super::notices::{Noticed, Notices, lock};
use super::open::LEADS_OUT;
use super::own::{Id, OwnNow, id};
use super::settling::Reason;
use crate::error::Error;
use crate::unmatched::Newest;
use crate::{OpenFileError, SourceFolder, Stamp, UnmatchedFile, Want, Wanted, names};

/// Large enough that reading 256 files' metadata costs far more than sending the batch.
const BATCH: usize = 256;

/// How many names of a folder are sorted at a time. The files of a province, whose names mostly begin alike, then come one
/// after another, and its job is judged a few times instead of with each batch.
const SORTED: usize = 100_000;

/// How many folders deep a listing goes. A folder that is always one deeper costs time without end, and no store sends
/// files that way.
const DEPTH: usize = 100;

/// The most folders of one listing that are reported as too deep.
const TOO_DEEP: usize = 100;

/// A look at one file.
pub(crate) struct Look {
    /// Relative to the root.
    pub(crate) path: PathBuf,
    pub(crate) why: Reason,
    pub(crate) found: Found,
    pub(crate) at: Instant,
}

/// What is under a name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Found {
    /// No regular file.
    Nothing,
    File(Stamp),
    /// A file that must not be read, and why.
    Refused(String),
}

/// What the blocking threads send to the task.
pub(crate) enum Report {
    Looks(Vec<Look>),
    /// The requested paths have been looked at.
    Looked(Seen),
    /// The full listing has ended.
    Listed(Seen),
    /// The folders have been compared with what they were, and those that differ listed.
    Compared(Seen),
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
    /// Of the folders that a sweep has listed: the files that nobody wants.
    pub(crate) unmatched: Newest,
    /// Something could not be listed, so that files may be there that were not seen.
    pub(crate) is_partial: bool,
    /// Files may change without a notice: in a network folder, or behind a link to a file.
    pub(crate) is_unsure: bool,
    /// Of a sweep: the folders as they are now.
    pub(crate) folders: Folders,
    /// Of a sweep: the folders that were listed, or are gone, by their escaped paths relative to the root.
    pub(crate) listed: HashSet<String>,
}

impl Seen {
    /// Whether from now on notices and the folders' own times show every change.
    pub(crate) fn is_sure(&self) -> bool {
        !self.is_partial && !self.is_unsure && self.unwatched.is_none()
    }
}

/// What the threads need; cheap to clone.
#[derive(Clone)]
pub(crate) struct Lister {
    pub(crate) folder: SourceFolder,
    pub(crate) wanted: Wanted,
    pub(crate) notices: Arc<Mutex<Notices>>,
    pub(crate) reports: mpsc::Sender<Report>,
    /// The wall clock.
    pub(crate) now: fn() -> SystemTime,
}

impl Lister {
    /// Looks at everything.
    pub(crate) fn list(self) {
        lock(&self.notices).try_again();
        let mut walk = Walk::new(&self, true, Some(Folders::new()));
        walk.folder(self.folder.root.clone());
        walk.end(Report::Listed);
    }

    /// Looks at the folders, and lists those that have changed, unless notices have accounted for that.
    pub(crate) fn compare(self, folders: Folders, noticed: &Noticed) {
        let before: Vec<_> = folders
            .iter()
            .map(|(path, stamp)| (path.clone(), *stamp))
            .collect();
        let mut walk = Walk::new(&self, false, Some(folders));
        for (folder, before) in before {
            if self.reports.is_closed() {
                return;
            }
            walk.compare(folder, before, noticed);
        }
        walk.end(Report::Compared);
    }

    /// Looks at these paths; a folder among them is listed.
    pub(crate) fn look(self, paths: HashMap<PathBuf, Reason>) {
        let mut walk = Walk::new(&self, false, None);
        for (path, why) in paths {
            walk.path(self.folder.root.join(path), why);
        }
        walk.end(Report::Looked);
    }
}

struct Walk<'a> {
    lister: &'a Lister,
    batch: Vec<Look>,
    seen: Seen,
    /// Whether everything is listed, and links to folders are followed.
    is_full: bool,
    /// The root, without links.
    root: io::Result<PathBuf>,
    own: OwnNow<'a>,
    /// What was read in a full listing, under whatever name.
    visited: HashSet<Id>,
    /// What was read otherwise. All paths to look at were known before, so once is enough, also for a folder that is
    /// below another one among them.
    read: HashSet<PathBuf>,
    links: BTreeSet<PathBuf>,
    /// Of a sweep: the folders as they were when they were last read, now or earlier.
    folders: Option<Folders>,
    /// Whether all changes on a device are told.
    devices: HashMap<u64, bool>,
}

impl<'a> Walk<'a> {
    fn new(lister: &'a Lister, is_full: bool, folders: Option<Folders>) -> Self {
        Self {
            lister,
            batch: Vec::new(),
            seen: Seen::default(),
            is_full,
            root: lister.folder.root.canonicalize(),
            own: lister.folder.own.now(),
            visited: HashSet::new(),
            read: HashSet::new(),
            links: BTreeSet::new(),
            folders,
            devices: HashMap::new(),
        }
    }

    fn end(mut self, report: fn(Seen) -> Report) {
        self.seen.link_met = !self.links.is_empty();
        self.seen.folders = self.folders.take().unwrap_or_default();
        self.seen.unwatched = lock(&self.lister.notices).failure();
        self.send();
        // This fails only if the task has ended, and then the report is not needed.
        let _ = self.lister.reports.blocking_send(report(self.seen));
    }

    fn path(&mut self, path: PathBuf, why: Reason) {
        let Ok(metadata) = fs::symlink_metadata(&path) else {
            return self.note(&path, why, Found::Nothing);
        };
        if metadata.is_dir() {
            // A file may have been waiting under this name.
            self.note(&path, why, Found::Nothing);
            self.folder(path);
        } else if metadata.is_symlink() {
            self.link(path, why);
        } else {
            // A folder above it may be a link, though no listing leads there.
            let refused = path
                .canonicalize()
                .ok()
                .and_then(|resolved| self.refusal(&resolved));
            self.file(&path, why, Some(metadata), refused);
        }
    }

    /// Lists a folder if it is no longer as it was. The folders below it that are known have their own turns.
    fn compare(&mut self, folder: PathBuf, before: FolderStamp, noticed: &Noticed) {
        let metadata = match fs::metadata(&folder) {
            Ok(metadata) if metadata.is_dir() => metadata,
            Err(source) if source.kind() != ErrorKind::NotFound => return self.trouble(folder, source),
            _ => {
                // Without its root, everything is to be listed.
                self.seen.is_partial |= folder == self.lister.folder.root;
                self.note_listed(&folder, None);
                return;
            }
        };
        let now = FolderStamp::of(&metadata, (self.lister.now)());
        if now.is_as(&before) {
            return;
        }
        if !now.is_another(&before) && noticed.accounts_for(&folder) {
            let files = before.files;
            self.folders
                .get_or_insert_default()
                .insert(folder, now.with_files(files));
            return;
        }
        self.folder(folder);
    }

    /// Notes a folder that a sweep has read, or that is gone.
    fn note_listed(&mut self, folder: &Path, stamp: Option<FolderStamp>) {
        let Some(folders) = &mut self.folders else { return };
        match stamp {
            Some(stamp) => folders.insert(folder.to_owned(), stamp),
            None => folders.remove(folder),
        };
        if let Ok(relative) = folder.strip_prefix(&self.lister.folder.root) {
            self.seen.listed.insert(names::escaped(relative));
        }
    }

    /// Reads a folder and everything below it.
    fn folder(&mut self, start: PathBuf) {
        let mut folders = vec![start];
        while let Some(folder) = folders.pop().or_else(|| {
            if self.is_full {
                self.links.pop_first()
            } else {
                None
            }
        }) {
            if self.lister.reports.is_closed() {
                return;
            }
            match self.read(&folder, &mut folders) {
                Err(error) if error.kind() == ErrorKind::NotFound && folder != self.lister.folder.root => {
                    debug!(?folder, "the folder disappeared while it was listed");
                }
                Err(source) => self.trouble(folder, source),
                Ok(()) => {}
            }
        }
    }

    fn read(&mut self, folder: &Path, folders: &mut Vec<PathBuf>) -> io::Result<()> {
        let metadata = fs::metadata(folder)?;
        let is_new = match self.is_full {
            true => self.visited.insert(id(&metadata)),
            false => self.read.insert(folder.to_owned()),
        };
        if !is_new {
            return Ok(());
        }
        if let Some(what) = self.own.of(&metadata) {
            if folder == self.lister.folder.root {
                return Err(io::Error::other(format!("it is {what} of gristmill itself")));
            }
            debug!(?folder, what, "an own folder is not looked at");
            return Ok(());
        }
        if self.depth(folder) > DEPTH {
            self.too_deep(folder);
            return Ok(());
        }
        lock(&self.lister.notices).watch(folder);
        let device = self.devices.entry(metadata.dev());
        self.seen.is_unsure |= !*device.or_insert_with(|| is_local(folder));
        let stamp = FolderStamp::of(&metadata, (self.lister.now)());
        let before = self.seen.files;
        let mut entries = fs::read_dir(folder)?;
        loop {
            let mut some: Vec<_> = entries.by_ref().take(SORTED).collect();
            if some.is_empty() {
                break;
            }
            // An error comes last, after what could be read.
            some.sort_by_cached_key(|entry| (entry.is_err(), entry.as_ref().ok().map(DirEntry::file_name)));
            for entry in some {
                self.entry(&entry?, folders)?;
            }
        }
        let files = self.seen.files - before;
        self.note_listed(folder, Some(stamp.with_files(files)));
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
            let path = entry.path();
            let is_known = self
                .folders
                .as_ref()
                .is_some_and(|known| known.contains_key(&path));
            if self.is_full || !is_known {
                folders.push(path);
            }
        } else if kind.is_symlink() {
            self.link(entry.path(), Reason::Found);
        } else if kind.is_file() {
            self.file(&entry.path(), Reason::Found, None, None);
        }
        Ok(())
    }

    fn link(&mut self, path: PathBuf, why: Reason) {
        let found = fs::metadata(&path).and_then(|metadata| Ok((metadata, path.canonicalize()?)));
        let (metadata, resolved) = match found {
            Ok(found) => found,
            Err(error) => {
                debug!(?path, %error, "the link leads nowhere");
                return self.note(&path, why, Found::Nothing);
            }
        };
        if !metadata.is_dir() {
            let refused = self.refusal(&resolved);
            // Nothing tells of what is written to the file itself, which may be anywhere.
            self.seen.is_unsure |= self.is_wanted(&path);
            return self.file(&path, why, Some(metadata), refused);
        }
        self.note(&path, why, Found::Nothing);
        if !self.is_full {
            self.links.insert(path);
        } else if self.leads_out(&resolved) {
            self.report(path.clone(), &Error::LeadsOut { link: path });
        } else if let Some(what) = self.own.around(&resolved) {
            debug!(?path, what, "an own folder is not looked at");
        } else {
            self.links.insert(path);
        }
    }

    /// Says why a file must not be read, as far as its place shows that.
    fn refusal(&self, resolved: &Path) -> Option<String> {
        match self.own.around(resolved) {
            Some(what) => Some(OpenFileError::Own(what.to_owned()).to_string()),
            None => self.leads_out(resolved).then(|| LEADS_OUT.to_owned()),
        }
    }

    /// Whether a resolved path is outside the root, where the settings do not let links lead.
    fn leads_out(&self, resolved: &Path) -> bool {
        let is_inside = self.root.as_ref().is_ok_and(|root| resolved.starts_with(root));
        !self.lister.folder.follow_links && !is_inside
    }

    /// Handles anything but a folder. `refused` says why it must not be read, as far as its path shows that.
    fn file(&mut self, path: &Path, why: Reason, metadata: Option<Metadata>, refused: Option<String>) {
        if metadata.as_ref().is_some_and(|metadata| !metadata.is_file()) {
            return self.note(path, why, Found::Nothing);
        }
        self.seen.files += 1;
        let Ok(relative) = path.strip_prefix(&self.lister.folder.root) else {
            return;
        };
        let name = names::escaped(relative);
        let want = (self.lister.wanted)(&name);
        let is_wanted = want != Want::No;
        if !is_wanted && self.folders.is_none() {
            return;
        }
        let metadata = match metadata.map_or_else(|| fs::metadata(path), Ok) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return self.note(path, why, Found::Nothing);
            }
            // A folder with read but not execute permission shows names and nothing else.
            Err(source) => return self.trouble(path.parent().unwrap_or(path).to_owned(), source),
        };
        let own = self.own.of(&metadata);
        let own = own.map(|what| OpenFileError::Own(what.to_owned()).to_string());
        let stamp = Stamp::of(&metadata);
        match own.or(refused) {
            Some(reason) if is_wanted => self.note(path, why, Found::Refused(reason)),
            Some(_) => {}
            None => {
                if is_wanted {
                    self.note(path, why, Found::File(stamp));
                }
                if self.folders.is_some() && want != Want::Yes {
                    self.seen.unmatched.add(UnmatchedFile {
                        modified_ns: stamp.modified_ns,
                        path: name,
                        bytes: stamp.bytes,
                    });
                }
            }
        }
    }

    fn is_wanted(&self, path: &Path) -> bool {
        let relative = path.strip_prefix(&self.lister.folder.root);
        relative.is_ok_and(|relative| (self.lister.wanted)(&names::escaped(relative)) != Want::No)
    }

    fn note(&mut self, path: &Path, why: Reason, found: Found) {
        let Ok(path) = path.strip_prefix(&self.lister.folder.root) else {
            return;
        };
        self.batch.push(Look {
            path: path.to_owned(),
            why,
            found,
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

    fn depth(&self, folder: &Path) -> usize {
        let relative = folder.strip_prefix(&self.lister.folder.root);
        relative.map_or(0, |relative| relative.components().count())
    }

    fn too_deep(&mut self, folder: &Path) {
        if self.seen.troubles.len() < TOO_DEEP {
            let folder = folder.to_owned();
            self.report(folder.clone(), &Error::TooDeep { folder, depth: DEPTH });
        }
    }

    fn trouble(&mut self, folder: PathBuf, source: io::Error) {
        self.seen.is_partial = true;
        let error = Error::List {
            folder: folder.clone(),
            source,
        };
        self.report(folder, &error);
    }

    fn report(&mut self, folder: PathBuf, error: &Error) {
        self.seen
            .troubles
            .entry(folder)
            .or_insert_with(|| error.to_string());
    }
}
