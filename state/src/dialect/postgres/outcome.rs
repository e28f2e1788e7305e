//! What became of a transaction whose commit was not answered.
//!
//! Whoever began a run, or recorded a file, must know whether that stands: a run that is claimed without anybody's
//! knowledge would wait for the next start of the service. The server keeps for each transaction what became of it, also
//! over a crash. So it is asked, on a connection of its own.
//!
//! A crash of the server may lose the last transactions, and their numbers are then given again. So `writer` is asked, too,
//! which counts each transaction that stands.

use std::time::Duration;

use gristmill_servers::postgres::Server;
use tokio::time::{Instant, sleep};
use tokio_postgres::error::SqlState;

use super::super::error::{DatabaseError, Result};

/// How long the server may be away, or leave the transaction open.
const PATIENCE: Duration = Duration::from_secs(600);

/// The first pause between two questions; each further one is twice as long, up to the longest.
const PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

const OUTCOME: &str = "SELECT pg_xact_status($1::text::xid8)";
const WRITES: &str = "SELECT writes FROM writer";

/// A transaction that writes.
#[derive(Debug, Clone)]
pub(super) struct Counted {
    /// Its number on the server.
    pub(super) number: String,
    /// How many transactions `writer` has counted with it, if it stands.
    pub(super) writes: i64,
}

/// Returns if the transaction was committed; otherwise fails with what was said at its commit.
pub(super) async fn must_stand(server: &Server, counted: &Counted, error: DatabaseError) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let mut pause = PAUSE;
    tracing::warn!(%error, "a change of the state database was not confirmed: asking what became of it");
    loop {
        let reason = match ask(server, counted).await {
            Ok(Some(outcome)) if outcome == "committed" => return Ok(()),
            Ok(Some(outcome)) if outcome == LOST || outcome == "aborted" => return Err(error),
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

/// What became of a transaction whose number the server does not know as its own any more.
const LOST: &str = "lost";

async fn ask(server: &Server, counted: &Counted) -> Result<Option<String>> {
    let client = server.connect().await?;
    let of_server = |error: tokio_postgres::Error| DatabaseError::Postgres(error.into());
    let outcome: Option<String> = match client.query_one(OUTCOME, &[&counted.number]).await {
        Ok(row) => row.try_get(0).map_err(of_server)?,
        // The number is still to be given: its transaction was lost in a crash.
        Err(error) if error.code() == Some(&SqlState::INVALID_PARAMETER_VALUE) => {
            return Ok(Some(LOST.to_owned()));
        }
        Err(error) => return Err(of_server(error)),
    };
    if outcome.as_deref() != Some("committed") {
        return Ok(outcome);
    }
    // Asked afterwards, so that the transaction is among them if it stands.
    let writes: i64 = client
        .query_one(WRITES, &[])
        .await
        .and_then(|row| row.try_get(0))
        .map_err(of_server)?;
    Ok(match writes >= counted.writes {
        true => outcome,
        false => Some(LOST.to_owned()),
    })
}
