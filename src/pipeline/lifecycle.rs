//! How a pipeline begins, works and ends; and begins anew where its state database has lost what it had confirmed.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::bail;
use futures::FutureExt as _;
use futures::future::FusedFuture as _;
use gristmill_state::{Clock, Service, StateError};
use tokio::sync::watch;

use super::activity::Tally;
use super::gauges::Gauges;
use super::opening::{make_ready, open_components};
use super::retry::{Patience, StepError, with_retries};
use super::vitals::Vitals;
use super::{Components, Until, start_stages};
use crate::causes;
use crate::progress::Progress;
use crate::settings::{Place, Settings};

/// How long the work in progress may take to end once the pipeline is stopped.
pub(super) const STOPPING: Duration = Duration::from_secs(30);

/// How long a file may be read on then. What is read is not lost: the next start reads it from its beginning.
pub(super) const READING: Duration = Duration::from_secs(5);

/// How long it may take to note that what is abandoned was abandoned.
const PARTING: Duration = Duration::from_secs(2);

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
            tracing::warn!("the state database has lost changes: ending the work in progress");
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
        bail!("{error}; a read that does not return keeps the lake locked: the next start begins anew");
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
        tracing::warn!("stopped; the next start does what is left: {error:#}");
        return Ok(());
    }
    Err(error)
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
