//! What is measured over everything that the state database knows, for metrics.

use jiff::Timestamp;

use crate::file::FileStatus;
use crate::page::Outcome;
use crate::run::{Cause, RowChanges, RunOutcome, RunState};
use crate::waiting::WaitKind;

/// The upper bounds of the buckets of all histograms, in seconds.
pub const BOUNDS: [f64; 14] = [
    0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0, 21_600.0,
];

/// Counts and durations of everything that is known, read in one transaction.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Measures {
    /// How many files of each feed have each status.
    pub files: Vec<(String, FileStatus, u64)>,
    /// What was converted of each feed.
    pub converted: Vec<Converted>,
    /// How many submissions came to each outcome.
    pub submissions: Vec<(Outcome, u64)>,
    /// How many runs are in each state, by why they were queued and how they ended.
    pub runs: Vec<(RunState, Cause, Option<RunOutcome>, u64)>,
    /// What all loads changed.
    pub changes: Option<RowChanges>,
    /// How long completed runs took from their last start to their end.
    pub run_seconds: Histogram,
    /// How long loaded runs merged.
    pub merge_seconds: Histogram,
    /// How long loaded runs loaded.
    pub load_seconds: Histogram,
    /// How long it took from the newest submission that a loaded run knew of to its end.
    pub lag_seconds: Histogram,
    /// For each job, when its last complete run ended whose result is in the warehouse.
    pub last_complete: Vec<(String, Timestamp)>,
    /// How many things wait for an outage to end.
    pub waiting: Vec<(WaitKind, u64)>,
    /// How often they were tried in vain.
    pub failures: u64,
    /// How many files, or days of files, are held.
    pub held: u64,
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
    /// Lines read: the sum of the four that follow.
    pub lines: u64,
    /// Lines that became rows.
    pub rows: u64,
    /// Lines with a code that is not asked for.
    pub ignored: u64,
    /// Blank lines, comments and headers.
    pub skipped: u64,
    /// Lines that failed validation.
    pub rejects: u64,
}

/// How many durations lie in each of the buckets that [`BOUNDS`] separate. The last bucket has no upper bound.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Histogram {
    /// How many in each bucket alone.
    pub counts: [u64; BOUNDS.len() + 1],
    /// The sum of all, in seconds.
    pub sum: f64,
}
