//! What can go wrong, and what the operator can do about it.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use jiff::civil::Date;
use sqlx::migrate::MigrateError;

use crate::run::RunState;

/// A failure of the state database, or a wish that its state does not allow.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The folder of the database cannot be made.
    #[error("cannot make the folder for {}: check the path and who may write there", path.display())]
    Folder {
        /// The file that was to lie in the folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The database cannot be opened.
    #[error("cannot open the state database {}: check that it is an SQLite file that this user may write", path.display())]
    Open {
        /// The database.
        path: PathBuf,
        /// The cause.
        source: sqlx::Error,
    },
    /// The database was written by a newer program.
    #[error(
        "the state database {} has version {found}, and this gristmill knows versions up to {known}: use the newer \
         gristmill that wrote it, or name another state database",
        path.display()
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// The database cannot be brought to the version of this program.
    #[error("cannot migrate the state database {}: keep a copy of it before you try again", path.display())]
    Migrate {
        /// The database.
        path: PathBuf,
        /// The cause.
        source: MigrateError,
    },
    /// Another program keeps the database locked.
    #[error(
        "cannot {action} {subject}: another program keeps the state database locked; end its transaction"
    )]
    Busy {
        /// What was tried.
        action: &'static str,
        /// On what.
        subject: String,
        /// The cause.
        source: sqlx::Error,
    },
    /// The database refused or failed.
    #[error(
        "cannot {action} {subject}: the state database failed; correct what the cause names, then try again"
    )]
    Query {
        /// What was tried.
        action: &'static str,
        /// On what.
        subject: String,
        /// The cause.
        source: sqlx::Error,
    },
    /// There is no such job.
    #[error("there is no job `{job_id}`: `gristmill jobs list` names those that exist")]
    UnknownJob {
        /// The name that was asked for.
        job_id: String,
    },
    /// There is no such run.
    #[error("there is no run `{run_id}`: `gristmill runs` names those that exist")]
    UnknownRun {
        /// The name that was asked for.
        run_id: String,
    },
    /// The run's state does not allow it.
    #[error("cannot {action} run `{run_id}`: it is {state}, and must be {needed} for that")]
    WrongState {
        /// What was tried.
        action: &'static str,
        /// The run.
        run_id: String,
        /// Where it stands.
        state: RunState,
        /// Where it would have to stand.
        needed: RunState,
    },
    /// The run failed, and a later one has completed since.
    #[error(
        "cannot retry run `{run_id}`: run `{later}` has completed since, and a retry would load the old files over its \
         rows; `gristmill jobs run {job_id}{}` loads the files in force",
        wave.map_or_else(String::new, |date| format!(" --date {date}"))
    )]
    Overtaken {
        /// The run.
        run_id: String,
        /// The run that has completed since.
        later: String,
        /// The job of both.
        job_id: String,
        /// The business day of both.
        wave: Option<Date>,
    },
    /// A submission refers to a version that was never recorded.
    #[error(
        "cannot record `{file_url}` as unchanged: no version {content_hash} of it is known; convert it instead"
    )]
    UnknownVersion {
        /// The file.
        file_url: String,
        /// The hash that is not known.
        content_hash: String,
    },
    /// Another process works on the same state database or lake.
    #[error(
        "another gristmill ({}) is at work and holds {}: stop it first",
        pid.map_or_else(|| "process not known".to_owned(), |pid| format!("process {pid}")),
        path.display()
    )]
    AlreadyRunning {
        /// The lock file.
        path: PathBuf,
        /// The process that holds it, if it has said so.
        pid: Option<u32>,
    },
    /// The lock file cannot be used.
    #[error("cannot lock {}: check that this user may write it and that its file system knows locks", path.display())]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

impl StateError {
    /// Tells whether the same call may succeed later without anybody's help: the database was locked, or its disk failed.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Busy { .. } => true,
            Self::Open { source, .. } | Self::Query { source, .. } => {
                matches!(
                    source,
                    sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed
                ) || matches!(sqlite_code(source), Some(BUSY | LOCKED | IOERR | FULL | CANTOPEN))
            }
            Self::Lock { .. } | Self::Folder { .. } => false,
            Self::Newer { .. } | Self::Migrate { .. } | Self::AlreadyRunning { .. } => false,
            Self::UnknownJob { .. } | Self::UnknownRun { .. } => false,
            Self::WrongState { .. } | Self::Overtaken { .. } | Self::UnknownVersion { .. } => false,
        }
    }
}

/// Why `job_addl_criteria` gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum CriterionError {
    /// It is something else than a SELECT.
    #[error("job_addl_criteria must be a SELECT (or WITH … SELECT), but it begins with `{found}`")]
    NotSelect {
        /// Its first word.
        found: String,
    },
    /// It is more than one statement.
    #[error("job_addl_criteria must be one statement, but more follows after its `;`")]
    SeveralStatements,
    /// It took too long.
    #[error("job_addl_criteria was stopped after {limit:?}: make it cheaper")]
    TimedOut {
        /// The time that it had.
        limit: Duration,
    },
    /// The database refused it or failed.
    #[error("job_addl_criteria failed: {message}")]
    Failed {
        /// What the database said.
        message: String,
    },
}

// SQLite's primary result codes, https://www.sqlite.org/rescode.html.
const BUSY: u32 = 5;
const LOCKED: u32 = 6;
pub(crate) const INTERRUPT: u32 = 9;
const IOERR: u32 = 10;
const FULL: u32 = 13;
const CANTOPEN: u32 = 14;

/// Returns SQLite's primary result code, which is the lowest byte of the extended one.
pub(crate) fn sqlite_code(error: &sqlx::Error) -> Option<u32> {
    let code: u32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}

/// Says what was being done when the database failed.
pub(crate) trait During<T> {
    /// Turns the database's error into one that names the action (`cannot {action} {subject}`).
    fn during(self, action: &'static str, subject: &str) -> Result<T, StateError>;
}

impl<T> During<T> for Result<T, sqlx::Error> {
    fn during(self, action: &'static str, subject: &str) -> Result<T, StateError> {
        self.map_err(|source| {
            let subject = subject.to_owned();
            match sqlite_code(&source) {
                Some(BUSY | LOCKED) => StateError::Busy {
                    action,
                    subject,
                    source,
                },
                _ => StateError::Query {
                    action,
                    subject,
                    source,
                },
            }
        })
    }
}
