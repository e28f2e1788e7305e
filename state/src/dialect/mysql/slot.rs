//! The place of a connection, from which it is taken by whoever uses it.

use std::time::{Duration, Instant};

use gristmill_servers::mysql::MySqlFault;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, DriverError};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::super::error::Result;
use super::ROLLBACK;

/// A transaction is undone within that time, or its connection is given up.
const LONGEST_UNDOING: Duration = Duration::from_secs(10);

/// A connection that was idle for longer may have been ended by its server.
const FRESH: Duration = Duration::from_secs(5);

/// The place of a connection.
pub(super) struct Slot {
    content: Content,
    /// When it was used last.
    used: Instant,
}

enum Content {
    Free(Conn),
    /// Its transaction is being undone.
    Undoing(JoinHandle<Option<Conn>>),
    /// It was closed, by its server or because somebody gave up in the middle.
    Lost,
}

impl Slot {
    pub(super) fn new(conn: Conn) -> Self {
        Self {
            content: Content::Free(conn),
            used: Instant::now(),
        }
    }

    /// Returns the connection, which stays here.
    pub(super) async fn get(&mut self) -> Result<&mut Conn> {
        if let Content::Undoing(undoing) = &mut self.content {
            let conn = undoing.await.ok().flatten();
            self.content = conn.map_or(Content::Lost, Content::Free);
        }
        self.used = Instant::now();
        match &mut self.content {
            Content::Free(conn) => Ok(conn),
            Content::Undoing(_) | Content::Lost => Err(lost().into()),
        }
    }

    /// Takes the connection out. It is lost unless it is put back.
    pub(super) async fn take(&mut self) -> Result<Conn> {
        self.get().await?;
        match std::mem::replace(&mut self.content, Content::Lost) {
            Content::Free(conn) => Ok(conn),
            Content::Undoing(_) | Content::Lost => Err(lost().into()),
        }
    }

    pub(super) fn put(&mut self, conn: Conn) {
        self.content = Content::Free(conn);
        self.used = Instant::now();
    }

    /// Returns whether the connection was used a moment ago.
    pub(super) fn is_fresh(&self) -> bool {
        !matches!(self.content, Content::Lost) && self.used.elapsed() < FRESH
    }

    /// Begins to undo the transaction of the connection, without waiting for that.
    pub(super) fn start_rollback(&mut self) {
        let Content::Free(mut conn) = std::mem::replace(&mut self.content, Content::Lost) else {
            return;
        };
        // Without a runtime, it is closed, which undoes the transaction, too.
        if let Ok(runtime) = Handle::try_current() {
            let undoing = async move {
                // One that gets no answer is closed.
                let undone = timeout(LONGEST_UNDOING, conn.query_drop(ROLLBACK)).await;
                undone.is_ok_and(|undone| undone.is_ok()).then_some(conn)
            };
            self.content = Content::Undoing(runtime.spawn(undoing));
        }
    }

    pub(super) async fn into_conn(mut self) -> Result<Conn> {
        self.take().await
    }
}

fn lost() -> MySqlFault {
    mysql_async::Error::from(DriverError::ConnectionClosed).into()
}
