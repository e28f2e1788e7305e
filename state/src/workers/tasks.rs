//! The service's side: it hands tasks out, and sees what becomes of them.

use std::sync::Arc;

use gristmill_servers::postgres::Server;
use jiff::Timestamp;
use tokio_postgres::Row;

use super::link::Link;
use super::{WorkerRole, WorkerRow, sql};
use crate::dialect::Place;
use crate::error::StateError;
use crate::service::Service;

/// The tasks of a service. Those that an earlier service handed out are nobody's.
#[derive(Debug)]
pub struct Tasks {
    link: Link,
    epoch: i64,
    settings: String,
}

/// What has become of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
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

impl Tasks {
    /// Begins to hand out tasks for workers with these settings; `None` if the state database is not on a server.
    pub async fn begin(service: &Service, settings: String) -> Result<Option<Self>, StateError> {
        let (Place::Server(server, _), Some(epoch)) = (service.place(), service.epoch()) else {
            return Ok(None);
        };
        let link = Link::new(server.clone());
        link.ask("begin to hand out tasks on", async |client| {
            client.execute(sql::REMOVE_EARLIER, &[&epoch]).await?;
            client.execute(sql::REMOVE_SILENT, &[]).await.map(drop)
        })
        .await?;
        Ok(Some(Self {
            link,
            epoch,
            settings,
        }))
    }

    /// Hands out a task. Returns its number; `None` if another process has become the service.
    pub async fn hand_out(&self, role: WorkerRole, request: &str) -> Result<Option<i64>, StateError> {
        self.link
            .ask("hand out a task on", async |client| {
                let row = client
                    .query_opt(
                        sql::HAND_OUT,
                        &[&self.epoch, &role.as_str(), &self.settings, &request],
                    )
                    .await?;
                row.map(|row| row.try_get(0)).transpose()
            })
            .await
    }

    /// Returns the tasks that there are, by number, and what has become of each.
    pub async fn look(&self) -> Result<Vec<(i64, Fate)>, StateError> {
        self.link
            .ask("look for answers to tasks on", async |client| {
                let rows = client.query(sql::LOOK, &[&self.epoch]).await?;
                rows.iter().map(fate).collect()
            })
            .await
    }

    /// Takes a task back that was seen free, or lost with this worker. Returns whether it is the service's own again.
    pub async fn take_back(&self, task: i64, worker: Option<&str>) -> Result<bool, StateError> {
        self.link
            .ask("take back a task on", async |client| {
                let removed = client.execute(sql::TAKE_BACK, &[&task, &worker]).await?;
                Ok(removed > 0)
            })
            .await
    }

    /// Removes a task, whatever has become of it.
    pub async fn remove(&self, task: i64) -> Result<(), StateError> {
        self.link
            .ask("remove a task on", async |client| {
                client.execute(sql::REMOVE, &[&task]).await.map(drop)
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

fn fate(row: &Row) -> Result<(i64, Fate), tokio_postgres::Error> {
    let (task, worker, result): (i64, Option<String>, Option<String>) =
        (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let is_gone: bool = row.try_get(3)?;
    let fate = match (worker, result) {
        (_, Some(result)) => Fate::Done { result },
        (None, None) => Fate::Free,
        (Some(worker), None) if is_gone => Fate::Lost { worker },
        (Some(worker), None) => Fate::Claimed { worker },
    };
    Ok((task, fate))
}

/// Returns all workers whose leases run.
pub(crate) async fn workers_on(server: &Arc<Server>) -> Result<Vec<WorkerRow>, StateError> {
    workers(&Link::new(server.clone())).await
}

async fn workers(link: &Link) -> Result<Vec<WorkerRow>, StateError> {
    link.ask("ask for the workers on", async |client| {
        let rows = client.query(sql::WORKERS, &[]).await?;
        rows.iter().map(worker).collect()
    })
    .await
}

fn worker(row: &Row) -> Result<WorkerRow, tokio_postgres::Error> {
    let count = |column| -> Result<u64, tokio_postgres::Error> {
        let count: i64 = row.try_get(column)?;
        Ok(count.unsigned_abs())
    };
    let age: f64 = row.try_get("age")?;
    let since = Timestamp::from_microsecond(row.try_get("since")?);
    Ok(WorkerRow {
        worker_id: row.try_get("worker_id")?,
        role: row.try_get("role")?,
        settings: row.try_get("settings")?,
        at_once: count("at_once")?,
        host: row.try_get("host")?,
        pid: u32::try_from(count("pid")?).unwrap_or(0),
        since: since.unwrap_or(Timestamp::UNIX_EPOCH),
        lease_age: age.max(0.0) as u64,
        tasks: count("tasks")?,
    })
}
