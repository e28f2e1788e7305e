//! What the watcher reports to the pipeline.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::SystemTime;

use object_store::ObjectMeta;

/// What is known about a file's bytes without reading them: equal stamps mean "not submitted again".
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Stamp {
    /// The file's length.
    pub bytes: u64,
    /// When it was last written, in nanoseconds since 1970 (negative before). For an object, whole seconds only: a
    /// listing gives finer times than a request for the object itself.
    pub modified_ns: i64,
    /// What distinguishes this file from another of the same size and time: the inode, which changes when another file
    /// is renamed over this one; for an object, a 64-bit hash of its ETag. Only a hint: a reader of the object makes
    /// its requests conditional on the ETag itself.
    pub identity: u64,
    /// When anything about the file last changed (its ctime), in nanoseconds since 1970. No program can set it back, so
    /// it shows a file that was rewritten in place and given its old time again. But it changes with permissions, names
    /// and links too. `None` for an object, and for a file that an earlier version of gristmill has read.
    pub changed_ns: Option<i64>,
}

/// What a look at a file shows, compared with its stamp when it was last read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Difference {
    /// None.
    Same,
    /// None that can be seen: the earlier stamp has no change time.
    Unknown,
    /// Only the change time: new bytes with an old time, or merely other permissions, names or links.
    Touched,
    /// Something that only another submission has.
    Sent,
}

impl Stamp {
    /// The stamp that this metadata shows.
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            bytes: metadata.len(),
            modified_ns: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            identity: metadata.ino(),
            changed_ns: Some(nanoseconds(metadata.ctime(), metadata.ctime_nsec())),
        }
    }

    /// What has changed since the file had the stamp `before`.
    pub(crate) fn since(self, before: Self) -> Difference {
        let but_for_change = |stamp: Self| Self {
            changed_ns: None,
            ..stamp
        };
        match (before.changed_ns, self.changed_ns) {
            _ if but_for_change(self) != but_for_change(before) => Difference::Sent,
            (before, now) if before == now => Difference::Same,
            (None, _) => Difference::Unknown,
            _ => Difference::Touched,
        }
    }

    /// The stamp of an object. It leaves out the version id, which listings do not return, and the quotes around the
    /// ETag, which Azure's listings omit.
    pub fn of_object(meta: &ObjectMeta) -> Self {
        let etag = meta.e_tag.as_deref().unwrap_or_default();
        Self {
            bytes: meta.size,
            modified_ns: meta.last_modified.timestamp().saturating_mul(1_000_000_000),
            identity: fnv1a(etag.trim_matches('"')),
            changed_ns: None,
        }
    }
}

fn nanoseconds(seconds: i64, rest: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(rest)
}

/// The 64-bit FNV-1a hash of a text. It must be the same in every build, because the state database keeps stamps.
pub(crate) fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// A file that was read before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KnownFile {
    /// Its stamp at that time.
    pub stamp: Stamp,
    /// When its bytes were last read.
    pub read_at: SystemTime,
}

/// A file that no feed matches.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct UnmatchedFile {
    /// When it was last written, in nanoseconds since 1970.
    pub modified_ns: i64,
    /// Its path relative to the root, with each byte that is not UTF-8 written as `\xNN`.
    pub path: String,
    /// Its length.
    pub bytes: u64,
}

/// A file that is whole and was not reported before with this stamp.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Arrival {
    /// Relative to the root, separated by `/`.
    pub path: String,
    /// As of the last look. Readers of the file compare, and call
    /// [`changed`](crate::Handle::changed) if it has changed since.
    pub stamp: Stamp,
}

/// What happened in the folder or the bucket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// A file is whole, and is new or has another stamp than the one reported before.
    Arrived(Arrival),
    /// A file to compare with what was last read of it: it may have been rewritten, or its bytes have not been read for
    /// long. It counts as submitted only if they differ.
    Doubted(Arrival),
    /// A file whose earlier stamp lacked the change time. Otherwise its stamp is the same, so it was not submitted
    /// again; the caller keeps the whole stamp from now on.
    Restamped(Arrival),
    /// A file that is not to be read: its name is not UTF-8, or is a key that cannot be requested from the bucket; it
    /// is one of gristmill's own files; or a link leads to it from outside. Reported once; for a file in a folder
    /// whose name is not UTF-8, again whenever the file changes.
    Refused {
        /// The path relative to the root, with each byte that is not UTF-8 written as `\xNN`.
        name: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// The files that nobody wants, as sweeps have found them: the newest [`UNMATCHED`](crate::UNMATCHED) of
    /// them. Sent before [`Event::Swept`], if anything about them has changed.
    Unmatched {
        /// Newest first.
        files: Vec<UnmatchedFile>,
        /// Whether everything could be listed: if not, other files may still be there.
        is_all: bool,
    },
    /// A message of the queue that cannot be parsed. It is left to the queue's redrive policy, and reported once.
    BadMessage {
        /// The message's id.
        id: String,
        /// What is wrong, and what to do.
        error: String,
    },
    /// A sweep has ended; everything that it found was reported before this. The first one lists everything. Sent a second
    /// time, with the same `listed` and without another sweep, once the files that were `waiting` have settled.
    Swept {
        /// How many regular files were seen, wanted or not, when each folder was last listed.
        listed: u64,
        /// How many files wait to settle or to be looked at.
        waiting: u64,
    },
    /// A folder or a bucket cannot be listed (it is gone, or this user may not read it), the root cannot be watched, or
    /// the queue cannot be read. Reported when it begins; the watcher carries on with the rest and tries again.
    Trouble {
        /// The folder, or the URL of the bucket or the queue.
        path: PathBuf,
        /// What failed, why, and what to do.
        error: String,
    },
    /// The trouble has ended.
    Recovered {
        /// The folder, or the URL of the bucket or the queue.
        path: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_objects_stamp_does_not_depend_on_who_quotes_its_etag() {
        let stamp = |etag: &str| {
            Stamp::of_object(&ObjectMeta {
                location: "a.tdf".into(),
                last_modified: Default::default(),
                size: 1,
                e_tag: Some(etag.to_owned()),
                version: None,
            })
        };
        assert_eq!(stamp("\"0x8D1\""), stamp("0x8D1"));
        assert_ne!(stamp("0x8D1"), stamp("0x8D2"));
    }

    #[test]
    fn a_change_time_alone_is_a_doubt_and_an_absent_one_is_none() {
        let stamp = |bytes, changed_ns| Stamp {
            bytes,
            modified_ns: 5,
            identity: 7,
            changed_ns,
        };
        assert_eq!(stamp(1, Some(2)).since(stamp(1, Some(2))), Difference::Same);
        assert_eq!(stamp(1, Some(3)).since(stamp(1, Some(2))), Difference::Touched);
        assert_eq!(stamp(1, Some(3)).since(stamp(1, None)), Difference::Unknown);
        assert_eq!(stamp(1, None).since(stamp(1, None)), Difference::Same);
        assert_eq!(stamp(2, Some(2)).since(stamp(1, Some(2))), Difference::Sent);
        assert_eq!(stamp(2, Some(2)).since(stamp(1, None)), Difference::Sent);
    }
}
