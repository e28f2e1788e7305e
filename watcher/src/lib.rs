//! Where files come from: a local folder, watched and listed, or a bucket (see `bucket`).
//!
//! [`watch`] and [`watch_bucket`] each start one task, which owns everything known about its place and sends its
//! [`Event`]s over one bounded channel. The loop of both is the same (`watching`). Three inputs feed that of a folder,
//! and they are trusted to different degrees:
//!
//! - the **full listing** is the truth. It runs at the start and then at each [`Settings::sweep`], and finds
//!   whatever the others missed (a network share sends no notices, and a full queue drops them). Where notices can be
//!   relied on, it runs only at each [`Settings::relist`], and sweeps in between compare the folders (see `folder::folders`);
//! - **notices** (inotify) are hints to look now. Losing one costs time, never a file;
//! - a **look** at a file (its [`Stamp`]) decides whether it is whole: see `folder::settling`.
//!
//! The watcher never opens, moves or changes a source file. Callers open a file with [`SourceFolder`] and read an
//! object with [`ObjectReader`]; they tag or move an object afterwards with [`PutAway`].
//!
//! ```text
//! notices ──hints──┐
//! timer ───due─────┼─→ looks (a blocking thread) ─┐
//! timer ───sweep───┴─→ listing (another one) ─────┴─→ the task: known stamps, settling ──→ Event
//! ```

mod bucket;
mod error;
mod events;
mod folder;
mod handle;
mod known;
mod names;
mod queue;
mod reporting;
mod unmatched;
mod watching;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub use bucket::{
    Address, AddressError, After, Away, Bucket, BucketOptions, BucketSettings, ObjectReader, OpenError,
    Provider, PutAway, PutAwayError, PutAwayKind, ReadError, S3, S3Error, Starts, StorageClient,
};
pub use events::{Arrival, Event, KnownFile, Stamp, UnmatchedFile};
pub use folder::{OpenFileError, OwnFiles, SourceFolder, open_named};
pub use handle::{Handle, watch, watch_bucket};
pub use known::KnownFiles;
pub use names::is_looked_at;
pub use queue::{Queue, QueueError};
pub use unmatched::UNMATCHED;

/// Which folder to watch, and how often to look.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder. It need not exist yet: the watcher sends [`Event::Trouble`] and tries again.
    pub folder: SourceFolder,
    /// How long a file must stay unchanged to count as whole, when nothing else shows that it is.
    pub settle: Duration,
    /// The pause between two sweeps.
    pub sweep: Duration,
    /// How often a sweep looks at every file, where notices can be relied on: otherwise, each sweep does.
    pub relist: Duration,
    /// How often a file is read again though it looks the same, to see whether its bytes still are. `None`: never.
    pub sweep_hash: Option<Duration>,
    /// The wall clock, used to measure the age of a file; this crate reads no clock itself.
    pub now: fn() -> SystemTime,
}

/// Says whether the caller wants a file, by its path relative to the root.
///
/// It is called on the threads that list and that receive notices, so it must be quick.
pub type Wanted = Arc<dyn Fn(&str) -> Want + Send + Sync>;

/// Whether a caller wants a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// It is reported when it is whole.
    Yes,
    /// It is reported when it is whole, and full listings report it as [`Event::Unmatched`] too: what it is, only its
    /// bytes say.
    Perhaps,
    /// It is not looked at; full listings report it as [`Event::Unmatched`].
    No,
}

impl From<bool> for Want {
    fn from(is_wanted: bool) -> Self {
        match is_wanted {
            true => Self::Yes,
            false => Self::No,
        }
    }
}
