//! The state database: which files are in force, which jobs exist, and which runs are queued, running or done.
//!
//! It is the memory of the service, and the single source of truth for runs. It is a file of SQLite, or lies on a
//! server of Postgres. People read it with `sqlite3` or `psql`, and edit its jobs while the service runs. Every decision
//! therefore reads the database afresh; nothing is cached.
//!
//! [`StateDb`] is the entry point. The types it accepts and returns are in the modules `file`, `job`, `run` and
//! `facts`, and know nothing of SQL. The SQL, and the rules that must hold within one transaction, are in `database`, and
//! what differs between the databases is in `dialect`.

mod alert;
mod answerer;
mod clock;
mod damage;
mod database;
mod day;
mod dialect;
mod digest;
mod edit;
mod error;
mod facts;
mod file;
mod guard;
mod intervention;
mod job;
mod lease;
mod ledger;
mod lineage;
mod lock;
mod measures;
mod members;
mod order;
mod page;
mod query;
mod run;
mod service;
#[cfg(test)]
mod testing;
mod text;
mod waiting;
mod workers;

pub use alert::{
    AlertChanges, FailedWave, Firing, HeldFile, LastReport, NewNotice, Notice, NoticeKind, RejectedLines,
    Unloaded, Unsent,
};
pub use answerer::{Answerer, ReaderRole};
pub use clock::{Clock, SystemClock, TestClock};
pub use damage::Damage;
pub use database::{
    Changes, CopiedTable, Copying, Expiry, MOST_ROWS, ObjectsOf, StateDb, StateFile, TransferError,
    UNMATCHED, criterion, query,
};
pub use day::VersionDay;
pub use dialect::{DatabaseError, Place};
pub use edit::{EditAction, JobEdit};
pub use error::{CriterionError, MigrationError, QueryError, StateError};
pub use facts::{
    ActiveRun, Completion, DayFact, Facts, FileFact, InForce, OpenWave, Question, Touched, WaveRuns, Waves,
};
pub use file::{
    ARCHIVES, FileFilter, FileRow, FileStatus, FileToPutAway, KnownMember, KnownStamp, MemberPlace, Recorded,
    Role, Stamp, SubmissionOutcome, SubmissionRecord, UncountedVersion, UnmatchedFile, ValidSubmission,
    VersionRecord, VersionRow,
};
pub use guard::{Guards, Late, SameDay, SameJob, Standing};
pub use intervention::{Accepted, DayOfFile, HeldRow, Withdraw, Withdrawn};
pub use job::{ExecStatus, JobConfig, JobRow, Trigger};
pub use ledger::{LedgerLoad, LedgerNews};
pub use lineage::{LineageEvent, LineageKind};
pub use lock::{Holder, ServiceLock};
pub use measures::{BOUNDS, Converted, CountedRuns, Histogram, MeasuredJob, Measures};
pub use members::{AsksFor, Named, Taker, Takers};
pub use order::Age;
pub use page::{
    FileOfStore, FilePart, FirstReport, InterventionRow, LastSeen, Outcome, Report, StoreDay, SubmissionRow,
};
pub use query::{Answer, Cell, ViewRow};
pub use run::{
    Cause, ClaimedRun, DayEffect, DayOfOther, Enqueued, InputDay, InputDays, InputFile, InterruptedRun,
    NewRun, RowChanges, RunFilter, RunInput, RunOutcome, RunResult, RunRow, RunState, SummaryRecord,
};
pub use service::Service;
pub use waiting::{WaitKind, Waiting, WaitingFile};
pub use workers::{Claimed, TaskId, TaskState, Tasks, Worker, WorkerRole, WorkerRow};
