//! What is measured over everything that the state database knows, for metrics.

use jiff::Timestamp;

use crate::run::RowChanges;
use crate::waiting::WaitKind;

/// The upper bounds of the ranges of all histograms, in seconds.
pub const BOUNDS: [f64; 14] = [
    0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0, 21_600.0,
];

/// Counts and durations of everything that is known, read in one transaction. Words are as they stand in the database.
#[derive(Debug, Clone, PartialEq)]
pub struct Measures {
    /// How many files of each feed have each status.
    pub files: Vec<(String, String, u64)>,
    /// What was converted of each feed.
    pub converted: Vec<Converted>,
    /// How many submissions came to each outcome.
    pub submissions: Vec<(String, u64)>,
    /// How many runs are in each state, by why they were queued and how they ended.
    pub runs: Vec<CountedRuns>,
    /// What all loads changed.
    pub changes: RowChanges,
    /// How long runs took from their last start to their end, apart from those that had nothing to do.
    pub run_seconds: Histogram,
    /// How long loaded runs merged.
    pub merge_seconds: Histogram,
    /// How long loaded runs loaded.
    pub load_seconds: Histogram,
    /// How long it took from the newest submission that a loaded run read to its end.
    pub lag_seconds: Histogram,
    /// Every job.
    pub jobs: Vec<MeasuredJob>,
    /// How many things wait for an outage to end.
    pub waiting: Vec<(WaitKind, u64)>,
    /// How often they were tried in vain.
    pub failures: u64,
    /// How many files, or days of files, are held.
    pub held: u64,
    /// How many files no feed matches.
    pub unmatched: u64,
    /// How many events about runs are still to be sent.
    pub lineage_pending: u64,
    /// How many were dropped.
    pub lineage_dropped: u64,
}

/// What was converted of a feed: sums over all versions of its files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Converted {
    /// Name of the feed.
    pub feed: String,
    /// How many versions.
    pub versions: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Lines that became rows.
    pub rows: u64,
    /// Lines with a code that is not asked for.
    pub ignored: u64,
    /// Blank lines, comments and headers.
    pub skipped: u64,
    /// Lines that failed validation.
    pub rejects: u64,
}

/// How many runs of one kind there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountedRuns {
    /// Their state.
    pub state: String,
    /// Why they were queued.
    pub cause: String,
    /// How they ended; empty if they have not completed.
    pub outcome: String,
    /// How many.
    pub runs: u64,
}

/// What is measured of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeasuredJob {
    /// Its id.
    pub job_id: String,
    /// Whether its last run failed.
    pub is_failed: bool,
    /// When its last complete run ended whose result is in the warehouse.
    pub last_complete: Option<Timestamp>,
}

/// How many durations lie in each of the ranges that [`BOUNDS`] separate. The last one has no upper bound.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Histogram {
    /// How many in each range alone.
    pub counts: [u64; BOUNDS.len() + 1],
    /// The sum of all, in seconds.
    pub sum: f64,
}

impl Histogram {
    /// Adds durations that are no longer than `up_to`, and `seconds` in sum.
    pub fn add(&mut self, up_to: f64, durations: u64, seconds: f64) {
        let range = BOUNDS.iter().position(|bound| up_to <= *bound);
        self.counts[range.unwrap_or(BOUNDS.len())] += durations;
        self.sum += seconds;
    }

    /// Adds one duration, in seconds.
    pub fn observe(&mut self, seconds: f64) {
        self.add(seconds, 1, seconds);
    }
}
