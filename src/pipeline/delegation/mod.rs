//! What the service hands out to workers: conversions, merges and loads.
//!
//! A worker does a task as the service itself would, and what it answers takes the service's own way from there: only the
//! service records, queues and completes. So a worker that dies, or is taken for dead, costs time and nothing else: the
//! service does the task itself.

mod asking;
mod wire;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gristmill_state::{Fate, StateError, Tasks, WorkerRole, WorkerRow};
use serde::de::DeserializeOwned;
use tokio::sync::{Mutex, Notify, OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout_at};

pub(super) use self::asking::{convert_by_worker, load_by_worker, merge_by_worker};
pub(super) use self::wire::{
    FileDone, FileToConvert, FilesDone, LoadDone, LoadToDo, Loaded, MergeDone, Request,
};
use crate::causes;

/// How often it is asked whether tasks were done, while some are handed out.
const LOOK: Duration = Duration::from_millis(100);

/// How often it is asked for the workers.
const ROLL_CALL: Duration = Duration::from_secs(1);

/// Hands tasks out, and attends to them until it is dropped.
#[derive(Debug)]
pub(super) struct Delegation {
    desk: Arc<Desk>,
    attending: JoinHandle<()>,
}

/// Who does a piece of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// The service itself.
    Service,
    /// A worker, unless it fails to.
    Worker,
}

/// Room for one piece of work, until it is dropped.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) by: By,
    _permit: OwnedSemaphorePermit,
}

impl Room {
    /// Makes room in this process.
    pub(super) fn here(permit: OwnedSemaphorePermit) -> Self {
        Self {
            by: By::Service,
            _permit: permit,
        }
    }

    fn with_worker(permit: OwnedSemaphorePermit) -> Self {
        Self {
            by: By::Worker,
            _permit: permit,
        }
    }
}

/// What became of a task.
#[derive(Debug)]
pub(super) enum Ending<T> {
    /// A worker has done it.
    Done(T),
    /// Nobody has, so that the service has to.
    NotDone {
        /// Whether a worker has begun, and not lived to tell.
        worker_died: bool,
    },
}

#[derive(Debug)]
struct Desk {
    tasks: Tasks,
    /// Room for more tasks with the workers of each role.
    to_convert: Capacity,
    to_load: Capacity,
    /// The tasks that are handed out. It is held while a task is handed out, so that none is seen before it is known.
    outstanding: Mutex<HashMap<i64, Outstanding>>,
    handed_out: Notify,
    /// Set once what is in progress is not waited for any more.
    abandoned: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Outstanding {
    role: WorkerRole,
    ending: oneshot::Sender<Ending<String>>,
}

/// Has a permit for each task that the workers of a role have room for.
#[derive(Debug)]
struct Capacity {
    permits: Arc<Semaphore>,
    size: Mutex<Size>,
}

#[derive(Debug, Default)]
struct Size {
    /// How many permits there are, whoever has them.
    permits: usize,
    /// How many there are to be.
    wanted: usize,
}

impl Capacity {
    fn new() -> Self {
        Self {
            permits: Arc::new(Semaphore::new(0)),
            size: Mutex::default(),
        }
    }

    /// Has as many permits from now on. Those that are in use are missed once they come back.
    async fn resize(&self, wanted: usize) {
        let mut size = self.size.lock().await;
        size.wanted = wanted;
        match wanted.checked_sub(size.permits) {
            Some(more) => {
                self.permits.add_permits(more);
                size.permits = wanted;
            }
            None => size.permits -= self.permits.forget_permits(size.permits - wanted),
        }
    }
}

impl Delegation {
    /// Begins to hand out tasks.
    pub(super) fn begin(tasks: Tasks, abandoned: Arc<AtomicBool>) -> Self {
        let desk = Arc::new(Desk {
            tasks,
            to_convert: Capacity::new(),
            to_load: Capacity::new(),
            outstanding: Mutex::default(),
            handed_out: Notify::new(),
            abandoned,
        });
        let attending = tokio::spawn(attend(desk.clone()));
        Self { desk, attending }
    }

    /// Waits until a worker has room for a task.
    pub(super) async fn room(&self, role: WorkerRole) -> Room {
        let permits = self.desk.capacity(role).permits.clone();
        match permits.acquire_owned().await {
            Ok(permit) => Room::with_worker(permit),
            // It is never closed.
            Err(_) => std::future::pending().await,
        }
    }

    /// Returns room for a task if a worker has some.
    pub(super) fn room_now(&self, role: WorkerRole) -> Option<Room> {
        let permits = self.desk.capacity(role).permits.clone();
        permits.try_acquire_owned().ok().map(Room::with_worker)
    }

    /// Hands out a task, and waits for the answer.
    pub(super) async fn ask<A: DeserializeOwned>(&self, role: WorkerRole, request: &Request) -> Ending<A> {
        let not_done = Ending::NotDone { worker_died: false };
        let request = match serde_json::to_string(request) {
            Ok(request) => request,
            Err(error) => {
                tracing::error!("a task cannot be written as JSON: {error}; this is a bug, please report it");
                return not_done;
            }
        };
        let Some(ending) = self.desk.hand_out(role, &request).await else {
            return not_done;
        };
        match ending.await {
            Ok(Ending::Done(answer)) => match serde_json::from_str(&answer) {
                Ok(answer) => Ending::Done(answer),
                Err(error) => {
                    tracing::error!(
                        "a worker's answer cannot be read: {error}; the service does the task itself"
                    );
                    not_done
                }
            },
            Ok(Ending::NotDone { worker_died }) => Ending::NotDone { worker_died },
            // Nobody attends any more: the pipeline is gone.
            Err(_) => not_done,
        }
    }
}

impl Drop for Delegation {
    fn drop(&mut self) {
        self.attending.abort();
    }
}

impl Desk {
    fn capacity(&self, role: WorkerRole) -> &Capacity {
        match role {
            WorkerRole::Convert => &self.to_convert,
            WorkerRole::Load => &self.to_load,
        }
    }

    /// Hands out a task; `None` if that cannot be done now.
    async fn hand_out(&self, role: WorkerRole, request: &str) -> Option<oneshot::Receiver<Ending<String>>> {
        let mut outstanding = self.outstanding.lock().await;
        let number = match self.tasks.hand_out(role, request).await {
            Ok(number) => number?,
            Err(error) => {
                tracing::warn!("{}", causes::joined(&error.into(), ": "));
                return None;
            }
        };
        let (ending, ended) = oneshot::channel();
        outstanding.insert(number, Outstanding { role, ending });
        self.handed_out.notify_one();
        Some(ended)
    }

    /// Makes room for what the workers can do.
    async fn call_the_roll(&self) -> Result<(), StateError> {
        let workers = self.tasks.workers().await?;
        for role in [WorkerRole::Convert, WorkerRole::Load] {
            let of_role = workers.iter().filter(|worker| worker.role == role.as_str());
            let tasks: u64 = of_role.map(|WorkerRow { at_once, .. }| *at_once).sum();
            self.capacity(role)
                .resize(usize::try_from(tasks).unwrap_or(usize::MAX).min(1 << 16))
                .await;
        }
        Ok(())
    }

    /// Ends the tasks that were done, and takes back those that will not be.
    async fn look(&self) -> Result<(), StateError> {
        let mut outstanding = self.outstanding.lock().await;
        let mut fates: HashMap<i64, Fate> = self.tasks.look().await?.into_iter().collect();
        let is_abandoned = self.abandoned.load(Ordering::Relaxed);
        let unknown = fates.keys().filter(|number| !outstanding.contains_key(number));
        for number in unknown {
            self.tasks.remove(*number).await?;
        }
        let numbers: Vec<i64> = outstanding.keys().copied().collect();
        for number in numbers {
            let Some(task) = outstanding.get(&number) else {
                continue;
            };
            let is_awaited = !task.ending.is_closed() && !is_abandoned;
            let ending = match fates.remove(&number) {
                // The server has lost it.
                None => Ending::NotDone { worker_died: false },
                Some(Fate::Done { result }) => {
                    self.tasks.remove(number).await?;
                    Ending::Done(result)
                }
                Some(Fate::Lost { worker }) => {
                    if !self.tasks.take_back(number, Some(&worker)).await? {
                        continue;
                    }
                    tracing::warn!(
                        worker,
                        "a worker has not answered in time: the service does its task itself"
                    );
                    Ending::NotDone { worker_died: true }
                }
                Some(Fate::Claimed { .. }) if is_awaited => continue,
                Some(Fate::Claimed { worker }) => {
                    if !self.tasks.take_back(number, Some(&worker)).await? {
                        continue;
                    }
                    Ending::NotDone { worker_died: false }
                }
                Some(Fate::Free) => {
                    let is_hopeless = self.capacity(task.role).size.lock().await.wanted == 0;
                    if is_awaited && !is_hopeless || !self.tasks.take_back(number, None).await? {
                        continue;
                    }
                    Ending::NotDone { worker_died: false }
                }
            };
            if let Some(task) = outstanding.remove(&number) {
                // Who does not wait any more needs no answer.
                let _ = task.ending.send(ending);
            }
        }
        Ok(())
    }
}

/// Calls the roll and looks for answers, for as long as it is let.
async fn attend(desk: Arc<Desk>) {
    let mut roll_call = Instant::now();
    let mut is_told = false;
    loop {
        let is_time = Instant::now() >= roll_call;
        let attended = async {
            if is_time {
                desk.call_the_roll().await?;
            }
            desk.look().await
        };
        match attended.await {
            Ok(()) => is_told = false,
            Err(error) => {
                if !is_told {
                    tracing::warn!("{}", causes::joined(&error.into(), ": "));
                    is_told = true;
                }
                // Nothing more is handed out to whom nobody can see.
                desk.to_convert.resize(0).await;
                desk.to_load.resize(0).await;
            }
        }
        if is_time {
            roll_call = Instant::now() + ROLL_CALL;
        }
        if is_told {
            sleep_until(roll_call).await;
        } else if desk.outstanding.lock().await.is_empty() {
            // Either way it is time to look.
            let _ = timeout_at(roll_call, desk.handed_out.notified()).await;
        } else {
            sleep_until(roll_call.min(Instant::now() + LOOK)).await;
        }
    }
}
