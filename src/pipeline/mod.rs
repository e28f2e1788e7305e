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
mod lifecycle;
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

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use gristmill_loader::{LoadError, Warehouse};
use gristmill_state::{Clock, StateDb};
use gristmill_watcher::{OpenError, PutAwayError, QueueError};
use jiff::Timestamp;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;

use self::activity::Activity;
pub use self::activity::Tally;
use self::delegation::Delegation;
use self::gauges::Queue;
use self::jobs::CurrentJobs;
use self::judge::ToJudge;
use self::ledger::Agreement;
pub use self::lifecycle::run;
pub(crate) use self::merge::selection;
use self::retry::Patience;
pub(crate) use self::retry::pause_after;
use self::sources::{OpenSource, Sources};
use self::stuck::StuckReads;
pub(crate) use self::summaries::summary_files;
pub(crate) use self::unmatched::Nearest;
pub use self::vitals::Vitals;
pub use self::worker::work_for_services;
use crate::lake::Lake;
use crate::memory::Memory;
use crate::progress::Progress;
use crate::settings::Settings;

/// The most conversions in progress at the same time if a source or the lake is a bucket, unless there are more cores.
const CONVERSIONS_WITH_BUCKET: usize = 16;

/// How many more conversions are in progress than there are cores: they wait for the disk while others compute. After a
/// crash, all of their files are converted one by one.
const CONVERSIONS_AT_DISK: usize = 1;

/// The most KiB of objects that are fetched and not yet converted.
const FETCHED_KIB: usize = 64 << 10;

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
    /// Whether the state database and the warehouse's ledger agree.
    agreement: Agreement,
    /// Names this process in the state database.
    owner: String,
    /// Hands out tasks to workers. Those have none, nor has a service whose state database is a file.
    delegation: Option<Delegation>,
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
