//! The state database on SQLite.
//!
//! One connection writes, a few read. A mutex serializes writes, which begin with `BEGIN IMMEDIATE`: what a
//! transaction has read is still true when it writes, even across processes. Reads see a snapshot and never wait. The
//! log is flushed at each commit (`synchronous = FULL`), so a change survives a power cut once its call has returned.

mod counting;
mod criterion;
mod days;
mod decode;
mod facts;
mod files;
mod guarding;
mod interventions;
mod jobs;
mod lake;
mod ledger;
mod matching;
mod others;
mod overflow;
mod overview;
#[cfg(test)]
mod plans;
mod queue;
mod runs;
mod sql;
mod submissions;
mod unmatched;
mod waves;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Sqlite, SqliteConnection, SqlitePool, Transaction};
use tokio::sync::{Mutex, MutexGuard};

pub use self::lake::Expiry;
pub use self::unmatched::UNMATCHED;
use crate::clock::Clock;
use crate::error::{During, StateError, sqlite_code};

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// How long a write waits for another program's lock, such as that of a shell with an open transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Rows that a connection's thread reads ahead of its caller, so that both sleep and wake less often.
const ROWS_AHEAD: usize = 1000;

/// The number of reading connections. A few are enough: decisions are short, and the machine has few cores.
const READERS: u32 = 3;

/// The state database. Its methods may be called concurrently.
#[derive(Debug)]
pub struct StateDb {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    writer: Mutex<SqliteConnection>,
    readers: SqlitePool,
}

impl StateDb {
    /// Opens the database at `path`, creates it (and its folder) if it does not exist, and migrates it.
    pub async fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, StateError> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|source| StateError::Folder {
                path: path.to_owned(),
                source,
            })?;
        }
        let mut writer = connect_writer(path).await.map_err(|source| StateError::Open {
            path: path.to_owned(),
            source,
        })?;
        migrate(&mut writer, path).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .connect_lazy_with(reading(path));
        tracing::debug!(path = %path.display(), "opened the state database");
        Ok(Self {
            path: path.to_owned(),
            clock,
            writer: Mutex::new(writer),
            readers,
        })
    }

    /// Returns a number that changes when another connection writes: a person with `sqlite3`, or another command.
    /// Writes by this `StateDb` do not count. Compare only numbers from the same `StateDb`.
    pub async fn changes(&self) -> Result<i64, StateError> {
        let (action, subject) = ("check for changes in", "the state database");
        let mut writer = self.writer().await.during(action, subject)?;
        sqlx::query_scalar("PRAGMA data_version")
            .fetch_one(&mut *writer)
            .await
            .during(action, subject)
    }

    /// Stops all reading, and moves the contents of the log into the database file, which can then be copied by itself.
    pub async fn close(&self) -> Result<(), StateError> {
        self.readers.close().await;
        let (action, subject) = ("close", "the state database");
        let mut writer = self.writer().await.during(action, subject)?;
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)")
            .execute(&mut *writer)
            .await
            .during(action, subject)?;
        Ok(())
    }

    /// Returns the current time as text.
    fn now(&self) -> String {
        decode::text(self.clock.now())
    }

    /// Waits for the writing connection, and returns it ready for a transaction.
    async fn writer(&self) -> sqlx::Result<MutexGuard<'_, SqliteConnection>> {
        let mut writer = self.writer.lock().await;
        // The ping is answered after the rollback of any dropped transaction. If SQLite has already rolled back by
        // itself (disk full, I/O error), that rollback fails, and the driver would count the connection as busy for
        // ever.
        if writer.ping().await.is_err() || writer.is_in_transaction() {
            *writer = connect_writer(&self.path).await?;
        }
        Ok(writer)
    }
}

/// Begins a transaction that holds the write lock until it ends.
async fn begin(writer: &mut SqliteConnection) -> sqlx::Result<Transaction<'_, Sqlite>> {
    writer.begin_with("BEGIN IMMEDIATE").await
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
fn reading(path: &Path) -> SqliteConnectOptions {
    options(path).read_only(true)
}

async fn connect_writer(path: &Path) -> sqlx::Result<SqliteConnection> {
    let options = options(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
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

async fn migrate(writer: &mut SqliteConnection, path: &Path) -> Result<(), StateError> {
    let path = path.to_owned();
    // Some migrations rebuild tables that others refer to. SQLite ignores this within a transaction.
    let enforce = async |writer: &mut SqliteConnection, word| {
        let pragma = sqlx::query(word).execute(writer).await;
        pragma.map_err(|source| StateError::Open {
            path: path.clone(),
            source,
        })
    };
    enforce(writer, "PRAGMA foreign_keys = OFF").await?;
    run_migrations(writer, &path).await?;
    enforce(writer, "PRAGMA foreign_keys = ON").await?;
    Ok(())
}

async fn run_migrations(writer: &mut SqliteConnection, path: &Path) -> Result<(), StateError> {
    let path = path.to_owned();
    // The driver takes no migration lock on SQLite, so this transaction keeps two first starts apart.
    let mut tx = match begin(writer).await {
        Ok(tx) => tx,
        Err(source) => return Err(StateError::Open { path, source }),
    };
    let known = MIGRATIONS
        .iter()
        .map(|migration| migration.version)
        .max()
        .unwrap_or(0);
    // `run` returns a future that cannot be spawned ("`Acquire` is not general enough"); this is its inner part.
    match MIGRATIONS.run_direct(None, &mut *tx, false).await {
        Ok(()) => {}
        Err(MigrateError::VersionMissing(found)) if found > known => {
            return Err(StateError::Newer { path, found, known });
        }
        Err(source) => return Err(StateError::Migrate { path, source }),
    }
    tx.commit()
        .await
        .map_err(|source| StateError::Open { path, source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    #[tokio::test]
    async fn writing_goes_on_after_sqlite_has_rolled_back_by_itself() {
        let folder = tempfile::tempdir().unwrap();
        let db = StateDb::open(&folder.path().join("state.db"), Arc::new(SystemClock))
            .await
            .unwrap();
        {
            let mut writer = db.writer().await.unwrap();
            let mut tx = begin(&mut writer).await.unwrap();
            sqlx::query("ROLLBACK").execute(&mut *tx).await.unwrap();
        }
        db.look_again(&["a".to_owned()]).await.unwrap();
    }

    #[tokio::test]
    async fn a_commit_is_flushed_to_disk() {
        let folder = tempfile::tempdir().unwrap();
        let db = StateDb::open(&folder.path().join("state.db"), Arc::new(SystemClock))
            .await
            .unwrap();
        let mut writer = db.writer().await.unwrap();
        let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous")
            .fetch_one(&mut *writer)
            .await
            .unwrap();
        let journal: String = sqlx::query_scalar("PRAGMA journal_mode")
            .fetch_one(&mut *writer)
            .await
            .unwrap();
        assert_eq!((synchronous, journal.as_str()), (2, "wal"), "2 is FULL");
    }
}
