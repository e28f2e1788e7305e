//! gristmill's own files, told by device and inode, so that none is ever taken for a store's file.
//!
//! A link to the state database, a hard link, or a source that holds it would make it an input. Merely opening and
//! closing it destroys it: POSIX drops all locks that a process holds on a file as soon as the process closes *any*
//! descriptor of it, and SQLite in other processes then takes the database for unused. So a file is compared before it
//! is opened ([`SourceFolder`](crate::SourceFolder)).

use std::collections::HashSet;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::SystemTime;

use super::notices::lock;

/// Clocks of file systems lag: a change so shortly before a walk may have come after it.
pub(crate) const LAG_NS: i128 = 2_000_000_000;

/// A device and an inode: what a file is, under whatever name.
pub(crate) type Id = (u64, u64);

/// The files and folders that gristmill itself keeps.
#[derive(Debug)]
pub struct OwnFiles {
    /// Each with what it is, for people.
    files: Vec<(PathBuf, String)>,
    /// Everything in them is gristmill's own.
    folders: Vec<(PathBuf, String)>,
    /// What is below them is not gristmill's own, even if one of them lies in an own folder.
    sources: Vec<PathBuf>,
    now: fn() -> SystemTime,
    linked: Mutex<Linked>,
    seen: Mutex<Seen>,
}

/// Where gristmill's own files are at one moment: SQLite creates and removes some of them as it works.
#[derive(Debug)]
pub(crate) struct OwnNow<'a> {
    own: &'a OwnFiles,
    files: Vec<(Id, &'a str)>,
    folders: Vec<(Id, &'a str)>,
    sources: Vec<Id>,
}

/// Where the files were at the last look: the places in `files` of those that there were.
#[derive(Debug, Default)]
struct Seen {
    files: Vec<(Id, usize)>,
    looked_ns: Option<i128>,
}

/// The files in the folders that have more than one name, as of the last walk.
#[derive(Debug, Default)]
struct Linked {
    files: HashSet<Id>,
    walked_ns: Option<i128>,
}

impl OwnFiles {
    /// Makes the list from paths, each with what it is: "the state database". They need not exist yet. `sources` are
    /// the folders that files come from, and `now` is the wall clock.
    pub fn new(
        files: Vec<(PathBuf, String)>,
        folders: Vec<(PathBuf, String)>,
        sources: Vec<PathBuf>,
        now: fn() -> SystemTime,
    ) -> Self {
        Self {
            files,
            folders,
            sources,
            now,
            linked: Mutex::default(),
            seen: Mutex::default(),
        }
    }

    /// Returns what a file is, if it is one of gristmill's own. It is not opened.
    pub fn of(&self, metadata: &Metadata) -> Option<String> {
        self.now_for(metadata).of(metadata).map(str::to_owned)
    }

    /// Looks where the files are now.
    pub(crate) fn now(&self) -> OwnNow<'_> {
        self.with(&self.look())
    }

    /// Does the same to find out what one file is. Where it has long been what it is, an earlier look will do: a file that
    /// becomes one of gristmill's own is new or gets a new name, and its change time shows both. So thousands of small
    /// files take one look.
    pub(crate) fn now_for(&self, metadata: &Metadata) -> OwnNow<'_> {
        let mut seen = lock(&self.seen);
        if seen
            .looked_ns
            .is_none_or(|looked| changed_ns(metadata) + LAG_NS > looked)
        {
            seen.looked_ns = self.now_ns();
            seen.files = self.look();
        }
        self.with(&seen.files)
    }

    fn look(&self) -> Vec<(Id, usize)> {
        let files = self.files.iter().enumerate();
        files
            .filter_map(|(number, (path, _))| Some((id(&fs::metadata(path).ok()?), number)))
            .collect()
    }

    fn with(&self, files: &[(Id, usize)]) -> OwnNow<'_> {
        let found = |path: &PathBuf| Some(id(&fs::metadata(path).ok()?));
        let files = files.iter();
        let folders = self.folders.iter();
        OwnNow {
            own: self,
            files: files
                .map(|(id, number)| (*id, self.files[*number].1.as_str()))
                .collect(),
            folders: folders
                .filter_map(|(path, what)| Some((found(path)?, what.as_str())))
                .collect(),
            sources: self.sources.iter().filter_map(found).collect(),
        }
    }

    fn now_ns(&self) -> Option<i128> {
        let since = (self.now)().duration_since(SystemTime::UNIX_EPOCH);
        since.ok().map(|since| since.as_nanos() as i128)
    }

    /// Whether a file with several names has one of them in one of the folders.
    fn is_linked(&self, metadata: &Metadata, folders: &[(Id, &str)]) -> bool {
        // A hard link never leaves its file system.
        if metadata.nlink() < 2 || folders.iter().all(|((device, _), _)| *device != metadata.dev()) {
            return false;
        }
        let mut linked = lock(&self.linked);
        // A new name changes the file's change time.
        if linked
            .walked_ns
            .is_none_or(|walked| changed_ns(metadata) + LAG_NS > walked)
        {
            linked.walked_ns = self.now_ns();
            linked.files.clear();
            for (folder, _) in &self.folders {
                linked.files.extend(with_several_names(folder));
            }
        }
        linked.files.contains(&id(metadata))
    }
}

impl OwnNow<'_> {
    /// Returns what a file is, if it is one of gristmill's own.
    pub(crate) fn of(&self, metadata: &Metadata) -> Option<&str> {
        let found = |list: &[(Id, &'_ str)]| list.iter().position(|(own, _)| *own == id(metadata));
        if let Some(number) = found(&self.files) {
            return Some(self.files[number].1);
        }
        if metadata.is_dir() {
            return found(&self.folders).map(|number| self.folders[number].1);
        }
        let is_linked = self.own.is_linked(metadata, &self.folders);
        is_linked.then(|| self.folders.first().map_or("", |(_, what)| what))
    }

    /// Returns what a resolved path lies in, if that is one of the folders.
    pub(crate) fn around(&self, resolved: &Path) -> Option<&str> {
        let around = resolved.ancestors().skip(1);
        let around = around.filter_map(|folder| fs::metadata(folder).ok());
        let mut around = around.take_while(|metadata| !self.sources.contains(&id(metadata)));
        around.find_map(|metadata| self.of(&metadata))
    }
}

/// The device and inode that this metadata shows.
pub(crate) fn id(metadata: &Metadata) -> Id {
    (metadata.dev(), metadata.ino())
}

fn changed_ns(metadata: &Metadata) -> i128 {
    i128::from(metadata.ctime()) * 1_000_000_000 + i128::from(metadata.ctime_nsec())
}

/// Returns the files below a folder that have more than one name. What cannot be listed is left out.
fn with_several_names(folder: &Path) -> Vec<Id> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let walked = fs::read_dir(&folder).and_then(|entries| {
            for entry in entries {
                let entry = entry?;
                // This does not follow links.
                let metadata = entry.metadata()?;
                if metadata.is_dir() {
                    folders.push(entry.path());
                } else if metadata.nlink() > 1 {
                    found.push(id(&metadata));
                }
            }
            Ok(())
        });
        match walked {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::debug!(?folder, %error, "cannot look for second names in an own folder");
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[expect(clippy::disallowed_methods, reason = "real files carry real times")]
    fn now() -> SystemTime {
        SystemTime::now()
    }

    #[test]
    fn own_files_are_told_under_any_name() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("state.db"), "s").unwrap();
        fs::create_dir_all(at("lake/partials")).unwrap();
        fs::write(at("lake/partials/a"), "p").unwrap();
        fs::write(at("IL-1.tdf"), "1").unwrap();
        let own = OwnFiles::new(
            vec![
                (at("state.db"), "the state database".into()),
                (at("state.db-wal"), "its log".into()),
            ],
            vec![(at("lake"), "the lake".into())],
            vec![at("lake/incoming")],
            now,
        );
        let what = |name: &str| own.of(&fs::metadata(at(name)).unwrap());
        assert_eq!(what("IL-1.tdf"), None);
        fs::hard_link(at("state.db"), at("IL-2.tdf")).unwrap();
        symlink("state.db", at("IL-3.tdf")).unwrap();
        fs::hard_link(at("lake/partials/a"), at("IL-4.tdf")).unwrap();
        fs::hard_link(at("IL-1.tdf"), at("IL-5.tdf")).unwrap();
        symlink("lake", at("lake2")).unwrap();
        assert_eq!(what("IL-2.tdf").as_deref(), Some("the state database"));
        assert_eq!(what("IL-3.tdf").as_deref(), Some("the state database"));
        assert_eq!(what("IL-4.tdf").as_deref(), Some("the lake"));
        assert_eq!(what("IL-5.tdf"), None);
        assert_eq!(what("lake2").as_deref(), Some("the lake"));
        // A file that SQLite makes later.
        fs::write(at("state.db-wal"), "w").unwrap();
        fs::hard_link(at("state.db-wal"), at("IL-6.tdf")).unwrap();
        assert_eq!(what("IL-6.tdf").as_deref(), Some("its log"));
        // One that was there, and is put in the place of another later.
        fs::rename(at("IL-1.tdf"), at("state.db")).unwrap();
        assert_eq!(what("IL-5.tdf").as_deref(), Some("the state database"));
        assert_eq!(own.now().around(&at("lake/partials/a")), Some("the lake"));
        assert_eq!(own.now().around(&at("IL-1.tdf")), None);
        fs::create_dir(at("lake/incoming")).unwrap();
        assert_eq!(
            own.now().around(&at("lake/incoming/IL-1.tdf")),
            None,
            "a source in a lake is a source"
        );
    }

    #[test]
    fn a_file_that_has_long_been_what_it_is_takes_no_second_look() {
        #[expect(clippy::disallowed_methods, reason = "real files carry real times")]
        fn an_hour_later() -> SystemTime {
            SystemTime::now() + std::time::Duration::from_secs(3600)
        }
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("state.db"), "s").unwrap();
        fs::write(at("IL-1.tdf"), "1").unwrap();
        let files = vec![(at("state.db"), "the state database".into())];
        let own = OwnFiles::new(files.clone(), Vec::new(), Vec::new(), an_hour_later);
        let what = |own: &OwnFiles, name: &str| own.of(&fs::metadata(at(name)).unwrap());
        assert_eq!(what(&own, "state.db").as_deref(), Some("the state database"));
        fs::hard_link(at("IL-1.tdf"), at("IL-2.tdf")).unwrap();
        fs::rename(at("IL-1.tdf"), at("state.db")).unwrap();
        // For the first clock, that was an hour before the look.
        assert_eq!(what(&own, "IL-2.tdf"), None);
        let own = OwnFiles::new(files, Vec::new(), Vec::new(), now);
        assert_eq!(what(&own, "IL-2.tdf").as_deref(), Some("the state database"));
    }
}
