//! Connections that fall silent: they stay open, and nothing comes any more, as behind a firewall that has forgotten
//! them.
//!
//! A server that works on a long statement is silent too, or one that waits for somebody's lock. So when nothing has
//! come of a call for a while, another connection asks the server what it does for the first one. If it does nothing,
//! or waits for this side, or does not answer either, then the line is dead: the call fails, and its session is ended,
//! since its locks would hold up the next try.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::{Client, Error};

use super::connect::Server;
use crate::PostgresFault;

/// How long the server may take to say what it does.
const ANSWER: Duration = Duration::from_secs(10);

/// What the server does for a session. A session that waits for its client is not at work.
const IS_AT_WORK: &str = "SELECT state = 'active' AND wait_event_type IS DISTINCT FROM 'Client'
                            FROM pg_catalog.pg_stat_activity WHERE pid = $1";

const END: &str = "SELECT pg_terminate_backend($1)";

const SESSION: &str = "SELECT pg_backend_pid()";

/// The line to a session.
pub(super) struct Line {
    server: Arc<Server>,
    /// The session's process; 0 before it is known.
    pid: AtomicI32,
}

impl Line {
    /// The line of a new session.
    pub(super) fn new(server: Arc<Server>) -> Self {
        Self {
            server,
            pid: AtomicI32::new(0),
        }
    }

    /// Finds out which session it is. A pooler may change it with each transaction.
    pub(super) async fn identify(
        &self,
        client: &impl tokio_postgres::GenericClient,
    ) -> Result<(), PostgresFault> {
        let row = self.hear(client.query_one(SESSION, &[])).await?;
        self.pid.store(row.get(0), Ordering::Relaxed);
        Ok(())
    }

    /// Waits for a call to the server as long as the server is at work on it.
    pub(super) async fn hear<T>(
        &self,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, PostgresFault> {
        let silence = self.server.silence();
        let mut call = pin!(call);
        loop {
            if let Ok(done) = timeout(silence, &mut call).await {
                return Ok(done?);
            }
            let is_at_work = tokio::select! {
                biased;
                done = &mut call => return Ok(done?),
                is_at_work = self.is_at_work() => is_at_work,
            };
            if !is_at_work {
                return Err(PostgresFault::silent(silence));
            }
        }
    }

    /// Returns whether the server is at work for the session. If it is not, the session is ended.
    async fn is_at_work(&self) -> bool {
        let pid = self.pid.load(Ordering::Relaxed);
        // The connection has a limit of its own.
        let Ok(client) = self.server.connect().await else {
            return false;
        };
        match timeout(ANSWER, ask(&client, pid)).await {
            Ok(Ok(is_at_work)) => is_at_work,
            // A server that answers with an error is there, and may be at work.
            Ok(Err(error)) => error.code().is_some(),
            Err(_) => false,
        }
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
