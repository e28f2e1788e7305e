//! What became of a transaction whose commit was not answered.
//!
//! Whoever began a run, or recorded a file, must know whether that stands: a run that is claimed without anybody's
//! knowledge would wait for the next start of the service. The server keeps for each transaction what became of it, also
//! over a crash. So it is asked, on a connection of its own.
//!
//! A crash of the server may lose the last transactions, and their numbers are then given again. So `writer` is asked, too,
//! which counts each transaction that stands.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use gristmill_servers::postgres::Server;
use tokio::time::sleep;
use tokio_postgres::error::SqlState;

use super::super::error::{DatabaseError, Result};

/// The first pause between two questions; each further one is twice as long, up to the longest.
const PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Whether it is a standby that still catches up, and does not know yet.
const IN_RECOVERY: &str = "SELECT pg_is_in_recovery()";
const STATUS: &str = "SELECT pg_xact_status($1::text::xid8)";
const WRITES: &str = "SELECT writes FROM writer";

/// A transaction that writes.
#[derive(Debug, Clone)]
pub(super) struct Counted {
    /// Its number on the server.
    pub(super) number: String,
    /// How many transactions `writer` has counted with it, if it stands.
    pub(super) writes: i64,
}

/// Returns if the transaction was committed; otherwise fails with what was said at its commit. As long as the server is away,
/// it is waited for.
pub(super) async fn must_stand(server: &Server, counted: &Counted, error: DatabaseError) -> Result<()> {
    tracing::warn!(%error, "a change of the state database was not confirmed: asking what became of it");
    let pauses = ExponentialBuilder::default()
        .with_min_delay(PAUSE)
        .with_max_delay(LONGEST_PAUSE)
        .without_max_times();
    for pause in pauses.build() {
        match server.in_time(ask(server, counted)).await {
            Ok(Outcome::Committed) => return Ok(()),
            Ok(Outcome::Undone) => break,
            // Its session has not noticed yet that its client is gone, or a standby catches up.
            Ok(Outcome::Open) => {}
            Ok(Outcome::Forgotten) => return Err(DatabaseError::Unconfirmed("it is forgotten".to_owned())),
            Err(failure) if failure.is_transient() => {}
            Err(failure) => return Err(DatabaseError::Unconfirmed(failure.to_string())),
        }
        sleep(pause).await;
    }
    Err(error)
}

/// What became of a transaction.
enum Outcome {
    Committed,
    Undone,
    Open,
    Forgotten,
}

async fn ask(server: &Server, counted: &Counted) -> Result<Outcome> {
    let client = server.connect().await?;
    let of_server = |error: tokio_postgres::Error| DatabaseError::Postgres(error.into());
    let in_recovery = client.query_one(IN_RECOVERY, &[]).await;
    if in_recovery.and_then(|row| row.try_get(0)).map_err(of_server)? {
        return Ok(Outcome::Open);
    }
    let status: Option<String> = match client.query_one(STATUS, &[&counted.number]).await {
        Ok(row) => row.try_get(0).map_err(of_server)?,
        // The number is still to be given: its transaction was lost in a crash.
        Err(error) if error.code() == Some(&SqlState::INVALID_PARAMETER_VALUE) => return Ok(Outcome::Undone),
        Err(error) => return Err(of_server(error)),
    };
    match status.as_deref() {
        Some("committed") => {}
        Some("aborted") => return Ok(Outcome::Undone),
        Some(_) => return Ok(Outcome::Open),
        None => return Ok(Outcome::Forgotten),
    }
    // Asked afterwards, so that the transaction is among them if it stands.
    let writes = client.query_one(WRITES, &[]).await.and_then(|row| row.try_get(0));
    let writes: i64 = writes.map_err(of_server)?;
    Ok(match writes >= counted.writes {
        true => Outcome::Committed,
        false => Outcome::Undone,
    })
}
