//! Runs, from the queue to the warehouse.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;

use crate::file::VersionRecord;
use crate::text::words;

words! {
    /// Where a run stands.
    RunState {
        /// Waits to be claimed.
        Queued = "QUEUED",
        /// Is being worked on.
        Running = "RUNNING",
        /// Is done.
        Completed = "COMPLETED",
        /// Gave up; a person may retry it.
        Failed = "FAILED",
    }
}

words! {
    /// Why a run was queued.
    Cause {
        /// Its preconditions held.
        Preconditions = "preconditions",
        /// Its deadline passed.
        Deadline = "deadline",
        /// A person asked for it.
        Manual = "manual",
        /// A person asked for a failed run again.
        Retry = "retry",
        /// A person asked for earlier submissions again, or for such a run that failed.
        Replay = "replay",
    }
}

words! {
    /// How a completed run ended.
    RunOutcome {
        /// Its summary is in the warehouse.
        Loaded = "LOADED",
        /// Its inputs were those of the run before: there was nothing to do.
        Unchanged = "UNCHANGED",
        /// A newer run had been loaded already, so this one was not.
        Superseded = "SUPERSEDED",
    }
}

/// A file version that a run shall read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunInput {
    /// Number of the file.
    pub file_id: i64,
    /// Number of the version.
    pub version_id: i64,
    /// The submission that the version was reported by.
    pub submission_id: i64,
}

/// A run to be queued.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRun {
    /// The job.
    pub job_id: String,
    /// The business day, for jobs that are judged by day.
    pub wave: Option<Date>,
    /// Why it is queued.
    pub cause: Cause,
    /// What it reads.
    pub inputs: Vec<RunInput>,
    /// Whether its result depends on the order in which the inputs were submitted, and not on their bytes alone.
    pub order_matters: bool,
    /// Whether files are missing that the job asks for.
    pub incomplete: bool,
    /// How many of those files are there, in percent; `None` for a replay, which asks for none.
    pub completeness_percent: Option<f64>,
    /// The newest submission when the inputs were chosen.
    pub as_of_submission: i64,
}

/// What came of the wish to queue a run. Each carries the run that it speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Enqueued {
    /// The run waits to be claimed.
    Queued(String),
    /// Nothing was queued: this run of the same job and wave waits or works.
    Active(String),
    /// The wave's last run had the same inputs: this new run is completed already, without work.
    Unchanged(String),
}

/// One file of a run, in the version that the run reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InputFile {
    /// Number of the file.
    pub file_id: i64,
    /// Path relative to the source.
    pub file_url: String,
    /// Name of the feed.
    pub feed: String,
    /// The store that the file's name gives.
    pub store_id: Option<String>,
    /// The business day that the file's name gives.
    pub business_date: Option<Date>,
    /// Number of the version.
    pub version_id: i64,
    /// The submission that the version was reported by; greater means newer.
    pub submission_id: i64,
    /// When that was.
    pub submitted: Timestamp,
    /// When the file was last written, by its own account, in nanoseconds since 1970.
    pub modified_ns: i64,
    /// The version.
    #[serde(flatten)]
    pub version: VersionRecord,
}

impl InputFile {
    /// Which of two files that hold the same store and day is the newer: the one written later, and among equals the one
    /// submitted later. The order of submission alone does not tell, because a backlog is taken in no order.
    pub fn age(&self) -> impl Ord + Copy + use<> {
        (self.modified_ns, self.submission_id)
    }
}

/// A run that the caller has taken from the queue, and must bring to an end.
#[derive(Debug, Clone, PartialEq)]
pub struct ClaimedRun {
    /// Name of the run.
    pub run_id: String,
    /// The job.
    pub job_id: String,
    /// The business day.
    pub wave: Option<Date>,
    /// Its place in the order of loads.
    pub sequence: i64,
    /// How often it has been claimed, this time included.
    pub attempts: u32,
    /// Whether files are missing that the job asks for.
    pub incomplete: bool,
    /// What it reads, ordered by path.
    pub inputs: Vec<InputFile>,
}

/// The summary of a run, in the lake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SummaryRecord {
    /// Lake path of the summary.
    pub object: String,
    /// Lake path of the list of (store, date) that the run's inputs cover.
    pub coverage_object: Option<String>,
    /// Rows in the summary.
    pub rows: u64,
    /// Digest of the summary.
    pub digest: String,
}

/// What a load did in the warehouse, in rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RowChanges {
    /// Rows that were not there.
    pub inserted: u64,
    /// Rows that were there with other amounts.
    pub updated: u64,
    /// Rows that the summary no longer has.
    pub deleted: u64,
    /// Rows that were right already.
    pub unchanged: u64,
}

/// How a run ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunResult {
    /// In which way.
    pub outcome: RunOutcome,
    /// What the load did; `None` where that is no longer known (a load found in the ledger after a crash).
    pub changes: Option<RowChanges>,
}

/// A run as it stands in the database.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunRow {
    /// Name of the run.
    pub run_id: String,
    /// The job.
    pub job_id: String,
    /// The business day.
    pub wave: Option<Date>,
    /// Its place in the order of loads.
    pub sequence: i64,
    /// Where it stands.
    pub state: RunState,
    /// Why it was queued.
    pub cause: Cause,
    /// Whether files were missing that the job asks for.
    pub incomplete: bool,
    /// How many of those files were there, in percent.
    pub completeness_percent: Option<f64>,
    /// Names its set of file versions, and where it matters their order.
    pub inputs_digest: String,
    /// The newest submission when its inputs were chosen.
    pub as_of_submission: i64,
    /// How often it has been claimed.
    pub attempts: u32,
    /// The process that works on it.
    pub owner: Option<String>,
    /// When it was queued.
    pub queued: Timestamp,
    /// When it was last claimed.
    pub started: Option<Timestamp>,
    /// When its owner last gave a sign of life.
    pub heartbeat: Option<Timestamp>,
    /// When it was completed or failed.
    pub finished: Option<Timestamp>,
    /// Its summary, once made.
    pub summary: Option<SummaryRecord>,
    /// What its load did.
    pub changes: Option<RowChanges>,
    /// How it was completed.
    pub outcome: Option<RunOutcome>,
    /// Why it failed.
    pub error: Option<String>,
}

/// Which runs to list. The default lists all.
#[derive(Debug, Clone, Default)]
pub struct RunFilter {
    /// Only runs of this job.
    pub job_id: Option<String>,
    /// Only runs in this state.
    pub state: Option<RunState>,
    /// At most so many, the newest ones.
    pub limit: Option<u32>,
}
