//! Where files come from: a local folder, watched and listed, or a bucket (see `bucket`).
//!
//! [`watch`] starts one task that owns everything known of the folder and tells what happens in it over one
//! bounded channel. Three sources feed it, and they differ in what they are trusted with:
//!
//! - the **full listing** is the truth. It runs at the start and then every [`Settings::sweep`], and finds
//!   whatever the rest has missed (a network share gives no notices, a full queue loses them);
//! - **notices** (inotify) are hints to look now. Losing one costs time, never a file;
//! - a **look** at a file (its [`Stamp`]) decides whether it is whole: see `settling`.
//!
//! A source file is never opened, moved or changed by the watcher. [`ObjectReader`] is for whoever reads an object, and
//! [`PutAway`] for whoever marks or moves one that was read.
//!
//! ```text
//! notices ──hints──┐
//! timer ───due─────┼─→ looks (a blocking thread) ─┐
//! timer ───sweep───┴─→ listing (another one) ─────┴─→ the task: known stamps, settling ──→ Event
//! ```

mod actor;
mod bucket;
mod error;
mod events;
mod handle;
mod listing;
mod names;
mod notices;
mod queue;
mod settling;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub use bucket::{
    Address, AddressError, After, Away, Bucket, BucketOptions, BucketSettings, ObjectReader, OpenError,
    Provider, PutAway, PutAwayError, PutAwayKind, ReadError, S3, S3Error, Starts, Store,
};
pub use events::{Arrival, Event, Stamp};
pub use handle::{Handle, watch, watch_bucket};
pub use names::is_looked_at;
pub use queue::{Queue, QueueError};

/// What to watch, and how patiently.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder. It need not exist yet: that is [`Event::Trouble`], and it is asked for again.
    pub root: PathBuf,
    /// How long a file must stay unchanged to count as whole, when nothing else says so.
    pub settle: Duration,
    /// The pause between two full listings.
    pub sweep: Duration,
    /// The wall clock, which the age of a file is measured by; this crate reads none itself.
    pub now: fn() -> SystemTime,
}

/// Says whether a file is asked for at all, by its path relative to the root.
///
/// It is called on the threads that list and that receive notices, so it must be quick. The files that it
/// refuses cost no look, and are not told of.
pub type Wanted = Arc<dyn Fn(&str) -> bool + Send + Sync>;
