//! The stamps of the files that were read before, in little memory: a source may hold a million files for years.
//!
//! A path is kept as 128 bits of hash under keys that are drawn at each start, so nobody can choose paths that meet;
//! that two of ten million meet by chance has a probability of 10⁻²⁵. A tree has no tables that are half empty, and
//! none that are copied whole when they grow: a file costs about 100 bytes, however many there are.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use crate::{KnownFile, Stamp};

/// Stands for a change time that is not known. No file has it.
const NO_CHANGE_TIME: i64 = i64::MAX;

/// What was read before of the files of one source.
#[derive(Clone, Debug)]
pub struct KnownFiles {
    files: BTreeMap<(u64, u64), Packed>,
    hashers: (RandomState, RandomState),
    began: Instant,
}

/// What is known of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Known {
    pub(crate) stamp: Stamp,
    /// When its bytes were last read, or given out to be read; in whole microseconds.
    pub(crate) read_at: SystemTime,
    /// When the file was last looked at: an older look that arrives late from a listing proves nothing.
    pub(crate) seen: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Packed {
    bytes: u64,
    modified_ns: i64,
    identity: u64,
    changed_ns: i64,
    /// Microseconds since 1970.
    read_us: i64,
    /// Nanoseconds since `began`.
    seen_ns: u64,
}

impl Default for KnownFiles {
    fn default() -> Self {
        Self {
            files: BTreeMap::new(),
            hashers: (RandomState::new(), RandomState::new()),
            began: Instant::now(),
        }
    }
}

impl KnownFiles {
    /// Adds a file, by its path relative to the root.
    pub fn insert(&mut self, path: &str, file: KnownFile) {
        let known = Known {
            stamp: file.stamp,
            read_at: file.read_at,
            seen: self.began,
        };
        self.put(Path::new(path), known);
    }

    /// Returns how many files are known.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Returns whether no file is known.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    pub(crate) fn get(&self, path: &Path) -> Option<Known> {
        let packed = self.files.get(&self.hashes(path))?;
        let since = Duration::from_micros(packed.read_us.unsigned_abs());
        Some(Known {
            stamp: Stamp {
                bytes: packed.bytes,
                modified_ns: packed.modified_ns,
                identity: packed.identity,
                changed_ns: (packed.changed_ns != NO_CHANGE_TIME).then_some(packed.changed_ns),
            },
            read_at: match packed.read_us < 0 {
                true => SystemTime::UNIX_EPOCH - since,
                false => SystemTime::UNIX_EPOCH + since,
            },
            seen: self.began + Duration::from_nanos(packed.seen_ns),
        })
    }

    pub(crate) fn put(&mut self, path: &Path, known: Known) {
        let read_us = match known.read_at.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => whole(since.as_micros()),
            Err(before) => -whole(before.duration().as_micros()),
        };
        let packed = Packed {
            bytes: known.stamp.bytes,
            modified_ns: known.stamp.modified_ns,
            identity: known.stamp.identity,
            changed_ns: known.stamp.changed_ns.unwrap_or(NO_CHANGE_TIME),
            read_us,
            seen_ns: self.since_begin(known.seen),
        };
        self.files.insert(self.hashes(path), packed);
    }

    pub(crate) fn remove(&mut self, path: &Path) {
        self.files.remove(&self.hashes(path));
    }

    /// Forgets the files that were not looked at since this moment.
    pub(crate) fn forget_unseen_since(&mut self, moment: Instant) {
        let moment = self.since_begin(moment);
        self.files.retain(|_, known| known.seen_ns >= moment);
    }

    fn since_begin(&self, moment: Instant) -> u64 {
        let since = moment.saturating_duration_since(self.began);
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }

    fn hashes(&self, path: &Path) -> (u64, u64) {
        let path = path.as_os_str().as_encoded_bytes();
        (self.hashers.0.hash_one(path), self.hashers.1.hash_one(path))
    }
}

fn whole(micros: u128) -> i64 {
    i64::try_from(micros).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(number: u64, changed_ns: Option<i64>) -> Stamp {
        Stamp {
            bytes: number,
            modified_ns: -5,
            identity: u64::MAX - number,
            changed_ns,
        }
    }

    #[test]
    fn what_is_known_of_a_file_comes_back() {
        let mut files = KnownFiles::default();
        let read_at = SystemTime::UNIX_EPOCH + Duration::from_micros(1_700_000_000_123_456);
        for (number, changed_ns) in [(1, None), (2, Some(7)), (3, Some(i64::MIN))] {
            let stamp = stamp(number, changed_ns);
            files.insert(&format!("{number}"), KnownFile { stamp, read_at });
            let known = files.get(Path::new(&format!("{number}"))).unwrap();
            assert_eq!((known.stamp, known.read_at), (stamp, read_at));
        }
        let before = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
        let known = Known {
            stamp: stamp(4, None),
            read_at: before,
            seen: Instant::now() + Duration::from_secs(1),
        };
        files.put(Path::new("3"), known);
        assert_eq!(files.get(Path::new("3")), Some(known));
        files.remove(Path::new("2"));
        assert_eq!((files.get(Path::new("2")), files.len()), (None, 2));
        files.forget_unseen_since(Instant::now());
        assert!(files.get(Path::new("3")).is_some() && files.len() == 1);
    }

    /// The resident memory of this process, in bytes. nextest gives each test a process of its own.
    fn resident() -> usize {
        let status = std::fs::read_to_string("/proc/self/statm").unwrap();
        status.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
    }

    #[test]
    fn many_files_take_little_memory() {
        const FILES: u64 = 200_000;
        let before = resident();
        let mut files = KnownFiles::default();
        let read_at = SystemTime::UNIX_EPOCH;
        for number in 0..FILES {
            let path = format!("2026-11-23/P{:03}/store-{number:08}.tdf", number % 200);
            let stamp = stamp(number, Some(7));
            files.insert(&path, KnownFile { stamp, read_at });
        }
        let taken = (resident() - before) as u64 / FILES;
        println!("{taken} bytes a file");
        assert_eq!(files.len() as u64, FILES);
        assert!(taken < 130, "{taken} bytes a file");
    }
}
