//! A worker: a process that does tasks for the service, on the same host or on another one.
//!
//! It reads the sources and the lake, writes objects into the lake, and loads the warehouse. Of the state database it only
//! reads the rules' tables. So nothing depends on how it ends.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use gristmill_engine::Captures;
use gristmill_state::{Claimed, Clock, StateError, Worker, WorkerRole};
use gristmill_watcher::Arrival;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::arrived::Arrived;
use super::conversion::convert_files;
use super::delegation::{FileDone, FileToConvert, FilesDone, LoadDone, MergeDone, Request};
use super::gauges::Gauges;
use super::merge::{Merged, merge_here};
use super::opening::open_to_help;
use super::panics::contained;
use super::retry::{Patience, StepError, pause_after, with_retries};
use super::runs::{AT_ONCE, load_stored};
use super::sources::from_state;
use super::{Components, READING, STOPPING, Until};
use crate::causes;
use crate::lake::summary_names;
use crate::progress::Progress;
use crate::settings::Settings;

/// How often a worker with room for a task asks for one.
const ASK: Duration = Duration::from_millis(200);

/// How many tasks a worker has done, and how many of them failed.
#[derive(Debug, Default)]
pub struct Work {
    /// Tasks that it answered.
    pub done: u64,
    /// Tasks that it gave back, or whose answers came too late.
    pub in_vain: u64,
}

/// Does tasks of a role until `stop` completes, for whatever service works on the state database meanwhile.
pub async fn work_for_services(
    settings: Settings,
    role: WorkerRole,
    clock: Arc<dyn Clock>,
    progress: Progress,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<Work> {
    let (stopper, stopped) = watch::channel(false);
    let patience = Patience {
        until: Until::Stopped,
        stopped,
        gauges: Arc::<Gauges>::default(),
    };
    let mut stop = std::pin::pin!(stop);
    let begin = async {
        let (place, fingerprint) = (settings.state.clone(), settings.fingerprint.clone());
        if place.file().is_some() {
            return Err(StateError::NoWorkers { place }.into());
        }
        let components = open_to_help(settings, clock, patience.clone(), progress).await?;
        let at_once = match role {
            WorkerRole::Convert => components.max_conversions,
            WorkerRole::Load => AT_ONCE,
        };
        let worker = with_retries(&patience, "joining the workers", || async {
            Ok(Worker::begin(&place, role, fingerprint.clone(), at_once).await?)
        });
        let worker = worker.await.map_err(StepError::into_cause)?;
        Ok::<_, anyhow::Error>((components, worker, at_once))
    };
    let (components, worker, at_once) = tokio::select! {
        () = &mut stop => {
            tracing::info!("stopped before any work began");
            return Ok(Work::default());
        }
        begun = begin => begun?,
    };
    tracing::info!(role = role.as_str(), at_once, "working for the service");
    let mut tasks = Tasks {
        components,
        worker: Arc::new(worker),
        in_progress: HashSet::new(),
        running: JoinSet::new(),
        work: Work::default(),
    };
    tasks.work_until(stop, at_once).await;
    tracing::info!("stopping: finishing the tasks in progress");
    stopper.send_replace(true);
    tasks.end().await
}

/// The tasks of a worker.
struct Tasks {
    components: Arc<Components>,
    worker: Arc<Worker>,
    in_progress: HashSet<i64>,
    running: JoinSet<(i64, bool)>,
    work: Work,
}

impl Tasks {
    async fn work_until(&mut self, mut stop: std::pin::Pin<&mut impl Future<Output = ()>>, at_once: usize) {
        let mut ask = Instant::now();
        let mut failures = 0;
        loop {
            let has_room = self.running.len() < at_once;
            tokio::select! {
                biased;
                () = &mut stop => return,
                Some(ended) = self.running.join_next() => {
                    self.ended(ended);
                    // There may be more where that came from.
                    ask = ask.min(Instant::now());
                }
                () = sleep_until(ask), if has_room => {
                    let most = at_once - self.running.len();
                    let pause = match self.worker.claim(&self.in_progress, most).await {
                        Ok(claimed) => {
                            failures = 0;
                            for claimed in claimed {
                                self.start(claimed);
                            }
                            ASK
                        }
                        Err(error) => {
                            if failures == 0 {
                                tracing::warn!("{}", causes::joined(&error.into(), ": "));
                            }
                            failures += 1;
                            pause_after(failures)
                        }
                    };
                    ask = Instant::now() + pause;
                }
            }
        }
    }

    fn start(&mut self, claimed: Claimed) {
        self.in_progress.insert(claimed.task);
        let (components, worker) = (self.components.clone(), self.worker.clone());
        self.running.spawn(async move {
            let number = claimed.task;
            (number, do_and_answer(&components, &worker, claimed).await)
        });
    }

    fn ended(&mut self, ended: Result<(i64, bool), tokio::task::JoinError>) {
        match ended {
            Ok((number, is_answered)) => {
                self.in_progress.remove(&number);
                match is_answered {
                    true => self.work.done += 1,
                    false => self.work.in_vain += 1,
                }
            }
            // Its number is kept, so that it is not claimed again. The service takes it back once this worker is gone.
            Err(error) => tracing::error!("a task ended by itself: {error}; this is a bug, please report it"),
        }
    }

    /// Waits for the end of what is in progress.
    async fn drain(&mut self) {
        while let Some(ended) = self.running.join_next().await {
            self.ended(ended);
        }
    }

    /// Finishes what is in progress, gives back what takes too long, and leaves.
    async fn end(mut self) -> anyhow::Result<Work> {
        let is_over = match timeout(READING, self.drain()).await {
            Ok(()) => true,
            Err(_) => {
                self.components.abandoned.store(true, Ordering::Relaxed);
                timeout(STOPPING, self.drain()).await.is_ok()
            }
        };
        if !is_over {
            anyhow::bail!(
                "the tasks in progress did not end within {} seconds and are abandoned; the service does them itself",
                STOPPING.as_secs()
            );
        }
        self.components.progress.finish();
        if let Some(worker) = Arc::into_inner(self.worker)
            && let Err(error) = worker.leave().await
        {
            tracing::debug!("{}", causes::joined(&error.into(), ": "));
        }
        Ok(self.work)
    }
}

/// Does a task and answers it, or gives it back. Returns whether the service has the answer.
async fn do_and_answer(components: &Arc<Components>, worker: &Worker, claimed: Claimed) -> bool {
    let answer = match serde_json::from_str(&claimed.request) {
        Ok(request) => do_task(components, request).await,
        Err(error) => {
            tracing::error!("a task cannot be read: {error}; this is a bug, please report it");
            None
        }
    };
    let told = with_retries(&components.patience, "answering a task", || async {
        match &answer {
            Some(answer) => Ok(worker.finish(&claimed, answer).await?),
            None => worker
                .give_back(&claimed)
                .await
                .map(|()| false)
                .map_err(Into::into),
        }
    });
    match told.await {
        Ok(true) => true,
        Ok(false) => {
            tracing::debug!(task = claimed.task, "the answer came too late, or there was none");
            false
        }
        Err(error) => {
            tracing::warn!("a task could not be answered: {error}");
            false
        }
    }
}

/// Does a task. `None` if it was stopped.
async fn do_task(components: &Arc<Components>, request: Request) -> Option<String> {
    let answer = match request {
        Request::Convert { files } => serde_json::to_string(&convert(components, files).await?),
        Request::Merge(run) => {
            tracing::info!(
                job = run.job_id,
                run_id = run.run_id,
                files = run.inputs.len(),
                "merging"
            );
            let (summary, coverage) = summary_names(&run.job_id, &run.run_id);
            let merged = contained(merge_here(components, &run, &summary, &coverage)).await;
            serde_json::to_string(&on_disk(merged.map_err(StepError::permanent).flatten()).await)
        }
        Request::Load(load) => {
            tracing::info!(run_id = load.run_id, rows = load.summary.rows, "loading");
            let loaded = contained(load_stored(components, *load)).await;
            let loaded: LoadDone = loaded
                .map_err(StepError::permanent)
                .flatten()
                .map_err(|error| (&error).into());
            serde_json::to_string(&loaded)
        }
    };
    match answer {
        Ok(answer) => Some(answer),
        Err(error) => {
            tracing::error!("an answer cannot be written as JSON: {error}; this is a bug, please report it");
            None
        }
    }
}

/// Converts files as the service would. `None` if it was stopped before all were done.
async fn convert(components: &Arc<Components>, files: Vec<FileToConvert>) -> Option<FilesDone> {
    let mut group = Vec::with_capacity(files.len());
    for file in files {
        // With the same settings, the service has found a feed for the file.
        let (feed, captures): (_, Captures) = components.settings.feeds.of_file(&file.path)?;
        components.progress.file_arrived(file.stamp.bytes);
        group.push(Arrived {
            arrival: Arrival {
                path: file.path,
                stamp: from_state(file.stamp),
            },
            feed,
            is_doubted: file.is_doubted,
            captures,
            failures: 0,
            is_alone: false,
            is_archive: false,
            is_probe: false,
            token: components.activity.begin(),
        });
    }
    let outcomes = match contained(convert_files(components, &group)).await {
        Ok(Ok(outcomes)) => outcomes,
        Ok(Err(error)) => {
            tracing::warn!("files could not be converted: {}", causes::joined(&error, ": "));
            return None;
        }
        Err(panicked) => {
            let error = StepError::permanent(panicked);
            group.iter().map(|_| Err(error.of_group())).collect()
        }
    };
    let outcomes = outcomes.into_iter().map(|outcome| {
        components.progress.file_done();
        match outcome {
            Ok(outcome) => FileDone::of(outcome).map(Ok),
            Err(error) => Some(Err((&error).into())),
        }
    });
    outcomes.collect()
}

/// Brings a summary to disk, and makes the answer about it.
async fn on_disk(merged: Result<Merged, StepError>) -> MergeDone {
    let (report, unsynced) = match merged {
        Ok(Merged::Done(report, unsynced)) => (report, unsynced),
        Ok(Merged::Overflow(error)) => return MergeDone::overflow(error),
        Err(error) => return MergeDone::failed(&error),
    };
    let synced = tokio::task::spawn_blocking(move || unsynced.sync()).await;
    match synced.map_err(anyhow::Error::from).flatten() {
        Ok(()) => MergeDone::merged(&report),
        Err(error) => MergeDone::failed(&StepError::transient(error)),
    }
}
