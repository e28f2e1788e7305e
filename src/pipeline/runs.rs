//! The last stage: queued runs are claimed, summarized and loaded.

use std::collections::HashMap;
use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use gristmill_engine::{EngineError, SummaryReport, content_hash};
use gristmill_loader::{Base, Load, LoadOutcome};
use gristmill_state::{Cause, ClaimedRun, RowChanges, RunOutcome, RunResult, SummaryRecord};
use object_store::path::Path as ObjectPath;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::Instrument;

use super::activity::Token;
use super::judge::ToJudge;
use super::merge::{Merged, culprit, merge};
use super::panics::{contained, panic_point};
use super::partials::{Fate, LostPartials};
use super::retry::{StepError, pause_after, with_retries};
use super::sources::Sources;
use super::{Parts, crash_point, ledger, lineage, oddities, partials, readiness, stopped};
use crate::lake::{Lake, LocalFile, Unsynced, summary_names};
use crate::ledger::scope;
use crate::others;
use crate::preconditions::some_of;

/// The most runs at the same time. Typically one merges while another loads.
const AT_ONCE: usize = 2;

/// The least pause before runs are tried again that are due, and could not be claimed.
const DUE_AGAIN: Duration = Duration::from_secs(1);

/// How often a run records that it is alive.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// Processes the queue whenever it is woken, until it is stopped. Runs in progress are finished. First it prepares the
/// warehouse, while files are already being converted; `preparing` is the token of that work.
pub(super) async fn work_off_runs(
    parts: Arc<Parts>,
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
        ready = readiness::make_ready(&parts) => ready,
    };
    match ready {
        // Until now, jobs were judged by what the state database said before.
        Ok(true) => drop(judge.send(ToJudge::wake(preparing)).await),
        Ok(false) => drop(preparing),
        Err(error) if error.is_outage() => {
            tracing::error!("no run can start now; the next start tries again: {error}");
            parts.activity.tally.count_outage();
            drop(preparing);
            return leave_all_queued(wakes, stop).await;
        }
        Err(error) => return Err(error.into_cause()),
    }
    let mut runs = JoinSet::new();
    // The runs that wait for an outage to end: how often each has failed in this process, and its work in progress.
    let mut deferred: HashMap<String, (u32, Option<Token>)> = HashMap::new();
    let mut next_try = None;
    loop {
        let has_room = runs.len() < AT_ONCE;
        tokio::select! {
            biased;
            () = stopped(&mut stop) => break,
            Some(_token) = wakes.recv() => claim(&parts, &sources, &mut runs).await?,
            Some(ended) = runs.join_next() => {
                let Ended { run_id, token, error } = ended??;
                // Before its token goes on, or there might seem to be nothing left to do.
                lineage.wake(&parts.activity);
                let Some(error) = error else {
                    deferred.remove(&run_id);
                    claim(&parts, &sources, &mut runs).await?;
                    // More files may have arrived during the run, and other jobs may wait for this one.
                    // If the judging stage is gone, the pipeline stops, and the next start judges all that is open.
                    let _ = judge.send(ToJudge::wake(token)).await;
                    continue;
                };
                let (failures, before) = deferred.entry(run_id.clone()).or_default();
                *failures += 1;
                *before = Some(token);
                if !parts.patience.tries_again(&error, *failures) {
                    tracing::error!(run_id, "stays in the queue: the next start tries it again");
                    parts.activity.tally.count_run_waiting();
                    *before = None;
                }
                claim(&parts, &sources, &mut runs).await?;
            }
            () = sleep_until(next_try), if has_room && next_try.is_some() => {
                claim(&parts, &sources, &mut runs).await?;
            }
        }
        lineage.wake(&parts.activity);
        next_try = next_run_try(&parts).await?;
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
async fn next_run_try(parts: &Parts) -> anyhow::Result<Option<Instant>> {
    let next = with_retries(&parts.patience, "asking for the next try", || async {
        Ok(parts.state.next_run_try().await?)
    });
    let next = next
        .await
        .context("cannot ask the state database for the next try")?;
    Ok(next.map(|next| {
        let pause = next.duration_since(parts.clock.now());
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

async fn claim(
    parts: &Arc<Parts>,
    sources: &Arc<Sources>,
    runs: &mut JoinSet<anyhow::Result<Ended>>,
) -> anyhow::Result<()> {
    let given_up = with_retries(&parts.patience, "looking for files that runs wait for", || {
        partials::give_up_the_gone(parts)
    });
    match given_up.await {
        // It is only put off: the runs stay in the queue.
        Err(error) if error.is_outage() => {
            tracing::warn!("cannot look for files that runs wait for: {error}")
        }
        given_up => given_up.context("cannot look for the files that runs wait for")?,
    }
    while runs.len() < AT_ONCE {
        let claimed = with_retries(&parts.patience, "claiming a run", || async {
            Ok(parts.state.claim(&parts.owner).await?)
        })
        .await;
        let Some(run) = claimed.context("cannot claim a run in the state database")? else {
            break;
        };
        crash_point("after-claim");
        let (parts, sources, token) = (parts.clone(), sources.clone(), parts.activity.begin());
        let span = tracing::info_span!("run", job = run.job_id, run_id = run.run_id);
        let work = async move {
            let error = work_off(&parts, &sources, &run).await?;
            let run_id = run.run_id;
            Ok(Ended { run_id, token, error })
        };
        runs.spawn(work.instrument(span));
    }
    Ok(())
}

/// A run that has ended, or is in the queue again.
struct Ended {
    run_id: String,
    token: Token,
    /// The failure for which it is in the queue again.
    error: Option<StepError>,
}

/// Brings one run to its end, or puts it back into the queue because of an outage, which it returns. A failed run is a
/// state, not an error; the only error is a state database that stays unavailable.
async fn work_off(parts: &Parts, sources: &Sources, run: &ClaimedRun) -> anyhow::Result<Option<StepError>> {
    tracing::info!(files = run.inputs.len(), attempt = run.attempts, "started");
    for sentence in others::told(&run.days_of_others) {
        tracing::warn!("{sentence}");
    }
    let beat = async {
        // The claim was the first heartbeat.
        let mut beats = tokio::time::interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
        loop {
            beats.tick().await;
            if let Err(error) = parts.state.heartbeat(&run.run_id).await {
                tracing::warn!("the run's heartbeat could not be written: {error}");
            }
        }
    };
    let done = tokio::select! {
        done = contained(execute(parts, run)) => done,
        () = beat => unreachable!("the heart beats until the run is done"),
    };
    let error = match done {
        Ok(Ok(())) => {
            parts.activity.tally.count_run_completed();
            return Ok(None);
        }
        Ok(Err(error)) => error,
        Err(panicked) => StepError::permanent(panicked),
    };
    let reason = match LostPartials::of(&error) {
        None => {
            let failures = failures_of(parts, run).await? + 1;
            if error.is_worth_another(failures) {
                defer(parts, run, &error, failures).await?;
                return Ok(Some(error));
            }
            error.to_string()
        }
        Some(lost) => {
            let make_anew = || partials::make_anew(parts, sources, run, lost);
            let fate = with_retries(&parts.patience, "having partials made anew", make_anew).await;
            match fate.context("cannot have lost partials made anew")? {
                Fate::Waits { files } => {
                    tracing::warn!(
                        "waits: the lake has lost the partials of {}, so these files are read again",
                        some_of(&files)
                    );
                    return Ok(None);
                }
                Fate::Fails(reason) => reason,
            }
        }
    };
    parts.activity.tally.count_run_failed();
    tracing::error!("failed: {reason}; `gristmill retry {}` runs it again", run.run_id);
    with_retries(&parts.patience, "recording a failed run", || async {
        Ok(parts.state.fail(&run.run_id, &reason).await?)
    })
    .await
    .context("cannot record a failed run in the state database")?;
    Ok(None)
}

/// How often a run has failed without an end so far.
async fn failures_of(parts: &Parts, run: &ClaimedRun) -> anyhow::Result<u32> {
    let failures = with_retries(&parts.patience, "asking for a run's failures", || async {
        Ok(parts.state.run_failures(&run.run_id).await?)
    });
    failures
        .await
        .context("cannot ask the state database for a run's failures")
}

/// Puts a run back into the queue until its next try.
async fn defer(parts: &Parts, run: &ClaimedRun, error: &StepError, failures: u32) -> anyhow::Result<()> {
    parts.activity.gauges.count_retry();
    let pause = pause_after(failures);
    tracing::warn!(?pause, "the run failed and will be tried again: {error}");
    let reason = error.to_string();
    with_retries(&parts.patience, "putting a run back", || async {
        Ok(parts
            .state
            .defer(&run.run_id, &reason, parts.after(pause))
            .await?)
    })
    .await
    .context("cannot put a run back into the queue in the state database")
}

/// Merges a run. A file whose sums overflow together with those of others is left out and held, and the run goes on
/// without it.
async fn merge_what_fits(
    parts: &Parts,
    run: &ClaimedRun,
    summary: &ObjectPath,
    coverage: &ObjectPath,
) -> Result<(SummaryReport, Unsynced), StepError> {
    let mut run = run.clone();
    loop {
        let error = match merge(parts, &run, summary, coverage).await? {
            Merged::Done(report, unsynced) => return Ok((report, unsynced)),
            Merged::Overflow(error) => error,
        };
        let EngineError::Overflow {
            store_id, trans_date, ..
        } = &error
        else {
            return Err(StepError::permanent(error));
        };
        let Some(input) = culprit(parts, &run, store_id, *trans_date).await? else {
            return Err(StepError::permanent(error));
        };
        let reason = format!("together with other files, {error}");
        let path = input.file_url.clone();
        run.inputs = parts
            .state
            .leave_out(&run.run_id, input.version_id, &reason)
            .await?;
        parts.activity.tally.count_held();
        tracing::warn!(
            path,
            "held, and left out of the run: {reason}; correct it and send it again"
        );
    }
}

/// Merges, loads and records. It is safe to repeat from the beginning at any time.
async fn execute(parts: &Parts, run: &ClaimedRun) -> Result<(), StepError> {
    panic_point("execute-run", &run.job_id);
    ledger::check(parts, run).await?;
    let (summary, coverage) = summary_names(&run.job_id, &run.run_id);
    let (report, unsynced) = merge_what_fits(parts, run, &summary, &coverage).await?;
    oddities::tell_of_stores(parts, run).await?;
    // The load reads and compares while the disk writes, and commits only after that.
    let synced = tokio::task::spawn_blocking(move || unsynced.sync());
    let record = SummaryRecord {
        object: summary.to_string(),
        coverage_object: Some(coverage.to_string()),
        rows: report.rows,
        digest: digest(&parts.lake, &summary).await?,
    };
    let (safe, is_safe) = watch::channel(false);
    let make_safe = async {
        let noted = async { Ok(parts.state.summarized(&run.run_id, &record).await?) };
        let (synced, ()) = tokio::try_join!(async { synced.await.map_err(StepError::permanent) }, noted)?;
        synced.map_err(StepError::transient)?;
        safe.send_replace(true);
        Ok(())
    };
    let ((), outcome) = tokio::try_join!(make_safe, load(parts, run, &record, is_safe))?;
    crash_point("after-load");
    let result = match outcome {
        LoadOutcome::Loaded(counts) => {
            let changes = RowChanges {
                inserted: counts.inserted,
                updated: counts.updated,
                deleted: counts.deleted,
                unchanged: counts.unchanged,
            };
            let RowChanges {
                inserted,
                updated,
                deleted,
                unchanged,
            } = changes;
            tracing::info!(
                rows = record.rows,
                inserted,
                updated,
                deleted,
                unchanged,
                "loaded"
            );
            RunResult {
                outcome: RunOutcome::Loaded,
                changes: Some(changes),
            }
        }
        LoadOutcome::AlreadyLoaded(_) => {
            tracing::info!(rows = record.rows, "was already loaded");
            RunResult {
                outcome: RunOutcome::Loaded,
                changes: None,
            }
        }
        LoadOutcome::Superseded { by } => {
            // The ledger may have got a run since it was compared.
            ledger::check(parts, run).await?;
            tracing::warn!(
                by = by.run_id,
                "not loaded: the warehouse already has a newer run"
            );
            RunResult {
                outcome: RunOutcome::Superseded,
                changes: None,
            }
        }
    };
    parts.state.complete(&run.run_id, &result).await?;
    crash_point("after-complete");
    Ok(())
}

/// Computes the content hash of an object.
async fn digest(lake: &Lake, object: &ObjectPath) -> Result<String, StepError> {
    let file = lake.fetch(object.as_ref()).await.map_err(StepError::transient)?;
    digest_of(&file, object.as_ref()).await
}

/// Computes the content hash of an object's local file.
pub(super) async fn digest_of(file: &LocalFile, object: &str) -> Result<String, StepError> {
    let file = file.clone();
    let hashed = tokio::task::spawn_blocking(move || content_hash(File::open(file.path())?));
    let hashed = hashed.await.map_err(StepError::permanent)?;
    let hashed = hashed.with_context(|| format!("cannot read {object} in the lake"));
    hashed.map_err(StepError::transient)
}

/// Loads a run's summary. The load is not committed before the summary is safe.
async fn load(
    parts: &Parts,
    run: &ClaimedRun,
    record: &SummaryRecord,
    is_safe: watch::Receiver<bool>,
) -> Result<LoadOutcome, StepError> {
    let made = summary_files(&parts.lake, record).await;
    let made = made.and_then(|files| files.context("the summary is gone from the lake"));
    let [summary, coverage] = made.map_err(StepError::transient)?;
    let before = base(parts, run).await?;
    let summary_before = before.as_ref().map(|(base, _)| base.summary.as_path());
    oddities::tell_of_measures(summary.path(), summary_before).await?;
    let load = Load {
        run_id: run.run_id.clone(),
        scope: scope(&run.job_id, run.wave),
        sequence: run.sequence,
        summary: summary.path().to_owned(),
        coverage: coverage.path().to_owned(),
        rows: record.rows,
        digest: record.digest.clone(),
        base: before.as_ref().map(|(base, _)| base.clone()),
        is_safe: Some(is_safe),
    };
    let bar = parts.progress.load(&run.run_id, load.rows);
    let outcome = parts
        .warehouse
        .load(&load, &|rows| bar.set_position(rows))
        .await?;
    bar.finish_and_clear();
    Ok(outcome)
}

/// Finds what this job and wave loaded last, if its summary is still in the lake. Without a base, all rows are sent to
/// the warehouse. That is intended for a run that a person started: they may have reason to doubt the warehouse.
async fn base(parts: &Parts, run: &ClaimedRun) -> Result<Option<(Base, [LocalFile; 2])>, StepError> {
    let row = parts.state.run(&run.run_id).await?;
    if row.is_some_and(|row| row.cause == Cause::Manual) {
        return Ok(None);
    }
    let last = parts
        .state
        .loaded_before(&run.job_id, run.wave, run.sequence)
        .await?;
    let Some((run_id, record)) = last.and_then(|last| Some((last.run_id, last.summary?))) else {
        return Ok(None);
    };
    let files = summary_files(&parts.lake, &record)
        .await
        .map_err(StepError::transient)?;
    Ok(files.map(|files| {
        let base = Base {
            rows: record.rows,
            run_id,
            summary: files[0].path().to_owned(),
            coverage: files[1].path().to_owned(),
        };
        (base, files)
    }))
}

/// Returns the local files of a summary and its coverage, if the lake still has both.
pub(crate) async fn summary_files(
    lake: &Lake,
    summary: &SummaryRecord,
) -> anyhow::Result<Option<[LocalFile; 2]>> {
    let Some(coverage) = &summary.coverage_object else {
        return Ok(None);
    };
    let found = (lake.find(&summary.object).await?, lake.find(coverage).await?);
    Ok(match found {
        (Some(summary), Some(coverage)) => Some([summary, coverage]),
        _ => None,
    })
}
