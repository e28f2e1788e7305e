//! Runs, from queueing to the load into the warehouse.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::file::VersionRecord;
use crate::order::Age;
use crate::text::words;

words! {
    /// The state of a run.
    RunState {
        /// Waits to be claimed.
        Queued = "QUEUED",
        /// Is in progress.
        Running = "RUNNING",
        /// Is done.
        Completed = "COMPLETED",
        /// Has failed; a person may retry it.
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
        /// A person requested it.
        Manual = "manual",
        /// A person retried a failed run.
        Retry = "retry",
        /// A person replayed earlier submissions, or retried a replay that failed.
        Replay = "replay",
    }
}

words! {
    /// How a completed run ended.
    RunOutcome {
        /// Its summary is in the warehouse.
        Loaded = "LOADED",
        /// Its inputs were those of the wave's last run, so there was nothing to do.
        Unchanged = "UNCHANGED",
        /// A newer run had already been loaded, so this one was not.
        Superseded = "SUPERSEDED",
    }
}

words! {
    /// What becomes of one store's day of a version in a run.
    DayEffect {
        /// It is not read.
        LeftOut = "LEFT_OUT",
        /// It is read.
        Counts = "COUNTS",
        /// It is read, and added to what newer files hold of the day.
        Added = "ADDED",
        /// It is not read, but the run covers the day: the warehouse loses its rows.
        Emptied = "EMPTIED",
    }
}

/// What of a version counts in a run: all its days, all but some, or only some.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputDays {
    /// Whether the days that are not named count.
    pub others_count: bool,
    /// The days that are named, ordered by store and day.
    pub named: Vec<InputDay>,
}

/// One store's day of a version, and what becomes of it in a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputDay {
    /// The store.
    pub store_id: String,
    /// The business day.
    pub trans_date: Date,
    /// What becomes of it.
    pub effect: DayEffect,
}

impl Default for InputDays {
    fn default() -> Self {
        Self {
            others_count: true,
            named: Vec::new(),
        }
    }
}

impl InputDays {
    /// Returns whether all days count.
    pub fn is_all(&self) -> bool {
        self.others_count && self.named.is_empty()
    }

    /// Returns whether no row of the version is read.
    pub fn is_unread(&self) -> bool {
        let is_unread = |day: &InputDay| matches!(day.effect, DayEffect::LeftOut | DayEffect::Emptied);
        !self.others_count && self.named.iter().all(is_unread)
    }
}

/// A file version that a run is to read. A run may read several versions of a file, each for other days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunInput {
    /// Id of the file.
    pub file_id: i64,
    /// Id of the version.
    pub version_id: i64,
    /// The submission of the version.
    pub submission_id: i64,
    /// What of it counts.
    pub days: InputDays,
}

/// A run to queue.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRun {
    /// The job.
    pub job_id: String,
    /// The business day, for jobs that run by day.
    pub wave: Option<Date>,
    /// Why it is queued.
    pub cause: Cause,
    /// What it reads.
    pub inputs: Vec<RunInput>,
    /// Whether its result depends on the order of the inputs (their [`Age`]), not only on their bytes.
    pub order_matters: bool,
    /// Whether files that the job requires are missing.
    pub incomplete: bool,
    /// The share of those files that are there, in percent; `None` for a replay, which requires none.
    pub completeness_percent: Option<f64>,
    /// The newest submission when the inputs were chosen.
    pub as_of_submission: i64,
}

/// The result of a request to queue a run. Each variant holds the name of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Enqueued {
    /// The run was queued, and waits to be claimed.
    Queued(String),
    /// Nothing was queued: this run of the same job and wave is queued or running.
    Active(String),
    /// The wave's last run had the same inputs, so this new run was completed at once without work.
    Unchanged(String),
}

/// One file of a run, in the version that the run reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputFile {
    /// Id of the file.
    pub file_id: i64,
    /// Path relative to the source.
    pub file_url: String,
    /// Name of the feed.
    pub feed: String,
    /// The store in the file's name.
    pub store_id: Option<String>,
    /// The business day in the file's name.
    pub business_date: Option<Date>,
    /// Id of the version.
    pub version_id: i64,
    /// The submission of the version; greater means newer.
    pub submission_id: i64,
    /// When it was submitted.
    pub submitted: Timestamp,
    /// Its place in the order of files that hold the same store and day.
    pub age: Age,
    /// What of it counts.
    pub days: InputDays,
    /// The version.
    #[serde(flatten)]
    pub version: VersionRecord,
}

impl InputFile {
    /// Returns what identifies it among a run's inputs.
    pub(crate) fn as_input(&self) -> RunInput {
        RunInput {
            file_id: self.file_id,
            version_id: self.version_id,
            submission_id: self.submission_id,
            days: self.days.clone(),
        }
    }
}

/// A store's day that the files of two jobs hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayOfOther {
    /// The store.
    pub store_id: String,
    /// The business day.
    pub trans_date: Date,
    /// The file of this job.
    pub file_url: String,
    /// The job that loaded the day last.
    pub other_job: String,
    /// The file that it loaded.
    pub other_file: String,
    /// Whether that file is the newer one: then this job leaves the day alone. Otherwise it takes the day over.
    pub is_newer: bool,
}

/// A run that the caller has claimed from the queue and must complete, fail or requeue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClaimedRun {
    /// Name of the run.
    pub run_id: String,
    /// The job.
    pub job_id: String,
    /// The business day.
    pub wave: Option<Date>,
    /// Its place in the order of loads.
    pub sequence: i64,
    /// How often it has been claimed, including this time.
    pub attempts: u32,
    /// Whether files that the job requires are missing.
    pub incomplete: bool,
    /// What it reads, ordered by path.
    pub inputs: Vec<InputFile>,
    /// The days that its files have in common with those that other jobs loaded.
    pub days_of_others: Vec<DayOfOther>,
}

/// The summary of a run, in the lake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SummaryRecord {
    /// Lake path of the summary.
    pub object: String,
    /// Lake path of the list of (store, date) pairs that the run's inputs cover.
    pub coverage_object: Option<String>,
    /// Rows in the summary.
    pub rows: u64,
    /// Digest of the summary.
    pub digest: String,
}

/// What a load changed in the warehouse, in rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowChanges {
    /// Rows that were not there.
    pub inserted: u64,
    /// Rows that were there with other amounts.
    pub updated: u64,
    /// Rows that the summary no longer has.
    pub deleted: u64,
    /// Rows that were already right.
    pub unchanged: u64,
}

/// The result of a completed run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunResult {
    /// How it ended.
    pub outcome: RunOutcome,
    /// What the load changed; `None` if that is no longer known, as for a load found in the ledger after a crash.
    pub changes: Option<RowChanges>,
}

/// A run as stored in the database.
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
    /// Its state.
    pub state: RunState,
    /// Why it was queued.
    pub cause: Cause,
    /// Whether files that the job requires were missing.
    pub incomplete: bool,
    /// The share of those files that were there, in percent.
    pub completeness_percent: Option<f64>,
    /// Digest of its file versions, and of their order where that matters.
    pub inputs_digest: String,
    /// The newest submission when its inputs were chosen.
    pub as_of_submission: i64,
    /// How often it has been claimed.
    pub attempts: u32,
    /// The process that last claimed it.
    pub owner: Option<String>,
    /// When it was queued.
    pub queued: Timestamp,
    /// When it was last claimed.
    pub started: Option<Timestamp>,
    /// When its owner last reported that it is still working on the run.
    pub heartbeat: Option<Timestamp>,
    /// When its summary was recorded: it merged before, and loads since. Not part of what `--json` prints.
    #[serde(skip)]
    pub summarized: Option<Timestamp>,
    /// When it was completed or failed.
    pub finished: Option<Timestamp>,
    /// Its summary, once there is one.
    pub summary: Option<SummaryRecord>,
    /// What its load changed.
    pub changes: Option<RowChanges>,
    /// How it was completed.
    pub outcome: Option<RunOutcome>,
    /// When the warehouse was found to lack what it loaded.
    pub lost: Option<Timestamp>,
    /// Why it failed.
    pub error: Option<String>,
    /// The operation of a cluster that merges for it, or has merged: `SESSION:OPERATION`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_operation: Option<String>,
}

/// A run that is in progress, or was when its process died.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterruptedRun {
    /// Name of the run.
    pub run_id: String,
    /// How often it has been claimed.
    pub attempts: u32,
}

/// Which runs to list. The default lists all.
#[derive(Debug, Clone, Default)]
pub struct RunFilter {
    /// Only runs of this job.
    pub job_id: Option<String>,
    /// Only runs in this state.
    pub state: Option<RunState>,
    /// Only runs that ended so.
    pub outcome: Option<RunOutcome>,
    /// Only runs queued at this time or later.
    pub since: Option<Timestamp>,
    /// Only runs that left their wave open, or lacked some of its stores.
    pub incomplete: bool,
    /// At most this many, the newest first.
    pub limit: Option<u32>,
}
