//! inotify as the wake-up: notices become hints about which paths to look at.
//!
//! The listing sets a watch on each folder just before it reads it, so no file can slip in between. The
//! recursive mode of `notify` does not promise that for new folders. Hints are kept in one map by path, so
//! their memory is bounded by the number of files, however long a slow consumer holds up the task.

use std::collections::{HashMap, HashSet};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use notify::event::{AccessKind, AccessMode, CreateKind, EventKind, ModifyKind, RemoveKind, RenameMode};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tracing::{debug, warn};

use super::settling::Reason;
use crate::error::Error;
use crate::{Want, Wanted, names};

/// What to look at: paths relative to the root, and whether to list everything.
#[derive(Default)]
pub(crate) struct Pending {
    pub(crate) looks: HashMap<PathBuf, Reason>,
    pub(crate) list: bool,
}

/// The folders, as absolute paths, that notices were about.
#[derive(Default)]
pub(crate) struct Noticed {
    /// The files that changed in them were looked at because of the notices, or are not looked at at all.
    heard: HashSet<PathBuf>,
    /// The notices were about names that only a listing decides on: of folders, and of files that nobody wants.
    unclear: HashSet<PathBuf>,
}

impl Noticed {
    /// Whether notices account for the changes in a folder, so that it need not be listed for them.
    pub(crate) fn accounts_for(&self, folder: &Path) -> bool {
        self.heard.contains(folder) && !self.unclear.contains(folder)
    }
}

/// The hints that the task has not taken yet.
#[derive(Default)]
pub(crate) struct Hints {
    pending: Mutex<Pending>,
    noticed: Mutex<Noticed>,
    pub(crate) wake: Notify,
}

impl Hints {
    pub(crate) fn take(&self) -> Pending {
        mem::take(&mut *lock(&self.pending))
    }

    /// Which folders notices were about since this was last asked.
    pub(crate) fn take_noticed(&self) -> Noticed {
        mem::take(&mut *lock(&self.noticed))
    }

    pub(crate) fn note(&self, folder: &Path, is_clear: bool) {
        let mut noticed = lock(&self.noticed);
        let folders = match is_clear {
            true => &mut noticed.heard,
            false => &mut noticed.unclear,
        };
        if !folders.contains(folder) {
            folders.insert(folder.to_owned());
        }
    }

    /// How many paths wait for a look.
    pub(crate) fn len(&self) -> usize {
        lock(&self.pending).looks.len()
    }

    /// Adds a hint. The last reason counts: a file that was renamed into place and is now written to has to
    /// settle. But a weak reason (times or permissions changed, or the caller asked) does not replace a
    /// stronger one.
    pub(crate) fn look(&self, path: PathBuf, why: Reason, is_weak: bool) {
        let mut pending = lock(&self.pending);
        let reason = pending.looks.entry(path).or_insert(why);
        if !is_weak {
            *reason = why;
        }
        drop(pending);
        self.wake.notify_one();
    }

    pub(crate) fn list(&self) {
        lock(&self.pending).list = true;
        self.wake.notify_one();
    }
}

/// The inotify watches on the folders.
pub(crate) struct Notices {
    receiver: Receiver,
    watcher: Option<RecommendedWatcher>,
    failure: Option<Error>,
}

impl Notices {
    pub(crate) fn new(root: PathBuf, wanted: Wanted, hints: Arc<Hints>) -> Self {
        Self {
            receiver: Receiver { root, wanted, hints },
            watcher: None,
            failure: None,
        }
    }

    /// Watches a folder. Called each time it is listed: for a folder that is already watched this changes
    /// nothing, and one that was unmounted, or replaced by another folder of the same name, has lost its
    /// watch without a notice.
    ///
    /// Once the watches are used up, it does nothing until `try_again`: failing once more for each of ten
    /// thousand folders would only waste time.
    pub(crate) fn watch(&mut self, folder: &Path) {
        if matches!(self.failure, Some(Error::WatchLimit { .. } | Error::Start { .. })) {
            return;
        }
        if let Err(Some(error)) = self.try_watch(folder) {
            self.failure = Some(error);
        }
    }

    /// Why some folders are not watched, if any are not.
    pub(crate) fn failure(&self) -> Option<String> {
        self.failure.as_ref().map(Error::to_string)
    }

    /// Forgets the failure.
    pub(crate) fn try_again(&mut self) {
        self.failure = None;
    }

    fn try_watch(&mut self, folder: &Path) -> Result<(), Option<Error>> {
        let root = || self.receiver.root.clone();
        let watcher = match &mut self.watcher {
            Some(watcher) => watcher,
            none => none.insert(
                notify::recommended_watcher(self.receiver.clone())
                    .map_err(|source| Error::Start { root: root(), source })?,
            ),
        };
        watcher
            .watch(folder, RecursiveMode::NonRecursive)
            .map_err(|source| {
                debug!(?folder, error = %source, "not watched");
                Error::of_watch(root(), source)
            })
    }
}

/// Receives the notices: it runs on `notify`'s thread and never blocks.
#[derive(Clone)]
struct Receiver {
    root: PathBuf,
    wanted: Wanted,
    hints: Arc<Hints>,
}

impl notify::EventHandler for Receiver {
    fn handle_event(&mut self, event: notify::Result<notify::Event>) {
        // A panic would end `notify`'s thread, and nobody would know. The listing meets with its cause too.
        let handled = catch_unwind(AssertUnwindSafe(|| self.handle(event)));
        if handled.is_err() {
            self.hints.list();
        }
    }
}

impl Receiver {
    fn handle(&self, event: notify::Result<notify::Event>) {
        match event {
            Ok(event) if event.need_rescan() => {
                warn!("inotify's queue overflowed: listing everything");
                self.hints.list();
            }
            Ok(event) => event.paths.iter().for_each(|path| self.notice(event.kind, path)),
            Err(error) => {
                debug!(%error, "inotify failed: listing everything");
                self.hints.list();
            }
        }
    }

    fn notice(&self, kind: EventKind, path: &Path) {
        self.note_folder(kind, path);
        match kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => self.file(path, Reason::Closed, false),
            EventKind::Access(_) | EventKind::Modify(ModifyKind::Name(RenameMode::Both)) => {}
            EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(RenameMode::From)) => self.gone(path),
            // The renamed path may be a folder: the look finds out.
            EventKind::Modify(ModifyKind::Name(RenameMode::To)) => self.any(path, Reason::Renamed, false),
            EventKind::Create(CreateKind::Folder) => self.any(path, Reason::Changed, false),
            EventKind::Modify(ModifyKind::Metadata(_)) => self.file(path, Reason::Changed, true),
            _ => self.file(path, Reason::Changed, false),
        }
    }

    /// Notes which folder the notice is about. Merely opening or reading a file changes none.
    fn note_folder(&self, kind: EventKind, path: &Path) {
        let is_folder = match kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => false,
            EventKind::Access(_) => return,
            EventKind::Create(CreateKind::Folder) | EventKind::Remove(RemoveKind::Folder) => true,
            _ => false,
        };
        let (Some(folder), Ok(relative)) = (path.parent(), path.strip_prefix(&self.root)) else {
            return;
        };
        if relative.as_os_str().is_empty() {
            return;
        }
        let is_clear =
            || !names::path_looked_at(relative) || (self.wanted)(&names::escaped(relative)) == Want::Yes;
        self.hints.note(folder, !is_folder && is_clear());
    }

    fn file(&self, path: &Path, why: Reason, is_weak: bool) {
        let relative = path.strip_prefix(&self.root).ok();
        if relative.is_some_and(|path| (self.wanted)(&names::escaped(path)) != Want::No) {
            self.any(path, why, is_weak);
        }
    }

    fn any(&self, path: &Path, why: Reason, is_weak: bool) {
        match path.strip_prefix(&self.root) {
            Ok(relative) if relative.as_os_str().is_empty() => {}
            Ok(relative) if names::path_looked_at(relative) => {
                self.hints.look(relative.to_owned(), why, is_weak)
            }
            _ => {}
        }
    }

    /// A removed file needs no look, but a removed root is a trouble to report at once.
    fn gone(&self, path: &Path) {
        if path == self.root {
            self.hints.list();
        }
    }
}

/// Locks even after a panic elsewhere, which leaves these maps intact: each change to them is a single step.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use notify::EventHandler;
    use notify::event::{DataChange, Event, Flag, MetadataKind};

    use super::*;

    const WRITTEN: EventKind = EventKind::Modify(ModifyKind::Data(DataChange::Any));
    const TOUCHED: EventKind = EventKind::Modify(ModifyKind::Metadata(MetadataKind::Any));
    const CLOSED: EventKind = EventKind::Access(AccessKind::Close(AccessMode::Write));
    const RENAMED: EventKind = EventKind::Modify(ModifyKind::Name(RenameMode::To));
    const OPENED: EventKind = EventKind::Access(AccessKind::Open(AccessMode::Any));

    /// What is pending after these notices of files in `/in`.
    fn pending(notices: &[(EventKind, &str)]) -> Pending {
        let hints = Arc::new(Hints::default());
        let wanted: Wanted = Arc::new(|path| path.ends_with(".tdf").into());
        let mut receiver = Receiver {
            root: PathBuf::from("/in"),
            wanted,
            hints: hints.clone(),
        };
        for (kind, path) in notices {
            receiver.handle_event(Ok(Event::new(*kind).add_path(PathBuf::from(path))));
        }
        hints.take()
    }

    fn reason(kinds: &[EventKind]) -> Option<Reason> {
        let notices: Vec<_> = kinds.iter().map(|kind| (*kind, "/in/a.tdf")).collect();
        pending(&notices).looks.get(Path::new("a.tdf")).copied()
    }

    #[test]
    fn the_last_reason_counts_unless_it_is_weak() {
        assert_eq!(reason(&[WRITTEN, CLOSED]), Some(Reason::Closed));
        assert_eq!(reason(&[RENAMED, WRITTEN]), Some(Reason::Changed));
        assert_eq!(reason(&[CLOSED, WRITTEN]), Some(Reason::Changed));
        assert_eq!(reason(&[RENAMED, TOUCHED]), Some(Reason::Renamed));
        assert_eq!(reason(&[CLOSED, OPENED]), Some(Reason::Closed));
        assert_eq!(reason(&[TOUCHED]), Some(Reason::Changed));
        assert_eq!(reason(&[OPENED]), None);
    }

    #[test]
    fn only_what_is_wanted_and_below_the_root_is_looked_at() {
        let unwanted = [
            (CLOSED, "/in/a.txt"),
            (CLOSED, "/in/.a.tdf"),
            (RENAMED, "/in/_x/a.tdf"),
            (CLOSED, "/out/a.tdf"),
        ];
        assert!(pending(&unwanted).looks.is_empty());
        let maybe_folder = pending(&[
            (RENAMED, "/in/new"),
            (EventKind::Create(CreateKind::Folder), "/in/made"),
        ]);
        assert_eq!(maybe_folder.looks.len(), 2);
        assert!(!maybe_folder.list);
    }

    #[test]
    fn the_end_of_the_root_and_lost_notices_ask_for_a_listing() {
        assert!(pending(&[(EventKind::Modify(ModifyKind::Name(RenameMode::From)), "/in")]).list);
        assert!(!pending(&[(EventKind::Modify(ModifyKind::Name(RenameMode::From)), "/in/d")]).list);
        let hints = Arc::new(Hints::default());
        let mut receiver = Receiver {
            root: PathBuf::from("/in"),
            wanted: Arc::new(|_| Want::Yes),
            hints: hints.clone(),
        };
        receiver.handle_event(Ok(Event::new(EventKind::Other).set_flag(Flag::Rescan)));
        assert!(hints.take().list);
        receiver.handle_event(Err(notify::Error::generic("broken")));
        assert!(hints.take().list);
    }
}
