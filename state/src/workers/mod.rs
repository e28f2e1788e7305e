//! Workers: processes that do for the service what takes time.
//!
//! The service alone watches, judges and writes the rules' tables. What takes time, it hands out as tasks, where the state
//! database is on a server: rows that a worker claims, does and answers ([`Tasks`] is the service's side, [`Worker`] the
//! other). So nothing has to be merged afterwards, and who was taken for dead changes nothing: a task belongs to the number
//! of the service that handed it out, a claim to one start of a worker, and each step is one statement that
//! changes its row only as long as that holds.
//!
//! A task is safe to do twice, or for nothing. So its tables are not logged, and no commit of them waits for the disk.

mod bell;
mod link;
mod sql;
mod tasks;
#[cfg(test)]
mod tests;
mod worker;

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

pub(crate) use self::tasks::workers_on;
pub use self::tasks::{TaskId, TaskState, Tasks};
pub use self::worker::{Claimed, Worker};
use crate::text::words;

/// The channels of Postgres that migration 34 notifies.
const TASKS: &str = "gristmill_tasks";
const ANSWERS: &str = "gristmill_answers";

/// How long a worker's lease runs after it was taken or renewed.
const TTL: Duration = Duration::from_secs(30);

words! {
    /// Which tasks a worker takes.
    WorkerRole {
        /// Conversions of files.
        Convert = "convert",
        /// Merges of partials, and loads of summaries.
        Load = "load",
    }
}

/// A worker whose lease runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WorkerRow {
    /// Names this start of the process.
    pub worker_id: String,
    /// Which tasks it takes: a word of [`WorkerRole`], or one that this program does not know.
    pub role: String,
    /// The fingerprint of its program and settings. It takes only tasks that have the same.
    #[serde(skip)]
    pub settings: String,
    /// The most tasks that it has at a time: some of them wait for a core.
    pub at_once: u64,
    /// The host that it is on.
    pub host: String,
    /// The process.
    pub pid: u32,
    /// When it began, by the clock of the server.
    pub since: Timestamp,
    /// How many seconds ago it renewed its lease.
    pub lease_age: u64,
    /// How many tasks it has.
    pub tasks: u64,
}
