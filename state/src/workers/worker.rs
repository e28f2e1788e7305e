//! The worker's side: it claims tasks, and answers them.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sysinfo::System;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use super::bell::Bell;
use super::link::Link;
use super::{TASKS, TTL, WorkerRole, sql};
use crate::dialect::{Place, query, query_as, query_scalar};
use crate::error::StateError;
use crate::lease::microseconds;

/// A worker. Its lease is renewed until it leaves or is dropped.
#[derive(Debug)]
pub struct Worker {
    being: Arc<Being>,
    bell: Bell,
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
        if place.file().is_some() {
            return Err(StateError::NoWorkers { place: place.clone() });
        }
        let being = Arc::new(Being {
            link: Link::new(place.clone()),
            role,
            settings,
            at_once: i64::try_from(at_once).unwrap_or(i64::MAX),
            ttl,
            id: Mutex::default(),
        });
        being.register().await?;
        let renewing = tokio::spawn(renew(being.clone()));
        let bell = Bell::of(place, TASKS);
        Ok(Self {
            being,
            bell,
            renewing,
        })
    }

    /// Claims up to `most` tasks. `known` are those that are in progress. If the server was lost in the middle of an earlier
    /// claim, what that has claimed is found now.
    pub async fn claim(&self, known: &HashSet<String>, most: usize) -> Result<Vec<Claimed>, StateError> {
        let being = &self.being;
        let worker = being.id();
        being
            .link
            .ask("claim tasks on", async |connection| {
                let own = query_as(sql::OWN).bind(&worker);
                let own: Vec<(String, String)> = own.fetch_all(&mut *connection).await?;
                let mut claimed: Vec<_> = own
                    .into_iter()
                    .filter(|(task, _)| !known.contains(task))
                    .collect();
                let free = query_as(sql::FREE)
                    .bind(being.role.as_str())
                    .bind(&being.settings)
                    .bind(i64::try_from(most).unwrap_or(i64::MAX));
                let free: Vec<(String, String)> = free.fetch_all(&mut *connection).await?;
                for (task, request) in free {
                    let claim = query(sql::CLAIM).bind(&task).bind(&worker);
                    if claim.execute(&mut *connection).await?.rows_affected() > 0 {
                        claimed.push((task, request));
                    }
                }
                let claimed = claimed.into_iter().map(|(task, request)| Claimed {
                    task,
                    worker: worker.clone(),
                    request,
                });
                Ok(claimed.collect())
            })
            .await
    }

    /// Waits until the database says that a task was handed out. Not every database does, so ask without being told, too.
    pub async fn handed_out(&self) {
        self.bell.rung().await;
    }

    /// Answers a task. Returns whether anybody will look at the answer: the task may have been taken back.
    pub async fn finish(&self, claimed: &Claimed, result: &str) -> Result<bool, StateError> {
        self.being
            .link
            .ask("answer a task on", async |connection| {
                let finish = query(sql::FINISH)
                    .bind(&claimed.task)
                    .bind(&claimed.worker)
                    .bind(result);
                Ok(finish.execute(connection).await?.rows_affected() > 0)
            })
            .await
    }

    /// Lets another worker have a task.
    pub async fn give_back(&self, claimed: &Claimed) -> Result<(), StateError> {
        self.being
            .link
            .ask("give back a task on", async |connection| {
                let give_back = query(sql::GIVE_BACK).bind(&claimed.task).bind(&claimed.worker);
                give_back.execute(connection).await.map(drop)
            })
            .await
    }

    /// Takes no tasks any more. Those that it still has are lost.
    pub async fn leave(self) -> Result<(), StateError> {
        self.renewing.abort();
        let worker = self.being.id();
        self.being
            .link
            .ask("leave the workers on", async |connection| {
                query(sql::LEAVE)
                    .bind(&worker)
                    .execute(connection)
                    .await
                    .map(drop)
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
        let registered = self
            .link
            .ask("join the workers on", async |connection| {
                let id: String = query_scalar(sql::NEW_ID).fetch_one(&mut *connection).await?;
                let register = query(sql::REGISTER)
                    .bind(&id)
                    .bind(self.role.as_str())
                    .bind(&self.settings)
                    .bind(self.at_once)
                    .bind(host)
                    .bind(std::process::id())
                    .bind(microseconds(self.ttl));
                register.execute(connection).await?;
                Ok(id)
            })
            .await?;
        *self.id.lock().unwrap_or_else(PoisonError::into_inner) = registered;
        Ok(())
    }

    /// Renews the lease. If the server does not know this worker any more, it begins anew.
    async fn renew(&self) -> Result<(), StateError> {
        let renewed = self
            .link
            .ask("renew the lease of a worker on", async |connection| {
                let renew = query(sql::RENEW).bind(self.id()).bind(microseconds(self.ttl));
                renew.execute(connection).await
            })
            .await?;
        if renewed.rows_affected() == 0 {
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
