//! What a decision about a job is taken on, all as of one moment.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;

use crate::file::FileStatus;
use crate::job::JobRow;
use crate::run::RunRow;

/// Everything that a decision about one job needs, read in one transaction.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The job as it is configured now.
    pub job: JobRow,
    /// All files of all feeds, ordered by path: a job may require files of other feeds.
    pub files: Vec<FileFact>,
    /// The job's runs by wave; `None` is the wave of jobs that are not judged by day.
    pub waves: BTreeMap<Option<Date>, WaveRuns>,
    /// The newest completion of each wave of every other job.
    pub completions: Vec<Completion>,
    /// The newest submission of all; 0 before the first one.
    pub newest_submission: i64,
}

/// A file as a decision sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileFact {
    /// Number of the file.
    pub file_id: i64,
    /// Path relative to the source.
    pub file_url: String,
    /// Name of the feed.
    pub feed: String,
    /// What its newest submission led to.
    pub status: FileStatus,
    /// The store that the file's name gives.
    pub store_id: Option<String>,
    /// The business day that the file's name gives.
    pub business_date: Option<Date>,
    /// What counts of it.
    pub in_force: Option<InForce>,
}

/// The version of a file that counts, and how fresh it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InForce {
    /// Number of the version.
    pub version_id: i64,
    /// The newest submission that reported it. A file is newer than a run if this is greater than the run's
    /// `as_of_submission`.
    pub submission_id: i64,
    /// When that was submitted.
    pub submitted: Timestamp,
    /// When it was last found valid.
    pub validated: Timestamp,
    /// Digest of the feed's layout that it was converted with.
    pub layout_digest: String,
    /// Size of the file.
    pub bytes: u64,
    /// Rows of the file.
    pub rows: u64,
}

/// The newest runs of one wave of a job.
#[derive(Debug, Clone, Default)]
pub struct WaveRuns {
    /// The one that waits or works.
    pub active: Option<RunRow>,
    /// The last that completed, replays apart.
    pub completed: Option<RunRow>,
    /// The last that completed with all files that the job asks for, replays apart.
    pub complete: Option<RunRow>,
    /// The last that failed.
    pub failed: Option<RunRow>,
}

impl WaveRuns {
    /// Returns the wave's last run that came to an end, well or not.
    pub fn finished(&self) -> Option<&RunRow> {
        self.completed
            .iter()
            .chain(&self.failed)
            .max_by_key(|run| run.sequence)
    }
}

/// The newest completed run of one wave of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// The job.
    pub job_id: String,
    /// The business day.
    pub wave: Option<Date>,
    /// The run.
    pub run_id: String,
    /// Its place in the order of runs.
    pub sequence: i64,
    /// When it ended.
    pub finished: Timestamp,
}
