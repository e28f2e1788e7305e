//! Why the state could not be written to a file or read from one.

use std::io;
use std::path::PathBuf;

use crate::dialect::{DatabaseError, Place};
use crate::error::StateError;

/// Why the state could not be written to a file or read from one. Unless it says otherwise, the target is as it was before.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The file to write exists.
    #[error("cannot write the state to {}: it exists; name another file, or remove this one", .0.display())]
    Exists(PathBuf),
    /// The file to read does not exist.
    #[error("cannot read the state from {}: there is no such file; check its path", .0.display())]
    Missing(PathBuf),
    /// The file to read is a database of something else.
    #[error(
        "cannot read the state from {}: it is no state database; name a file that `gristmill state export` wrote, or the \
         state database of a service that was stopped",
        .0.display()
    )]
    NoState(PathBuf),
    /// A row refers to one that somebody has deleted, as `sqlite3` lets them.
    #[error(
        "cannot read the state from {}: {row} refers to a row of {parent} that is gone; correct it with sqlite3 (PRAGMA \
         foreign_key_check lists all such rows), then try again",
        path.display()
    )]
    Dangling {
        /// The file.
        path: PathBuf,
        /// The table of the row, with its number if it has one.
        row: String,
        /// The table that it refers to.
        parent: String,
    },
    /// The state database of the settings has rows.
    #[error(
        "cannot import into the state database {place}: {table} has rows there already; name a new database in state.url, or \
         remove this one if nothing in it is needed"
    )]
    NotEmpty {
        /// The database.
        place: Place,
        /// The first of the tables that are not empty.
        table: String,
    },
    /// A file cannot be written.
    #[error("cannot write {}: check that its folder exists, that this user may write it, and that the disk has room", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A table cannot be copied.
    #[error("cannot copy {table}: fix the cause, then try again; nothing was changed")]
    Copy {
        /// The table, or what else.
        table: String,
        /// The cause.
        source: DatabaseError,
    },
    /// Nobody knows whether the import stands.
    #[error(
        "cannot tell whether the state was imported: look at it with `gristmill status` before you try again"
    )]
    Unconfirmed(#[source] DatabaseError),
    /// A table does not hold the same afterwards.
    #[error(
        "cannot copy {table}: {written} rows were written, and {found} are there, or they differ; nothing was changed. Try \
         again, and report this if it happens again"
    )]
    Differs {
        /// The table.
        table: String,
        /// How many rows were read at the source.
        written: u64,
        /// How many rows the target holds.
        found: u64,
    },
    /// A state database cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Adds to a database error what was being copied.
pub(super) trait ToCopy<T> {
    fn to_copy(self, table: &str) -> Result<T, TransferError>;
}

impl<T> ToCopy<T> for Result<T, DatabaseError> {
    fn to_copy(self, table: &str) -> Result<T, TransferError> {
        self.map_err(|source| match source {
            DatabaseError::LeaseLost(database) => StateError::LeaseLost { database }.into(),
            source @ DatabaseError::Unconfirmed(_) => TransferError::Unconfirmed(source),
            source => TransferError::Copy {
                table: table.to_owned(),
                source,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_stand_is_not_said_to_be_undone() {
        let unconfirmed: Result<(), _> = Err(DatabaseError::Unconfirmed("no answer".to_owned()));
        let error = unconfirmed.to_copy("the state").unwrap_err();
        assert!(!error.to_string().contains("nothing was changed"), "{error}");
        let failed: Result<(), _> = Err(DatabaseError::RolledBack);
        let error = failed.to_copy("the state").unwrap_err();
        assert!(error.to_string().contains("nothing was changed"), "{error}");
    }
}
