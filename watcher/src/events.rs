//! What the watcher tells: the words between it and the pipeline.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use object_store::ObjectMeta;

/// What is known of a file's bytes without reading them: equal stamps mean "not submitted again".
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Stamp {
    /// The file's length.
    pub bytes: u64,
    /// When it was last written, in nanoseconds since 1970 (negative before). Of an object, in whole seconds: stores
    /// give finer ones in a listing than in an answer about the object itself.
    pub modified_ns: i64,
    /// What tells this file from another of the same size and time: the inode, which differs when another file was
    /// renamed over this one; of an object, 64 bits of a hash of its ETag. A hint only: whoever reads an object holds
    /// the store to the ETag itself.
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

    /// The stamp of an object. A listing does not tell an object's version id, so it is no part of it, and Azure's gives
    /// ETags without their quotes.
    pub fn of_object(meta: &ObjectMeta) -> Self {
        let etag = meta.e_tag.as_deref().unwrap_or_default();
        Self {
            bytes: meta.size,
            modified_ns: meta.last_modified.timestamp().saturating_mul(1_000_000_000),
            identity: fnv1a(etag.trim_matches('"')),
        }
    }
}

/// The 64-bit FNV-1a hash of a text: the same in every build, because stamps are kept in the state database.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
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
    /// A file that can never be taken as it is, because of its name: it is not UTF-8, or a key that the store cannot be
    /// asked for. Told once until the file changes.
    Refused {
        /// The path relative to the root, with each byte that is not UTF-8 written as `\xNN`.
        name: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// A message of the queue that cannot be understood. It is left to the queue's own redrive policy, and told once.
    BadMessage {
        /// The message's id.
        id: String,
        /// What is wrong, and what to do.
        error: String,
    },
    /// A full listing has ended; whatever arrived by it was told before this. Told a second time, with the
    /// same `listed` and without a new listing, once the files that were `waiting` have settled.
    Swept {
        /// How many regular files were seen, asked for or not.
        listed: u64,
        /// How many files wait to settle or to be looked at.
        waiting: u64,
    },
    /// A folder or a bucket cannot be listed (it is gone, or closed to this user), the root cannot be watched, or the
    /// queue not be read. Told when it begins; the watcher goes on with the rest and tries again at each listing.
    Trouble {
        /// The folder, or the URL of the bucket or the queue.
        path: PathBuf,
        /// What failed, why, and what to do.
        error: String,
    },
    /// The trouble has ended; told at the end of the listing that has found so.
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
