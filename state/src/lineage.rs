//! What is to be told of runs, to whoever asks in the settings.

use jiff::Timestamp;

use crate::text::words;

words! {
    /// What happened to a run, by OpenLineage's words.
    LineageKind {
        /// It began.
        Start = "START",
        /// It completed.
        Complete = "COMPLETE",
        /// It failed.
        Fail = "FAIL",
    }
}

/// Something that happened to a run and is still to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineageEvent {
    /// Its place in the order of events.
    pub event_id: i64,
    /// Name of the run.
    pub run_id: String,
    /// What happened.
    pub kind: LineageKind,
    /// When.
    pub at: Timestamp,
}
