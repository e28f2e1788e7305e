//! A worker: a process that does tasks for the service, on the same host or on another one.
//!
//! It reads the sources and the lake, writes objects into the lake, and loads the warehouse. Of the state database it only
//! reads the rules' tables. So nothing depends on how it ends.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, bail};
use gristmill_state::{Claimed, ClaimedRun, Clock, StateError, Worker, WorkerRole};
use gristmill_watcher::Arrival;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::Instrument;

use super::arrived::Arrived;
use super::conversion::convert_files;
use super::delegation::{FileDone, FileToConvert, LoadToDo, Loaded, MergeDone, Request};
use super::gauges::Gauges;
use super::lifecycle::{READING, STOPPING};
use super::merge::{Merged, merge_for_service};
use super::opening::open_to_help;
use super::panics::contained;
use super::retry::{Patience, StepError, pause_after, with_retries};
use super::runs::{AT_ONCE, load_for_service};
use super::sources::from_state;
use super::{Components, Until};
use crate::causes;
use crate::lake::summary_names;
use crate::progress::Progress;
use crate::settings::Settings;
use crate::usage::Usage;

/// The answer about a task that the service has to do.
const NOT_DONE: &str = "null";

/// How many conversions a worker has in hand for each core, so that it need not wait for more after each.
const IN_HAND: usize = 8;

/// The longest pause after a claim that failed: the lease is renewed meanwhile, so that the service counts on this worker.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How often a worker with room for a task asks for one where the database does not tell.
const ASK: Duration = Duration::from_millis(200);

/// What a worker has done.
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
        if role == WorkerRole::Load && settings.warehouse.is_file() {
            let problem = "the warehouse is a file, which only the service's host has: --role load needs one on a server";
            return Err(Usage::new(problem).into());
        }
        let components = open_to_help(settings, clock, patience.clone(), progress).await?;
        let at_once = match role {
            WorkerRole::Convert => components
                .max_conversions
                .max(IN_HAND * components.cores.available_permits()),
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
    tasks.work_until(stop, at_once).await?;
    tracing::info!("stopping: finishing the tasks in progress");
    stopper.send_replace(true);
    tasks.end().await
}

/// The tasks of a worker.
struct Tasks {
    components: Arc<Components>,
    worker: Arc<Worker>,
    in_progress: HashSet<String>,
    running: JoinSet<(String, bool)>,
    work: Work,
}

impl Tasks {
    async fn work_until(
        &mut self,
        mut stop: std::pin::Pin<&mut impl Future<Output = ()>>,
        at_once: usize,
    ) -> anyhow::Result<()> {
        let mut ask = Instant::now();
        let mut failures = 0;
        loop {
            let has_room = self.running.len() < at_once;
            tokio::select! {
                biased;
                () = &mut stop => return Ok(()),
                Some(ended) = self.running.join_next() => {
                    self.ended(ended)?;
                    // There may be more where that came from.
                    ask = ask.min(Instant::now());
                }
                // While claims fail, they have pauses of their own.
                () = self.worker.handed_out(), if has_room && failures == 0 => ask = Instant::now(),
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
                            pause_after(failures).min(LONGEST_PAUSE)
                        }
                    };
                    ask = Instant::now() + pause;
                }
            }
        }
    }

    fn start(&mut self, claimed: Claimed) {
        self.in_progress.insert(claimed.task.clone());
        let (components, worker) = (self.components.clone(), self.worker.clone());
        self.running.spawn(async move {
            let task = claimed.task.clone();
            (task, do_and_answer(&components, &worker, claimed).await)
        });
    }

    /// Counts a task. Fails if it ended by a bug: the service takes it back once this worker is gone.
    fn ended(&mut self, ended: Result<(String, bool), JoinError>) -> anyhow::Result<()> {
        let (task, is_answered) = ended?;
        self.in_progress.remove(&task);
        match is_answered {
            true => self.work.done += 1,
            false => self.work.in_vain += 1,
        }
        Ok(())
    }

    /// Waits for the end of what is in progress.
    async fn drain(&mut self) -> anyhow::Result<()> {
        while let Some(ended) = self.running.join_next().await {
            self.ended(ended)?;
        }
        Ok(())
    }

    /// Finishes what is in progress, gives back what takes too long, and leaves.
    async fn end(mut self) -> anyhow::Result<Work> {
        let over = match timeout(READING, self.drain()).await {
            Err(_) => {
                self.components.abandoned.store(true, Ordering::Relaxed);
                timeout(STOPPING, self.drain()).await
            }
            over => over,
        };
        over.with_context(|| {
            format!(
                "the tasks in progress did not end within {} seconds and are abandoned; the service does them itself",
                STOPPING.as_secs()
            )
        })??;
        self.components.progress.finish();
        if let Some(worker) = Arc::into_inner(self.worker)
            && let Err(error) = worker.leave().await
        {
            tracing::debug!("{}", causes::joined(&error.into(), ": "));
        }
        Ok(self.work)
    }
}

/// Does a task and answers it, or gives it back if it was stopped. Returns whether the service has an answer.
async fn do_and_answer(components: &Arc<Components>, worker: &Worker, claimed: Claimed) -> bool {
    let answer = match serde_json::from_str(&claimed.request) {
        Ok(request) => do_task(components, request).await,
        Err(error) => Err(error.into()),
    };
    // What failed now may have been stopped.
    let is_given_back = answer.is_err() && components.abandoned.load(Ordering::Relaxed);
    let answer = answer.unwrap_or_else(|error| {
        tracing::warn!("a task is left to the service: {}", causes::joined(&error, ": "));
        NOT_DONE.to_owned()
    });
    let told = with_retries(&components.patience, "answering a task", || async {
        match is_given_back {
            false => Ok(worker.finish(&claimed, &answer).await?),
            true => worker
                .give_back(&claimed)
                .await
                .map(|()| false)
                .map_err(Into::into),
        }
    });
    match told.await {
        Ok(is_answered) => is_answered,
        Err(error) => {
            tracing::warn!("a task could not be answered, and is left to the service: {error}");
            // As long as it is this worker's and has no answer, it would be done again and again.
            let given_up = worker.finish(&claimed, NOT_DONE).await;
            given_up.unwrap_or_else(|error| {
                tracing::warn!("nor could that be told: {error}");
                false
            })
        }
    }
}

/// Does a task, and returns the answer.
async fn do_task(components: &Arc<Components>, request: Request) -> anyhow::Result<String> {
    match request {
        Request::Convert { files } => Ok(serde_json::to_string(&convert(components, files).await?)?),
        Request::Merge(run) => {
            let span = tracing::info_span!("run", job = run.job_id, run_id = run.run_id);
            let merged = contained(merge(components, &run).instrument(span));
            Ok(serde_json::to_string(&merged.await??)?)
        }
        Request::Load(to_do) => {
            let span = tracing::info_span!("run", run_id = to_do.run_id);
            let loaded = contained(load(components, &to_do).instrument(span));
            Ok(serde_json::to_string(&loaded.await??)?)
        }
    }
}

/// Converts files as the service would. Returns what was done of each, in their order.
async fn convert(
    components: &Arc<Components>,
    files: Vec<FileToConvert>,
) -> anyhow::Result<Vec<Option<FileDone>>> {
    let mut group = Vec::with_capacity(files.len());
    for file in files {
        let of_feed = components.settings.feeds.of_file(&file.path);
        let (feed, captures) = of_feed.with_context(|| format!("no feed has a file {}", file.path))?;
        components.progress.file_arrived(file.stamp.bytes);
        let arrival = Arrival {
            path: file.path,
            stamp: from_state(file.stamp),
        };
        let token = components.activity.begin();
        group.push(Arrived::new(arrival, feed, captures, token));
    }
    let outcomes = contained(convert_files(components, &group)).await??;
    if components.abandoned.load(Ordering::Relaxed) {
        bail!("this worker was stopped before all files were converted");
    }
    let outcomes = group.iter().zip(outcomes).map(|(arrived, outcome)| {
        components.progress.file_done();
        let path = arrived.arrival.path.as_str();
        match outcome {
            Ok(outcome) => FileDone::of(outcome),
            Err(error) => {
                tracing::warn!(
                    path,
                    "could not be converted here, and is left to the service: {error}"
                );
                None
            }
        }
    });
    Ok(outcomes.collect())
}

async fn merge(components: &Components, run: &ClaimedRun) -> anyhow::Result<Option<MergeDone>> {
    tracing::info!(files = run.inputs.len(), "merging");
    let (summary, coverage) = summary_names(&run.job_id, &run.run_id);
    Ok(
        match merge_for_service(components, run, &summary, &coverage).await? {
            Merged::Done(report, _) => Some(MergeDone::Merged {
                rows: report.rows,
                covered: report.covered,
            }),
            Merged::Overflow(error) => MergeDone::overflow(error),
        },
    )
}

async fn load(components: &Components, to_do: &LoadToDo) -> anyhow::Result<Loaded> {
    tracing::info!(rows = to_do.summary.rows, "loading");
    Ok(load_for_service(components, to_do).await?)
}
