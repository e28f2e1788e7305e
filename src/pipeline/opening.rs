//! What happens before the stages start: everything that they share is opened, and brought into the state that they start
//! from.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use gristmill_loader::Warehouse;
use gristmill_state::{Clock, JobRow, Service, StateDb, StateError, Tasks};
use sysinfo::System;
use tokio::sync::Semaphore;

use super::activity::Activity;
#[cfg(feature = "cluster")]
use super::cluster;
use super::delegation::Delegation;
use super::faults::Hope;
use super::jobs::CurrentJobs;
use super::ledger::Agreement;
use super::retry::{Patience, StepError, with_retries};
use super::runs::AT_ONCE;
use super::sources::OpenSource;
use super::{
    CONVERSIONS_AT_DISK, CONVERSIONS_WITH_BUCKET, Components, FETCHED_KIB, counting, faults, partials,
    retention, unmatched,
};
use crate::guards::who;
use crate::lake::{Lake, ObjectNames};
use crate::preconditions::check_reload;
use crate::progress::Progress;
use crate::settings::Settings;
use crate::warehouse;

/// Opens everything that the stages share.
pub(super) async fn open_components(
    settings: Settings,
    clock: Arc<dyn Clock>,
    patience: Patience,
    progress: Progress,
    service: &Service,
) -> anyhow::Result<Arc<Components>> {
    // Wrong settings are told before anything is made.
    let warehouse = warehouse::open(&settings).await?;
    settings.check_receivers()?;
    if settings.state.file().is_some_and(|file| !file.exists()) {
        settings.check_alerts(&settings.jobs)?;
    }
    settings.check_lineage()?;
    let open = || async {
        let state = StateDb::open_for(service, clock.clone()).await?;
        Ok(state.on_behalf_of(who()))
    };
    let state = with_retries(&patience, "opening the state database", open).await;
    let state = state.map_err(StepError::into_cause)?;
    // On a server, the tables are there by now: whether anything else is, only its jobs tell.
    let known = with_retries(&patience, "reading the jobs", || async {
        Ok(state.jobs().await?)
    });
    if known.await.map_err(StepError::into_cause)?.is_empty() {
        settings.check_alerts(&settings.jobs)?;
    }
    let adopted = with_retries(&patience, "adopting the jobs of the settings", || async {
        Ok(adopt_jobs(&state, &settings).await?)
    });
    let jobs = adopted.await.map_err(StepError::into_cause)?;
    check_reload(settings.target.mode, jobs.iter().map(|row| &row.config))?;
    settings.check_alerts(&jobs.into_iter().map(|row| row.config).collect::<Vec<_>>())?;
    let is_told = settings.lineage.is_some();
    with_retries(&patience, "noting whether events of runs are sent", || async {
        Ok(state.switch_lineage(is_told).await?)
    })
    .await
    .map_err(StepError::into_cause)?;
    let sources = open_sources(&settings).await?;
    let tasks = with_retries(&patience, "beginning to hand out tasks", || async {
        Ok(Tasks::begin(service, settings.fingerprint.clone()).await?)
    });
    let tasks = tasks.await.map_err(StepError::into_cause)?;
    let name = name(&state, &patience).await?;
    let is_on_server = settings.state.file().is_none();
    let open = || Lake::open_to_write(&settings.lake, name.as_deref());
    let lake = open_lake(&patience, is_on_server, open).await?;
    let opened = Opened {
        state,
        sources,
        lake,
        warehouse,
        tasks,
    };
    Ok(opened.into_components(settings, clock, patience, progress))
}

/// Opens what a worker needs. It only reads the state database, and waits until a service of this version has made that.
pub(super) async fn open_to_help(
    settings: Settings,
    clock: Arc<dyn Clock>,
    patience: Patience,
    progress: Progress,
) -> anyhow::Result<Arc<Components>> {
    let warehouse = warehouse::open(&settings).await?;
    let state = with_retries(&patience, "opening the state database", || async {
        let opened = StateDb::open_to_read(settings.state.clone(), clock.clone()).await;
        opened.map_err(|error| match error {
            StateError::Older { place, .. } => StepError::outage(anyhow::anyhow!(
                "no service of this version has worked on the state database {place} yet: start `gristmill run`"
            )),
            error => error.into(),
        })
    });
    let state = state.await.map_err(StepError::into_cause)?;
    let sources = open_sources(&settings).await?;
    let name = name(&state, &patience).await?;
    let lake = with_retries(&patience, "opening the lake", || async {
        let opened = Lake::open_to_help(&settings.lake, name.as_deref()).await;
        opened.map_err(StepError::transient)
    });
    let lake = lake.await.map_err(StepError::into_cause)?;
    let opened = Opened {
        state,
        sources,
        lake,
        warehouse,
        tasks: None,
    };
    Ok(opened.into_components(settings, clock, patience, progress))
}

async fn name(state: &StateDb, patience: &Patience) -> anyhow::Result<Option<String>> {
    let name = with_retries(patience, "asking for the name of the state database", || async {
        Ok(state.name().await?)
    });
    name.await.map_err(StepError::into_cause)
}

/// Opens the lake. If its disk is full or its bucket away, that is waited for; and with the state on a server, the service before
/// this one, which stands still: once it goes on, it finds that its lease is lost, and ends.
async fn open_lake<F>(patience: &Patience, is_on_server: bool, open: impl Fn() -> F) -> anyhow::Result<Lake>
where
    F: Future<Output = anyhow::Result<Lake>>,
{
    let opened = with_retries(patience, "opening the lake", || async {
        open().await.map_err(|error| {
            let is_held = matches!(error.downcast_ref(), Some(StateError::AlreadyRunning { .. }));
            match faults::hope(&error) == Hope::Outage || is_held && is_on_server {
                true => StepError::outage(error),
                false => StepError::permanent(error),
            }
        })
    });
    opened.await.map_err(StepError::into_cause)
}

async fn open_sources(settings: &Settings) -> anyhow::Result<Vec<OpenSource>> {
    let mut sources = Vec::with_capacity(settings.sources.len());
    let own = Arc::new(settings.own_files());
    for source in &settings.sources {
        sources.push(OpenSource::open(source, &own).await?);
    }
    Ok(sources)
}

/// What was opened.
struct Opened {
    state: StateDb,
    sources: Vec<OpenSource>,
    lake: Lake,
    warehouse: Box<dyn Warehouse>,
    /// `None` if nothing can be handed out.
    tasks: Option<Tasks>,
}

impl Opened {
    fn into_components(
        self,
        settings: Settings,
        clock: Arc<dyn Clock>,
        patience: Patience,
        progress: Progress,
    ) -> Arc<Components> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        // With a bucket, some conversions wait for the network while others compute.
        let max_conversions = match settings.has_bucket() {
            true => cores.max(CONVERSIONS_WITH_BUCKET),
            false => cores + CONVERSIONS_AT_DISK,
        };
        let abandoned = Arc::<AtomicBool>::default();
        Arc::new(Components {
            activity: Arc::new(Activity::new(settings.sources.len(), patience.gauges.clone())),
            jobs: CurrentJobs::new(&settings.feeds),
            memory: settings.convert.memory_limit.memory(),
            settings,
            clock,
            state: Arc::new(self.state),
            sources: self.sources,
            lake: self.lake,
            warehouse: self.warehouse,
            progress,
            patience,
            delegation: self
                .tasks
                .map(|tasks| Delegation::begin(tasks, abandoned.clone())),
            abandoned,
            cores: Semaphore::new(cores),
            stuck: Arc::default(),
            runs: Arc::new(Semaphore::new(AT_ONCE)),
            fetched_kib: Semaphore::new(FETCHED_KIB),
            max_conversions,
            agreement: Agreement::default(),
            owner: this_process(),
        })
    }
}

/// Names this process among those of all hosts.
fn this_process() -> String {
    let host = System::host_name().map_or_else(|_| String::new(), |host| format!(" on {host}"));
    format!("process {}{host}", std::process::id())
}

/// Adds the settings' new jobs to the state database, and warns about jobs that differ there. Returns all jobs there.
async fn adopt_jobs(state: &StateDb, settings: &Settings) -> Result<Vec<JobRow>, StateError> {
    for job in state.add_jobs(&settings.jobs).await? {
        tracing::info!(job, "added from the settings file");
    }
    let rows = state.jobs().await?;
    let stored = rows.iter().map(|row| (row.config.id.as_str(), &row.config));
    let stored: HashMap<_, _> = stored.collect();
    for job in &settings.jobs {
        if stored.get(job.id.as_str()).is_some_and(|stored| *stored != job) {
            tracing::warn!(
                job = job.id,
                "differs from the settings file; the state database counts. `gristmill jobs apply` overwrites it with \
                 the settings"
            );
        }
    }
    Ok(rows)
}

/// Brings the lake into the state that the stages start from. Its future may be dropped at any point.
pub(super) async fn make_ready(components: &Components) -> anyhow::Result<()> {
    with_retries(&components.patience, "having everything tried again", || async {
        Ok(components.state.try_waiting_now().await?)
    })
    .await
    .map_err(StepError::into_cause)?;
    with_retries(&components.patience, "removing expired objects", || {
        retention::remove_expired(components)
    })
    .await
    .map_err(StepError::into_cause)?;
    with_retries(&components.patience, "counting days", || {
        counting::count_days(components)
    })
    .await
    .map_err(StepError::into_cause)?;
    with_retries(&components.patience, "sweeping the lake", || async {
        let named = async |of| {
            let mut named = ObjectNames::default();
            let state = &components.state;
            state.each_lake_object(of, |object| named.insert(object)).await?;
            Ok(named)
        };
        components.lake.sweep(named).await.map_err(StepError::transient)
    })
    .await
    .map_err(StepError::into_cause)?;
    #[cfg(feature = "cluster")]
    with_retries(&components.patience, "removing what clusters left behind", || {
        cluster::remove_leftovers(components)
    })
    .await
    .map_err(StepError::into_cause)?;
    with_retries(&components.patience, "looking for lost partials", || {
        partials::find_lost(components)
    })
    .await
    .map_err(StepError::into_cause)?;
    with_retries(&components.patience, "forgetting files of other sources", || {
        unmatched::forget_elsewhere(components)
    })
    .await
    .map_err(StepError::into_cause)
}
