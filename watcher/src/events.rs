//! What the watcher reports to the pipeline.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

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
            identity: metadata.ino(),
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
        }
    }
}

/// The 64-bit FNV-1a hash of a text. It must be the same in every build, because the state database keeps stamps.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// A file that is whole and was not reported before with this stamp.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Arrival {
    /// Relative to the root, separated by `/`.
    pub path: String,
    /// As of the last look. Readers of the file compare, and call
    /// [`look_again`](crate::Handle::look_again) if it has changed since.
    pub stamp: Stamp,
}

/// What happened in the folder or the bucket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// A file is whole, and is new or has another stamp than the one reported before.
    Arrived(Arrival),
    /// A file that cannot be read because of its name: the name is not UTF-8, or is a key that cannot be requested
    /// from the bucket. Reported once; for a file in a folder, again whenever the file changes.
    Refused {
        /// The path relative to the root, with each byte that is not UTF-8 written as `\xNN`.
        name: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// A message of the queue that cannot be parsed. It is left to the queue's redrive policy, and reported once.
    BadMessage {
        /// The message's id.
        id: String,
        /// What is wrong, and what to do.
        error: String,
    },
    /// A full listing has ended; everything that it found was reported before this. Sent a second time, with the
    /// same `listed` and without a new listing, once the files that were `waiting` have settled.
    Swept {
        /// How many regular files were seen, wanted or not.
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
}
