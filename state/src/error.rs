//! What can go wrong, and what the operator can do about it.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use sqlx::migrate::MigrateError;

use crate::damage::Damage;
use crate::dialect::{DatabaseError, Place};
use crate::file::FileStatus;
use crate::lock::Holder;
use crate::run::RunState;

/// A failure of the state database, or a request that its state does not allow.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The folder of the database cannot be created.
    #[error("cannot create the folder for {}: check the path and its permissions", path.display())]
    Folder {
        /// The file that the folder is for.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The database cannot be opened.
    #[error("cannot open the state database {place}: check that {}", place.to_be_written())]
    Open {
        /// The database.
        place: Place,
        /// The cause.
        source: DatabaseError,
    },
    /// The database cannot be read.
    #[error("cannot read the state database {place}: check that {}", place.to_be_read())]
    Read {
        /// The database.
        place: Place,
        /// The cause.
        source: DatabaseError,
    },
    /// The database was written by an older program, and this command must not migrate it.
    #[error(
        "the state database {place} has version {found}, and this gristmill reads version {known}: restart the service with \
         this gristmill, which migrates the database, or use the gristmill that the service runs"
    )]
    Older {
        /// The database.
        place: Place,
        /// Its version.
        found: i64,
        /// The version that this program reads.
        known: i64,
    },
    /// The database was written by a newer program.
    #[error(
        "the state database {place} has version {found}, but this gristmill supports versions up to {known}: use the newer \
         gristmill that wrote it, or name another state database"
    )]
    Newer {
        /// The database.
        place: Place,
        /// Its version.
        found: i64,
        /// The newest version that this program supports.
        known: i64,
    },
    /// The database cannot be migrated to this program's version.
    #[error("cannot migrate the state database {place}: make a copy of it before you try again")]
    Migrate {
        /// The database.
        place: Place,
        /// The cause.
        source: MigrationError,
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
        source: DatabaseError,
    },
    /// The database reported an error.
    #[error("cannot {action} {subject}: the state database reported an error; fix its cause, then try again")]
    Query {
        /// What was tried.
        action: &'static str,
        /// On what.
        subject: String,
        /// The cause.
        source: DatabaseError,
    },
    /// A row that is needed holds an impossible value.
    #[error(
        "cannot {action} {subject}: the state database holds an impossible value there; correct it with SQL"
    )]
    Impossible {
        /// What was tried.
        action: &'static str,
        /// On what.
        subject: String,
        /// The cause, which names the column.
        source: DatabaseError,
    },
    /// Rows that are needed hold impossible values.
    #[error("cannot {action} {subject}: {damage}")]
    Damaged {
        /// What was tried.
        action: &'static str,
        /// On what.
        subject: String,
        /// The first of the values.
        damage: Box<Damage>,
    },
    /// There is no such job.
    #[error("there is no job `{job_id}`: `gristmill jobs list` shows those that exist")]
    UnknownJob {
        /// The requested name.
        job_id: String,
    },
    /// There is no such run.
    #[error("there is no run `{run_id}`: `gristmill runs` shows those that exist")]
    UnknownRun {
        /// The requested name.
        run_id: String,
    },
    /// There is no such file.
    #[error("there is no file `{file_url}`: `gristmill files` shows those that exist")]
    UnknownFile {
        /// The requested path.
        file_url: String,
    },
    /// Nothing of the file is held.
    #[error(
        "nothing of `{file_url}` is held (it is {status}): `gristmill files --status held` shows what is"
    )]
    NothingHeld {
        /// The file.
        file_url: String,
        /// Its status.
        status: FileStatus,
    },
    /// Nothing of the file is in force.
    #[error("nothing of `{file_url}`{} is in force, so there is nothing to withdraw", day.map_or_else(String::new, |day| format!(" on {day}")))]
    NothingInForce {
        /// The file.
        file_url: String,
        /// The requested day.
        day: Option<Date>,
    },
    /// The run's state does not allow the action.
    #[error("cannot {action} run `{run_id}`: it is {state}, but must be {needed}")]
    WrongState {
        /// What was tried.
        action: &'static str,
        /// The run.
        run_id: String,
        /// Its state.
        state: RunState,
        /// The state that the action requires.
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
    /// Files cannot be matched with the jobs, because the jobs have been edited since the caller read them.
    #[error("the jobs were edited at the same time; try again")]
    JobsEdited,
    /// A submission refers to a version that was never recorded.
    #[error(
        "cannot record `{file_url}` as unchanged: no version {content_hash} of it is known; convert it instead"
    )]
    UnknownVersion {
        /// The file.
        file_url: String,
        /// The unknown hash.
        content_hash: String,
    },
    /// Another process is using the same state database or lake.
    #[error(
        "another gristmill ({}) is running and holds {}: stop it first",
        pid.map_or_else(|| "process unknown".to_owned(), |pid| format!("process {pid}")),
        path.display()
    )]
    AlreadyRunning {
        /// The lock file.
        path: PathBuf,
        /// The process that holds it, if the lock file names it.
        pid: Option<u32>,
    },
    /// Workers were asked for where there can be none.
    #[error(
        "{place} is a file, on which one process works: workers need a state database on a server (state.url)"
    )]
    NoWorkers {
        /// The state database.
        place: Place,
    },
    /// Another process works on the same state database on a server.
    #[error(
        "another gristmill ({holder}{}) works on the state database {database}: stop it first",
        lease_times(holder)
    )]
    Leased {
        /// The URL of the database, without its password.
        database: String,
        /// Who holds the lease.
        holder: Box<Holder>,
    },
    /// Another process has taken over.
    #[error(
        "this gristmill was silent for longer than its lease on the state database {database}, and another one has taken \
         over: it records nothing more here and does its work again there; `gristmill status` shows which one it is"
    )]
    LeaseLost {
        /// The URL of the database, without its password.
        database: String,
    },
    /// The database is older than what it had confirmed.
    #[error(
        "the state database {database} lacks changes that it had confirmed: its server crashed before they were on disk, or a \
         standby that had not received them, or a copy, took its place"
    )]
    WentBack {
        /// The URL of the database, without its password.
        database: String,
    },
    /// The server cannot be asked about the lease, or about workers and their tasks.
    #[error(
        "cannot {action} the state database {database}: check that its server is up, and that the user in its URL may read \
         and write its tables"
    )]
    Lease {
        /// What was tried: a phrase that the database follows.
        action: &'static str,
        /// The URL of the database, without its password.
        database: String,
        /// The cause.
        source: DatabaseError,
    },
    /// The lock file cannot be used.
    #[error("cannot lock {}: check that this user can write it and that its file system supports locks", path.display())]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

impl StateError {
    /// Returns whether the same call may succeed later by itself: the database was locked, its disk failed, or its server is away.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Busy { .. } => true,
            Self::Open { source, .. } | Self::Read { source, .. } | Self::Query { source, .. } => {
                source.is_transient()
            }
            Self::Lease { source, .. } => source.is_transient(),
            Self::Leased { .. } | Self::LeaseLost { .. } | Self::WentBack { .. } => false,
            Self::NoWorkers { .. } => false,
            Self::Lock { .. } | Self::Folder { .. } => false,
            Self::Impossible { .. } | Self::Damaged { .. } => false,
            Self::Newer { .. } | Self::Older { .. } | Self::Migrate { .. } | Self::AlreadyRunning { .. } => {
                false
            }
            Self::UnknownJob { .. } | Self::UnknownRun { .. } | Self::UnknownFile { .. } => false,
            Self::NothingHeld { .. } | Self::NothingInForce { .. } => false,
            Self::WrongState { .. } | Self::Overtaken { .. } | Self::UnknownVersion { .. } => false,
            Self::JobsEdited => false,
        }
    }
}

/// Says since when and until when a lease runs.
fn lease_times(holder: &Holder) -> String {
    let at = |word, moment: Option<Timestamp>| {
        moment.map_or_else(String::new, |moment| format!(", {word} {moment:.0}"))
    };
    at("since", holder.since) + &at("with a lease until", holder.lease_until)
}

/// Why a database could not be migrated.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// A migration of a file of SQLite failed.
    #[error(transparent)]
    File(#[from] MigrateError),
    /// A migration that was applied has changed since.
    #[error("migration {0} was applied with another text")]
    Changed(i64),
    /// A migration was applied that this program does not have.
    #[error("migration {0} was applied, which this gristmill does not have")]
    Unknown(i64),
    /// A migration was begun on MySQL, which undoes no part of one, and did not come to its end.
    #[error(
        "migration {0} was interrupted, and a part of it stands: create the database anew, or take back the copy that was made \
         before"
    )]
    Interrupted(i64),
    /// The server is too old.
    #[error(
        "its server is {0}, and MariaDB 10.6, MySQL 8.0.19 or newer is needed: upgrade it, or use another server"
    )]
    TooOld(String),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// Why `job_addl_criteria` could not be evaluated.
#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
pub enum CriterionError {
    /// The state database is on a server, and there is no role that answers there.
    #[error(
        "job_addl_criteria needs a role of its own on a server: create one that may only read, and name it in \
         state.criteria_url (docs/configuration.md#a-role-for-criteria-and-questions)"
    )]
    NoRole,
    /// It is not a SELECT.
    #[error("job_addl_criteria must be a SELECT (or WITH … SELECT), but it begins with `{found}`")]
    NotSelect {
        /// Its first word.
        found: String,
    },
    /// It is more than one statement.
    #[error("job_addl_criteria must be one statement, but there is more after its `;`")]
    SeveralStatements,
    /// It took too long.
    #[error("job_addl_criteria was stopped after {limit:?}: make it cheaper")]
    TimedOut {
        /// The time limit.
        limit: Duration,
    },
    /// It took too much memory.
    #[error("job_addl_criteria was stopped because it took too much memory: make it cheaper")]
    TooMuchMemory,
    /// The database rejected it or failed.
    #[error("job_addl_criteria failed: {message}")]
    Failed {
        /// The database's error message.
        message: String,
    },
}

/// Why a question of somebody to the views got no answer. It can be sent between processes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum QueryError {
    /// The state database is on a server, and there is no role that answers there.
    #[error(
        "questions need a role of their own on a server: create one that may only read, and name it in \
         state.criteria_url (docs/configuration.md#a-role-for-criteria-and-questions)"
    )]
    NoRole,
    /// It is not a SELECT.
    #[error("only a SELECT (or WITH … SELECT) is answered here, and this begins with `{found}`")]
    NotSelect {
        /// Its first word.
        found: String,
    },
    /// It is more than one statement.
    #[error("only one statement is answered at a time, and there is more after its `;`")]
    SeveralStatements,
    /// It names what is no view.
    #[error("`{name}` is not one of the views, which alone can be asked here")]
    NotAView {
        /// The name, as it was written.
        name: String,
    },
    /// It took too long.
    #[error("it was stopped after {limit:?}: ask for less, or add a LIMIT")]
    TimedOut {
        /// The time limit.
        limit: Duration,
    },
    /// It took too much memory.
    #[error("it was stopped because it took too much memory: ask for less")]
    TooMuchMemory,
    /// The database rejected it or failed.
    #[error("{message}")]
    Failed {
        /// The database's error message.
        message: String,
    },
}

/// Adds to a database error what was being done.
pub(crate) trait During<T> {
    /// Converts the database's error into one that names the action (`cannot {action} {subject}`).
    fn during(self, action: &'static str, subject: &str) -> Result<T, StateError>;
}

impl<T> During<T> for Result<T, DatabaseError> {
    fn during(self, action: &'static str, subject: &str) -> Result<T, StateError> {
        self.map_err(|source| {
            let subject = subject.to_owned();
            match source {
                DatabaseError::Damaged(damage) => StateError::Damaged {
                    action,
                    subject,
                    damage,
                },
                DatabaseError::LeaseLost(database) => StateError::LeaseLost { database },
                DatabaseError::WentBack(database) => StateError::WentBack { database },
                DatabaseError::Column { .. } => StateError::Impossible {
                    action,
                    subject,
                    source,
                },
                source if source.is_busy() => StateError::Busy {
                    action,
                    subject,
                    source,
                },
                source => StateError::Query {
                    action,
                    subject,
                    source,
                },
            }
        })
    }
}
