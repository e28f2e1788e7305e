//! The history of jobs: who changed which configuration, when, and what it was before.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::text::words;

words! {
    /// What an edit did to a job.
    EditAction {
        /// The job is new.
        Added = "added",
        /// Its configuration changed.
        Changed = "changed",
        /// It is gone.
        Removed = "removed",
    }
}

/// One change of a job's configuration.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JobEdit {
    /// Its number; greater means later.
    pub edit_id: i64,
    /// When it was made.
    pub at: Timestamp,
    /// The user and the command, or `SQL` for an edit by other means.
    pub who: String,
    /// What it did.
    pub action: EditAction,
    /// The job.
    pub job_id: String,
    /// The configuration before, by key; `None` if the job is new. `params` is JSON as text.
    pub before: Option<Map<String, Value>>,
    /// The configuration after; `None` if the job is gone.
    pub after: Option<Map<String, Value>>,
}
