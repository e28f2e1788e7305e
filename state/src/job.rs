//! Jobs as people configure them.

use jiff::Timestamp;
use serde::Serialize;

use crate::damage::Damage;
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
    /// The status of a job's last run, in the words of the reference.
    ExecStatus {
        /// It is in progress.
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
    /// A SELECT on the state database that must return a row before the job runs.
    pub addl_criteria: Option<String>,
    /// The other preconditions, as JSON text that this crate stores but does not interpret.
    pub params: String,
    /// Whether it runs at all.
    pub enabled: bool,
}

/// A job as stored in the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JobRow {
    /// Its current configuration.
    #[serde(flatten)]
    pub config: JobConfig,
    /// The status of its last run.
    pub last_exec_status: Option<ExecStatus>,
    /// When its last run began.
    pub last_run: Option<Timestamp>,
    /// Its last run.
    pub last_run_id: Option<String>,
    /// What is impossible in its row, if anything: until that is corrected, the job waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub damage: Option<Damage>,
}
