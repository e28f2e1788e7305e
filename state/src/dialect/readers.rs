//! The few connections that read. Each is made when it is first needed, and again when it can no longer be used.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::{FutureExt as _, TryFutureExt as _};
use gristmill_servers::{mysql, postgres};
use sqlx::sqlite::SqliteConnectOptions;
use tokio::sync::{Mutex, OwnedMappedMutexGuard, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

use super::connection::{Connection, Purpose};
use super::error::{DatabaseError, Result};
use super::sqlite::Sqlite;
use super::transaction::Transaction;

/// The number of reading connections. A few are enough: decisions are short, and the machine has few cores.
const READERS: usize = 3;

/// How a reading connection is made.
#[derive(Debug)]
pub(crate) enum Reading {
    Sqlite(Box<SqliteConnectOptions>),
    Postgres(Arc<postgres::Server>),
    MySql(Arc<mysql::Server>),
}

impl Reading {
    pub(crate) fn connect(&self) -> BoxFuture<'_, Result<Connection>> {
        match self {
            Self::Sqlite(options) => Sqlite::connect(options).map_ok(Connection::Sqlite).boxed(),
            Self::Postgres(server) => Connection::to_postgres(server, Purpose::Read),
            Self::MySql(server) => Connection::to_mysql(server, Purpose::Read),
        }
    }
}

/// The reading connections. A clone shares them.
#[derive(Debug, Clone)]
pub(crate) struct Readers(Arc<Shared>);

/// A place for a connection, locked by whoever uses it.
type Slot = Arc<Mutex<Option<Connection>>>;

#[derive(Debug)]
struct Shared {
    reading: Reading,
    /// One for each slot that is free.
    free: Arc<Semaphore>,
    slots: [Slot; READERS],
}

/// A reading connection, which others can use when this is dropped.
#[derive(Debug)]
pub(crate) struct Reader {
    // Dropped in this order: the slot is free before anybody is told.
    connection: OwnedMappedMutexGuard<Option<Connection>, Connection>,
    _free: OwnedSemaphorePermit,
}

impl Readers {
    pub(crate) fn new(reading: Reading) -> Self {
        Self(Arc::new(Shared {
            reading,
            free: Arc::new(Semaphore::new(READERS)),
            slots: std::array::from_fn(|_| Slot::default()),
        }))
    }

    /// Waits for a connection that nobody uses.
    pub(crate) async fn acquire(&self) -> Result<Reader> {
        let shared = &self.0;
        let closed = |_| DatabaseError::Closed;
        let free = shared.free.clone().acquire_owned().await.map_err(closed)?;
        let mut slots = shared.slots.iter();
        let slot = slots.find_map(|slot| slot.clone().try_lock_owned().ok());
        let mut slot = slot.ok_or(DatabaseError::Closed)?;
        let is_usable = match slot.as_mut() {
            Some(connection) => connection.is_usable().await,
            None => false,
        };
        if !is_usable {
            *slot = Some(shared.reading.connect().await?);
        }
        let connection = OwnedMutexGuard::try_map(slot, Option::as_mut).map_err(|_| DatabaseError::Closed)?;
        Ok(Reader {
            connection,
            _free: free,
        })
    }

    /// Begins a transaction that sees the database as it was at one moment.
    pub(crate) async fn begin(&self) -> Result<Transaction<Reader>> {
        Transaction::to_read(self.acquire().await?).await
    }

    /// Waits for whoever still reads, and ends all connections.
    pub(crate) async fn close(&self) -> Result<()> {
        let shared = &self.0;
        shared.free.close();
        for slot in &shared.slots {
            if let Some(connection) = slot.lock().await.take() {
                connection.close().await?;
            }
        }
        Ok(())
    }
}

impl Deref for Reader {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl DerefMut for Reader {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }
}
