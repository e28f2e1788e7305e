//! The facts that a decision about a job rests on, all as of one moment.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::civil::Date;

use crate::damage::Damage;
use crate::file::FileStatus;
use crate::guard::Standing;
use crate::ledger::LedgerNews;
use crate::run::{RunRow, RunState};

/// What a decision asks for.
#[derive(Debug, Clone)]
pub struct Question<'q> {
    /// The job.
    pub job_id: &'q str,
    /// The waves to decide about.
    pub waves: Waves,
    /// Whether the job has a wave for each day.
    pub is_dated: bool,
    /// Whether the stores of earlier waves are expected in later ones: the job lists none.
    pub expects_earlier_stores: bool,
    /// The patterns in its `requires`.
    pub requires: Vec<&'q str>,
    /// The jobs in its `after`.
    pub after: Vec<&'q str>,
    /// Whether to add the files of this feed that no job takes: they may be told beside the job's own.
    pub strays_of_feed: Option<&'q str>,
}

/// Some of a job's waves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waves {
    /// All of them.
    All,
    /// The newest one up to this day, and those after it.
    NewestAt(Date),
    /// These; the one without a day is `None`.
    These(BTreeSet<Option<Date>>),
}

/// Everything that a decision about one job needs, read in one transaction.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The files of the waves that were asked for, ordered by path, and the strays.
    pub files: Vec<FileFact>,
    /// The days of these files for which not simply the version in force counts, and days that other files give beside
    /// them or in place of them. Ordered by file.
    pub days: Vec<DayFact>,
    /// Of the files in force that match each required pattern, the newest of each day in their names; if the job is not
    /// dated, the newest of all.
    pub required: Vec<FileFact>,
    /// The first day on which each store of a dated job was seen, in any wave; empty if not asked for.
    pub first_days: BTreeMap<String, Date>,
    /// The newest runs of these waves; the key is `None` for a job that does not run by day.
    pub waves: BTreeMap<Option<Date>, WaveRuns>,
    /// The newest completion of each job to follow: of each wave that was asked for, or of any if the job is not dated.
    pub completions: Vec<Completion>,
    /// The runs of the jobs to follow that are queued or running.
    pub active_elsewhere: Vec<ActiveRun>,
    /// The newest submission of any file; 0 before the first one.
    pub newest_submission: i64,
    /// Where the warehouse's ledger disagrees about the job.
    pub ledger: LedgerNews,
    /// Those of the waves that are open, with the revision at which each was last touched.
    pub open: BTreeMap<Option<Date>, i64>,
    /// The rows among these that hold impossible values, and were left out. Some are about other jobs and files.
    pub damages: Vec<Damage>,
}

impl Facts {
    /// Returns the days of a file.
    pub fn days_of(&self, file_id: i64) -> &[DayFact] {
        // They are ordered by file.
        let from = self.days.partition_point(|day| day.file_id < file_id);
        let days = &self.days[from..];
        &days[..days.partition_point(|day| day.file_id == file_id)]
    }
}

/// The waves that were touched since a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touched {
    /// The job and the day of each.
    pub waves: Vec<(String, Option<Date>)>,
    /// The revision of this moment.
    pub revision: i64,
    /// The edition of the jobs at this moment.
    pub edition: i64,
}

/// A wave that may have to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenWave {
    /// The job.
    pub job_id: String,
    /// The business day.
    pub wave: Option<Date>,
    /// The revision at which it was last touched.
    pub touched: i64,
}

/// What a decision needs to know about a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileFact {
    /// Id of the file.
    pub file_id: i64,
    /// Path relative to the source.
    pub file_url: String,
    /// Name of the feed.
    pub feed: String,
    /// The outcome of its newest submission.
    pub status: FileStatus,
    /// The store in the file's name.
    pub store_id: Option<String>,
    /// The business day in the file's name.
    pub business_date: Option<Date>,
    /// Its version in force.
    pub in_force: Option<InForce>,
    /// Why its newest submission is held, was rejected or failed.
    pub last_error: Option<String>,
}

/// What a version of a file has to do with one store and day, if there is more to it than that it is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayFact {
    /// Id of the file.
    pub file_id: i64,
    /// Id of the version.
    pub version_id: i64,
    /// The store.
    pub store_id: String,
    /// The business day.
    pub trans_date: Date,
    /// Whether it counts.
    pub standing: Standing,
    /// The submission that made it so.
    pub since_submission: i64,
    /// Why it is held.
    pub reason: Option<String>,
    /// The file that has the same store and day.
    pub other_file_id: Option<i64>,
}

/// The version of a file that is in force, and how fresh it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InForce {
    /// Id of the version.
    pub version_id: i64,
    /// The newest submission of this version. A file is newer than a run if this is greater than the run's
    /// `as_of_submission`.
    pub submission_id: i64,
    /// When that was submitted.
    pub submitted: Timestamp,
    /// When it was last found valid.
    pub validated: Timestamp,
    /// Digest of the layout that it was converted with.
    pub layout_digest: String,
    /// Size of the file.
    pub bytes: u64,
    /// Rows of the file.
    pub rows: u64,
    /// Whether the lake lost its partial, which has to be made anew.
    pub is_partial_lost: bool,
}

/// The newest runs of one wave of a job.
#[derive(Debug, Clone, Default)]
pub struct WaveRuns {
    /// The run that is queued or running.
    pub active: Option<RunRow>,
    /// The last run that completed, not counting replays.
    pub completed: Option<RunRow>,
    /// The last run that completed with all the files that the job requires, not counting replays.
    pub complete: Option<RunRow>,
    /// The last run that failed.
    pub failed: Option<RunRow>,
}

impl WaveRuns {
    /// Returns the wave's last run that ended, whether it completed or failed.
    pub fn finished(&self) -> Option<&RunRow> {
        self.completed
            .iter()
            .chain(&self.failed)
            .max_by_key(|run| run.sequence)
    }
}

/// A run of another job that has not ended yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveRun {
    /// The job.
    pub job_id: String,
    /// The business day.
    pub wave: Option<Date>,
    /// The run.
    pub run_id: String,
    /// Its state: queued or running.
    pub state: RunState,
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
    /// Its place in the order of loads.
    pub sequence: i64,
    /// When it ended; for people, since the order of runs is that of their sequences.
    pub finished: Timestamp,
}
