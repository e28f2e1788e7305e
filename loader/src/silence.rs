//! Connections that fall silent: they stay open, and nothing comes any more, as behind a firewall that has forgotten
//! them.
//!
//! A server that works on a long statement is silent too, or one that waits for somebody's lock. So when nothing has
//! come of a call for a while, another connection asks the server what it does for the first one. If it does nothing,
//! or waits for this side, or does not answer either, then the line is dead: the call fails, and its session is ended,
//! since its locks would hold up the next try.

use std::pin::pin;
use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::Error;

use crate::PostgresFault;

/// Waits for a call to the server as long as the server is at work on it, which is asked after each `silence`.
pub(crate) async fn hear<T, A: Future<Output = bool>>(
    silence: Duration,
    call: impl Future<Output = Result<T, Error>>,
    is_at_work: impl Fn() -> A,
) -> Result<T, PostgresFault> {
    let mut call = pin!(call);
    loop {
        if let Ok(done) = timeout(silence, &mut call).await {
            return Ok(done?);
        }
        let is_at_work = tokio::select! {
            biased;
            done = &mut call => return Ok(done?),
            is_at_work = is_at_work() => is_at_work,
        };
        if !is_at_work {
            return Err(PostgresFault::silent(silence));
        }
    }
}

/// Waits for some time for what the server says about a session. One that answers with an error is there, and may be at
/// work.
pub(crate) async fn answer(limit: Duration, said: impl Future<Output = Result<bool, Error>>) -> bool {
    match timeout(limit, said).await {
        Ok(Ok(is_at_work)) => is_at_work,
        Ok(Err(error)) => error.code().is_some(),
        Err(_) => false,
    }
}
