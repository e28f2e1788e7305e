//! Where files come from and where the lake is: folders, or buckets and how to reach them.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gristmill_watcher::{Address, BucketOptions};

/// One place that stores send their files to.
#[derive(Clone, Debug)]
pub struct Source {
    /// Distinguishes the files of several sources; a single source needs no name.
    pub name: Option<String>,
    /// Where it is.
    pub place: Place,
    /// The URL of the queue that delivers a bucket's events.
    pub queue: Option<String>,
    /// How long a file of a folder must stay unchanged to count as whole.
    pub settle: Duration,
    /// The pause between two polls of a bucket, which list only where new objects are expected.
    pub poll: Duration,
    /// The pause between two sweeps.
    pub sweep: Duration,
    /// How often a file of a folder is read again though it looks the same; `None` means never.
    pub sweep_hash: Option<Duration>,
    /// Whether links in a folder may lead out of it.
    pub follow_links: bool,
    /// What happens to an object after it was taken: found valid, and recorded for good.
    pub after: After,
}

/// A folder, or a bucket.
#[derive(Clone, Debug)]
pub enum Place {
    /// A local folder.
    Folder(PathBuf),
    /// Everything below a prefix of a bucket.
    Bucket(BucketPlace),
}

/// Where a bucket is, and how it is reached.
#[derive(Clone, Debug)]
pub struct BucketPlace {
    /// What its URL says; the prefix may be empty.
    pub address: Address,
    /// What the provider's standard configuration does not say.
    pub options: BucketOptions,
}

/// What happens to an object of a source after it was taken.
#[derive(Clone, Debug)]
pub enum After {
    /// Nothing: it stays where it is.
    Keep,
    /// It is tagged, for a lifecycle rule to find.
    Tag,
    /// It is moved to another place on the same server.
    Move(BucketPlace),
}

/// Where the lake is.
#[derive(Clone, Debug)]
pub enum LakeSettings {
    /// A local folder.
    Folder(PathBuf),
    /// A bucket, with a local folder for unfinished objects and for copies.
    Bucket {
        /// The bucket.
        place: BucketPlace,
        /// The local folder.
        scratch: PathBuf,
        /// The most bytes of copies to keep there.
        cache_limit: u64,
    },
}

impl LakeSettings {
    /// The local folder that has the lake's unfinished objects.
    pub fn local(&self) -> &Path {
        match self {
            Self::Folder(root) => root,
            Self::Bucket { scratch, .. } => scratch,
        }
    }
}

/// How long the lake keeps objects that nothing needs any more; `None` means forever.
#[derive(Clone, Copy, Debug, Default)]
pub struct Retention {
    /// Converted rows, since their version was last submitted.
    pub converted: Option<Duration>,
    /// Partials that are not in force, likewise.
    pub partials: Option<Duration>,
    /// Rejects, likewise.
    pub rejects: Option<Duration>,
    /// Summaries that a newer one replaced, since their run ended.
    pub summaries: Option<Duration>,
}

impl Source {
    /// Returns the name under which a file of this source is known: its path, below the source's name if it has one.
    pub fn file_name(&self, path: &str) -> String {
        match &self.name {
            Some(name) => format!("{name}/{path}"),
            None => path.to_owned(),
        }
    }

    /// Returns a file's path in this source from the name it is known under, or `None` if it belongs to another source.
    pub fn path_of<'n>(&self, file: &'n str) -> Option<&'n str> {
        match &self.name {
            Some(name) => file.strip_prefix(name.as_str())?.strip_prefix('/'),
            None => Some(file),
        }
    }
}

impl BucketPlace {
    /// Returns whether an object can be in both.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        let (ours, others) = (
            format!("{}/", self.address.url()),
            format!("{}/", other.address.url()),
        );
        self.is_on_server_of(other) && (ours.starts_with(&others) || others.starts_with(&ours))
    }

    /// Returns whether both have the same endpoint, however it is written.
    fn is_on_server_of(&self, other: &Self) -> bool {
        let endpoint = |place: &Self| {
            let endpoint = place.options.endpoint.as_deref()?;
            Some(endpoint.trim_end_matches('/').to_ascii_lowercase())
        };
        endpoint(self) == endpoint(other)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => folder.display().fmt(f),
            Self::Bucket(bucket) => f.write_str(&bucket.address.url()),
        }
    }
}

impl fmt::Display for LakeSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => folder.display().fmt(f),
            Self::Bucket { place, .. } => f.write_str(&place.address.url()),
        }
    }
}
