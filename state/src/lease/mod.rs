//! The lease on a state database that is on a server: only one service at a time works on it.
//!
//! A lock ends with its holder, but a server cannot know for certain whether a client on another host has ended. So a
//! service has the right to write for some time only, and renews it; if it does not, another one may take over.
//!
//! That a service was taken for dead does no harm: each start counts `writer.epoch` on, and whatever a service writes,
//! it writes under the condition that the number is still its own. One that was paused for longer than its lease, and
//! goes on, writes nothing more. Only the server's clock counts, and no process has to look at one.

mod holder;
mod sql;
#[cfg(test)]
mod tests;

use std::time::Duration;

use sysinfo::System;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};

use self::holder::{Seen, look};
use crate::dialect::{Connection, DatabaseError, Place, Result, Transaction, query, query_scalar};
use crate::error::StateError;
use crate::lock::Holder;

/// How long a lease runs after it was taken or renewed.
pub(crate) const TTL: Duration = Duration::from_secs(30);

/// A lease held by this process. It is renewed until it is released, lost or dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    place: Place,
    owner: String,
    epoch: i64,
    is_lost: watch::Receiver<bool>,
    renewing: JoinHandle<()>,
}

impl Lease {
    /// Takes the lease on the database of a server, which has its schema. If another process holds it, waits for its end,
    /// and fails as soon as that process renews it.
    pub(crate) async fn take(place: &Place, ttl: Duration) -> Result<Self, StateError> {
        let failed = |source| failed("take the lease on", place, source);
        let mut connection = connect(place, ttl).await.map_err(failed)?;
        let owner = query_scalar(sql::NEW_OWNER).fetch_one(&mut connection);
        let owner: String = place.in_time(owner).await.map_err(failed)?;
        let mut before: Option<Seen> = None;
        let epoch = loop {
            let seen = place.in_time(look(&mut connection)).await.map_err(failed)?;
            let has_changed = before.as_ref().is_some_and(|before| *before != seen);
            match &seen.holder {
                Some(holder) if has_changed => {
                    return Err(StateError::Leased {
                        database: place.to_string(),
                        holder: Box::new(holder.clone()),
                    });
                }
                Some(holder) => {
                    if before.is_none() {
                        tracing::warn!(
                            "{holder} has a lease on the state database {place}: waiting until it renews it or it ends, at most {} s",
                            seen.remaining.as_secs() + 1
                        );
                    }
                    sleep(seen.remaining.min(ttl / 30)).await;
                }
                None => {
                    let claimed = place
                        .in_time(claim(&mut connection, &owner, seen.epoch, ttl))
                        .await;
                    if claimed.map_err(failed)? {
                        break seen.epoch + 1;
                    }
                }
            }
            before = Some(seen);
        };
        tracing::debug!(%place, epoch, "took the lease");
        let (lost, is_lost) = watch::channel(false);
        let renewing = tokio::spawn(renew(
            place.clone(),
            connection,
            (owner.clone(), epoch),
            ttl,
            lost,
        ));
        Ok(Self {
            place: place.clone(),
            owner,
            epoch,
            is_lost,
            renewing,
        })
    }

    /// The number under which this process may write.
    pub(crate) fn epoch(&self) -> i64 {
        self.epoch
    }

    /// Completes once another process has taken over.
    pub(crate) async fn lost(&self) -> StateError {
        let mut is_lost = self.is_lost.clone();
        if is_lost.wait_for(|is_lost| *is_lost).await.is_err() {
            // Renewing ends only when the lease is lost or released.
            std::future::pending::<()>().await;
        }
        StateError::LeaseLost {
            database: self.place.to_string(),
        }
    }

    /// Gives the lease back, so that the next service need not wait for its end.
    pub(crate) async fn release(mut self) -> Result<(), StateError> {
        self.renewing.abort();
        // Aborted, it is an error; either way it renews nothing any more.
        let _ = (&mut self.renewing).await;
        let release = async {
            let mut connection = connect(&self.place, TTL).await?;
            let release = query(sql::RELEASE).bind(&self.owner);
            release.execute(&mut connection).await?;
            connection.close().await
        };
        let released = self.place.in_time(release).await;
        released.map_err(|source| failed("give back the lease on", &self.place, source))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.renewing.abort();
    }
}

/// Returns who holds the lease on a database that is on a server; `None` if nobody does.
pub(crate) async fn holder(place: &Place) -> Result<Option<Holder>, StateError> {
    let seen = async {
        let mut connection = connect(place, TTL).await?;
        let seen = look(&mut connection).await?;
        connection.close().await?;
        Ok(seen)
    };
    let seen = place.in_time(seen).await;
    let seen = seen.map_err(|source| failed("ask who works on", place, source))?;
    Ok(seen.holder)
}

/// Connects for the lease alone: what else the service does never makes it wait.
async fn connect(place: &Place, ttl: Duration) -> Result<Connection> {
    let connection = place.connect_beside(ttl, true).await?;
    connection.ok_or(DatabaseError::Closed)
}

/// Takes the lease if it is still as it was seen. Returns whether this process holds it now.
async fn claim(connection: &mut Connection, owner: &str, epoch: i64, ttl: Duration) -> Result<bool> {
    let mut tx = Transaction::beside(connection).await?;
    let counted = query(sql::COUNT_ON).bind(epoch).execute(&mut *tx).await?;
    if counted.rows_affected() == 0 {
        return Ok(false);
    }
    let host = System::host_name().unwrap_or_else(|_| "host unknown".to_owned());
    let take = query(sql::TAKE)
        .bind(owner)
        .bind(host)
        .bind(std::process::id())
        .bind(microseconds(ttl));
    if take.execute(&mut *tx).await?.rows_affected() == 0 {
        return Ok(false);
    }
    tx.commit().await?;
    Ok(true)
}

/// Returns a time as the statements take it.
pub(crate) fn microseconds(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

/// Renews the lease at each third of its time. A server that is away is asked again: the lease may end meanwhile, and stays
/// this process's own until another one takes it. If the database is older than the lease, nobody has: whoever writes finds that
/// it went back.
async fn renew(
    place: Place,
    connection: Connection,
    (owner, epoch): (String, i64),
    ttl: Duration,
    lost: watch::Sender<bool>,
) {
    let pause = ttl / 3;
    let mut connection = Some(connection);
    let mut is_told = false;
    let mut ticks = interval_at(Instant::now() + pause, pause);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let renewed = async {
            let mut connected = match connection.take() {
                Some(connection) => connection,
                None => connect(&place, ttl).await?,
            };
            if !connected.is_usable().await {
                connected = connect(&place, ttl).await?;
            }
            let renew = query(sql::RENEW).bind(&owner).bind(microseconds(ttl));
            let is_own = renew.execute(&mut connected).await?.rows_affected() > 0;
            let is_lost = !is_own && look(&mut connected).await?.epoch >= epoch;
            connection = Some(connected);
            Ok::<_, DatabaseError>(is_lost)
        };
        let problem = match timeout(pause, renewed).await {
            Ok(Ok(true)) => {
                lost.send_replace(true);
                return;
            }
            Ok(Ok(false)) => {
                is_told = false;
                continue;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {pause:?}"),
        };
        // The next try connects anew.
        connection = None;
        if !is_told {
            tracing::warn!(
                "cannot renew the lease on the state database {place}: {problem}; check that its server is up: the renewal is \
                 tried again, but another service may take over when the lease ends"
            );
            is_told = true;
        }
    }
}

fn failed(action: &'static str, place: &Place, source: DatabaseError) -> StateError {
    StateError::Lease {
        action,
        database: place.to_string(),
        source,
    }
}
