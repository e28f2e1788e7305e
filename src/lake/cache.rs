//! Local copies of a bucket's objects, up to a limit: the least recently used are removed first.
//!
//! An object never changes under its name, so a copy is never outdated. A copy that is in use is never removed, even if
//! the copies together exceed the limit.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use object_store::path::Path as ObjectPath;

/// Protects a copy from removal while it is held.
pub(super) type Kept = Arc<()>;

/// A folder of copies.
#[derive(Debug)]
pub(super) struct Cache {
    folder: PathBuf,
    limit: u64,
    copies: Mutex<Copies>,
}

#[derive(Debug, Default)]
struct Copies {
    by_name: HashMap<ObjectPath, Copy>,
    /// By last use, oldest first.
    by_use: BTreeMap<u64, ObjectPath>,
    bytes: u64,
    uses: u64,
}

#[derive(Debug)]
struct Copy {
    bytes: u64,
    used: u64,
    kept: Kept,
}

impl Cache {
    /// Makes a cache in an empty folder.
    pub(super) fn new(folder: PathBuf, limit: u64) -> Self {
        Self {
            folder,
            limit,
            copies: Mutex::default(),
        }
    }

    /// Returns the copy of an object, if there is one.
    pub(super) fn find(&self, object: &ObjectPath) -> Option<(PathBuf, Kept)> {
        let mut copies = self.lock();
        let kept = copies.use_now(object)?;
        Some((self.path(object), kept))
    }

    /// Moves a file that was fetched into the cache, unless somebody else has done so meanwhile, or has written the
    /// object anew: then the file is removed.
    pub(super) fn take_fetched(&self, file: &Path, object: &ObjectPath) -> io::Result<(PathBuf, Kept)> {
        if let Some(copy) = self.find(object) {
            std::fs::remove_file(file)?;
            return Ok(copy);
        }
        self.take(file, object)
    }

    /// Moves a complete file into the cache as the copy of an object. Whoever uses an earlier copy of it keeps this one.
    pub(super) fn take(&self, file: &Path, object: &ObjectPath) -> io::Result<(PathBuf, Kept)> {
        let bytes = file.metadata()?.len();
        let path = self.path(object);
        std::fs::create_dir_all(path.parent().unwrap_or(&self.folder))?;
        let mut copies = self.lock();
        std::fs::rename(file, &path)?;
        let kept = copies.by_name.get(object).map(|copy| copy.kept.clone());
        copies.forget(object);
        copies.bytes += bytes;
        let kept = kept.unwrap_or_default();
        let copy = Copy {
            bytes,
            used: 0,
            kept: kept.clone(),
        };
        copies.by_name.insert(object.clone(), copy);
        copies.use_now(object);
        for evicted in copies.make_room(self.limit) {
            // If this fails, the file is removed with the whole folder at the next start.
            let _ = std::fs::remove_file(self.path(&evicted));
        }
        Ok((path, kept))
    }

    /// Removes the copy of an object that no longer exists.
    pub(super) fn remove(&self, object: &ObjectPath) {
        if self.lock().forget(object) {
            let _ = std::fs::remove_file(self.path(object));
        }
    }

    fn path(&self, object: &ObjectPath) -> PathBuf {
        self.folder.join(object.as_ref())
    }

    fn lock(&self) -> MutexGuard<'_, Copies> {
        self.copies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Copies {
    fn use_now(&mut self, object: &ObjectPath) -> Option<Kept> {
        let copy = self.by_name.get_mut(object)?;
        self.by_use.remove(&copy.used);
        self.uses += 1;
        copy.used = self.uses;
        self.by_use.insert(copy.used, object.clone());
        Some(copy.kept.clone())
    }

    fn forget(&mut self, object: &ObjectPath) -> bool {
        let Some(copy) = self.by_name.remove(object) else {
            return false;
        };
        self.by_use.remove(&copy.used);
        self.bytes -= copy.bytes;
        true
    }

    /// Forgets unused copies until the others fit, and returns the forgotten ones.
    fn make_room(&mut self, limit: u64) -> Vec<ObjectPath> {
        let (mut excess, mut evicted) = (self.bytes.saturating_sub(limit), Vec::new());
        for object in self.by_use.values() {
            if excess == 0 {
                break;
            }
            let copy = &self.by_name[object];
            if Arc::strong_count(&copy.kept) == 1 {
                excess = excess.saturating_sub(copy.bytes);
                evicted.push(object.clone());
            }
        }
        for object in &evicted {
            self.forget(object);
        }
        evicted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_used_for_the_longest_time_gives_way_unless_it_is_in_use() {
        let folder = tempfile::TempDir::new().unwrap();
        let cache = Cache::new(folder.path().join("cache"), 30);
        let take = |name: &str, bytes: usize| {
            let file = folder.path().join("spooled");
            std::fs::write(&file, "x".repeat(bytes)).unwrap();
            cache.take(&file, &ObjectPath::from(name)).unwrap().1
        };
        let is_there = |name: &str| {
            let found = cache.find(&ObjectPath::from(name));
            assert_eq!(
                found.is_some(),
                folder.path().join("cache").join(name).exists(),
                "{name}"
            );
            found.is_some()
        };
        let in_use = take("a/in-use", 10);
        take("a/old", 10);
        take("b/used", 10);
        assert!(is_there("a/old") && is_there("b/used"));
        take("b/new", 10);
        assert!(!is_there("a/old") && is_there("a/in-use") && is_there("b/used") && is_there("b/new"));
        take("b/large", 100);
        assert!(is_there("a/in-use") && !is_there("b/used") && !is_there("b/new"));
        drop(in_use);
        take("b/small", 10);
        assert!(!is_there("b/large") && is_there("a/in-use") && is_there("b/small"));
    }

    #[test]
    fn of_two_who_fetch_an_object_at_once_none_loses_its_copy() {
        let folder = tempfile::TempDir::new().unwrap();
        let cache = Cache::new(folder.path().join("cache"), 10);
        let object = ObjectPath::from("a/object");
        let fetched = |name: &str| {
            let file = folder.path().join(name);
            std::fs::write(&file, "0123456789").unwrap();
            file
        };
        let (one, other) = (fetched("one"), fetched("other"));
        let (path, first) = cache.take_fetched(&one, &object).unwrap();
        let (_, second) = cache.take_fetched(&other, &object).unwrap();
        assert!(!other.exists());
        // Neither the fetch nor writing the object anew may take the copy from the first one.
        drop(second);
        cache.take(&fetched("anew"), &object).unwrap();
        cache.take(&fetched("big"), &ObjectPath::from("b/other")).unwrap();
        assert!(path.exists());
        drop(first);
    }
}
