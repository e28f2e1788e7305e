//! What the service hands out to workers: conversions, merges and loads.
//!
//! A worker does a task as the service itself would, and what it answers takes the service's own way from there: only the
//! service records, queues and completes. So a worker that dies, is taken for dead or cannot do a task costs time and nothing
//! else: the service does the task itself.

mod asking;
mod room;
mod wire;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gristmill_state::{StateError, TaskState, Tasks, WorkerRole};
use serde::de::DeserializeOwned;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

pub(super) use self::asking::{convert_by_worker, load_by_worker, merge_by_worker, room_with_worker};
use self::room::Capacity;
pub(super) use self::room::{By, Room};
pub(super) use self::wire::{FileDone, FileToConvert, LoadToDo, Loaded, MergeDone, Request};
use crate::causes;

/// How often it is asked whether tasks were done, while some are handed out and the database does not tell.
const LOOK: Duration = Duration::from_millis(100);

/// How long the database's word that a task was done waits for more of its kind.
const GATHER: Duration = Duration::from_millis(5);

/// How often it is asked for the workers.
const ROLL_CALL: Duration = Duration::from_secs(1);

/// How long a task may wait for a worker, all of whom have room.
const UNCLAIMED: Duration = Duration::from_secs(5);

/// How long workers are given to renew their leases once the state database answers again.
const GRACE: Duration = Duration::from_secs(15);

/// Hands tasks out, and attends to them until it is dropped.
#[derive(Debug)]
pub(super) struct Delegation {
    board: Arc<Board>,
    attending: JoinHandle<()>,
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

/// The tasks that are handed out, and the room for more.
#[derive(Debug)]
struct Board {
    tasks: Tasks,
    to_convert: Capacity,
    to_load: Capacity,
    outstanding: Mutex<HashMap<String, Outstanding>>,
    handed_out: Notify,
    /// Set once files that are being read are not waited for any more.
    abandoned: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Outstanding {
    role: WorkerRole,
    /// When the server has taken it.
    since: Option<Instant>,
    ending: oneshot::Sender<Ending<String>>,
}

impl<T> Ending<T> {
    fn map<U>(self, answer: impl FnOnce(T) -> U) -> Ending<U> {
        match self {
            Self::Done(done) => Ending::Done(answer(done)),
            Self::NotDone { worker_died } => Ending::NotDone { worker_died },
        }
    }
}

impl Delegation {
    /// Begins to hand out tasks.
    pub(super) fn begin(tasks: Tasks, abandoned: Arc<AtomicBool>) -> Self {
        let board = Arc::new(Board {
            tasks,
            to_convert: Capacity::new(),
            to_load: Capacity::new(),
            outstanding: Mutex::default(),
            handed_out: Notify::new(),
            abandoned,
        });
        let attending = tokio::spawn(attend(board.clone()));
        Self { board, attending }
    }

    /// Waits until a worker has room for a task.
    pub(super) async fn room(&self, role: WorkerRole) -> Room {
        self.board.capacity(role).wait().await
    }

    /// Returns room for a task if a worker has some.
    pub(super) fn room_now(&self, role: WorkerRole) -> Option<Room> {
        self.board.capacity(role).now()
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
        let Some(ending) = self.board.hand_out(role, &request).await else {
            return not_done;
        };
        // If nobody attends any more, the pipeline is gone.
        let Ok(ending) = ending.await else {
            return not_done;
        };
        match ending.map(|answer| serde_json::from_str::<Option<A>>(&answer)) {
            Ending::Done(Ok(Some(answer))) => Ending::Done(answer),
            Ending::Done(Ok(None)) => {
                tracing::warn!("a worker could not do a task: its log says why; the service does it itself");
                not_done
            }
            Ending::Done(Err(error)) => {
                tracing::error!(
                    "a worker's answer cannot be read: {error}; the service does the task itself"
                );
                not_done
            }
            Ending::NotDone { worker_died } => Ending::NotDone { worker_died },
        }
    }
}

impl Drop for Delegation {
    fn drop(&mut self) {
        self.attending.abort();
    }
}

impl Board {
    fn capacity(&self, role: WorkerRole) -> &Capacity {
        match role {
            WorkerRole::Convert => &self.to_convert,
            WorkerRole::Load => &self.to_load,
        }
    }

    fn outstanding(&self) -> MutexGuard<'_, HashMap<String, Outstanding>> {
        self.outstanding.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands out a task; `None` if that cannot be done now.
    async fn hand_out(&self, role: WorkerRole, request: &str) -> Option<oneshot::Receiver<Ending<String>>> {
        let id = self.tasks.new_id();
        let (ending, ended) = oneshot::channel();
        let task = Outstanding {
            role,
            since: None,
            ending,
        };
        // Before the server has it, or its row might seem to be nobody's.
        self.outstanding().insert(id.as_str().to_owned(), task);
        let handed_out = self.tasks.hand_out(&id, role, request).await;
        if !matches!(handed_out, Ok(true)) {
            self.outstanding().remove(id.as_str());
        }
        match handed_out {
            Ok(true) => {}
            Ok(false) => return None,
            Err(error) => {
                tracing::warn!("{}", causes::joined(&error.into(), ": "));
                return None;
            }
        }
        if let Some(task) = self.outstanding().get_mut(id.as_str()) {
            task.since = Some(Instant::now());
        }
        self.handed_out.notify_one();
        Some(ended)
    }

    /// Makes room for what the workers can do.
    async fn call_the_roll(&self) -> Result<(), StateError> {
        let workers = self.tasks.workers().await?;
        for role in [WorkerRole::Convert, WorkerRole::Load] {
            let of_role = workers.iter().filter(|worker| worker.role == role.as_str());
            self.capacity(role).resize(of_role.map(|worker| worker.at_once));
        }
        Ok(())
    }

    /// Ends the tasks that were done, and takes back those that will not be. Before `lost_from`, no worker is taken for dead.
    async fn look(&self, lost_from: Instant) -> Result<(), StateError> {
        // What is handed out meanwhile is not judged by an answer that may be older.
        let out: Vec<String> = {
            let outstanding = self.outstanding();
            let out = outstanding.iter().filter(|(_, task)| task.since.is_some());
            out.map(|(id, _)| id.clone()).collect()
        };
        let mut states: HashMap<String, TaskState> = self.tasks.look().await?.into_iter().collect();
        for id in out {
            let state = states.remove(&id);
            if let Some(ending) = self.ending(&id, state, lost_from).await?
                && let Some(task) = self.outstanding().remove(&id)
            {
                // Who does not wait any more needs no answer.
                let _ = task.ending.send(ending);
            }
        }
        // What is left was answered before, or nobody has been told that it was handed out.
        for id in states.keys() {
            let is_known = self.outstanding().contains_key(id);
            if !is_known {
                self.tasks.remove(id).await?;
            }
        }
        Ok(())
    }

    /// Returns how a task has ended, if it has. What is not waited for any more ends at once.
    async fn ending(
        &self,
        id: &str,
        state: Option<TaskState>,
        lost_from: Instant,
    ) -> Result<Option<Ending<String>>, StateError> {
        let (role, since, is_closed) = match self.outstanding().get(id) {
            Some(task) => (task.role, task.since, task.ending.is_closed()),
            None => return Ok(None),
        };
        let is_abandoned = self.abandoned.load(Ordering::Relaxed);
        let is_lost = matches!(state, Some(TaskState::Lost { .. })) && Instant::now() >= lost_from;
        let worker = match state {
            // The server has lost it.
            None => return Ok(Some(Ending::NotDone { worker_died: false })),
            Some(TaskState::Done { result }) => return Ok(Some(Ending::Done(result))),
            Some(TaskState::Free) => {
                let is_left = since.is_some_and(|since| since.elapsed() >= UNCLAIMED);
                if !is_left && !is_closed && !is_abandoned {
                    return Ok(None);
                }
                None
            }
            Some(TaskState::Claimed { worker } | TaskState::Lost { worker }) => {
                // A merge or a load is waited for when the service stops, as its own are.
                let is_given_up = is_abandoned && role == WorkerRole::Convert;
                if !is_lost && !is_closed && !is_given_up {
                    return Ok(None);
                }
                Some(worker)
            }
        };
        if !self.tasks.take_back(id, worker.as_deref()).await? {
            // It has changed meanwhile: the next look says how.
            return Ok(None);
        }
        if let Some(worker) = worker.filter(|_| is_lost) {
            tracing::warn!(
                worker,
                "a worker has not answered in time: the service does its task itself"
            );
        }
        Ok(Some(Ending::NotDone { worker_died: is_lost }))
    }
}

/// Calls the roll and looks for answers, for as long as it is let.
async fn attend(board: Arc<Board>) {
    let mut roll_call = Instant::now();
    let mut lost_from = Instant::now();
    let mut is_told = false;
    loop {
        let is_time = Instant::now() >= roll_call;
        let attended = async {
            if is_time {
                board.call_the_roll().await?;
            }
            board.look(lost_from).await
        };
        match attended.await {
            Ok(()) => is_told = false,
            Err(error) => {
                if !is_told {
                    tracing::warn!("{}", causes::joined(&error.into(), ": "));
                    is_told = true;
                }
                // Nothing more is handed out to whom nobody can see.
                for capacity in [&board.to_convert, &board.to_load] {
                    capacity.resize([]);
                }
                lost_from = Instant::now() + GRACE;
            }
        }
        if is_time {
            roll_call = Instant::now() + ROLL_CALL;
        }
        if is_told {
            sleep_until(roll_call).await;
        } else if board.outstanding().is_empty() {
            // Either way it is time to look.
            let _ = timeout_at(roll_call, board.handed_out.notified()).await;
        } else {
            let look = roll_call.min(Instant::now() + LOOK);
            tokio::select! {
                () = sleep_until(look) => {}
                () = board.tasks.answered() => sleep(GATHER).await,
            }
        }
    }
}
