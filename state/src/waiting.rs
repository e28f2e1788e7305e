//! What waits for an outage to end.

use jiff::Timestamp;
use serde::Serialize;

use crate::text::words;

words! {
    /// What kind of thing waits.
    WaitKind {
        /// A run, which stays queued.
        Run = "run",
        /// A file that has arrived and cannot be converted yet.
        File = "file",
        /// The service itself, such as for the warehouse to be there at a start.
        Service = "service",
    }
}

/// Something that cannot go on for a reason that passes by itself, and is tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Waiting {
    /// What kind of thing it is.
    pub kind: WaitKind,
    /// The run's id, the file's path, or what the service waits for.
    pub subject: String,
    /// The feed of a file.
    pub feed: Option<String>,
    /// The store in a file's name.
    pub store_id: Option<String>,
    /// When it failed for the first time.
    pub since: Timestamp,
    /// Why it failed the last time.
    pub reason: String,
    /// How many times it has failed.
    pub failures: u32,
    /// When it is tried again.
    pub next_try: Timestamp,
}

/// A file that cannot be converted yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingFile {
    /// Path relative to the source.
    pub file_url: String,
    /// Name of the feed.
    pub feed: String,
    /// The store in the file's name.
    pub store_id: Option<String>,
    /// Why.
    pub reason: String,
}
