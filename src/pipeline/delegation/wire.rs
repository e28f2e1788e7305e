//! What the service and a worker tell each other about a task, as JSON. Both are the same program with the same settings
//! ([`Settings::fingerprint`](crate::settings::Settings::fingerprint)), so these forms need not be kept.

use anyhow::anyhow;
use gristmill_engine::{EngineError, SummaryReport};
use gristmill_state::{
    ClaimedRun, RowChanges, Stamp, SubmissionOutcome, SummaryRecord, VersionDay, VersionRecord,
};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::pipeline::faults::Hope;
use crate::pipeline::partials::LostPartials;
use crate::pipeline::retry::StepError;
use crate::pipeline::steps::Outcome;

/// A task.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::pipeline) enum Request {
    /// Convert these files. The answer is [`FilesDone`].
    Convert { files: Vec<FileToConvert> },
    /// Merge a run. The answer is [`MergeDone`].
    Merge(Box<ClaimedRun>),
    /// Load a summary. The answer is [`LoadDone`].
    Load(Box<LoadToDo>),
}

/// A file that has arrived.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::pipeline) struct FileToConvert {
    pub(in crate::pipeline) path: String,
    pub(in crate::pipeline) stamp: Stamp,
    pub(in crate::pipeline) is_doubted: bool,
}

/// What came of each file, in their order.
pub(in crate::pipeline) type FilesDone = Vec<Result<FileDone, TaskError>>;

#[derive(Debug, Serialize, Deserialize)]
pub(in crate::pipeline) enum FileDone {
    Converted {
        version: Box<VersionRecord>,
        days: Vec<VersionDay>,
    },
    Unchanged {
        content_hash: String,
        layout_digest: String,
    },
    Gone,
    Changed,
    Same,
    Unanswered,
    Archive,
}

#[derive(Debug, Serialize, Deserialize)]
pub(in crate::pipeline) enum MergeDone {
    /// The summary and its coverage are in the lake, on disk.
    Merged {
        rows: u64,
        covered: u64,
    },
    /// The sums of several files overflow together.
    Overflow {
        measure: String,
        store_id: String,
        item_id: String,
        trans_date: Date,
    },
    /// The lake has lost these partials.
    LostPartials(Vec<String>),
    Failed(TaskError),
}

#[derive(Debug, Serialize, Deserialize)]
pub(in crate::pipeline) struct LoadToDo {
    pub(in crate::pipeline) run_id: String,
    pub(in crate::pipeline) scope: String,
    pub(in crate::pipeline) sequence: i64,
    pub(in crate::pipeline) summary: SummaryRecord,
    /// The run that was loaded before, and its summary.
    pub(in crate::pipeline) base: Option<(String, SummaryRecord)>,
}

pub(in crate::pipeline) type LoadDone = Result<Loaded, TaskError>;

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

/// A [`StepError`] of a worker.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::pipeline) struct TaskError {
    message: String,
    hope: Hope,
    is_of_room: bool,
    is_of_group: bool,
}

impl From<&StepError> for TaskError {
    fn from(error: &StepError) -> Self {
        let (hope, is_of_room, is_of_group) = error.nature();
        Self {
            message: error.to_string(),
            hope,
            is_of_room,
            is_of_group,
        }
    }
}

impl From<TaskError> for StepError {
    fn from(error: TaskError) -> Self {
        let nature = (error.hope, error.is_of_room, error.is_of_group);
        Self::of_worker(anyhow!(error.message), nature)
    }
}

impl FileDone {
    /// Makes the answer about a file; `None` if the worker was stopped before it was done.
    pub(in crate::pipeline) fn of(outcome: Outcome) -> Option<Self> {
        Some(match outcome {
            Outcome::Recorded(recorded) => match *recorded {
                SubmissionOutcome::Converted(mut version) => {
                    let days = std::mem::take(&mut version.days);
                    Self::Converted {
                        version: Box::new(version),
                        days,
                    }
                }
                SubmissionOutcome::Unchanged {
                    content_hash,
                    layout_digest,
                } => Self::Unchanged {
                    content_hash,
                    layout_digest,
                },
                // The failure of a conversion is an error.
                SubmissionOutcome::Failed { .. } => return None,
            },
            Outcome::Gone => Self::Gone,
            Outcome::Changed => Self::Changed,
            Outcome::Same => Self::Same,
            Outcome::Unanswered => Self::Unanswered,
            Outcome::Archive => Self::Archive,
            // Archives are not handed out.
            Outcome::Stopped | Outcome::Unpacked(_) => return None,
        })
    }
}

impl From<FileDone> for Outcome {
    fn from(done: FileDone) -> Self {
        match done {
            FileDone::Converted { mut version, days } => {
                version.days = days;
                Self::Recorded(Box::new(SubmissionOutcome::Converted(*version)))
            }
            FileDone::Unchanged {
                content_hash,
                layout_digest,
            } => Self::Recorded(Box::new(SubmissionOutcome::Unchanged {
                content_hash,
                layout_digest,
            })),
            FileDone::Gone => Self::Gone,
            FileDone::Changed => Self::Changed,
            FileDone::Same => Self::Same,
            FileDone::Unanswered => Self::Unanswered,
            FileDone::Archive => Self::Archive,
        }
    }
}

impl MergeDone {
    pub(in crate::pipeline) fn merged(report: &SummaryReport) -> Self {
        Self::Merged {
            rows: report.rows,
            covered: report.covered,
        }
    }

    /// Makes the answer about sums that overflow.
    pub(in crate::pipeline) fn overflow(error: EngineError) -> Self {
        match error {
            EngineError::Overflow {
                measure,
                store_id,
                item_id,
                trans_date,
            } => Self::Overflow {
                measure,
                store_id,
                item_id,
                trans_date,
            },
            other => Self::failed(&other.into()),
        }
    }

    pub(in crate::pipeline) fn failed(error: &StepError) -> Self {
        match LostPartials::of(error) {
            Some(lost) => Self::LostPartials(lost.objects().to_vec()),
            None => Self::Failed(error.into()),
        }
    }
}
