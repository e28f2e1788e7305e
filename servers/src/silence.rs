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

/// Why a call brought nothing.
pub enum Unheard<E> {
    /// The driver's error.
    Failed(E),
    /// Nothing came for this long, and the server is not at work on the call.
    Silent(Duration),
}

/// Waits for a call to the server as long as the server is at work on it, which is asked after each `silence`.
pub async fn hear<T, E, A: Future<Output = bool>>(
    silence: Duration,
    call: impl Future<Output = Result<T, E>>,
    is_at_work: impl Fn() -> A,
) -> Result<T, Unheard<E>> {
    let mut call = pin!(call);
    loop {
        if let Ok(done) = timeout(silence, &mut call).await {
            return done.map_err(Unheard::Failed);
        }
        let is_at_work = tokio::select! {
            biased;
            done = &mut call => return done.map_err(Unheard::Failed),
            is_at_work = is_at_work() => is_at_work,
        };
        if !is_at_work {
            return Err(Unheard::Silent(silence));
        }
    }
}

/// Waits for some time for what the server says about a session. One that answers with an error of its own
/// (`is_answer`) is there, and may be at work.
pub async fn answer<E>(
    limit: Duration,
    said: impl Future<Output = Result<bool, E>>,
    is_answer: impl FnOnce(&E) -> bool,
) -> bool {
    match timeout(limit, said).await {
        Ok(Ok(is_at_work)) => is_at_work,
        Ok(Err(error)) => is_answer(&error),
        Err(_) => false,
    }
}
