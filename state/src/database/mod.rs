//! The state database on SQLite.
//!
//! One connection writes, a few read. A mutex serializes writes, which begin with `BEGIN IMMEDIATE`: what a
//! transaction has read is still true when it writes, even across processes. Reads see a snapshot and never wait. The
//! log is flushed at each commit (`synchronous = FULL`), so a change survives a power cut once its call has returned;
//! except what the next start would do again ([`StateDb::writer_unsynced`]).

mod alerts;
mod archives;
mod connect;
mod counting;
mod criterion;
mod days;
mod decode;
mod edits;
mod facts;
mod files;
mod guarding;
mod interventions;
mod jobs;
mod lake;
mod ledger;
mod lineage;
mod matching;
mod measures;
mod others;
mod overflow;
mod overview;
mod pages;
#[cfg(test)]
mod plans;
mod query;
mod queue;
mod runs;
mod schema;
mod select;
mod sql;
mod stores;
mod submissions;
mod unmatched;
mod waiting;
mod waves;
mod whole;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{Connection, SqliteConnection, SqlitePool};
use tokio::sync::{MappedMutexGuard, Mutex, MutexGuard};

use self::connect::{begin, connect_writer, make_folder, reading};
pub use self::criterion::criterion;
pub use self::lake::Expiry;
pub use self::pages::Changes;
pub use self::query::{MOST_ROWS, query};
use self::schema::migrate;
pub use self::unmatched::UNMATCHED;
use crate::clock::Clock;
use crate::damage::Damage;
use crate::error::{During, StateError};
use crate::lock::ServiceLock;

/// The number of reading connections. A few are enough: decisions are short, and the machine has few cores.
const READERS: u32 = 3;

/// The state database. Its methods may be called concurrently.
#[derive(Debug)]
pub struct StateDb {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    /// `None` if it was opened only to read.
    writer: Mutex<Option<SqliteConnection>>,
    /// Whether commits of the writer are not flushed to disk at present.
    is_unsynced: AtomicBool,
    readers: SqlitePool,
    /// The impossible values that were told.
    told: whole::Told,
    /// For whom jobs are edited.
    editor: String,
}

impl StateDb {
    /// Opens the database at `path`, creates it (and its folder) if it does not exist, and migrates it. Whoever calls
    /// this holds the [`ServiceLock`](crate::ServiceLock): a service of an earlier version must not find the database
    /// migrated under it. Others use [`open_beside`](Self::open_beside).
    pub async fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, StateError> {
        make_folder(path)?;
        let mut writer = connect_writer(path).await.map_err(|source| StateError::Open {
            path: path.to_owned(),
            source,
        })?;
        migrate(&mut writer, path).await?;
        tracing::debug!(path = %path.display(), "opened the state database");
        Ok(Self::new(path, clock, Some(writer), reading(path)))
    }

    /// Opens the database at `path` for a command that writes, and creates it if it does not exist. It is migrated only
    /// if no service works on it; otherwise its version must be that of this program.
    pub async fn open_beside(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, StateError> {
        if schema::is_current(path).await? {
            let writer = connect_writer(path).await.map_err(|source| StateError::Open {
                path: path.to_owned(),
                source,
            })?;
            return Ok(Self::new(path, clock, Some(writer), reading(path)));
        }
        let _lock = match ServiceLock::acquire(path) {
            // What a command must not do beside it, the service does when it is started again.
            Err(StateError::AlreadyRunning { .. }) if path.exists() => return Err(schema::older(path).await),
            acquired => acquired?,
        };
        Self::open(path, clock).await
    }

    /// Opens the database at `path` only to read it. That needs no right to write, and never migrates it: a database of
    /// another version is refused.
    pub async fn open_to_read(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, StateError> {
        let options = schema::readable(path).await?;
        Ok(Self::new(path, clock, None, options))
    }

    fn new(
        path: &Path,
        clock: Arc<dyn Clock>,
        writer: Option<SqliteConnection>,
        reading: SqliteConnectOptions,
    ) -> Self {
        Self {
            path: path.to_owned(),
            clock,
            writer: Mutex::new(writer),
            is_unsynced: AtomicBool::new(false),
            readers: SqlitePoolOptions::new()
                .max_connections(READERS)
                .connect_lazy_with(reading),
            told: whole::Told::default(),
            editor: "gristmill".to_owned(),
        }
    }

    /// Names the person for whom this program edits jobs.
    pub fn on_behalf_of(self, editor: impl Into<String>) -> Self {
        let editor = editor.into();
        Self { editor, ..self }
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

    /// Returns the path of the database.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the rows with impossible values that the calls so far have left out.
    pub fn damages(&self) -> Vec<Damage> {
        self.told.so_far()
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
    async fn writer(&self) -> sqlx::Result<MappedMutexGuard<'_, SqliteConnection>> {
        let mut writer = self.any_writer().await?;
        if self.is_unsynced.load(Ordering::Relaxed) {
            sqlx::query("PRAGMA synchronous = FULL")
                .execute(&mut *writer)
                .await?;
            self.is_unsynced.store(false, Ordering::Relaxed);
        }
        Ok(writer)
    }

    /// Does the same for what the next start would do again in the same way: its commit outlives this process, and is not
    /// flushed to disk. The next flush takes it along, so that after a power cut nothing is missing that something later
    /// rests on.
    async fn writer_unsynced(&self) -> sqlx::Result<MappedMutexGuard<'_, SqliteConnection>> {
        let mut writer = self.any_writer().await?;
        // Whoever writes next sets the connection right again, also if this future is dropped on the way.
        if !self.is_unsynced.swap(true, Ordering::Relaxed) {
            sqlx::query("PRAGMA synchronous = NORMAL")
                .execute(&mut *writer)
                .await?;
        }
        Ok(writer)
    }

    async fn any_writer(&self) -> sqlx::Result<MappedMutexGuard<'_, SqliteConnection>> {
        let writer = self.writer.lock().await;
        let mut writer = MutexGuard::try_map(writer, Option::as_mut)
            .map_err(|_| sqlx::Error::Configuration("it was opened only to read".into()))?;
        // The ping is answered after the rollback of any dropped transaction. If SQLite has already rolled back by
        // itself (disk full, I/O error), that rollback fails, and the driver would count the connection as busy for
        // ever.
        if writer.ping().await.is_err() || writer.is_in_transaction() {
            *writer = connect_writer(&self.path).await?;
            self.is_unsynced.store(false, Ordering::Relaxed);
        }
        Ok(writer)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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

    #[tokio::test]
    async fn what_is_flushed_follows_what_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let db = StateDb::open(&folder.path().join("state.db"), Arc::new(SystemClock))
            .await
            .unwrap();
        let synchronous = async |writer: &mut SqliteConnection| {
            let synchronous = sqlx::query_scalar::<_, i64>("PRAGMA synchronous").fetch_one(writer);
            synchronous.await.unwrap()
        };
        for _ in 0..2 {
            for _ in 0..2 {
                let mut writer = db.writer_unsynced().await.unwrap();
                assert_eq!(synchronous(&mut writer).await, 1, "1 is NORMAL");
            }
            let mut writer = db.writer().await.unwrap();
            assert_eq!(synchronous(&mut writer).await, 2);
        }
        // Nobody asks the disk for a claim, also if there is nothing to claim.
        db.claim("test").await.unwrap();
        assert!(db.is_unsynced.load(Ordering::Relaxed));
        db.look_again(&["a".to_owned()]).await.unwrap();
        assert!(!db.is_unsynced.load(Ordering::Relaxed));
    }

    #[tokio::test]
    async fn commits_are_flushed_again_even_if_noting_attempts_is_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let db = StateDb::open(&folder.path().join("state.db"), Arc::new(SystemClock))
            .await
            .unwrap();
        let synchronous = async || {
            let mut writer = db.writer().await.unwrap();
            let synchronous = sqlx::query_scalar::<_, i64>("PRAGMA synchronous").fetch_one(&mut *writer);
            synchronous.await.unwrap()
        };
        db.end_attempts(&["a"]).await.unwrap();
        assert_eq!(synchronous().await, 2);
        // Dropped at each of its steps in turn.
        for polls in 0..20 {
            let mut noting = Box::pin(db.end_attempts(&["a"]));
            for _ in 0..polls {
                if is_done_after_a_poll(noting.as_mut()).await {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            drop(noting);
            assert_eq!(synchronous().await, 2, "after {polls} polls");
        }
    }

    /// Polls once.
    async fn is_done_after_a_poll<F: Future>(mut future: std::pin::Pin<&mut F>) -> bool {
        std::future::poll_fn(|context| std::task::Poll::Ready(future.as_mut().poll(context).is_ready())).await
    }
}
