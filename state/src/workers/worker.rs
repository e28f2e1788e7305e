//! The worker's side: it claims tasks, and answers them.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sysinfo::System;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use super::link::Link;
use super::{TTL, WorkerRole, sql};
use crate::dialect::Place;
use crate::error::StateError;

/// A worker. Its lease is renewed until it leaves or is dropped.
#[derive(Debug)]
pub struct Worker {
    being: Arc<Being>,
    renewing: JoinHandle<()>,
}

/// What a worker is known by.
#[derive(Debug)]
struct Being {
    link: Link,
    role: WorkerRole,
    settings: String,
    at_once: i64,
    ttl: Duration,
    /// Its present id. It gets another one if the server has lost it.
    id: Mutex<String>,
}

/// A task that a worker has claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// Its id.
    pub task: String,
    /// The id under which it was claimed.
    pub(super) worker: String,
    /// What is to be done.
    pub request: String,
}

impl Worker {
    /// Begins to work for the services of a state database that have these settings, and has at most `at_once` tasks at a
    /// time. Fails if the database is not on a server.
    pub async fn begin(
        place: &Place,
        role: WorkerRole,
        settings: String,
        at_once: usize,
    ) -> Result<Self, StateError> {
        Self::begin_for(place, role, settings, at_once, TTL).await
    }

    /// The same with a lease that runs for `ttl` at a time.
    pub(super) async fn begin_for(
        place: &Place,
        role: WorkerRole,
        settings: String,
        at_once: usize,
        ttl: Duration,
    ) -> Result<Self, StateError> {
        let Place::Server(server, _) = place else {
            return Err(StateError::NoWorkers { place: place.clone() });
        };
        let being = Arc::new(Being {
            link: Link::new(server.clone()),
            role,
            settings,
            at_once: i64::try_from(at_once).unwrap_or(i64::MAX),
            ttl,
            id: Mutex::default(),
        });
        being.register().await?;
        let renewing = tokio::spawn(renew(being.clone()));
        Ok(Self { being, renewing })
    }

    /// Claims up to `most` tasks. `known` are those that are in progress. If the server was lost in the middle of an earlier
    /// claim, what that has claimed is found now.
    pub async fn claim(&self, known: &HashSet<String>, most: usize) -> Result<Vec<Claimed>, StateError> {
        let being = &self.being;
        let worker = being.id();
        being
            .link
            .ask("claim tasks on", async |client| {
                let mut claimed = Vec::new();
                let mut add = |task: String, request| {
                    claimed.push(Claimed {
                        task,
                        worker: worker.clone(),
                        request,
                    });
                };
                for row in client.query(sql::OWN, &[&worker]).await? {
                    let task: String = row.try_get(0)?;
                    if !known.contains(&task) {
                        add(task, row.try_get(1)?);
                    }
                }
                let role = being.role.as_str();
                let most = i64::try_from(most).unwrap_or(i64::MAX);
                for row in client.query(sql::FREE, &[&role, &being.settings, &most]).await? {
                    let task: String = row.try_get(0)?;
                    if let Some(row) = client.query_opt(sql::CLAIM, &[&task, &worker]).await? {
                        add(task, row.try_get(0)?);
                    }
                }
                Ok(claimed)
            })
            .await
    }

    /// Answers a task. Returns whether anybody will look at the answer: the task may have been taken back.
    pub async fn finish(&self, claimed: &Claimed, result: &str) -> Result<bool, StateError> {
        self.being
            .link
            .ask("answer a task on", async |client| {
                let answered = client
                    .execute(sql::FINISH, &[&claimed.task, &claimed.worker, &result])
                    .await?;
                Ok(answered > 0)
            })
            .await
    }

    /// Lets another worker have a task.
    pub async fn give_back(&self, claimed: &Claimed) -> Result<(), StateError> {
        self.being
            .link
            .ask("give back a task on", async |client| {
                let bound: [&(dyn tokio_postgres::types::ToSql + Sync); 2] = [&claimed.task, &claimed.worker];
                client.execute(sql::GIVE_BACK, &bound).await.map(drop)
            })
            .await
    }

    /// Takes no tasks any more. Those that it still has are lost.
    pub async fn leave(self) -> Result<(), StateError> {
        self.renewing.abort();
        let worker = self.being.id();
        self.being
            .link
            .ask("leave the workers on", async |client| {
                client.execute(sql::LEAVE, &[&worker]).await.map(drop)
            })
            .await
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.renewing.abort();
    }
}

impl Being {
    fn id(&self) -> String {
        self.id.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes an id that nobody else has.
    async fn register(&self) -> Result<(), StateError> {
        let host = System::host_name().unwrap_or_else(|_| "host unknown".to_owned());
        let pid = i64::from(std::process::id());
        let seconds = self.ttl.as_secs_f64();
        let registered = self
            .link
            .ask("join the workers on", async |client| {
                let id: String = client.query_one(sql::NEW_ID, &[]).await?.try_get(0)?;
                let role = self.role.as_str();
                client
                    .execute(
                        sql::REGISTER,
                        &[&id, &role, &self.settings, &self.at_once, &host, &pid, &seconds],
                    )
                    .await?;
                Ok(id)
            })
            .await?;
        *self.id.lock().unwrap_or_else(PoisonError::into_inner) = registered;
        Ok(())
    }

    /// Renews the lease. If the server does not know this worker any more, it begins anew.
    async fn renew(&self) -> Result<(), StateError> {
        let (id, seconds) = (self.id(), self.ttl.as_secs_f64());
        let renewed = self
            .link
            .ask("renew the lease of a worker on", async |client| {
                client.execute(sql::RENEW, &[&id, &seconds]).await
            })
            .await?;
        if renewed == 0 {
            tracing::warn!("the state database has lost this worker: it begins anew");
            self.register().await?;
        }
        Ok(())
    }
}

/// Renews a worker's lease at each third of its time. A server that is away is asked again.
async fn renew(being: Arc<Being>) {
    let pause = being.ttl / 3;
    let mut ticks = interval_at(Instant::now() + pause, pause);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_told = false;
    loop {
        ticks.tick().await;
        let problem = match timeout(pause, being.renew()).await {
            Ok(Ok(())) => {
                is_told = false;
                continue;
            }
            Ok(Err(error)) => {
                let source = std::error::Error::source(&error).map(ToString::to_string);
                format!("{error}: {}", source.unwrap_or_default())
            }
            Err(_) => {
                // The connection may be dead, and not know it.
                being.link.forget().await;
                format!("cannot renew the lease of a worker: no answer within {pause:?}")
            }
        };
        if !is_told {
            tracing::warn!("{problem}");
            is_told = true;
        }
    }
}
