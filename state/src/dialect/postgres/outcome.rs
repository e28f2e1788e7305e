//! What became of a transaction whose commit was not answered.
//!
//! Whoever began a run, or recorded a file, must know whether that stands: a run that is claimed without anybody's
//! knowledge would wait for the next start of the service. The server keeps for each transaction what became of it, also
//! over a crash. So it is asked, on a connection of its own.

use std::time::Duration;

use gristmill_servers::postgres::Server;
use tokio::time::{Instant, sleep};

use super::super::error::{DatabaseError, Result};

/// How long the server may be away, or leave the transaction open.
const PATIENCE: Duration = Duration::from_secs(600);

/// The first pause between two questions; each further one is twice as long, up to the longest.
const PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

const OUTCOME: &str = "SELECT pg_xact_status($1::text::xid8)";

/// Returns if the transaction of this number was committed; otherwise fails with what was said at its commit.
pub(super) async fn must_stand(server: &Server, number: &str, error: DatabaseError) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let mut pause = PAUSE;
    tracing::warn!(%error, "a change of the state database was not confirmed: asking what became of it");
    loop {
        let reason = match ask(server, number).await {
            Ok(Some(outcome)) if outcome == "committed" => return Ok(()),
            Ok(Some(outcome)) if outcome == "aborted" => return Err(error),
            // Its session has not noticed yet that its client is gone.
            Ok(outcome) => outcome.unwrap_or_else(|| "it is forgotten".to_owned()),
            Err(failure) if failure.is_transient() => failure.to_string(),
            Err(failure) => return Err(DatabaseError::Unconfirmed(failure.to_string())),
        };
        if Instant::now() > deadline {
            return Err(DatabaseError::Unconfirmed(reason));
        }
        sleep(pause).await;
        pause = (2 * pause).min(LONGEST_PAUSE);
    }
}

async fn ask(server: &Server, number: &str) -> Result<Option<String>> {
    let client = server.connect().await?;
    let row = client.query_one(OUTCOME, &[&number]).await;
    let outcome = row.and_then(|row| row.try_get(0));
    outcome.map_err(|error| DatabaseError::Postgres(error.into()))
}
