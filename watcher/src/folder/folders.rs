//! The folders of a source as they were last read. A sweep that need not look at every file compares them with what they
//! are now.
//!
//! A folder's times change when a name in it is added, removed or replaced. That a file was written to in place only a
//! notice shows, or a look at the file itself. So this is for folders whose notices can be relied on: see [`is_local`].

use std::collections::HashMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::own::{Id, LAG_NS, id};

/// The folders that were read, by their paths.
pub(crate) type Folders = HashMap<PathBuf, FolderStamp>;

/// A folder as it was just before it was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct FolderStamp {
    id: Id,
    modified_ns: i128,
    changed_ns: i128,
    /// Whether a change after the reading would show. If the folder had just changed, another change may have had the
    /// same time.
    is_settled: bool,
    /// How many regular files were in it.
    pub(crate) files: u64,
}

impl FolderStamp {
    /// The stamp that this metadata, of just now, shows.
    pub(crate) fn of(metadata: &Metadata, wall: SystemTime) -> Self {
        let changed_ns = nanoseconds(metadata.ctime(), metadata.ctime_nsec());
        let wall = wall.duration_since(SystemTime::UNIX_EPOCH);
        let wall_ns = wall.map_or(i128::MIN, |since| since.as_nanos() as i128);
        Self {
            id: id(metadata),
            modified_ns: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            changed_ns,
            is_settled: wall_ns >= changed_ns + LAG_NS,
            files: 0,
        }
    }

    pub(crate) fn with_files(self, files: u64) -> Self {
        Self { files, ..self }
    }

    /// Whether this is another folder than before: its watch is not on this one.
    pub(crate) fn is_another(&self, before: &Self) -> bool {
        self.id != before.id
    }

    /// Whether nothing was added, removed or replaced since the folder had the stamp `before`.
    pub(crate) fn is_as(&self, before: &Self) -> bool {
        let times = |stamp: &Self| (stamp.id, stamp.modified_ns, stamp.changed_ns);
        before.is_settled && times(self) == times(before)
    }
}

fn nanoseconds(seconds: i64, rest: i64) -> i128 {
    i128::from(seconds) * 1_000_000_000 + i128::from(rest)
}

/// Whether all changes in this folder are made by this machine's kernel, which then tells of them. Of network folders,
/// only one's own changes are told. Unknown kinds of file systems count as such.
#[cfg(target_os = "linux")]
pub(crate) fn is_local(folder: &Path) -> bool {
    /// ext2 to ext4, XFS, Btrfs, tmpfs, overlayfs, F2FS, ZFS, JFS and bcachefs, as `man 2 statfs` and their sources
    /// have them.
    const LOCAL: [u32; 9] = [
        0xef53,
        0x5846_5342,
        0x9123_683e,
        0x0102_1994,
        0x794c_7630,
        0xf2f5_2010,
        0x2fc1_2fc1,
        0x3153_464a,
        0xca45_1a4e,
    ];
    // The type of the number depends on the platform; the magic numbers have 32 bits.
    rustix::fs::statfs(folder).is_ok_and(|found| LOCAL.contains(&(found.f_type as u32)))
}

/// Elsewhere, nothing is known of file systems.
#[cfg(not(target_os = "linux"))]
pub(crate) fn is_local(_: &Path) -> bool {
    false
}
