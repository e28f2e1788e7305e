//! What alerts have found, and the notices that tell of it.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;

use crate::text::words;

words! {
    /// What a notice tells.
    NoticeKind {
        /// Something was found.
        Firing = "firing",
        /// It was told before, and is not over.
        Repeated = "repeated",
        /// It is over.
        Resolved = "resolved",
    }
}

/// Something that an alert has found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Firing {
    /// Name of the alert.
    pub alert: String,
    /// What it is about, such as a job or a file: at most one firing of an alert is about it.
    pub subject: String,
    /// What was found, in words.
    pub facts: String,
    /// Since when it is so.
    pub since: Timestamp,
    /// When a notice of it was last queued; none while quiet hours hold it back.
    pub told: Option<Timestamp>,
    /// When it was over, if quiet hours hold back the notice of that.
    #[serde(skip)]
    pub resolved: Option<Timestamp>,
}

/// A notice to queue: the same for several receivers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewNotice {
    /// What it tells.
    pub kind: NoticeKind,
    /// What it says, as JSON.
    pub content: String,
}

/// What a look of one alert changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlertChanges {
    /// Firings that are new, or have changed.
    pub keep: Vec<Firing>,
    /// The subjects of those that are over.
    pub forget: Vec<String>,
    /// What is to be told.
    pub notices: Vec<NewNotice>,
}

impl AlertChanges {
    /// Returns whether there is nothing to record.
    pub fn is_empty(&self) -> bool {
        self.keep.is_empty() && self.forget.is_empty() && self.notices.is_empty()
    }
}

/// A notice that is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Its number; greater means later.
    pub notice_id: i64,
    /// Name of the alert.
    pub alert: String,
    /// What it tells.
    pub kind: NoticeKind,
    /// What it says, as JSON.
    pub content: String,
    /// When it was queued.
    pub queued: Timestamp,
    /// How often sending it has failed.
    pub failures: u32,
    /// When it is tried next.
    pub next_try: Timestamp,
}

/// The notices to one receiver that could not be sent so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unsent {
    /// Name of the receiver.
    pub receiver: String,
    /// How many there are.
    pub notices: u64,
    /// When the oldest was queued.
    pub since: Timestamp,
    /// Why the last try failed.
    pub error: Option<String>,
}

/// A job's wave whose newest run failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedWave {
    /// The job.
    pub job_id: String,
    /// The business day.
    pub wave: Option<Date>,
    /// The run.
    pub run_id: String,
    /// Why it failed.
    pub error: Option<String>,
    /// When.
    pub failed: Timestamp,
}

/// A file that is held as a whole or by single days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldFile {
    /// Path relative to the source.
    pub file_url: String,
    /// Its feed.
    pub feed: String,
    /// Why.
    pub reason: String,
    /// How many of its days are held; 0 if it is held as a whole.
    pub days: u64,
    /// Since when.
    pub since: Timestamp,
}

/// A file with many rejects, by its newest submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedLines {
    /// Path relative to the source.
    pub file_url: String,
    /// Its feed.
    pub feed: String,
    /// How many lines are rejects.
    pub rejects: u64,
    /// How many lines it has.
    pub lines: u64,
    /// Whether the file was rejected as a whole.
    pub is_whole: bool,
    /// When it was converted.
    pub since: Timestamp,
}

/// A wave with files that no completed run has seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unloaded {
    /// The job.
    pub job_id: String,
    /// The business day.
    pub wave: Option<Date>,
    /// How many files.
    pub files: u64,
    /// When the first of them was submitted.
    pub since: Timestamp,
}

/// When a store was last heard of by a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastReport {
    /// The store.
    pub store_id: String,
    /// The newest day, if the job runs by day.
    pub wave: Option<Date>,
    /// The newest submission, if it does not.
    pub submitted: Option<Timestamp>,
}
