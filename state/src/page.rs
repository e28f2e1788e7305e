//! What pages show beside the rows themselves: parts of long lists, and the story of one file.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;

use crate::file::{FileRow, FileStatus};
use crate::guard::Standing;
use crate::text::words;

words! {
    /// What came of one submission, or of a person's decision about a file.
    Outcome {
        /// Converted, and in force since.
        Validated = "VALIDATED",
        /// Bytes that were valid before: a fresh report, and no new work.
        Unchanged = "UNCHANGED",
        /// Valid, but not in force.
        Held = "HELD",
        /// Held before, and brought in force by a person.
        Accepted = "ACCEPTED",
        /// Taken out by a person.
        Withdrawn = "WITHDRAWN",
        /// Rejected as a whole.
        Rejected = "REJECTED",
        /// Could not be read or converted.
        Failed = "FAILED",
    }
}

/// Which part of the list of files to show. The default shows the first ones by path.
#[derive(Debug, Clone, Default)]
pub struct FilePart {
    /// Only files whose path contains this text, whatever the case of ASCII letters.
    pub text: Option<String>,
    /// Only files of this feed.
    pub feed: Option<String>,
    /// Only files with this status; with `Held`, also those with single days that are held.
    pub status: Option<FileStatus>,
    /// Only files that this job takes.
    pub job: Option<String>,
    /// Only files with this store in their names.
    pub store: Option<String>,
    /// Whether those that were submitted last come first.
    pub newest_first: bool,
    /// How many of the list to pass over.
    pub offset: u32,
    /// How many to return at most.
    pub limit: u32,
}

/// One submission of a file, or a person's decision about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SubmissionRow {
    /// Its number; greater means later.
    pub submission_id: i64,
    /// When it was recorded.
    pub submitted: Timestamp,
    /// What came of it.
    pub outcome: Outcome,
    /// Why it did not come into force.
    pub error: Option<String>,
    /// The version that was submitted; none if it could not be read.
    pub version_id: Option<i64>,
    /// The hash of that version's bytes.
    pub content_hash: Option<String>,
}

/// What a person decided about a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InterventionRow {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub who: String,
    /// `accept` or `withdraw`.
    pub action: String,
}

/// The newest file of a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LastSeen {
    /// The job.
    pub job_id: String,
    /// The store.
    pub store_id: String,
    /// Path of the file, relative to the source.
    pub file_url: String,
    /// When it was last submitted.
    pub submitted: Timestamp,
}

/// One report of a store: a submission of a file that a job takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The store in the file's name.
    pub store_id: String,
    /// The day in the file's name, for jobs that run by day.
    pub wave: Option<Date>,
    /// Path of the file, relative to the source.
    pub file_url: String,
    /// What came of the submission.
    pub outcome: Outcome,
    /// When it was recorded.
    pub submitted: Timestamp,
}

/// A file of a store.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FileOfStore {
    /// The file.
    #[serde(flatten)]
    pub file: FileRow,
    /// Whether it may hold lines of other stores, too: its name does not say the store.
    pub is_shared: bool,
}

/// What a file reports of a store's day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoreDay {
    /// The business day.
    pub trans_date: Date,
    /// Path of the file, relative to the source.
    pub file_url: String,
    /// What it is to the day.
    pub standing: Standing,
    /// How many lines; `None` if only their sums are known.
    pub lines: Option<u64>,
    /// Why it is held.
    pub reason: Option<String>,
}

/// When a store first reported to a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FirstReport {
    /// The first day in the names of its files, for jobs that run by day.
    pub wave: Option<Date>,
    /// When the first of its files came.
    pub submitted: Timestamp,
}
