//! One attempt at a run: its heartbeat, and what becomes of a failure.

use std::time::Duration;

use anyhow::Context;
use gristmill_state::ClaimedRun;
use tokio::time::Instant;

use super::super::Components;
use super::super::delegation::Room;
use super::super::panics::contained;
use super::super::partials::{self, Fate, LostPartials};
use super::super::retry::{StepError, pause_after, with_retries};
use super::super::sources::Sources;
use super::execution::execute;
use crate::others;
use crate::preconditions::some_of;

/// How often a run records that it is alive.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// Brings one run to its end, or puts it back into the queue because of an outage, which it returns. A failed run is a
/// state, not an error; the only error is a state database that stays unavailable.
pub(super) async fn attempt(
    components: &Components,
    sources: &Sources,
    run: &ClaimedRun,
    room: &mut Room,
) -> anyhow::Result<Option<StepError>> {
    tracing::info!(files = run.inputs.len(), attempt = run.attempts, "started");
    for sentence in others::describe(&run.days_of_others) {
        tracing::warn!("{sentence}");
    }
    let beat = async {
        // The claim was the first heartbeat.
        let mut beats = tokio::time::interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
        loop {
            beats.tick().await;
            if let Err(error) = components.state.heartbeat(&run.run_id).await {
                tracing::warn!("the run's heartbeat could not be written: {error}");
            }
        }
    };
    let done = tokio::select! {
        done = contained(execute(components, run, room)) => done,
        () = beat => unreachable!("the heart beats until the run is done"),
    };
    let error = match done {
        Ok(Ok(())) => {
            components.activity.tally.count_run_completed();
            return Ok(None);
        }
        Ok(Err(error)) => error,
        Err(panicked) => StepError::permanent(panicked),
    };
    let reason = match LostPartials::of(&error) {
        None => {
            let failures = failures_of(components, run).await? + 1;
            if error.is_worth_another(failures) {
                defer(components, run, &error, failures).await?;
                return Ok(Some(error));
            }
            error.to_string()
        }
        Some(lost) => {
            let make_anew = || partials::make_anew(components, sources, run, lost);
            let fate = with_retries(&components.patience, "having partials made anew", make_anew).await;
            match fate.context("cannot have lost partials made anew")? {
                Fate::Waits { files } => {
                    if !files.is_empty() {
                        tracing::warn!(
                            "waits: the lake has lost the partials of {}, so these files are read again",
                            some_of(&files)
                        );
                    }
                    return Ok(None);
                }
                Fate::Fails(reason) => reason,
            }
        }
    };
    components.activity.tally.count_run_failed();
    tracing::error!("failed: {reason}; `gristmill retry {}` runs it again", run.run_id);
    with_retries(&components.patience, "recording a failed run", || async {
        Ok(components.state.fail(&run.run_id, &reason).await?)
    })
    .await
    .context("cannot record a failed run in the state database")?;
    Ok(None)
}

/// How often a run has failed without an end so far.
async fn failures_of(components: &Components, run: &ClaimedRun) -> anyhow::Result<u32> {
    let failures = with_retries(&components.patience, "asking for a run's failures", || async {
        Ok(components.state.run_failures(&run.run_id).await?)
    });
    failures
        .await
        .context("cannot ask the state database for a run's failures")
}

/// Puts a run back into the queue until its next try.
async fn defer(
    components: &Components,
    run: &ClaimedRun,
    error: &StepError,
    failures: u32,
) -> anyhow::Result<()> {
    components.activity.gauges.count_retry();
    let pause = pause_after(failures);
    tracing::warn!(?pause, "the run failed and will be tried again: {error}");
    let reason = error.to_string();
    with_retries(&components.patience, "putting a run back", || async {
        Ok(components
            .state
            .defer(&run.run_id, &reason, components.after(pause))
            .await?)
    })
    .await
    .context("cannot put a run back into the queue in the state database")
}
