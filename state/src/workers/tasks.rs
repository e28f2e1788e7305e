//! The service's side: it hands tasks out, and sees what becomes of them.

use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;

use super::bell::Bell;
use super::link::Link;
use super::{ANSWERS, WorkerRole, WorkerRow, sql};
use crate::dialect::{Place, Result, Row, query, query_scalar};
use crate::error::StateError;
use crate::service::Service;

/// The tasks of a service. Those that an earlier service handed out are nobody's.
#[derive(Debug)]
pub struct Tasks {
    link: Link,
    bell: Bell,
    epoch: i64,
    settings: String,
    /// What the ids of all of its tasks begin with: nobody else's do.
    prefix: String,
    handed_out: AtomicI64,
}

/// What has become of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskState {
    /// Nobody has claimed it.
    Free,
    /// A worker has it.
    Claimed {
        /// Its id.
        worker: String,
    },
    /// A worker had it, and has not answered in time.
    Lost {
        /// Its id.
        worker: String,
    },
    /// It was done.
    Done {
        /// The answer.
        result: String,
    },
}

/// Names a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskId {
    id: String,
    sequence: i64,
}

impl TaskId {
    /// Returns it as [`Tasks::look`] has it.
    pub fn as_str(&self) -> &str {
        &self.id
    }
}

impl Tasks {
    /// Begins to hand out tasks for workers with these settings; `None` if the state database is not on a server.
    pub async fn begin(service: &Service, settings: String) -> Result<Option<Self>, StateError> {
        let Some(epoch) = service.epoch() else {
            return Ok(None);
        };
        let link = Link::new(service.place().clone());
        let begun = link.ask("begin to hand out tasks on", async |connection| {
            let earlier = query(sql::REMOVE_EARLIER).bind(epoch);
            earlier.execute(&mut *connection).await?;
            query(sql::REMOVE_SILENT).execute(&mut *connection).await?;
            query_scalar(sql::NEW_ID).fetch_one(connection).await
        });
        let prefix = begun.await?;
        Ok(Some(Self {
            link,
            bell: Bell::of(service.place(), ANSWERS),
            epoch,
            settings,
            prefix,
            handed_out: AtomicI64::new(0),
        }))
    }

    /// Makes the id of a task.
    pub fn new_id(&self) -> TaskId {
        let sequence = self.handed_out.fetch_add(1, Ordering::Relaxed);
        TaskId {
            sequence,
            id: format!("{}.{sequence}", self.prefix),
        }
    }

    /// Hands out a task. Returns whether that was done: another process may have become the service.
    pub async fn hand_out(&self, task: &TaskId, role: WorkerRole, request: &str) -> Result<bool, StateError> {
        self.link
            .ask("hand out a task on", async |connection| {
                let hand_out = query(sql::HAND_OUT)
                    .bind(self.epoch)
                    .bind(&task.id)
                    .bind(task.sequence)
                    .bind(role.as_str())
                    .bind(&self.settings)
                    .bind(request);
                Ok(hand_out.execute(connection).await?.rows_affected() > 0)
            })
            .await
    }

    /// Returns the tasks that there are, by id, and what has become of each.
    pub async fn look(&self) -> Result<Vec<(String, TaskState)>, StateError> {
        self.link
            .ask("look for answers to tasks on", async |connection| {
                let look = query(sql::LOOK).bind(self.epoch).try_map(|row| state(&row));
                look.fetch_all(connection).await
            })
            .await
    }

    /// Waits until the database says that a task was answered. Not every database does, so look without being told, too.
    pub async fn answered(&self) {
        self.bell.rung().await;
    }

    /// Takes a task back that has no answer, and belongs to this worker or to none, as it was seen. Returns whether it is the
    /// service's own again.
    pub async fn take_back(&self, task: &str, worker: Option<&str>) -> Result<bool, StateError> {
        self.link
            .ask("take back a task on", async |connection| {
                let removed = query(sql::TAKE_BACK).bind(task).bind(worker);
                Ok(removed.execute(connection).await?.rows_affected() > 0)
            })
            .await
    }

    /// Removes a task, whatever has become of it.
    pub async fn remove(&self, task: &str) -> Result<(), StateError> {
        self.link
            .ask("remove a task on", async |connection| {
                query(sql::REMOVE).bind(task).execute(connection).await.map(drop)
            })
            .await
    }

    /// Returns the workers that take this service's tasks.
    pub async fn workers(&self) -> Result<Vec<WorkerRow>, StateError> {
        let mut workers = workers(&self.link).await?;
        workers.retain(|worker| worker.settings == self.settings);
        Ok(workers)
    }
}

fn state(row: &Row) -> Result<(String, TaskState)> {
    let (task, worker, result): (String, Option<String>, Option<String>) =
        (row.at(0)?, row.at(1)?, row.at(2)?);
    let is_gone: bool = row.at(3)?;
    let state = match (worker, result) {
        (_, Some(result)) => TaskState::Done { result },
        (None, None) => TaskState::Free,
        (Some(worker), None) if is_gone => TaskState::Lost { worker },
        (Some(worker), None) => TaskState::Claimed { worker },
    };
    Ok((task, state))
}

/// Returns all workers whose leases run.
pub(crate) async fn workers_on(place: &Place) -> Result<Vec<WorkerRow>, StateError> {
    workers(&Link::new(place.clone())).await
}

async fn workers(link: &Link) -> Result<Vec<WorkerRow>, StateError> {
    link.ask("ask for the workers on", async |connection| {
        let workers = query(sql::WORKERS).try_map(|row| worker(&row));
        workers.fetch_all(connection).await
    })
    .await
}

fn worker(row: &Row) -> Result<WorkerRow> {
    let count = |column| -> Result<u64> {
        let count: i64 = row.get(column)?;
        Ok(count.unsigned_abs())
    };
    let age: f64 = row.get("age")?;
    let since = Timestamp::from_microsecond(row.get("since")?);
    Ok(WorkerRow {
        worker_id: row.get("worker_id")?,
        role: row.get("role")?,
        settings: row.get("settings")?,
        at_once: count("at_once")?,
        host: row.get("host")?,
        pid: u32::try_from(count("pid")?).unwrap_or(0),
        since: since.unwrap_or(Timestamp::UNIX_EPOCH),
        lease_age: age.max(0.0) as u64,
        tasks: count("tasks")?,
    })
}
