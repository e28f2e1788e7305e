//! Runs, and how long they took.

use gristmill_state::RunRow;
use jiff::SignedDuration;
use serde::Serialize;

/// A run, and how long it took.
#[derive(Debug, Serialize)]
pub(crate) struct ListedRun<'r> {
    #[serde(flatten)]
    pub(crate) run: &'r RunRow,
    pub(crate) duration_seconds: Option<f64>,
}

impl<'r> ListedRun<'r> {
    pub(crate) fn new(run: &'r RunRow) -> Self {
        Self {
            run,
            duration_seconds: took(run).map(|span| span.as_secs_f64()),
        }
    }
}

/// Returns how long a run took, from its last start to its end.
pub(crate) fn took(run: &RunRow) -> Option<SignedDuration> {
    Some(run.finished?.duration_since(run.started?))
}
