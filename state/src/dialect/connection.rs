//! A connection to a database.

use std::time::Duration;

use futures::FutureExt as _;

use super::error::Result;
use super::mysql::MySql;
use super::parameter::Parameter;
use super::postgres::Postgres;
use super::row::Row;
use super::sqlite::Sqlite;

/// A connection, with which one statement runs at a time. What MySQL's driver does is boxed: unboxed, the type of whatever waits
/// for it would be too deep for the compiler.
#[derive(Debug)]
pub(crate) enum Connection {
    Sqlite(Sqlite),
    Postgres(Box<Postgres>),
    MySql(Box<MySql>),
}

/// What a connection to a server is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The transactions of the rules. One of them writes at a time, and each is counted.
    Write,
    Read,
    /// What lies beside the rules, such as the lease: no transaction of the rules waits for it.
    Beside {
        /// How long it waits for a lock.
        wait: Duration,
        /// Whether commits are on disk when they return.
        is_flushed: bool,
    },
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
            Self::Postgres(_) | Self::MySql(_) => panic!("it is on a server"),
        }
    }

    /// Runs a statement, and returns its rows.
    pub(super) async fn rows(&mut self, statement: &'static str, bound: Vec<Parameter>) -> Result<Vec<Row>> {
        match self {
            Self::Sqlite(sqlite) => sqlite.rows(statement, bound).await,
            Self::Postgres(postgres) => postgres.rows(statement, bound).await,
            Self::MySql(mysql) => mysql.rows(statement, bound).boxed().await,
        }
    }

    /// Runs a statement for its effect.
    pub(super) async fn execute(&mut self, statement: &'static str, bound: Vec<Parameter>) -> Result<Done> {
        match self {
            Self::Sqlite(sqlite) => sqlite.execute(statement, bound).await,
            Self::Postgres(postgres) => postgres.execute(statement, bound).await,
            Self::MySql(mysql) => mysql.execute(statement, bound).boxed().await,
        }
    }

    /// Returns whether the connection can be used, and is free of what somebody began on it and gave up.
    pub(crate) async fn is_usable(&mut self) -> bool {
        match self {
            Self::Sqlite(sqlite) => sqlite.is_usable().await,
            Self::Postgres(postgres) => postgres.is_usable().await,
            Self::MySql(mysql) => mysql.is_usable().boxed().await,
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
            // It has no such choice for one session: all commits are as its settings say.
            Self::MySql(_) => Ok(()),
        }
    }

    /// Returns a number that changes when another connection writes, and not when this one does.
    pub(crate) async fn changes_of_others(&mut self) -> Result<i64> {
        match self {
            Self::Sqlite(sqlite) => sqlite.changes_of_others().await,
            Self::Postgres(postgres) => postgres.changes().await,
            Self::MySql(mysql) => mysql.changes().await,
        }
    }

    /// Leaves the database as it can be copied.
    pub(crate) async fn empty_log(&mut self) -> Result<()> {
        match self {
            Self::Sqlite(sqlite) => sqlite.empty_log().await,
            Self::Postgres(_) | Self::MySql(_) => Ok(()),
        }
    }

    /// Has all that follows be written as the service of this number. A file needs no number: its lock holds.
    pub(crate) fn write_as(&mut self, epoch: i64) {
        match self {
            Self::Sqlite(_) => {}
            Self::Postgres(postgres) => postgres.write_as(epoch),
            Self::MySql(mysql) => mysql.write_as(epoch),
        }
    }

    pub(super) async fn begin_to_write(&mut self) -> Result<()> {
        match self {
            Self::Sqlite(sqlite) => sqlite.begin("BEGIN IMMEDIATE").await,
            Self::Postgres(postgres) => postgres.begin_to_write().await,
            Self::MySql(mysql) => mysql.begin_to_write().boxed().await,
        }
    }

    /// Begins a transaction that is none of the rules.
    pub(super) async fn begin_beside(&mut self) -> Result<()> {
        match self {
            Self::Sqlite(sqlite) => sqlite.begin("BEGIN IMMEDIATE").await,
            Self::Postgres(postgres) => postgres.begin_beside().await,
            Self::MySql(mysql) => mysql.begin_beside().await,
        }
    }

    pub(super) async fn begin_to_read(&mut self) -> Result<()> {
        match self {
            Self::Sqlite(sqlite) => sqlite.begin("BEGIN").await,
            Self::Postgres(postgres) => postgres.begin_to_read().await,
            Self::MySql(mysql) => mysql.begin_to_read().await,
        }
    }

    pub(super) async fn commit(&mut self) -> Result<()> {
        match self {
            Self::Sqlite(sqlite) => sqlite.commit().await,
            Self::Postgres(postgres) => postgres.commit().await,
            Self::MySql(mysql) => mysql.commit().boxed().await,
        }
    }

    /// Begins to undo the open transaction, without waiting for that.
    pub(super) fn start_rollback(&mut self) {
        match self {
            Self::Sqlite(sqlite) => sqlite.start_rollback(),
            Self::Postgres(postgres) => postgres.start_rollback(),
            Self::MySql(mysql) => mysql.start_rollback(),
        }
    }

    /// Ends the connection.
    pub(crate) async fn close(self) -> Result<()> {
        match self {
            Self::Sqlite(sqlite) => sqlite.close().await,
            // The server ends a session whose client is gone.
            Self::Postgres(_) => Ok(()),
            Self::MySql(mysql) => {
                mysql.close().await;
                Ok(())
            }
        }
    }
}
