//! The pipeline: four stages between the watcher and the warehouse, connected by bounded channels.
//!
//! ```text
//! watcher ──Event──→ intake ──Recordable──→ record ──ToJudge──→ judge ──wake──→ runs ──→ warehouse
//!                    (conversions,          (groups,              ↑              │
//!                     many at once)          durable)             └──run ended───┘
//! ```
//!
//! Beside them, `put_away` tags or moves the objects that were recorded, and `lineage` sends events of runs.
//!
//! A busy stage makes the one before it wait, back to the watcher. All work in progress carries a token, so that "idle"
//! is exact. Every step can be repeated: wherever a process dies, the next start finishes its work.

mod activity;
mod alerting;
mod archives;
mod arrived;
#[cfg(feature = "cluster")]
mod cluster;
mod conversion;
mod conversions;
mod counting;
mod delegation;
mod doubted;
mod edits;
mod faults;
mod gauges;
mod intake;
mod jobs;
mod judge;
mod ledger;
mod lineage;
mod merge;
mod oddities;
mod opening;
mod outcomes;
mod panics;
mod partials;
mod put_away;
mod readiness;
mod reading;
mod record;
mod recordable;
mod refill;
mod retention;
mod retry;
mod runs;
mod sources;
mod steps;
mod strays;
mod stuck;
mod summaries;
mod threads;
mod unmatched;
mod vitals;
mod waiting;
mod worker;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::bail;
use futures::FutureExt as _;
use futures::future::FusedFuture as _;
use gristmill_loader::{LoadError, Warehouse};
use gristmill_state::{Clock, Service, StateDb, StateError};
use gristmill_watcher::{OpenError, PutAwayError, QueueError};
use jiff::Timestamp;
use tokio::sync::{Mutex, Semaphore, mpsc, watch};
use tokio::task::JoinSet;

use self::activity::Activity;
pub use self::activity::Tally;
use self::delegation::Delegation;
use self::gauges::{Gauges, Queue};
use self::jobs::CurrentJobs;
use self::judge::ToJudge;
use self::ledger::LastLoads;
pub(crate) use self::merge::selection;
use self::opening::{make_ready, open_components};
pub(crate) use self::retry::pause_after;
use self::retry::{Patience, StepError, with_retries};
use self::sources::{OpenSource, Sources};
use self::stuck::StuckReads;
pub(crate) use self::summaries::summary_files;
pub(crate) use self::unmatched::Nearest;
pub use self::vitals::Vitals;
pub use self::worker::work_for_services;
use crate::causes;
use crate::lake::Lake;
use crate::memory::Memory;
use crate::progress::Progress;
use crate::settings::{Place, Settings};

/// The most conversions in progress at the same time if a source or the lake is a bucket, unless there are more cores.
const CONVERSIONS_WITH_BUCKET: usize = 16;

/// How many more conversions are in progress than there are cores: they wait for the disk while others compute. After a
/// crash, all of their files are converted one by one.
const CONVERSIONS_AT_DISK: usize = 1;

/// The most KiB of objects that are fetched and not yet converted.
const FETCHED_KIB: usize = 64 << 10;

/// How long the work in progress may take to end once the pipeline is stopped.
const STOPPING: Duration = Duration::from_secs(30);

/// How long a file may be read on then. What is read is not lost: the next start reads it from its beginning.
const READING: Duration = Duration::from_secs(5);

/// How long it may take to note that what is abandoned was abandoned.
const PARTING: Duration = Duration::from_secs(2);

/// When a pipeline ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// When it is stopped.
    Stopped,
    /// When nothing is left to do: every file was processed, and every run that could start is done.
    Idle,
}

/// What all stages share.
struct Components {
    settings: Settings,
    clock: Arc<dyn Clock>,
    state: Arc<StateDb>,
    sources: Vec<OpenSource>,
    lake: Lake,
    warehouse: Box<dyn Warehouse>,
    progress: Progress,
    activity: Arc<Activity>,
    /// How long outages are waited out.
    patience: Patience,
    /// Set once files that are being read are not waited for any more.
    abandoned: Arc<AtomicBool>,
    /// Has a permit for each core. A conversion holds one while it computes, and not while it waits for the network.
    cores: Semaphore,
    /// The files whose reading stands still.
    stuck: Arc<StuckReads>,
    /// Has a permit for each run that this process may merge and load at the same time.
    runs: Arc<Semaphore>,
    /// Has a permit for each KiB of memory that fetched objects may take until they are converted.
    fetched_kib: Semaphore,
    /// The most conversions in progress at the same time.
    max_conversions: usize,
    jobs: CurrentJobs,
    /// The memory that the sums of all conversions and runs share.
    memory: Memory,
    /// Held by whoever compares the state database with the warehouse's ledger.
    ledger_turn: Mutex<()>,
    /// The runs that were loaded last.
    last_loads: LastLoads,
    /// Names this process in the state database.
    owner: String,
    /// Hands out tasks to workers. Those have none, nor has a service whose state database is a file.
    delegation: Option<Delegation>,
}

/// Runs the pipeline until `until` or until `stop` completes, and returns what was done. Shows signs of life in `vitals`.
/// Becomes the service first: only one pipeline works on a state database at a time.
///
/// Where the state database has lost what it had confirmed, a service begins anew from what it holds, as after a restart.
pub async fn run(
    settings: Settings,
    clock: Arc<dyn Clock>,
    until: Until,
    progress: Progress,
    vitals: &Vitals,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<Arc<Tally>> {
    let mut stop = std::pin::pin!(stop.fuse());
    loop {
        let (settings, progress) = (settings.clone(), progress.clone());
        let error = match run_once(settings, clock.clone(), until, progress, vitals, stop.as_mut()).await {
            Ok(tally) => return Ok(tally),
            Err(error) => error,
        };
        if !went_back(&error) || until == Until::Idle || stop.is_terminated() {
            return Err(error);
        }
        tracing::warn!("{error}; starting afresh from what the state database holds");
    }
}

async fn run_once(
    settings: Settings,
    clock: Arc<dyn Clock>,
    until: Until,
    progress: Progress,
    vitals: &Vitals,
    mut stop: Pin<&mut impl Future<Output = ()>>,
) -> anyhow::Result<Arc<Tally>> {
    vitals.begin();
    let (stopper, stopped) = watch::channel(false);
    let patience = Patience {
        until,
        stopped,
        gauges: Arc::<Gauges>::default(),
    };
    let begun = with_retries(&patience, "beginning to work on the state database", || async {
        Ok(Service::begin(&settings.state).await?)
    });
    let service = tokio::select! {
        () = &mut stop => return Ok(stopped_early()),
        begun = begun => begun.map_err(StepError::into_cause)?,
    };
    let mut is_abandoned = false;
    let work = async {
        let ready = async {
            let components = open_components(settings, clock, patience, progress, &service).await?;
            make_ready(&components).await?;
            Ok::<_, anyhow::Error>(components)
        };
        let components = tokio::select! {
            () = &mut stop => return Ok(stopped_early()),
            ready = ready => ready?,
        };
        vitals.show(&components.activity);
        work(components, until, stop, stopper, &mut is_abandoned).await
    };
    let done = tokio::select! {
        done = work => done,
        // What is in progress could not be recorded any more, so nothing is waited for.
        lost = service.lost() => return Err(lost.into()),
    };
    if is_abandoned {
        // Threads may still be at work. Nobody may become the service before they end with the process.
        std::mem::forget(service);
    } else if let Err(error) = service.end().await {
        tracing::warn!(
            "the next start has to wait: {}",
            causes::joined(&error.into(), ": ")
        );
    }
    done
}

fn stopped_early() -> Arc<Tally> {
    tracing::info!("stopped before any work began");
    Arc::default()
}

/// Works until `until` or until `stop` completes, and returns what was done. Sets `is_abandoned` if something is still in
/// progress then.
async fn work(
    components: Arc<Components>,
    until: Until,
    mut stop: Pin<&mut impl Future<Output = ()>>,
    stopper: watch::Sender<bool>,
    is_abandoned: &mut bool,
) -> anyhow::Result<Arc<Tally>> {
    for source in &components.settings.sources {
        tracing::info!(source = %source.place, "watching");
        if let Place::Folder(folder) = &source.place {
            for (path, what) in components.settings.own_inside(folder) {
                tracing::warn!(path = %path.display(), "this is {what}, and lies in the source: it is passed over");
            }
        }
    }

    let mut stages = start_stages(&components, &stopper.subscribe()).await?;
    let mut outcome = Outcome::default();
    tokio::select! {
        biased;
        () = &mut stop => tracing::info!("stopping: finishing the work in progress"),
        // Before the failures that follow from it.
        loss = components.state.went_back() => {
            tracing::warn!("the state database went back: ending the work in progress");
            outcome.add(Err(loss.into()));
        }
        () = components.activity.idle(), if until == Until::Idle => {}
        Some(ended) = stages.join_next() => outcome.add_early(ended.map_err(anyhow::Error::from).flatten()),
    }
    stopper.send_replace(true);
    let rest = async {
        while let Some(ended) = stages.join_next().await {
            let ended = ended.map_err(anyhow::Error::from).flatten();
            outcome.add(ended.or_else(|error| left_to_the_next_start(until, error)));
        }
    };
    let rest = async {
        let mut rest = std::pin::pin!(rest);
        if tokio::time::timeout(READING, &mut rest).await.is_err() {
            components.abandoned.store(true, Ordering::Relaxed);
            rest.await;
        }
    };
    if tokio::time::timeout(STOPPING, rest).await.is_err() {
        // No file is to blame for what is abandoned now.
        let forget = tokio::time::timeout(PARTING, components.state.forget_attempts()).await;
        if !matches!(forget, Ok(Ok(()))) {
            tracing::debug!("the attempts in progress could not be forgotten");
        }
        *is_abandoned = true;
        bail!(
            "the work in progress did not end within {} seconds and is abandoned, as by a kill; the next start does it \
             again",
            STOPPING.as_secs()
        );
    }
    components.progress.finish();
    drop(stages);
    if let Err(error) = outcome.told() {
        if !went_back(&error) || are_gone(components).await {
            return Err(error);
        }
        *is_abandoned = true;
        bail!(
            "{error}; something that is being read does not return, and keeps the lake: the next start begins anew"
        );
    }
    let closed = async {
        let news = components.state.ledger_news(None).await?;
        components.activity.tally.set_stopped_jobs(news.jobs().len());
        Ok::<_, StepError>(components.state.close().await?)
    };
    closed
        .await
        .or_else(|error| left_to_the_next_start(until, error.into()))?;
    let tally = components.activity.tally.clone();
    if Arc::into_inner(components).is_none() {
        tracing::debug!("threads are left behind in calls that do not return");
    }
    Ok(tally)
}

/// Returns whether an error says that the state database lacks what it had confirmed.
fn went_back(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(StateError::WentBack { .. }))
}

/// Waits until nobody uses the components any more, but not for a thread in a call that does not return. Returns whether that is so.
async fn are_gone(components: Arc<Components>) -> bool {
    let others_end = async {
        while Arc::strong_count(&components) > 1 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PARTING, others_end).await.is_ok()
}

/// What came of the stages that have ended so far.
#[derive(Default)]
struct Outcome {
    failure: Option<anyhow::Error>,
    /// Whether a stage ended well although nobody had stopped it.
    is_early: bool,
}

impl Outcome {
    /// Adds a stage that nobody had stopped. If it ended well, another one has failed that it depends on, and may end after
    /// it.
    fn add_early(&mut self, ended: anyhow::Result<()>) {
        self.is_early = ended.is_ok();
        self.add(ended);
    }

    fn add(&mut self, ended: anyhow::Result<()>) {
        self.failure = self.failure.take().or(ended.err());
    }

    /// Returns the first failure.
    fn told(self) -> anyhow::Result<()> {
        match self.failure {
            Some(failure) => Err(failure),
            None if self.is_early => {
                bail!("a part of the pipeline ended by itself: this is a bug; please report it")
            }
            None => Ok(()),
        }
    }
}

/// Decides whether a stage that failed after the stop makes the pipeline fail. What waited for an outage to end does not, nor a state
/// database that went back: the next start does it. Only a pipeline that ends by itself fails because of what it leaves.
fn left_to_the_next_start(until: Until, error: anyhow::Error) -> anyhow::Result<()> {
    let step: Option<&StepError> = error.downcast_ref();
    let is_left = step.is_some_and(|step| step.is_outage() || went_back(step.cause())) || went_back(&error);
    if until == Until::Stopped && is_left {
        tracing::warn!("stopped, and something is left that the next start does: {error:#}");
        return Ok(());
    }
    Err(error)
}

impl Components {
    /// Returns the moment after a pause.
    fn after(&self, pause: Duration) -> Timestamp {
        let now = self.clock.now();
        now.checked_add(pause).unwrap_or(now)
    }
}

/// Starts the watchers and the stages. All open waves are judged first, and runs that are already queued go first.
async fn start_stages(
    components: &Arc<Components>,
    stopped: &watch::Receiver<bool>,
) -> anyhow::Result<JoinSet<anyhow::Result<()>>> {
    let (to_intake, events) = mpsc::channel(1024);
    let (to_record, recordables) = mpsc::channel(1024);
    let (to_judge, cues) = mpsc::channel(64);
    let (to_runs, wakes) = mpsc::channel(64);
    to_judge.send(ToJudge::wake(components.activity.begin())).await?;

    components.activity.gauges.watch(vec![
        Queue::of("arrivals", &to_intake),
        Queue::of("records", &to_record),
        Queue::of("judgements", &to_judge),
    ]);
    let sources = Arc::new(Sources::watch(components, to_intake).await?);

    let mut stages = JoinSet::new();
    let stop = || stopped.clone();
    stages.spawn(intake::convert_arrivals(
        components.clone(),
        sources.clone(),
        events,
        to_record,
        to_judge.clone(),
        stop(),
    ));
    let to_put_away = put_away::start(components, &mut stages, stopped);
    let to_lineage = lineage::start(components, &mut stages, stopped)?;
    stages.spawn(record::record_submissions(
        components.clone(),
        sources.clone(),
        recordables,
        to_judge.clone(),
        to_put_away,
    ));
    stages.spawn(judge::judge_jobs(
        components.clone(),
        sources.clone(),
        cues,
        to_runs,
        stop(),
    ));
    stages.spawn(retention::remove_regularly(components.clone(), stop()));
    alerting::start(components, &mut stages, stopped).await?;
    let preparing = components.activity.begin();
    stages.spawn(runs::work_off_runs(
        components.clone(),
        sources,
        preparing,
        wakes,
        to_judge,
        to_lineage,
        stop(),
    ));
    Ok(stages)
}

/// Completes when the pipeline has to stop.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the pipeline is gone, which is a reason to stop too.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// A point where the crash tests end the process. It does nothing without the feature `failpoints`.
#[cfg_attr(not(feature = "failpoints"), allow(unused_variables))]
fn crash_point(name: &'static str) {
    fail::fail_point!(name);
}

/// Returns whether an error means that the settings do not fit what they refer to, which no retry can fix: exit status
/// 2.
pub fn is_usage_error(error: &anyhow::Error) -> bool {
    error.is::<OpenError>()
        || error.is::<QueueError>()
        || matches!(error.downcast_ref(), Some(PutAwayError::IgnoresConditions { .. }))
        || error.downcast_ref::<LoadError>().is_some_and(|error| {
            matches!(
                error,
                LoadError::BadUrl { .. } | LoadError::BadTarget { .. } | LoadError::TargetMismatch { .. }
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_that_ends_because_another_has_failed_does_not_hide_that() {
        let mut outcome = Outcome::default();
        outcome.add_early(Ok(()));
        outcome.add(Err(anyhow::anyhow!("the lease is lost")));
        outcome.add(Err(anyhow::anyhow!("too late")));
        assert_eq!(outcome.told().unwrap_err().to_string(), "the lease is lost");
        let mut outcome = Outcome::default();
        outcome.add_early(Ok(()));
        outcome.add(Ok(()));
        assert!(outcome.told().unwrap_err().to_string().contains("this is a bug"));
        let mut outcome = Outcome::default();
        outcome.add(Ok(()));
        outcome.told().unwrap();
    }
}
