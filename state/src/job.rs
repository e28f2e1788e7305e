//! Jobs as people configure them.

use jiff::Timestamp;
use serde::Serialize;

use crate::text::words;

words! {
    /// How much must be new before a job runs again.
    Trigger {
        /// Every matching file.
        All = "all",
        /// Any matching file.
        Any = "any",
    }
}

words! {
    /// How the last run of a job stands, in the words of the reference.
    ExecStatus {
        /// It is going.
        Running = "RUNNING",
        /// It is done.
        Completed = "COMPLETED",
        /// It failed.
        Failed = "FAILED",
    }
}

/// A job's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JobConfig {
    /// Name of the job.
    pub id: String,
    /// The feed whose files it aggregates.
    pub feed: String,
    /// Pattern of its files.
    pub files: String,
    /// How many matching files must be valid.
    pub min_files: u32,
    /// How much must be new.
    pub trigger: Trigger,
    /// A SELECT on the state database that must return a row.
    pub addl_criteria: Option<String>,
    /// The other preconditions, as JSON text that this crate only keeps.
    pub params: String,
    /// Whether it runs at all.
    pub enabled: bool,
}

/// A job as it stands in the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JobRow {
    /// Its configuration now.
    #[serde(flatten)]
    pub config: JobConfig,
    /// How its last run stands.
    pub last_exec_status: Option<ExecStatus>,
    /// When its last run began.
    pub last_run: Option<Timestamp>,
    /// Its last run.
    pub last_run_id: Option<String>,
}
