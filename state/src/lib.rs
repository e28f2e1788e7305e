//! The state database: which files are in force, which jobs exist, which runs wait, work or are done.
//!
//! It is the memory of the service and the truth that runs read. People read it with plain `sqlite3`, and edit the
//! jobs in it while the service runs: everything here is therefore read afresh for each decision, and nothing is cached.
//!
//! [`StateDb`] is the door. What goes in and comes out lies in the modules `file`, `job`, `run` and `facts`; those types
//! know nothing of SQL. The SQL, and the rules that must hold in one transaction, lie in `sqlite`.

mod clock;
mod digest;
mod error;
mod facts;
mod file;
mod job;
mod lock;
mod run;
mod sqlite;
mod text;

pub use clock::{Clock, SystemClock, TestClock};
pub use error::{CriterionError, StateError};
pub use facts::{Completion, Facts, FileFact, InForce, WaveRuns};
pub use file::{
    FileFilter, FileRow, FileStatus, FileToPutAway, Stamp, SubmissionOutcome, SubmissionRecord,
    ValidSubmission, VersionRecord, VersionRow,
};
pub use job::{ExecStatus, JobConfig, JobRow, Trigger};
pub use lock::ServiceLock;
pub use run::{
    Cause, ClaimedRun, Enqueued, InputFile, NewRun, RowChanges, RunFilter, RunInput, RunOutcome, RunResult,
    RunRow, RunState, SummaryRecord,
};
pub use sqlite::{Expiry, StateDb};
