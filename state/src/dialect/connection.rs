//! A connection to either database.

use super::error::Result;
use super::parameter::Parameter;
use super::postgres::Postgres;
use super::row::Row;
use super::sqlite::Sqlite;

/// A connection, with which one statement runs at a time.
#[derive(Debug)]
pub(crate) enum Connection {
    Sqlite(Sqlite),
    Postgres(Box<Postgres>),
}

/// What a statement without an answer did.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Done {
    pub(super) rows_affected: u64,
}

impl Done {
    /// Returns the number of rows that were added, changed or removed.
    pub(crate) fn rows_affected(self) -> u64 {
        self.rows_affected
    }
}

impl Connection {
    /// Returns the driver's connection to SQLite, for what only SQLite has.
    #[cfg(test)]
    pub(crate) fn sqlite(&mut self) -> &mut sqlx::SqliteConnection {
        match self {
            Self::Sqlite(sqlite) => sqlite.driver(),
            Self::Postgres(_) => panic!("it is on Postgres"),
        }
    }

    /// Runs a statement, and returns its rows.
    pub(super) async fn rows(&mut self, statement: &'static str, bound: Vec<Parameter>) -> Result<Vec<Row>> {
        match self {
            Self::Sqlite(sqlite) => sqlite.rows(statement, bound).await,
            Self::Postgres(postgres) => postgres.rows(statement, bound).await,
        }
    }

    /// Runs a statement for its effect.
    pub(super) async fn execute(&mut self, statement: &'static str, bound: Vec<Parameter>) -> Result<Done> {
        match self {
            Self::Sqlite(sqlite) => sqlite.execute(statement, bound).await,
            Self::Postgres(postgres) => postgres.execute(statement, bound).await,
        }
    }

    /// Returns whether the connection can be used, and is free of what somebody began on it and gave up.
    pub(crate) async fn is_usable(&mut self) -> bool {
        match self {
            Self::Sqlite(sqlite) => sqlite.is_usable().await,
            Self::Postgres(postgres) => postgres.is_usable().await,
        }
    }

    /// Says whether later commits are on disk when they return.
    pub(crate) async fn flush_commits(&mut self, is_flushed: bool) -> Result<()> {
        match self {
            Self::Sqlite(sqlite) => sqlite.flush_commits(is_flushed).await,
            Self::Postgres(postgres) => {
                postgres.flush_commits(is_flushed);
                Ok(())
            }
        }
    }

    /// Returns a number that changes when another connection writes, and not when this one does.
    pub(crate) async fn changes_of_others(&mut self) -> Result<i64> {
        match self {
            Self::Sqlite(sqlite) => sqlite.changes_of_others().await,
            Self::Postgres(postgres) => postgres.changes().await,
        }
    }

    /// Leaves the database as it can be copied.
    pub(crate) async fn empty_log(&mut self) -> Result<()> {
        match self {
            Self::Sqlite(sqlite) => sqlite.empty_log().await,
            Self::Postgres(_) => Ok(()),
        }
    }

    /// Has all that follows be written as the service of this number. A file needs no number: its lock holds.
    pub(crate) fn write_as(&mut self, epoch: i64) {
        match self {
            Self::Sqlite(_) => {}
            Self::Postgres(postgres) => postgres.write_as(epoch),
        }
    }

    pub(super) async fn begin_to_write(&mut self) -> Result<()> {
        match self {
            Self::Sqlite(sqlite) => sqlite.begin("BEGIN IMMEDIATE").await,
            Self::Postgres(postgres) => postgres.begin_to_write().await,
        }
    }

    pub(super) async fn begin_to_read(&mut self) -> Result<()> {
        match self {
            Self::Sqlite(sqlite) => sqlite.begin("BEGIN").await,
            Self::Postgres(postgres) => postgres.begin_to_read().await,
        }
    }

    pub(super) async fn commit(&mut self) -> Result<()> {
        match self {
            Self::Sqlite(sqlite) => sqlite.commit().await,
            Self::Postgres(postgres) => postgres.commit().await,
        }
    }

    /// Begins to undo the open transaction, without waiting for that.
    pub(super) fn start_rollback(&mut self) {
        match self {
            Self::Sqlite(sqlite) => sqlite.start_rollback(),
            Self::Postgres(postgres) => postgres.start_rollback(),
        }
    }

    /// Ends the connection.
    pub(crate) async fn close(self) -> Result<()> {
        match self {
            Self::Sqlite(sqlite) => sqlite.close().await,
            // The server ends a session whose client is gone.
            Self::Postgres(_) => Ok(()),
        }
    }
}
