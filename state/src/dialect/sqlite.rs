//! Connections to a file of SQLite.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::error::BoxDynError;
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqliteRow, SqliteSynchronous,
    SqliteTransactionManager, SqliteValueRef,
};
use sqlx::{
    AssertSqlSafe, ColumnIndex, ConnectOptions as _, Connection as _, Decode, Row as _, SqlSafeStr as _,
    Sqlite as Driver, SqliteConnection, TypeInfo as _, ValueRef as _,
};
use sqlx_core::transaction::TransactionManager as _;

use super::Dialect;
use super::connection::Done;
use super::datum::Datum;
use super::error::{DatabaseError, Result, sqlite_code};
use super::expanded::expanded;
use super::parameter::Parameter;
use super::row::Row;

/// How long a write waits for another program's lock, such as that of a shell with an open transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Rows that a connection's thread reads ahead of its caller, so that both sleep and wake less often.
const ROWS_AHEAD: usize = 1000;

/// The page caches of the writing connection, 64 MiB, and of each reading one, in SQLite's notation. What is worked on grows
/// with the files of the day: with the default of 2 MiB, most of it is read again for each statement.
const WRITER_CACHE_KIB: &str = "-65536";
const READER_CACHE_KIB: &str = "-16384";

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .row_buffer_size(ROWS_AHEAD)
        .disable_statement_logging()
}

/// Returns the options of a read-only connection.
pub(crate) fn reading(path: &Path) -> SqliteConnectOptions {
    options(path)
        .read_only(true)
        .pragma("cache_size", READER_CACHE_KIB)
}

async fn connect_writer(path: &Path) -> sqlx::Result<SqliteConnection> {
    let options = options(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("cache_size", WRITER_CACHE_KIB)
        // What a statement must be able to undo; otherwise each large one writes a file for that.
        .pragma("temp_store", "MEMORY");
    // SQLite switches a new file to WAL under a lock that it does not wait for. If two processes open the file for the
    // first time at once, one of them may fail, so a failure is retried once.
    match options.connect().await {
        Err(error) if sqlite_code(&error).is_some() => {
            tokio::time::sleep(Duration::from_millis(100)).await;
            options.connect().await
        }
        result => result,
    }
}

/// A connection to the file.
#[derive(Debug)]
pub(crate) struct Sqlite(SqliteConnection);

/// A statement of the driver.
pub(super) type Statement = sqlx::query::Query<'static, Driver, SqliteArguments>;

pub(super) fn statement(text: Arc<str>, bound: Vec<Parameter>) -> Statement {
    // Safe: it is one of this program's own texts.
    let statement = sqlx::query(AssertSqlSafe(text));
    bound
        .into_iter()
        .fold(statement, |statement, parameter| match parameter {
            Parameter::Null => statement.bind(None::<i64>),
            Parameter::Integer(value) => statement.bind(value),
            Parameter::Real(value) => statement.bind(value),
            Parameter::Text(value) => statement.bind(value),
        })
}

impl Sqlite {
    /// Opens the file to write, and creates it if it does not exist.
    pub(crate) async fn to_write(path: &Path) -> Result<Self> {
        Ok(Self(connect_writer(path).await?))
    }

    /// Opens the file as these options say.
    pub(crate) async fn connect(options: &SqliteConnectOptions) -> Result<Self> {
        Ok(Self(options.connect().await?))
    }

    /// Returns the driver's connection, for what only SQLite has.
    pub(crate) fn driver(&mut self) -> &mut SqliteConnection {
        &mut self.0
    }

    pub(super) async fn rows(&mut self, text: &'static str, bound: Vec<Parameter>) -> Result<Vec<Row>> {
        let statement = statement(expanded(text, Dialect::Sqlite), bound);
        let rows = statement.fetch_all(&mut self.0).await?;
        Ok(rows.into_iter().map(Row::Sqlite).collect())
    }

    pub(super) async fn execute(&mut self, text: &'static str, bound: Vec<Parameter>) -> Result<Done> {
        let statement = statement(expanded(text, Dialect::Sqlite), bound);
        let done = statement.execute(&mut self.0).await?;
        Ok(Done {
            rows_affected: done.rows_affected(),
        })
    }

    /// The ping is answered after the rollback of any dropped transaction. If SQLite has already rolled back by itself
    /// (disk full, I/O error), that rollback fails, and the driver would count the connection as busy for ever.
    pub(super) async fn is_usable(&mut self) -> bool {
        self.0.ping().await.is_ok() && !self.0.is_in_transaction()
    }

    pub(super) async fn flush_commits(&mut self, is_flushed: bool) -> Result<()> {
        let pragma = match is_flushed {
            true => "PRAGMA synchronous = FULL",
            false => "PRAGMA synchronous = NORMAL",
        };
        sqlx::query(pragma).execute(&mut self.0).await?;
        Ok(())
    }

    pub(super) async fn changes_of_others(&mut self) -> Result<i64> {
        let version = sqlx::query_scalar("PRAGMA data_version");
        Ok(version.fetch_one(&mut self.0).await?)
    }

    /// Moves the contents of the log into the database file, which can then be copied by itself.
    pub(super) async fn empty_log(&mut self) -> Result<()> {
        let checkpoint = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)");
        checkpoint.execute(&mut self.0).await?;
        Ok(())
    }

    pub(super) async fn begin(&mut self, word: &'static str) -> Result<()> {
        let word = word.into_sql_str();
        Ok(SqliteTransactionManager::begin(&mut self.0, Some(word)).await?)
    }

    pub(super) async fn commit(&mut self) -> Result<()> {
        Ok(SqliteTransactionManager::commit(&mut self.0).await?)
    }

    pub(super) fn start_rollback(&mut self) {
        SqliteTransactionManager::start_rollback(&mut self.0);
    }

    pub(super) async fn close(self) -> Result<()> {
        Ok(self.0.close().await?)
    }
}

/// Returns what a column of a row holds.
pub(super) fn datum<I: ColumnIndex<SqliteRow>>(row: &SqliteRow, column: I) -> Result<Datum<'_>> {
    let value = row.try_get_raw(column)?;
    if value.is_null() {
        return Ok(Datum::Null);
    }
    let decoded = match value.type_info().name() {
        "INTEGER" | "BOOLEAN" => decode(value).map(Datum::Integer),
        "REAL" => decode(value).map(Datum::Real),
        "TEXT" => decode(value).map(Datum::Text),
        _ => Ok(Datum::Bytes),
    };
    // The caller adds the name of the column.
    decoded.map_err(|source| DatabaseError::Sqlite(sqlx::Error::Decode(source)))
}

fn decode<'r, T: Decode<'r, Driver>>(value: SqliteValueRef<'r>) -> Result<T, BoxDynError> {
    T::decode(value)
}
