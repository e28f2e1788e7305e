//! How far the work on a file has come, and its outcome.

use gristmill_engine::ConversionReport;
use gristmill_state::{Role, SubmissionOutcome, VersionRecord};

use super::reading::{Files, Listed, Read};
use super::retry::StepError;

/// The outcome of reading a file.
pub(super) enum Outcome {
    /// There is something to record.
    Recorded(Box<SubmissionOutcome>),
    /// The file no longer exists.
    Gone,
    /// The file is no longer the one that arrived.
    Changed,
    /// There was doubt about the file, but its bytes are those of its newest submission.
    Same,
    /// The file system does not answer.
    Unanswered,
    /// The pipeline stops, and does not wait for the rest of it.
    Stopped,
    /// The file is an archive, and is to be read as such.
    Archive,
    /// The file is an archive, and its members have been passed on to be recorded.
    Unpacked(Box<Unpacked>),
}

/// A conversion whose outputs are in the spool.
pub(super) struct Converted {
    pub(super) report: ConversionReport,
    pub(super) content_hash: String,
    pub(super) files: Files,
}

/// How far the work on a file of the group has come.
pub(super) enum Step {
    /// Its bytes have not been read.
    New,
    Hashed(String),
    Converted(Box<Converted>),
    /// The members of an archive are known.
    Listed(Box<Listed>),
    Done(Outcome),
}

pub(super) type Attempt = Result<Step, StepError>;

/// An archive all of whose members were recorded, or why it is rejected.
pub(super) struct Unpacked {
    pub(super) version: VersionRecord,
    pub(super) role: Role,
}

/// Goes on with what was read, or ends the work on the file.
pub(super) fn done_or<T>(read: Read<T>, step: impl FnOnce(T) -> Step) -> Step {
    match read {
        Read::Whole(value) => step(value),
        Read::Gone => Step::Done(Outcome::Gone),
        Read::Changed => Step::Done(Outcome::Changed),
        Read::Unanswered => Step::Done(Outcome::Unanswered),
        Read::Stopped => Step::Done(Outcome::Stopped),
    }
}
