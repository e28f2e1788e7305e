//! What a database says when it fails, and what follows from that.

use std::error::Error;

use gristmill_servers::mysql::{self, MySqlFault};
use gristmill_servers::postgres::{self, PostgresFault};
use tokio_postgres::error::SqlState;

use crate::damage::Damage;

/// The result of something that a database was asked.
pub(crate) type Result<T, E = DatabaseError> = std::result::Result<T, E>;

/// A failure of a database, or of reading what it answered.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// SQLite or its driver failed.
    #[error(transparent)]
    Sqlite(#[from] sqlx::Error),
    /// The server or the way to it failed.
    #[error("{}{}", .0, advice(.0))]
    Postgres(PostgresFault),
    /// The server of MySQL or MariaDB, or the way to it, failed.
    #[error("{}{}", .0, advice_of_mysql(.0))]
    MySql(MySqlFault),
    /// The settings of the connection to the server are wrong.
    #[error("{0}")]
    Connect(String),
    /// Another process has become the service of the database with this URL.
    #[error("another process has taken over the work on {0}")]
    LeaseLost(String),
    /// What the database with this URL had confirmed does not stand any more.
    #[error("{0} lacks changes that it had confirmed")]
    WentBack(String),
    /// Nobody knows whether a change stands.
    #[error("whether it was done is not known ({0}): look before you try again")]
    Unconfirmed(String),
    /// A statement of the transaction had failed, so that nothing of it stands.
    #[error("a part of it had failed, so all of it was undone")]
    RolledBack,
    /// A column does not hold what it should.
    #[error("cannot read column `{column}`: {source}")]
    Column {
        /// The column.
        column: String,
        /// What is wrong with it.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A row is needed, and holds an impossible value.
    #[error(transparent)]
    Damaged(Box<Damage>),
    /// A row that must exist does not.
    #[error("there is no such row")]
    NoRow,
    /// A value cannot be written as JSON, or is not the JSON that was expected.
    #[error("it is not the JSON that is needed")]
    Json(#[from] serde_json::Error),
    /// The database was opened only to read.
    #[error("it was opened only to read")]
    OnlyRead,
    /// What read it panicked.
    #[error("reading panicked")]
    Panicked(#[source] tokio::task::JoinError),
    /// The database was closed.
    #[error("it was closed")]
    Closed,
}

impl DatabaseError {
    /// Returns that a column does not hold what it should.
    pub(crate) fn column(column: &str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Column {
            column: column.to_owned(),
            source: source.into(),
        }
    }

    /// Returns whether another program keeps locked what is needed.
    pub(crate) fn is_busy(&self) -> bool {
        match self {
            Self::Sqlite(error) => matches!(sqlite_code(error), Some(BUSY | LOCKED)),
            Self::Postgres(fault) => fault.code().is_some_and(|code| IN_USE.contains(code)),
            Self::MySql(fault) => fault.code().is_some_and(|code| IN_USE_OF_MYSQL.contains(&code)),
            Self::Connect(_) | Self::LeaseLost(_) | Self::WentBack(_) => false,
            Self::Unconfirmed(_) | Self::RolledBack => false,
            Self::Column { .. } | Self::Damaged(_) | Self::NoRow | Self::Json(_) => false,
            Self::OnlyRead | Self::Closed | Self::Panicked(_) => false,
        }
    }

    /// Returns whether the same may succeed later by itself.
    pub(crate) fn is_transient(&self) -> bool {
        self.is_busy()
            || match self {
                Self::Panicked(_) => true,
                Self::Sqlite(sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed) => true,
                Self::Sqlite(error) => matches!(sqlite_code(error), Some(IOERR | FULL | CANTOPEN)),
                // This side stood still in the middle of a write.
                Self::Postgres(fault) => {
                    fault.is_transient()
                        || fault.code() == Some(&SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT)
                }
                Self::MySql(fault) => fault.is_transient() && fault.code() != Some(DUPLICATE_KEY),
                Self::Connect(_) | Self::LeaseLost(_) | Self::WentBack(_) => false,
                Self::Unconfirmed(_) | Self::RolledBack => false,
                Self::Column { .. } | Self::Damaged(_) | Self::NoRow | Self::Json(_) => false,
                Self::OnlyRead | Self::Closed => false,
            }
    }
}

impl From<PostgresFault> for DatabaseError {
    fn from(fault: PostgresFault) -> Self {
        Self::Postgres(fault)
    }
}

impl From<MySqlFault> for DatabaseError {
    fn from(fault: MySqlFault) -> Self {
        Self::MySql(fault)
    }
}

/// Advice for the operator, as the end of a message.
fn advice(fault: &PostgresFault) -> &'static str {
    match fault.code() {
        Some(code) if *code == SqlState::INSUFFICIENT_PRIVILEGE => {
            "; GRANT the user in its URL CREATE on the schema, or, on the tables there, what their owner may do"
        }
        Some(code) if *code == SqlState::INVALID_SCHEMA_NAME => {
            "; GRANT the user in its URL USAGE and CREATE on a schema of its search_path"
        }
        _ => fault.advice(),
    }
}

/// The same where the server is one of MySQL or MariaDB.
fn advice_of_mysql(fault: &MySqlFault) -> &'static str {
    match fault.code() {
        Some(1044 | 1142 | 1143 | 1227 | 1370) => {
            "; GRANT the user in its URL ALL PRIVILEGES on the database, which is gristmill's alone"
        }
        Some(1419) => {
            "; SET GLOBAL log_bin_trust_function_creators = 1 on the server while gristmill creates its tables, which have \
             triggers"
        }
        // What concerns loads.
        Some(1048 | DUPLICATE_KEY | 1406 | 1526) => "",
        _ => fault.advice(),
    }
}

impl From<postgres::ConnectError> for DatabaseError {
    fn from(error: postgres::ConnectError) -> Self {
        match error {
            postgres::ConnectError::Url(reason) => Self::Connect(reason),
            postgres::ConnectError::Server(fault) => Self::Postgres(fault),
        }
    }
}

impl From<mysql::ConnectError> for DatabaseError {
    fn from(error: mysql::ConnectError) -> Self {
        match error {
            mysql::ConnectError::Url(reason) => Self::Connect(reason),
            mysql::ConnectError::Server(fault) => Self::MySql(fault),
        }
    }
}

/// What Postgres says when another transaction keeps what is needed.
const IN_USE: [SqlState; 3] = [
    SqlState::LOCK_NOT_AVAILABLE,
    SqlState::T_R_SERIALIZATION_FAILURE,
    SqlState::T_R_DEADLOCK_DETECTED,
];

/// The same of MySQL and MariaDB: the row has changed since it was read, a lock was waited for too long, and a deadlock.
const IN_USE_OF_MYSQL: [u16; 3] = [1020, 1205, 1213];

/// What MySQL says to a row that has the key of another one.
const DUPLICATE_KEY: u16 = 1062;

// SQLite's primary result codes, https://www.sqlite.org/rescode.html.
const BUSY: u32 = 5;
const LOCKED: u32 = 6;
pub(crate) const NOMEM: u32 = 7;
pub(crate) const READONLY: u32 = 8;
pub(crate) const INTERRUPT: u32 = 9;
const IOERR: u32 = 10;
const FULL: u32 = 13;
pub(crate) const CANTOPEN: u32 = 14;
pub(crate) const TOOBIG: u32 = 18;

/// Returns SQLite's primary result code, which is the lowest byte of the extended code.
pub(crate) fn sqlite_code(error: &sqlx::Error) -> Option<u32> {
    let code: u32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}
