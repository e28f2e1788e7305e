//! A connection to a database.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt as _, TryFutureExt as _};
use gristmill_servers::{mysql, postgres};

use super::error::Result;
use super::mysql::MySql;
use super::parameter::Parameter;
use super::postgres::Postgres;
use super::row::Row;
use super::sqlite::Sqlite;

/// A connection, with which one statement runs at a time.
///
/// What it does is boxed: otherwise the three drivers' futures would be part of the type of whatever waits for them, and be
/// compiled again in each crate, and each part of one, that waits ([decision 49](../../../docs/decisions/0049-what-the-build-takes.md)).
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
    /// Connects to a server of Postgres.
    pub(super) fn to_postgres(
        server: &Arc<postgres::Server>,
        purpose: Purpose,
    ) -> BoxFuture<'_, Result<Self>> {
        let connected = Postgres::connect(server, purpose);
        connected
            .map_ok(|postgres| Self::Postgres(Box::new(postgres)))
            .boxed()
    }

    /// Connects to a server of MySQL or MariaDB.
    pub(super) fn to_mysql(server: &Arc<mysql::Server>, purpose: Purpose) -> BoxFuture<'_, Result<Self>> {
        let connected = MySql::connect(server, purpose);
        connected.map_ok(|mysql| Self::MySql(Box::new(mysql))).boxed()
    }

    /// Returns the driver's connection to SQLite, for what only SQLite has.
    #[cfg(test)]
    pub(crate) fn sqlite(&mut self) -> &mut sqlx::SqliteConnection {
        match self {
            Self::Sqlite(sqlite) => sqlite.driver(),
            Self::Postgres(_) | Self::MySql(_) => panic!("it is on a server"),
        }
    }

    /// Runs a statement, and returns its rows.
    pub(super) fn rows(
        &mut self,
        statement: &'static str,
        bound: Vec<Parameter>,
    ) -> BoxFuture<'_, Result<Vec<Row>>> {
        match self {
            Self::Sqlite(sqlite) => sqlite.rows(statement, bound).boxed(),
            Self::Postgres(postgres) => postgres.rows(statement, bound).boxed(),
            Self::MySql(mysql) => mysql.rows(statement, bound).boxed(),
        }
    }

    /// Runs a statement for its effect.
    pub(super) fn execute(
        &mut self,
        statement: &'static str,
        bound: Vec<Parameter>,
    ) -> BoxFuture<'_, Result<Done>> {
        match self {
            Self::Sqlite(sqlite) => sqlite.execute(statement, bound).boxed(),
            Self::Postgres(postgres) => postgres.execute(statement, bound).boxed(),
            Self::MySql(mysql) => mysql.execute(statement, bound).boxed(),
        }
    }

    /// Returns whether the connection can be used, and is free of what somebody began on it and gave up.
    pub(crate) fn is_usable(&mut self) -> BoxFuture<'_, bool> {
        match self {
            Self::Sqlite(sqlite) => sqlite.is_usable().boxed(),
            Self::Postgres(postgres) => postgres.is_usable().boxed(),
            Self::MySql(mysql) => mysql.is_usable().boxed(),
        }
    }

    /// Says whether later commits are on disk when they return.
    pub(crate) fn flush_commits(&mut self, is_flushed: bool) -> BoxFuture<'_, Result<()>> {
        match self {
            Self::Sqlite(sqlite) => sqlite.flush_commits(is_flushed).boxed(),
            Self::Postgres(postgres) => {
                postgres.flush_commits(is_flushed);
                ready(Ok(())).boxed()
            }
            // It has no such choice for one session: all commits are as its settings say.
            Self::MySql(_) => ready(Ok(())).boxed(),
        }
    }

    /// Returns a number that changes when another connection writes, and not when this one does.
    pub(crate) fn changes_of_others(&mut self) -> BoxFuture<'_, Result<i64>> {
        match self {
            Self::Sqlite(sqlite) => sqlite.changes_of_others().boxed(),
            Self::Postgres(postgres) => postgres.changes().boxed(),
            Self::MySql(mysql) => mysql.changes().boxed(),
        }
    }

    /// Leaves the database as it can be copied.
    pub(crate) fn empty_log(&mut self) -> BoxFuture<'_, Result<()>> {
        match self {
            Self::Sqlite(sqlite) => sqlite.empty_log().boxed(),
            Self::Postgres(_) | Self::MySql(_) => ready(Ok(())).boxed(),
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

    /// Takes the place of a connection that broke: writes as the service that it wrote as, and only if everything stands that
    /// was confirmed on it. Otherwise the server has crashed without having that on its disk, or a standby without it follows.
    pub(crate) fn succeed<'c>(&'c mut self, before: &'c Self) -> BoxFuture<'c, Result<()>> {
        match (self, before) {
            (Self::Postgres(postgres), Self::Postgres(before)) => postgres.succeed(before).boxed(),
            (Self::MySql(mysql), Self::MySql(before)) => mysql.succeed(before).boxed(),
            // What a file has, it keeps as long as its host runs, and this process with it.
            _ => ready(Ok(())).boxed(),
        }
    }

    pub(super) fn begin_to_write(&mut self) -> BoxFuture<'_, Result<()>> {
        match self {
            Self::Sqlite(sqlite) => sqlite.begin("BEGIN IMMEDIATE").boxed(),
            Self::Postgres(postgres) => postgres.begin_to_write().boxed(),
            Self::MySql(mysql) => mysql.begin_to_write().boxed(),
        }
    }

    /// Begins a transaction that is none of the rules.
    pub(super) fn begin_beside(&mut self) -> BoxFuture<'_, Result<()>> {
        match self {
            Self::Sqlite(sqlite) => sqlite.begin("BEGIN IMMEDIATE").boxed(),
            Self::Postgres(postgres) => postgres.begin_beside().boxed(),
            Self::MySql(mysql) => mysql.begin_beside().boxed(),
        }
    }

    pub(super) fn begin_to_read(&mut self) -> BoxFuture<'_, Result<()>> {
        match self {
            Self::Sqlite(sqlite) => sqlite.begin("BEGIN").boxed(),
            Self::Postgres(postgres) => postgres.begin_to_read().boxed(),
            Self::MySql(mysql) => mysql.begin_to_read().boxed(),
        }
    }

    pub(super) fn commit(&mut self) -> BoxFuture<'_, Result<()>> {
        match self {
            Self::Sqlite(sqlite) => sqlite.commit().boxed(),
            Self::Postgres(postgres) => postgres.commit().boxed(),
            Self::MySql(mysql) => mysql.commit().boxed(),
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
    pub(crate) fn close(self) -> BoxFuture<'static, Result<()>> {
        match self {
            Self::Sqlite(sqlite) => sqlite.close().boxed(),
            // The server ends a session whose client is gone.
            Self::Postgres(_) => ready(Ok(())).boxed(),
            Self::MySql(mysql) => mysql.close().map(Ok).boxed(),
        }
    }
}
