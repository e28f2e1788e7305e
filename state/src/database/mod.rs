//! The rules of the state database, on SQLite, Postgres and MySQL alike ([`crate::dialect`]).
//!
//! One connection writes, a few read. A mutex serializes writes of this process, and their transactions begin with a lock
//! that keeps all others from writing: what a transaction has read is still true when it writes. Reads see a snapshot and
//! never wait. The log is flushed at each commit, so a change survives a power cut once its call has returned; except what
//! the next start would do again ([`StateDb::writer_unsynced`]).

mod alerts;
mod archives;
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
mod role;
mod runs;
mod schema;
mod select;
mod serving;
mod sql;
mod stores;
mod submissions;
mod transfer;
mod unmatched;
mod waiting;
mod waves;
mod whole;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{MappedMutexGuard, Mutex, MutexGuard, watch};

pub use self::criterion::criterion;
pub use self::lake::{Expiry, ObjectsOf};
pub use self::pages::Changes;
pub use self::query::{MOST_ROWS, query};
use self::schema::migrate;
pub use self::transfer::{CopiedTable, Copying, StateFile, TransferError};
pub use self::unmatched::UNMATCHED;
use crate::answerer::Answerer;
use crate::clock::Clock;
use crate::damage::Damage;
use crate::dialect::{Connection, DatabaseError, Place, Readers, Reading, Result, Transaction};
use crate::error::{During, StateError};
use crate::lock::ServiceLock;
use crate::service::Service;

/// The state database. Its methods may be called concurrently.
#[derive(Debug)]
pub struct StateDb {
    place: Place,
    clock: Arc<dyn Clock>,
    /// `None` if it was opened only to read.
    writer: Mutex<Option<Connection>>,
    /// Whether commits of the writer are not flushed to disk at present.
    is_unsynced: AtomicBool,
    /// Whether it was found to lack what it had confirmed.
    went_back: watch::Sender<bool>,
    readers: Readers,
    /// The impossible values that were told.
    told: whole::Told,
    /// For whom jobs are edited.
    editor: String,
}

/// Begins a transaction that holds the write lock until it ends.
async fn begin(writer: &mut Connection) -> Result<Transaction<&mut Connection>> {
    Transaction::to_write(writer).await
}

impl StateDb {
    /// Opens the database for its [`Service`], and migrates it. On a server, it can be written only as long as no other
    /// process has become the service.
    pub async fn open_for(service: &Service, clock: Arc<dyn Clock>) -> Result<Self, StateError> {
        Self::open_as(service.place().clone(), service.epoch(), clock).await
    }

    /// Opens the database, creates it (a file with its folder) if it does not exist, and migrates it, which no service may
    /// find done under it: whoever calls this knows that there is none. Others use [`open_beside`](Self::open_beside).
    pub async fn open(place: impl Into<Place>, clock: Arc<dyn Clock>) -> Result<Self, StateError> {
        Self::open_as(place.into(), None, clock).await
    }

    async fn open_as(place: Place, epoch: Option<i64>, clock: Arc<dyn Clock>) -> Result<Self, StateError> {
        if let Place::File(path) = &place {
            make_folder(path)?;
        }
        let mut writer = connect_writer(&place, epoch).await?;
        migrate(&mut writer, &place).await?;
        tracing::debug!(%place, "opened the state database");
        let reading = place.reading();
        Ok(Self::new(place, clock, Some(writer), reading))
    }

    /// Returns whether there is a database that a service has worked on.
    pub async fn exists(place: &Place) -> Result<bool, StateError> {
        Ok(!schema::is_absent(place).await?)
    }

    /// Opens the database for a command that writes, and creates it if it does not exist. It is migrated only if no
    /// service works on it; otherwise its version must be that of this program.
    pub async fn open_beside(place: impl Into<Place>, clock: Arc<dyn Clock>) -> Result<Self, StateError> {
        let place = place.into();
        if schema::is_current(&place).await? {
            let writer = connect_writer(&place, None).await?;
            let reading = place.reading();
            return Ok(Self::new(place, clock, Some(writer), reading));
        }
        let _lock = match &place {
            Place::File(path) => match ServiceLock::acquire(path) {
                // What a command must not do beside it, the service does when it is started again.
                Err(StateError::AlreadyRunning { .. }) if path.exists() => {
                    return Err(schema::older(&place).await);
                }
                acquired => Some(acquired?),
            },
            Place::Postgres(..) | Place::MySql(..) if schema::is_absent(&place).await? => None,
            Place::Postgres(..) | Place::MySql(..) => return Err(schema::older(&place).await),
        };
        Self::open(place, clock).await
    }

    /// Opens the database only to read it. That needs no right to write, and never migrates it: a database of another
    /// version is refused.
    pub async fn open_to_read(place: impl Into<Place>, clock: Arc<dyn Clock>) -> Result<Self, StateError> {
        let place = place.into();
        let reading = schema::readable(&place).await?;
        Ok(Self::new(place, clock, None, reading))
    }

    fn new(place: Place, clock: Arc<dyn Clock>, writer: Option<Connection>, reading: Reading) -> Self {
        Self {
            place,
            clock,
            writer: Mutex::new(writer),
            is_unsynced: AtomicBool::new(false),
            went_back: watch::Sender::new(false),
            readers: Readers::new(reading),
            told: whole::Told::default(),
            editor: "gristmill".to_owned(),
        }
    }

    /// Names the person for whom this program edits jobs.
    pub fn on_behalf_of(self, editor: impl Into<String>) -> Self {
        let editor = editor.into();
        Self { editor, ..self }
    }

    /// Returns a number that changes when another connection writes: a person with `sqlite3` or `psql`, or another command.
    /// Writes by this `StateDb` do not count. Compare only numbers from the same `StateDb`.
    pub async fn changes(&self) -> Result<i64, StateError> {
        let (action, subject) = ("check for changes in", "the state database");
        let mut writer = self.writer().await.during(action, subject)?;
        writer.changes_of_others().await.during(action, subject)
    }

    /// Completes once the server was found to lack what it had confirmed, as after a crash, or where a standby that lags took its
    /// place. What this process knows of the database may be wrong then, so nothing more is written: open it anew.
    pub async fn went_back(&self) -> StateError {
        let mut went_back = self.went_back.subscribe();
        // Its sender is here.
        let _ = went_back.wait_for(|went_back| *went_back).await;
        StateError::WentBack {
            database: self.place.to_string(),
        }
    }

    /// Returns where the database is.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Returns who answers what people ask the database; `None` if it is on a server and nobody was named for that.
    pub fn answerer(&self) -> Option<Answerer> {
        self.place.answerer()
    }

    /// Returns the rows with impossible values that the calls so far have left out.
    pub fn damages(&self) -> Vec<Damage> {
        self.told.so_far()
    }

    /// Stops all reading, and leaves the database as it can be copied: SQLite's file by itself, without its log.
    pub async fn close(&self) -> Result<(), StateError> {
        let (action, subject) = ("close", "the state database");
        self.readers.close().await.during(action, subject)?;
        let mut writer = self.writer().await.during(action, subject)?;
        writer.empty_log().await.during(action, subject)
    }

    /// Returns the current time as text.
    fn now(&self) -> String {
        decode::text(self.clock.now())
    }

    /// Waits for the writing connection, and returns it ready for a transaction.
    async fn writer(&self) -> Result<MappedMutexGuard<'_, Connection>> {
        let mut writer = self.any_writer().await?;
        if self.is_unsynced.load(Ordering::Relaxed) {
            writer.flush_commits(true).await?;
            self.is_unsynced.store(false, Ordering::Relaxed);
        }
        Ok(writer)
    }

    /// Does the same for what the next start would do again in the same way: its commit outlives this process, and is not
    /// flushed to disk. The next flush takes it along, so that after a power cut nothing is missing that something later
    /// rests on.
    async fn writer_unsynced(&self) -> Result<MappedMutexGuard<'_, Connection>> {
        let mut writer = self.any_writer().await?;
        // Whoever writes next sets the connection right again, also if this future is dropped on the way.
        if !self.is_unsynced.swap(true, Ordering::Relaxed) {
            writer.flush_commits(false).await?;
        }
        Ok(writer)
    }

    async fn any_writer(&self) -> Result<MappedMutexGuard<'_, Connection>> {
        let writer = self.writer.lock().await;
        let mut writer = MutexGuard::try_map(writer, Option::as_mut).map_err(|_| DatabaseError::OnlyRead)?;
        if *self.went_back.borrow() {
            return Err(DatabaseError::WentBack(self.place.to_string()));
        }
        if !writer.is_usable().await {
            let mut next = self.place.connect_to_write().await?;
            if let Err(error) = next.succeed(&writer).await {
                if matches!(error, DatabaseError::WentBack(_)) {
                    self.went_back.send_replace(true);
                }
                return Err(error);
            }
            *writer = next;
            self.is_unsynced.store(false, Ordering::Relaxed);
        }
        Ok(writer)
    }
}

/// Creates the tables in a database on a server that has none.
pub(crate) async fn prepare(place: &Place) -> Result<(), StateError> {
    match schema::is_absent(place).await? {
        true => migrate(&mut connect_writer(place, None).await?, place).await,
        false => Ok(()),
    }
}

async fn connect_writer(place: &Place, epoch: Option<i64>) -> Result<Connection, StateError> {
    let connected = place.connect_to_write().await;
    let mut connection = connected.map_err(|source| StateError::Open {
        place: place.clone(),
        source,
    })?;
    if let Some(epoch) = epoch {
        connection.write_as(epoch);
    }
    Ok(connection)
}

fn make_folder(path: &Path) -> Result<(), StateError> {
    let Some(folder) = path.parent() else {
        return Ok(());
    };
    std::fs::create_dir_all(folder).map_err(|source| StateError::Folder {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::SystemClock;
    use crate::dialect::{query, query_scalar};

    #[tokio::test]
    async fn writing_goes_on_after_sqlite_has_rolled_back_by_itself() {
        let folder = tempfile::tempdir().unwrap();
        let db = StateDb::open(&folder.path().join("state.db"), Arc::new(SystemClock))
            .await
            .unwrap();
        {
            let mut writer = db.writer().await.unwrap();
            let mut tx = begin(&mut writer).await.unwrap();
            query("ROLLBACK").execute(&mut *tx).await.unwrap();
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
        let synchronous: i64 = query_scalar("PRAGMA synchronous")
            .fetch_one(&mut *writer)
            .await
            .unwrap();
        let journal: String = query_scalar("PRAGMA journal_mode")
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
        let synchronous = async |writer: &mut Connection| {
            let synchronous = query_scalar::<i64>("PRAGMA synchronous").fetch_one(writer);
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
            let synchronous = query_scalar::<i64>("PRAGMA synchronous").fetch_one(&mut *writer);
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
