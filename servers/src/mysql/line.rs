//! The line to a session of MySQL or MariaDB, which may fall silent: see [`crate::silence`].

use std::sync::Arc;
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Row};

use super::{ConnectError, MySqlFault, Server};
use crate::silence::{answer, hear};

/// How long the server may take to say what it does.
const ANSWER: Duration = Duration::from_secs(10);

/// How long to wait until the server knows that a connection ends. If it does not hear that, it finds out later.
const FAREWELL: Duration = Duration::from_secs(1);

/// A row if the server is at work for the connection with this number: it neither waits for its client nor sends to it.
const AT_WORK: &str = "SELECT 1 FROM information_schema.PROCESSLIST
      WHERE ID = ? AND COMMAND NOT IN ('Sleep', 'Killed')
        AND COALESCE(STATE, '') NOT IN ('Reading from net', 'Writing to net', 'Sending to client')";

/// The line to a session.
pub struct Line {
    server: Arc<Server>,
    /// Which server it is: behind a balancer, another connection may lead to another one.
    name: String,
    /// The server's number for the connection.
    id: u32,
}

/// Closes a connection, and waits for a moment until the server knows.
pub async fn close(conn: Conn) {
    // If it is broken, there is nobody to tell.
    let _ = tokio::time::timeout(FAREWELL, conn.disconnect()).await;
}

impl Line {
    /// Connects to a server.
    pub async fn connect(server: &Arc<Server>) -> Result<(Conn, Self), ConnectError> {
        let (conn, name) = server.connect().await?;
        let line = Self {
            server: server.clone(),
            name,
            id: conn.id(),
        };
        Ok((conn, line))
    }

    /// The server that the session is on.
    pub fn server(&self) -> &Arc<Server> {
        &self.server
    }

    /// Waits for a call to the server as long as the server is at work on it.
    pub async fn hear<T>(&self, call: impl Future<Output = Result<T, Error>>) -> Result<T, MySqlFault> {
        Ok(hear(self.server.silence(), call, || self.is_at_work()).await?)
    }

    /// Returns whether the server is at work for the connection. If it is not, the connection is ended, since its locks
    /// would hold up the next try.
    async fn is_at_work(&self) -> bool {
        // The connection has a limit of its own.
        let Ok((mut conn, name)) = self.server.connect().await else {
            return false;
        };
        if name != self.name {
            // Another server, behind a balancer: it knows nothing of the connection, and its numbers are others'.
            return false;
        }
        let is_at_work = answer(ANSWER, ask(&mut conn, self.id), |error| {
            matches!(error, Error::Server(_))
        })
        .await;
        close(conn).await;
        is_at_work
    }
}

async fn ask(conn: &mut Conn, id: u32) -> Result<bool, Error> {
    let found: Option<Row> = conn.exec_first(AT_WORK, (id,)).await?;
    if found.is_some() {
        return Ok(true);
    }
    match conn.query_drop(format!("KILL CONNECTION {id}")).await {
        // The server refuses if the connection has ended already.
        Ok(()) | Err(Error::Server(_)) => Ok(false),
        Err(error) => Err(error),
    }
}
