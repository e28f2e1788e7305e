//! The last stage: queued runs are claimed, summarized and loaded.

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
use super::partials::{Fate, LostPartials};
use super::retry::{StepError, with_retries};
use super::sources::Sources;
use super::{Parts, crash_point, ledger, partials, stopped};
use crate::lake::{Lake, LocalFile, Unsynced, summary_names};
use crate::ledger::scope;
use crate::others;
use crate::preconditions::some_of;

/// The most runs at the same time. Typically one merges while another loads.
const AT_ONCE: usize = 2;

/// How many times a run may die with its process before it is given up.
const MOST_ATTEMPTS: u32 = 10;

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
    mut stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let has_news = tokio::select! {
        biased;
        () = stopped(&mut stop) => return Ok(()),
        ready = make_ready(&parts) => ready?,
    };
    if has_news {
        // Until now, jobs were judged by what the state database said before.
        let _ = judge.send(ToJudge::wake(preparing)).await;
    } else {
        drop(preparing);
    }
    let mut runs = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = stopped(&mut stop) => break,
            Some(_token) = wakes.recv() => claim(&parts, &sources, &mut runs).await?,
            Some(ended) = runs.join_next() => {
                claim(&parts, &sources, &mut runs).await?;
                // More files may have arrived during the run, and other jobs may wait for this one.
                // If the judging stage is gone, the pipeline stops, and the next start judges all that is open.
                let _ = judge.send(ToJudge::wake(ended??)).await;
            }
        }
    }
    // From here on nothing wakes this stage or is judged: runs that are still queued are left for the next start.
    drop((wakes, judge));
    while let Some(ended) = runs.join_next().await {
        ended??;
    }
    Ok(())
}

/// Prepares the warehouse, settles interrupted runs, and compares the state database with the warehouse's ledger.
/// Returns whether that may change a verdict. Its future may be dropped at any point.
async fn make_ready(parts: &Parts) -> anyhow::Result<bool> {
    with_retries("preparing the warehouse", || async {
        Ok(parts.warehouse.prepare().await?)
    })
    .await
    .map_err(StepError::into_cause)?;
    let are_settled = with_retries("settling interrupted runs", || settle_interrupted(parts))
        .await
        .context("cannot settle the runs that were interrupted")?;
    let before = parts.state.ledger_news(None).await?;
    let news = with_retries("comparing with the warehouse's ledger", || {
        ledger::reconcile(parts)
    });
    let news = news.await.map_err(StepError::into_cause)?;
    tracing::info!("the warehouse is ready");
    Ok(are_settled || news != before)
}

async fn claim(
    parts: &Arc<Parts>,
    sources: &Arc<Sources>,
    runs: &mut JoinSet<anyhow::Result<Token>>,
) -> anyhow::Result<()> {
    with_retries("looking for files that runs wait for", || {
        partials::give_up_the_gone(parts)
    })
    .await
    .context("cannot look for the files that runs wait for")?;
    while runs.len() < AT_ONCE {
        let claimed = with_retries("claiming a run", || async {
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
            work_off(&parts, &sources, &run).await?;
            Ok(token)
        };
        runs.spawn(work.instrument(span));
    }
    Ok(())
}

/// Brings one run to its end. A failed run is a state, not an error; the only error is a state database that stays
/// unavailable.
async fn work_off(parts: &Parts, sources: &Sources, run: &ClaimedRun) -> anyhow::Result<()> {
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
        done = with_retries("the run", || execute(parts, run)) => done,
        () = beat => unreachable!("the heart beats until the run is done"),
    };
    let error = match done {
        Ok(()) => {
            parts.activity.tally.count_run_completed();
            return Ok(());
        }
        Err(error) => error,
    };
    let reason = match LostPartials::of(&error) {
        None => error.to_string(),
        Some(lost) => {
            let make_anew = || partials::make_anew(parts, sources, run, lost);
            let fate = with_retries("having partials made anew", make_anew).await;
            match fate.context("cannot have lost partials made anew")? {
                Fate::Waits { files } => {
                    tracing::warn!(
                        "waits: the lake has lost the partials of {}, so these files are read again",
                        some_of(&files)
                    );
                    return Ok(());
                }
                Fate::Fails(reason) => reason,
            }
        }
    };
    parts.activity.tally.count_run_failed();
    tracing::error!("failed: {reason}; `gristmill retry {}` runs it again", run.run_id);
    with_retries("recording a failed run", || async {
        Ok(parts.state.fail(&run.run_id, &reason).await?)
    })
    .await
    .context("cannot record a failed run in the state database")
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
    // An earlier attempt may have left a file out.
    run.inputs = parts.state.run_inputs(&run.run_id).await?;
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
    ledger::check(parts, run).await?;
    let (summary, coverage) = summary_names(&run.job_id, &run.run_id);
    let (report, unsynced) = merge_what_fits(parts, run, &summary, &coverage).await?;
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

/// Settles the runs that a dead process left RUNNING; returns whether there were any. Those in the warehouse's ledger
/// are complete, the others are queued again. A run that has died too often is given up: it may be what kills the
/// process, and others wait behind it.
async fn settle_interrupted(parts: &Parts) -> Result<bool, StepError> {
    let interrupted = parts.state.running().await?;
    for run in &interrupted {
        match parts.warehouse.ledger_entry(&run.run_id).await? {
            Some(_) => {
                let result = RunResult {
                    outcome: RunOutcome::Loaded,
                    changes: None,
                };
                parts.state.complete(&run.run_id, &result).await?;
                tracing::info!(
                    run_id = run.run_id,
                    "was interrupted after its load, so it is complete"
                );
            }
            None if run.attempts >= MOST_ATTEMPTS => {
                let error = format!(
                    "the process died {} times while it worked on this run",
                    run.attempts
                );
                parts.state.fail(&run.run_id, &error).await?;
                parts.activity.tally.count_run_failed();
                tracing::error!(
                    run_id = run.run_id,
                    "failed: {error}; `gristmill retry {}` runs it again",
                    run.run_id
                );
            }
            None => {
                parts.state.requeue(&run.run_id).await?;
                tracing::info!(
                    run_id = run.run_id,
                    "was interrupted before its load, so it is queued again"
                );
            }
        }
    }
    Ok(!interrupted.is_empty())
}
