//! What the watcher tells: the words between it and the pipeline.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// What is known of a file's bytes without reading them: equal stamps mean "not submitted again".
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Stamp {
    /// The file's length.
    pub bytes: u64,
    /// When it was last written, in nanoseconds since 1970 (negative before).
    pub modified_ns: i64,
    /// The inode, which differs when another file was renamed over this one.
    pub inode: u64,
}

impl Stamp {
    /// The stamp that this metadata shows.
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            bytes: metadata.len(),
            modified_ns: metadata
                .mtime()
                .saturating_mul(1_000_000_000)
                .saturating_add(metadata.mtime_nsec()),
            inode: metadata.ino(),
        }
    }
}

/// A file that is whole and was not told before with this stamp.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Arrival {
    /// Relative to the root, separated by `/`.
    pub path: String,
    /// As it was at the last look. Whoever reads the file compares, and calls
    /// [`look_again`](crate::Handle::look_again) if it has changed since.
    pub stamp: Stamp,
}

/// What happened in the folder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// A file is whole: new, or with another stamp than the one told before.
    Arrived(Arrival),
    /// A file that can never be taken as it is, because its name is not UTF-8. Told once until the file
    /// changes.
    Refused {
        /// The path relative to the root, with each byte that is not UTF-8 written as `\xNN`.
        name: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// A full listing has ended; whatever arrived by it was told before this. Told a second time, with the
    /// same `listed` and without a new listing, once the files that were `waiting` have settled.
    Swept {
        /// How many regular files were seen, asked for or not.
        listed: u64,
        /// How many files wait to settle or to be looked at.
        waiting: u64,
    },
    /// A folder cannot be listed (it is gone, or closed to this user), or the root cannot be watched. Told
    /// when it begins; the watcher goes on with the rest and tries again at each listing.
    Trouble {
        /// The folder.
        path: PathBuf,
        /// What failed, why, and what to do.
        error: String,
    },
    /// The trouble with this folder has ended; told at the end of the listing that has found so.
    Recovered {
        /// The folder.
        path: PathBuf,
    },
}
