//! What can go wrong between a summary and the warehouse.
//!
//! Messages name the action and the subject and say what to do. They never contain a password or a row's values; for
//! that reason they leave out the server's DETAIL line.

use std::io;
use std::path::PathBuf;

use gristmill_servers::postgres::PostgresFault;
use tokio_postgres::error::SqlState;

use crate::{MySqlFault, RedshiftFault};

/// Why an operation on the warehouse failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The warehouse's URL cannot be used.
    #[error("cannot use {url} as the warehouse: {reason}")]
    BadUrl {
        /// The URL without its password.
        url: String,
        /// What is wrong, and what to write.
        reason: String,
    },
    /// The target's name, its measures or its mode cannot be used.
    #[error("cannot use the target {table}: it {reason}")]
    BadTarget {
        /// The name as written.
        table: String,
        /// What is wrong, and what to write.
        reason: String,
    },
    /// The target exists but does not fit a summary, or cannot be created where the settings want it.
    #[error("cannot load into {table}:\n  {problems}")]
    TargetMismatch {
        /// The table.
        table: String,
        /// One problem for each line, with the SQL that corrects it where there is any.
        problems: String,
    },
    /// The target does not exist yet.
    #[error("cannot read {table}: it does not exist yet; the first run creates it")]
    TargetAbsent {
        /// The table.
        table: String,
    },
    /// A summary or coverage file cannot be read.
    #[error("cannot read {path}: {reason}; run the job again to write it anew", path = path.display())]
    Input {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The folder of a SQLite warehouse cannot be created.
    #[error("cannot create the warehouse's folder {path}; create it, or let gristmill write to its parent", path = path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the operating system reported.
        source: io::Error,
    },
    /// Postgres returned an error, or could not be reached.
    #[error("cannot {action} {warehouse}{}", postgres_advice(.source))]
    Postgres {
        /// What was tried: a phrase that the warehouse follows, such as `connect to`.
        action: &'static str,
        /// The URL without its password.
        warehouse: String,
        /// What the server or the network reported.
        source: PostgresFault,
    },
    /// Redshift returned an error, or could not be reached.
    #[error("cannot {action} {warehouse}{}", .source.advice())]
    Redshift {
        /// What was tried: a phrase that the warehouse follows, such as `connect to`.
        action: &'static str,
        /// The URL without its password.
        warehouse: String,
        /// What the server, the network or AWS reported.
        source: RedshiftFault,
    },
    /// The bucket that stages rows for Redshift returned an error, or could not be reached.
    #[error("cannot {action} {object}{}", staging_advice(.source))]
    Staging {
        /// What was tried: a phrase that the object follows, such as `write`.
        action: &'static str,
        /// The object or the folder.
        object: String,
        /// What the bucket or the network reported.
        source: object_store::Error,
    },
    /// MySQL or MariaDB returned an error, or could not be reached.
    #[error("cannot {action} {warehouse}{}", .source.advice())]
    MySql {
        /// What was tried: a phrase that the warehouse follows, such as `connect to`.
        action: &'static str,
        /// The URL without its password.
        warehouse: String,
        /// What the server or the network reported.
        source: MySqlFault,
    },
    /// SQLite returned an error.
    #[error("cannot {action} {warehouse}{}", sqlite_advice(.source))]
    Sqlite {
        /// What was tried: a phrase that the warehouse follows, such as `connect to`.
        action: &'static str,
        /// The URL.
        warehouse: String,
        /// What SQLite reported.
        source: sqlx::Error,
    },
}

impl LoadError {
    /// Whether the same call may succeed a little later without anyone fixing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Postgres { source, .. } => source.is_transient(),
            Self::Redshift { source, .. } => source.is_transient(),
            Self::Staging { source, .. } => staging_is_transient(source),
            Self::MySql { source, .. } => source.is_transient(),
            Self::Sqlite { source, .. } => sqlite_is_transient(source),
            _ => false,
        }
    }
}

impl LoadError {
    /// Whether it ends with an outage or with somebody's transaction, without anyone fixing anything: however long that
    /// takes, the same call succeeds afterwards. A statement that was cancelled may be cancelled for ever.
    pub fn is_outage(&self) -> bool {
        let is_cancelled = match self {
            Self::Postgres { source, .. } => source.code() == Some(&SqlState::QUERY_CANCELED),
            Self::Redshift { source, .. } => source.is_cancelled(),
            Self::MySql { source, .. } => source.may_recur(),
            // A path that is wrong cannot be told from one that is not there yet, nor a log that may never be written from a
            // file that could not be opened at one moment.
            Self::Sqlite { source, .. } => sqlite_code(source) == Some(14) || is_opened_for_reading(source),
            _ => false,
        };
        self.is_transient() && !is_cancelled
    }
}

/// Advice for the operator, as the end of a message: what concerns loads, or else any session of Postgres.
fn postgres_advice(fault: &PostgresFault) -> &'static str {
    match fault.code() {
        Some(code) if *code == SqlState::INSUFFICIENT_PRIVILEGE => {
            "; GRANT the user CONNECT and TEMPORARY on the database, USAGE on the schema, SELECT, INSERT, UPDATE and \
             DELETE on the target and on gristmill_ledger, gristmill_days and gristmill_standing next to it, and \
             CREATE on the schema if they do not exist yet"
        }
        Some(code) if *code == SqlState::NOT_NULL_VIOLATION => {
            "; an amount may be NULL: ALTER TABLE … ALTER COLUMN … DROP NOT NULL"
        }
        Some(code) if *code == SqlState::STRING_DATA_RIGHT_TRUNCATION => {
            "; a store_id or item_id is longer than its column: ALTER TABLE … ALTER COLUMN … TYPE text"
        }
        _ => fault.advice(),
    }
}

/// Whether the bucket failed by itself or gave no answer. `object_store` has retried several times by then.
fn staging_is_transient(error: &object_store::Error) -> bool {
    matches!(error, object_store::Error::Generic { .. })
}

fn staging_advice(error: &object_store::Error) -> &'static str {
    match error {
        object_store::Error::NotFound { .. } => "; check whether the bucket in the URL exists",
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
            "; gristmill needs AWS credentials that allow it to list, read, write and delete below the prefix"
        }
        _ => "; it may pass by itself; otherwise check the bucket, its region and its endpoint in the URL",
    }
}

/// SQLite's result code without its extension, such as 5 for SQLITE_BUSY.
pub(crate) fn sqlite_code(error: &sqlx::Error) -> Option<i32> {
    let code: i32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}

fn sqlite_is_transient(error: &sqlx::Error) -> bool {
    // SQLITE_BUSY, SQLITE_LOCKED, SQLITE_IOERR, SQLITE_FULL, SQLITE_CANTOPEN
    matches!(error, sqlx::Error::Io(_)) || matches!(sqlite_code(error), Some(5 | 6 | 10 | 13 | 14))
}

fn is_opened_for_reading(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem)
}

fn sqlite_advice(error: &sqlx::Error) -> &'static str {
    const IO: &str = "; it may pass by itself; otherwise check whether the disk is sound";
    match sqlite_code(error) {
        Some(5 | 6) => {
            "; another process is writing to it: it may pass by itself; otherwise close that process"
        }
        Some(8) => "; let gristmill write to the file and its folder",
        Some(10) => IO,
        Some(13) => "; the disk is full: make room",
        Some(14) => "; check whether the path is right and gristmill may write there",
        Some(11 | 26) => {
            "; the file is damaged or is not a SQLite database: put it aside, and replay the jobs"
        }
        _ if is_opened_for_reading(error) => {
            "; it may pass by itself; otherwise let gristmill write to the file and its folder"
        }
        _ if matches!(error, sqlx::Error::Io(_)) => IO,
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::error::Error;

    use sqlx::error::{DatabaseError, ErrorKind};

    use super::*;

    /// An error of SQLite, of which only the result code counts.
    #[derive(Debug, thiserror::Error)]
    #[error("result code {0}")]
    struct Answer(i32);

    impl DatabaseError for Answer {
        fn message(&self) -> &str {
            "refused"
        }

        fn code(&self) -> Option<Cow<'_, str>> {
            Some(self.0.to_string().into())
        }

        fn as_error(&self) -> &(dyn Error + Send + Sync + 'static) {
            self
        }

        fn as_error_mut(&mut self) -> &mut (dyn Error + Send + Sync + 'static) {
            self
        }

        fn into_error(self: Box<Self>) -> Box<dyn Error + Send + Sync + 'static> {
            self
        }

        fn kind(&self) -> ErrorKind {
            ErrorKind::Other
        }
    }

    fn sqlite(source: sqlx::Error) -> LoadError {
        LoadError::Sqlite {
            action: "count rows of",
            warehouse: "sqlite://mart.db".into(),
            source,
        }
    }

    #[test]
    fn sqlite_codes_are_distinguished_with_and_without_their_extension() {
        for (code, is_transient, advice) in [
            (5, true, "another process"),
            (5 | 2 << 8, true, "another process"),
            (6, true, "another process"),
            (10 | 3 << 8, true, "whether the disk is sound"),
            (13, true, "make room"),
            (14, true, "whether the path is right"),
            (14 | 2 << 8, true, "whether the path is right"),
            (8, false, "let gristmill write"),
            (11, false, "put it aside"),
            (26, false, "put it aside"),
            (1, false, ""),
            (19 | 8 << 8, false, ""),
        ] {
            let error = sqlite(sqlx::Error::Database(Box::new(Answer(code))));
            assert_eq!(error.is_transient(), is_transient, "{code}");
            assert!(error.to_string().contains(advice), "{code}: {error}");
        }
    }

    #[test]
    fn input_and_output_that_fail_below_sqlite_are_transient() {
        let error = sqlite(io::Error::other("the cable is out").into());
        assert!(
            error.is_transient() && error.to_string().contains("whether the disk is sound"),
            "{error}"
        );
        let error = sqlite(sqlx::Error::RowNotFound);
        assert!(!error.is_transient());
        assert_eq!(error.to_string(), "cannot count rows of sqlite://mart.db");
    }
}
