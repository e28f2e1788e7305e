//! What became of a transaction whose commit was not answered.
//!
//! Whoever began a run, or recorded a file, must know whether that stands: a run that is claimed without anybody's
//! knowledge would wait for the next start of the service. MySQL does not tell what became of a transaction. So each counts
//! itself in a row that belongs to its connection alone, and which is looked at on another one.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use gristmill_servers::mysql::{ConnectError, MySqlFault, Server, close};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use tokio::time::sleep;

use super::super::error::{DatabaseError, Result};

/// The first pause between two questions; each further one is twice as long, up to the longest.
const PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Waits for the end of the transaction if its session has not noticed yet that its client is gone, and takes no lock itself.
const WRITES: &str = "SELECT writes FROM writer_session WHERE session_id = ? LOCK IN SHARE MODE";

/// Refused by a server that is `read_only`.
const CHANGE_NOTHING: &str = "UPDATE writer SET writes = writes WHERE one = 1";

const WAIT_FOR_LOCK: &str = "SET SESSION innodb_lock_wait_timeout = 2";

/// A transaction that writes.
#[derive(Debug, Clone)]
pub(super) struct Counted {
    /// The row that counts the transactions of its connection.
    pub(super) session: u64,
    /// How many it has counted with this one, if it stands.
    pub(super) writes: i64,
}

/// Returns if the transaction was committed; otherwise fails with what was said at its commit. As long as the server is away,
/// it is waited for.
pub(super) async fn must_stand(server: &Arc<Server>, counted: &Counted, error: DatabaseError) -> Result<()> {
    tracing::warn!(%error, "a change of the state database was not confirmed: asking what became of it");
    let pauses = ExponentialBuilder::default()
        .with_min_delay(PAUSE)
        .with_max_delay(LONGEST_PAUSE)
        .without_max_times();
    for pause in pauses.build() {
        match server.in_time(ask(server, counted)).await {
            Ok(true) => return Ok(()),
            Ok(false) => break,
            Err(failure) if failure.is_transient() => {}
            Err(failure) => return Err(DatabaseError::Unconfirmed(failure.to_string())),
        }
        sleep(pause).await;
    }
    Err(error)
}

async fn ask(server: &Server, counted: &Counted) -> Result<bool, ConnectError> {
    let (mut conn, _) = server.connect().await?;
    conn.query_drop(WAIT_FOR_LOCK).await.map_err(MySqlFault::from)?;
    let stands = stands(&mut conn, counted).await.map_err(MySqlFault::from)?;
    close(conn).await;
    Ok(stands)
}

/// Returns whether the transaction was committed. A replica that still catches up does not know, and fails.
pub(super) async fn stands(conn: &mut Conn, counted: &Counted) -> Result<bool, mysql_async::Error> {
    conn.query_drop(CHANGE_NOTHING).await?;
    let writes: Option<i64> = conn.exec_first(WRITES, (counted.session,)).await?;
    Ok(writes.is_some_and(|writes| writes >= counted.writes))
}
