//! What the service and a worker tell each other about a task, as JSON. Both are the same program with the same settings
//! ([`Settings::fingerprint`](crate::settings::Settings::fingerprint)), so these forms need not be kept.
//!
//! Only what a worker has done is believed. That something is missing or cannot be done may be so on its host alone: it then
//! answers `null`, and the service does the task itself.

use gristmill_engine::EngineError;
use gristmill_state::{
    ClaimedRun, RowChanges, Stamp, SubmissionOutcome, SummaryRecord, VersionDay, VersionRecord,
};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::pipeline::steps::Outcome;

/// A task.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::pipeline) enum Request {
    /// Convert these files. The answer is what was done of each, in their order: an optional [`FileDone`].
    Convert { files: Vec<FileToConvert> },
    /// Merge a run. The answer is [`MergeDone`].
    Merge(Box<ClaimedRun>),
    /// Load a summary. The answer is [`Loaded`].
    Load(Box<LoadToDo>),
}

/// A file that has arrived.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::pipeline) struct FileToConvert {
    pub(in crate::pipeline) path: String,
    pub(in crate::pipeline) stamp: Stamp,
}

#[derive(Debug, Serialize, Deserialize)]
pub(in crate::pipeline) enum FileDone {
    /// What came of it is in the lake, on disk.
    Converted {
        version: Box<VersionRecord>,
        days: Vec<VersionDay>,
    },
    /// The bytes are those of a known version.
    Unchanged {
        content_hash: String,
        layout_digest: String,
    },
}

#[derive(Debug, Serialize, Deserialize)]
pub(in crate::pipeline) enum MergeDone {
    /// The summary and its coverage are in the lake, on disk.
    Merged { rows: u64, covered: u64 },
    /// The sums of several files overflow together.
    Overflow {
        measure: String,
        store_id: String,
        item_id: String,
        trans_date: Date,
    },
}

/// A summary that is in the lake, on disk.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::pipeline) struct LoadToDo {
    pub(in crate::pipeline) run_id: String,
    pub(in crate::pipeline) scope: String,
    pub(in crate::pipeline) sequence: i64,
    pub(in crate::pipeline) summary: SummaryRecord,
    /// The run that was loaded before, and its summary.
    pub(in crate::pipeline) base: Option<(String, SummaryRecord)>,
}

/// What came of a load.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::pipeline) enum Loaded {
    /// The warehouse has the rows, and the ledger the run.
    Now(RowChanges),
    /// The ledger had the run already.
    Before,
    /// The ledger has a newer run, and nothing was changed.
    Superseded {
        /// That run.
        by: String,
    },
}

impl FileDone {
    /// Makes the answer about a file; `None` if there is nothing that counts on any host.
    pub(in crate::pipeline) fn of(outcome: Outcome) -> Option<Self> {
        let Outcome::Recorded(recorded) = outcome else {
            return None;
        };
        match *recorded {
            SubmissionOutcome::Converted(mut version) => {
                let days = std::mem::take(&mut version.days);
                let version = Box::new(version);
                Some(Self::Converted { version, days })
            }
            SubmissionOutcome::Unchanged {
                content_hash,
                layout_digest,
            } => Some(Self::Unchanged {
                content_hash,
                layout_digest,
            }),
            SubmissionOutcome::Failed { .. } => None,
        }
    }
}

impl From<FileDone> for Outcome {
    fn from(done: FileDone) -> Self {
        Self::Recorded(Box::new(match done {
            FileDone::Converted { mut version, days } => {
                version.days = days;
                SubmissionOutcome::Converted(*version)
            }
            FileDone::Unchanged {
                content_hash,
                layout_digest,
            } => SubmissionOutcome::Unchanged {
                content_hash,
                layout_digest,
            },
        }))
    }
}

impl MergeDone {
    /// Makes the answer about sums that overflow; `None` for any other error.
    pub(in crate::pipeline) fn overflow(error: EngineError) -> Option<Self> {
        match error {
            EngineError::Overflow {
                measure,
                store_id,
                item_id,
                trans_date,
            } => Some(Self::Overflow {
                measure,
                store_id,
                item_id,
                trans_date,
            }),
            _ => None,
        }
    }
}
