//! The last stage: queued runs are claimed, summarized and loaded.

mod attempt;
mod execution;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use gristmill_state::WorkerRole;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::Instrument;

use self::attempt::attempt;
pub(super) use self::execution::load_for_service;
use super::activity::Token;
use super::delegation::{Room, room_with_worker};
use super::judge::ToJudge;
use super::retry::{StepError, with_retries};
use super::sources::Sources;
use super::{Components, Until, crash_point, lineage, partials, readiness, stopped};

/// The most runs at the same time that a process merges and loads. Typically one merges while another loads.
pub(super) const AT_ONCE: usize = 2;

/// The least pause before runs are tried again that are due, and could not be claimed.
const DUE_AGAIN: Duration = Duration::from_secs(1);

/// Processes the queue whenever it is woken, until it is stopped. Runs in progress are finished. First it prepares the
/// warehouse, while files are already being converted; `preparing` is the token of that work.
pub(super) async fn work_off_runs(
    components: Arc<Components>,
    sources: Arc<Sources>,
    preparing: Token,
    mut wakes: mpsc::Receiver<Token>,
    judge: mpsc::Sender<ToJudge>,
    lineage: lineage::Wake,
    mut stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let ready = tokio::select! {
        biased;
        () = stopped(&mut stop) => return Ok(()),
        ready = readiness::make_ready(&components) => ready,
    };
    match ready {
        // Until now, jobs were judged by what the state database said before.
        Ok(true) => drop(judge.send(ToJudge::wake(preparing)).await),
        Ok(false) => drop(preparing),
        // A service waits until the outage ends or it is stopped.
        Err(error) if error.is_outage() && components.patience.until == Until::Stopped => {
            return Err(error.into());
        }
        Err(error) if error.is_outage() => {
            tracing::error!("no run can start now; the next start tries again: {error}");
            components.activity.tally.count_outage();
            drop(preparing);
            return leave_all_queued(wakes, stop).await;
        }
        Err(error) => return Err(error.into_cause()),
    }
    let mut runs = JoinSet::new();
    // The runs that wait for an outage to end: how often each has failed in this process, and its work in progress.
    let mut deferred: HashMap<String, (u32, Option<Token>)> = HashMap::new();
    let mut next_try = None;
    // Whether a run may be left in the queue for lack of room.
    let mut is_queued = false;
    loop {
        let has_room = components.runs.available_permits() > 0;
        tokio::select! {
            biased;
            () = stopped(&mut stop) => break,
            Some(_token) = wakes.recv() => is_queued = claim(&components, &sources, &mut runs).await?,
            Some(ended) = runs.join_next() => {
                let Ended { run_id, token, error } = ended??;
                // Before its token goes on, or there might seem to be nothing left to do.
                lineage.wake(&components.activity);
                let Some(error) = error else {
                    deferred.remove(&run_id);
                    is_queued = claim(&components, &sources, &mut runs).await?;
                    // More files may have arrived during the run, and other jobs may wait for this one.
                    // If the judging stage is gone, the pipeline stops, and the next start judges all that is open.
                    let _ = judge.send(ToJudge::wake(token)).await;
                    continue;
                };
                let (failures, before) = deferred.entry(run_id.clone()).or_default();
                *failures += 1;
                *before = Some(token);
                if !components.patience.tries_again(&error, *failures) {
                    tracing::error!(run_id, "stays in the queue: the next start tries it again");
                    components.activity.tally.count_run_waiting();
                    *before = None;
                }
                is_queued = claim(&components, &sources, &mut runs).await?;
            }
            () = sleep_until(next_try), if has_room && next_try.is_some() => {
                is_queued = claim(&components, &sources, &mut runs).await?;
            }
            room = room_with_worker(&components, WorkerRole::Load), if is_queued => {
                drop(room);
                is_queued = claim(&components, &sources, &mut runs).await?;
            }
        }
        lineage.wake(&components.activity);
        next_try = next_run_try(&components).await?;
    }
    // From here on nothing wakes this stage or is judged: runs that are still queued are left for the next start.
    drop((wakes, judge));
    while let Some(ended) = runs.join_next().await {
        ended??;
    }
    Ok(())
}

/// Leaves all runs in the queue until it is stopped.
async fn leave_all_queued(
    mut wakes: mpsc::Receiver<Token>,
    mut stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    loop {
        tokio::select! {
            biased;
            () = stopped(&mut stop) => return Ok(()),
            Some(_token) = wakes.recv() => {}
        }
    }
}

/// Returns when to try runs again that an outage keeps in the queue.
async fn next_run_try(components: &Components) -> anyhow::Result<Option<Instant>> {
    let next = with_retries(&components.patience, "asking for the next try", || async {
        Ok(components.state.next_run_try().await?)
    });
    let next = next
        .await
        .context("cannot ask the state database for the next try")?;
    Ok(next.map(|next| {
        let pause = next.duration_since(components.clock.now());
        // One that is due and was not claimed waits for something else too.
        Instant::now() + Duration::try_from(pause).unwrap_or_default().max(DUE_AGAIN)
    }))
}

async fn sleep_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// Claims queued runs for as long as there is room, and starts them. Returns whether there may be more.
async fn claim(
    components: &Arc<Components>,
    sources: &Arc<Sources>,
    runs: &mut JoinSet<anyhow::Result<Ended>>,
) -> anyhow::Result<bool> {
    let given_up = with_retries(
        &components.patience,
        "looking for files that runs wait for",
        || partials::give_up_the_gone(components),
    );
    match given_up.await {
        // It is only put off: the runs stay in the queue.
        Err(error) if error.is_outage() => {
            tracing::warn!("cannot look for files that runs wait for: {error}")
        }
        given_up => given_up.context("cannot look for the files that runs wait for")?,
    }
    while let Some(mut room) = room(components) {
        let claimed = with_retries(&components.patience, "claiming a run", || async {
            Ok(components.state.claim(&components.owner).await?)
        })
        .await;
        let Some(run) = claimed.context("cannot claim a run in the state database")? else {
            return Ok(false);
        };
        crash_point("after-claim");
        let (components, sources, token) = (components.clone(), sources.clone(), components.activity.begin());
        let span = tracing::info_span!("run", job = run.job_id, run_id = run.run_id);
        let work = async move {
            let error = attempt(&components, &sources, &run, &mut room).await?;
            drop(room);
            let run_id = run.run_id;
            Ok(Ended { run_id, token, error })
        };
        runs.spawn(work.instrument(span));
    }
    Ok(true)
}

/// Returns room for one more run: here, or else with a worker.
fn room(components: &Components) -> Option<Room> {
    let here = components.runs.clone().try_acquire_owned().ok().map(Room::here);
    here.or_else(|| components.delegation.as_ref()?.room_now(WorkerRole::Load))
}

/// A run that has ended, or is in the queue again.
struct Ended {
    run_id: String,
    token: Token,
    /// The failure for which it is in the queue again.
    error: Option<StepError>,
}
