//! How connections to the database are made, and how a transaction begins.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Sqlite, SqliteConnection, Transaction};

use crate::error::{StateError, sqlite_code};

/// How long a write waits for another program's lock, such as that of a shell with an open transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Rows that a connection's thread reads ahead of its caller, so that both sleep and wake less often.
const ROWS_AHEAD: usize = 1000;

/// The page caches of the writing connection, 64 MiB, and of each reading one, in SQLite's notation. What is worked on grows
/// with the files of the day: with the default of 2 MiB, most of it is read again for each statement.
const WRITER_CACHE_KIB: &str = "-65536";
const READER_CACHE_KIB: &str = "-16384";

/// Begins a transaction that holds the write lock until it ends.
pub(super) async fn begin(writer: &mut SqliteConnection) -> sqlx::Result<Transaction<'_, Sqlite>> {
    writer.begin_with("BEGIN IMMEDIATE").await
}

pub(super) fn make_folder(path: &Path) -> Result<(), StateError> {
    let Some(folder) = path.parent() else {
        return Ok(());
    };
    std::fs::create_dir_all(folder).map_err(|source| StateError::Folder {
        path: path.to_owned(),
        source,
    })
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .row_buffer_size(ROWS_AHEAD)
        .disable_statement_logging()
}

/// Returns the options of a read-only connection.
pub(super) fn reading(path: &Path) -> SqliteConnectOptions {
    options(path)
        .read_only(true)
        .pragma("cache_size", READER_CACHE_KIB)
}

pub(super) async fn connect_writer(path: &Path) -> sqlx::Result<SqliteConnection> {
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
