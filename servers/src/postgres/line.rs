//! The line to a session of Postgres, which may fall silent: see [`crate::silence`].

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use tokio_postgres::{Client, Error};

use super::{PostgresFault, Server};
use crate::silence::{answer, hear};

/// How long the server may take to say what it does.
const ANSWER: Duration = Duration::from_secs(10);

/// What the server does for a session. A session that waits for its client is not at work.
const IS_AT_WORK: &str = "SELECT state = 'active' AND wait_event_type IS DISTINCT FROM 'Client'
                            FROM pg_catalog.pg_stat_activity WHERE pid = $1";

const END: &str = "SELECT pg_terminate_backend($1)";

const SESSION: &str = "SELECT pg_backend_pid()";

/// The line to a session.
pub struct Line {
    server: Arc<Server>,
    /// The session's process; 0 before it is known.
    pid: AtomicI32,
}

impl Line {
    /// The line of a new session.
    pub fn new(server: Arc<Server>) -> Self {
        Self {
            server,
            pid: AtomicI32::new(0),
        }
    }

    /// The server that the session is on.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Finds out which session it is. A pooler may change it with each transaction.
    pub async fn identify(&self, client: &impl tokio_postgres::GenericClient) -> Result<(), PostgresFault> {
        let row = self.hear(client.query_one(SESSION, &[])).await?;
        self.pid.store(row.get(0), Ordering::Relaxed);
        Ok(())
    }

    /// Waits for a call to the server as long as the server is at work on it.
    pub async fn hear<T>(&self, call: impl Future<Output = Result<T, Error>>) -> Result<T, PostgresFault> {
        Ok(hear(self.server.silence(), call, || self.is_at_work()).await?)
    }

    /// Returns whether the server is at work for the session. If it is not, the session is ended.
    async fn is_at_work(&self) -> bool {
        let pid = self.pid.load(Ordering::Relaxed);
        // The connection has a limit of its own.
        let Ok(client) = self.server.connect().await else {
            return false;
        };
        answer(ANSWER, ask(&client, pid), |error| error.code().is_some()).await
    }
}

async fn ask(client: &Client, pid: i32) -> Result<bool, Error> {
    let row = client.query_opt(IS_AT_WORK, &[&pid]).await?;
    let is_at_work = row.and_then(|row| row.get::<_, Option<bool>>(0)).unwrap_or(false);
    if !is_at_work && pid != 0 {
        client.query_one(END, &[&pid]).await?;
    }
    Ok(is_at_work)
}
