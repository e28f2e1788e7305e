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

use std::sync::Arc;
use std::time::Duration;

use gristmill_servers::postgres::{ConnectError, PostgresFault, Server};
use sysinfo::System;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};
use tokio_postgres::{Client, IsolationLevel};

use self::holder::{Seen, look};
use crate::error::StateError;
use crate::lock::Holder;

/// How long a lease runs after it was taken or renewed.
pub(crate) const TTL: Duration = Duration::from_secs(30);

/// A lease held by this process. It is renewed until it is released, lost or dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    server: Arc<Server>,
    owner: String,
    epoch: i64,
    is_lost: watch::Receiver<bool>,
    renewing: JoinHandle<()>,
}

impl Lease {
    /// Takes the lease on the database of a server, which has its schema. If another process holds it, waits for its end,
    /// and fails as soon as that process renews it.
    pub(crate) async fn take(server: Arc<Server>, ttl: Duration) -> Result<Self, StateError> {
        let failed = |source| failed("take the lease on", &server, source);
        let mut client = connect(&server, ttl).await.map_err(failed)?;
        let owner = server.in_time(new_owner(&client)).await.map_err(failed)?;
        let mut before: Option<Seen> = None;
        let epoch = loop {
            let seen = server.in_time(look(&client)).await.map_err(failed)?;
            let has_changed = before.as_ref().is_some_and(|before| *before != seen);
            match &seen.holder {
                Some(holder) if has_changed => {
                    return Err(StateError::Leased {
                        database: server.url().to_owned(),
                        holder: Box::new(holder.clone()),
                    });
                }
                Some(holder) => {
                    if before.is_none() {
                        tracing::warn!(
                            "{holder} has a lease on the state database {}: waiting until it renews it or it ends, at most {} s",
                            server.url(),
                            seen.remaining.as_secs() + 1
                        );
                    }
                    sleep(seen.remaining.min(ttl / 30)).await;
                }
                None => {
                    let claimed = server.in_time(claim(&mut client, &owner, seen.epoch, ttl)).await;
                    if claimed.map_err(failed)? {
                        break seen.epoch + 1;
                    }
                }
            }
            before = Some(seen);
        };
        tracing::debug!(database = server.url(), epoch, "took the lease");
        let (lost, is_lost) = watch::channel(false);
        let renewing = tokio::spawn(renew(server.clone(), client, owner.clone(), ttl, lost));
        Ok(Self {
            server,
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
            database: self.server.url().to_owned(),
        }
    }

    /// Gives the lease back, so that the next service need not wait for its end.
    pub(crate) async fn release(mut self) -> Result<(), StateError> {
        self.renewing.abort();
        // Aborted, it is an error; either way it renews nothing any more.
        let _ = (&mut self.renewing).await;
        let failed = |source| failed("give back the lease on", &self.server, source);
        let release = async {
            let client = self.server.connect().await?;
            client
                .execute(sql::RELEASE, &[&self.owner])
                .await
                .map_err(of_server)
        };
        self.server.in_time(release).await.map(drop).map_err(failed)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.renewing.abort();
    }
}

/// Returns who holds the lease on the database of a server; `None` if nobody does.
pub(crate) async fn holder(server: &Server) -> Result<Option<Holder>, StateError> {
    let failed = |source| failed("ask who works on", server, source);
    let seen = async { look(&server.connect().await?).await };
    Ok(server.in_time(seen).await.map_err(failed)?.holder)
}

/// Connects for the lease alone: what else the service does never makes it wait.
async fn connect(server: &Server, ttl: Duration) -> Result<Client, ConnectError> {
    let client = server.connect().await?;
    let wait = ttl.as_millis().to_string();
    client
        .execute(sql::WAIT_FOR_LOCKS, &[&wait])
        .await
        .map_err(of_server)?;
    Ok(client)
}

async fn new_owner(client: &Client) -> Result<String, ConnectError> {
    let row = client.query_one(sql::NEW_OWNER, &[]).await.map_err(of_server)?;
    Ok(row.get(0))
}

/// Takes the lease if it is still as it was seen. Returns whether this process holds it now.
async fn claim(client: &mut Client, owner: &str, epoch: i64, ttl: Duration) -> Result<bool, ConnectError> {
    let claimed = async {
        let tx = client.build_transaction();
        let tx = tx.isolation_level(IsolationLevel::ReadCommitted).start().await?;
        if tx.execute(sql::COUNT_ON, &[&epoch]).await? == 0 {
            return Ok(false);
        }
        let host = System::host_name().unwrap_or_else(|_| "host unknown".to_owned());
        let pid = i64::from(std::process::id());
        let seconds = ttl.as_secs_f64();
        if tx.execute(sql::TAKE, &[&owner, &host, &pid, &seconds]).await? == 0 {
            return Ok(false);
        }
        tx.commit().await?;
        Ok(true)
    };
    claimed.await.map_err(of_server)
}

/// Renews the lease at each third of its time. A server that is away is asked again: the lease may end meanwhile, and stays
/// this process's own until another one takes it.
async fn renew(server: Arc<Server>, client: Client, owner: String, ttl: Duration, lost: watch::Sender<bool>) {
    let pause = ttl / 3;
    let mut client = Some(client);
    let mut is_told = false;
    let mut ticks = interval_at(Instant::now() + pause, pause);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let renewed = async {
            let connected = match client.take() {
                Some(client) if !client.is_closed() => client,
                _ => connect(&server, ttl).await?,
            };
            let seconds = ttl.as_secs_f64();
            let renewed = connected.execute(sql::RENEW, &[&owner, &seconds]).await;
            client = Some(connected);
            renewed.map_err(of_server)
        };
        let problem = match timeout(pause, renewed).await {
            Ok(Ok(0)) => {
                lost.send_replace(true);
                return;
            }
            Ok(Ok(_)) => {
                is_told = false;
                continue;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {pause:?}"),
        };
        // The next try connects anew.
        client = None;
        if !is_told {
            tracing::warn!(
                "cannot renew the lease on the state database {}: {problem}",
                server.url()
            );
            is_told = true;
        }
    }
}

fn of_server(error: tokio_postgres::Error) -> ConnectError {
    PostgresFault::from(error).into()
}

fn failed(action: &'static str, server: &Server, source: ConnectError) -> StateError {
    StateError::Lease {
        action,
        database: server.url().to_owned(),
        source,
    }
}
