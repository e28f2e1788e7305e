//! What a run does: it merges its inputs into a summary, loads that, and records the result.

use anyhow::Context;
use gristmill_engine::{EngineError, SummaryReport};
use gristmill_loader::{Base, Load, LoadOutcome};
use gristmill_state::{Cause, ClaimedRun, RowChanges, RunOutcome, RunResult, SummaryRecord};
use object_store::path::Path as ObjectPath;
use tokio::sync::watch;

use super::super::delegation::{By, Ending, LoadToDo, Loaded, Room, load_by_worker};
use super::super::merge::{Merged, culprit, merge};
use super::super::panics::panic_point;
use super::super::retry::StepError;
use super::super::summaries::{digest, summary_files};
use super::super::{Components, crash_point, ledger, oddities, partials};
use crate::lake::{LocalFile, Unsynced, summary_names};
use crate::ledger::scope;

/// Merges a run. A file whose sums overflow together with those of others is left out and held, and the run goes on
/// without it.
async fn merge_what_fits(
    components: &Components,
    run: &ClaimedRun,
    room: &mut Room,
    summary: &ObjectPath,
    coverage: &ObjectPath,
) -> Result<(SummaryReport, Unsynced), StepError> {
    let mut run = run.clone();
    partials::bring_back(components, &mut run).await?;
    loop {
        let error = match merge(components, &run, room, summary, coverage).await? {
            Merged::Done(report, unsynced) => return Ok((report, unsynced)),
            Merged::Overflow(error) => error,
        };
        let EngineError::Overflow {
            store_id, trans_date, ..
        } = &error
        else {
            return Err(StepError::permanent(error));
        };
        let Some(input) = culprit(components, &run, store_id, *trans_date).await? else {
            return Err(StepError::permanent(error));
        };
        let reason = format!("together with other files, {error}");
        let path = input.file_url.clone();
        run.inputs = components
            .state
            .leave_out(&run.run_id, input.version_id, &reason)
            .await?;
        components.activity.tally.count_held();
        tracing::warn!(
            path,
            "held, and left out of the run: {reason}; correct it and send it again"
        );
    }
}

/// Has a run merged and loaded, and records it. It is safe to repeat from the beginning at any time.
pub(super) async fn execute(
    components: &Components,
    run: &ClaimedRun,
    room: &mut Room,
) -> Result<(), StepError> {
    panic_point("execute-run", &run.job_id);
    ledger::check(components, run).await?;
    let (summary, coverage) = summary_names(&run.job_id, &run.run_id);
    let (report, unsynced) = merge_what_fits(components, run, room, &summary, &coverage).await?;
    oddities::tell_of_stores(components, run).await?;
    // The load reads and compares while the disk writes, and commits only after that.
    let synced = tokio::task::spawn_blocking(move || unsynced.sync());
    let record = SummaryRecord {
        object: summary.to_string(),
        coverage_object: Some(coverage.to_string()),
        rows: report.rows,
        digest: digest(&components.lake, &summary).await?,
    };
    let (safe, is_safe) = watch::channel(false);
    let make_safe = async {
        let noted = async { Ok(components.state.summarized(&run.run_id, &record).await?) };
        let (synced, ()) = tokio::try_join!(async { synced.await.map_err(StepError::permanent) }, noted)?;
        synced.map_err(StepError::transient)?;
        safe.send_replace(true);
        Ok(())
    };
    let ((), outcome) = tokio::try_join!(make_safe, load(components, run, room, &record, is_safe))?;
    crash_point("after-load");
    let result = match outcome {
        Loaded::Now(changes) => {
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
        Loaded::Before => {
            tracing::info!(rows = record.rows, "was already loaded");
            RunResult {
                outcome: RunOutcome::Loaded,
                changes: None,
            }
        }
        Loaded::Superseded { by } => {
            // The ledger may have got a run since it was compared.
            ledger::check(components, run).await?;
            tracing::warn!(by, "not loaded: the warehouse already has a newer run");
            RunResult {
                outcome: RunOutcome::Superseded,
                changes: None,
            }
        }
    };
    components.state.complete(&run.run_id, &result).await?;
    if result.outcome == RunOutcome::Loaded {
        components.agreement.note_load(&run.run_id);
    }
    crash_point("after-complete");
    Ok(())
}

/// Loads a run's summary. The load is not committed before the summary is safe.
async fn load(
    components: &Components,
    run: &ClaimedRun,
    room: &mut Room,
    record: &SummaryRecord,
    mut is_safe: watch::Receiver<bool>,
) -> Result<Loaded, StepError> {
    let made = summary_files(&components.lake, record).await;
    let made = made.and_then(|files| files.context("the summary is gone from the lake"));
    let [summary, coverage] = made.map_err(StepError::transient)?;
    let before = base(components, run).await?;
    let summary_before = before.as_ref().map(|(_, _, files)| files[0].path());
    oddities::tell_of_measures(summary.path(), summary_before).await?;
    let files = before.as_ref().map(|(_, _, files)| files.clone());
    let to_do = LoadToDo {
        run_id: run.run_id.clone(),
        scope: scope(&run.job_id, run.wave),
        sequence: run.sequence,
        summary: record.clone(),
        base: before.map(|(run_id, record, _)| (run_id, record)),
    };
    if room.by() == By::Service {
        return load_files(
            components,
            &to_do,
            &[summary, coverage],
            files.as_ref(),
            Some(is_safe),
        )
        .await;
    }
    // An error means that it will never be.
    if is_safe.wait_for(|is_safe| *is_safe).await.is_err() {
        return std::future::pending().await;
    }
    match load_by_worker(components, to_do.clone()).await {
        Ending::Done(loaded) => Ok(loaded),
        Ending::NotDone { .. } => {
            room.come_home(&components.runs).await;
            load_files(components, &to_do, &[summary, coverage], files.as_ref(), None).await
        }
    }
}

/// Loads a summary as a worker.
pub(in crate::pipeline) async fn load_for_service(
    components: &Components,
    to_do: &LoadToDo,
) -> Result<Loaded, StepError> {
    let stored = async |record: &SummaryRecord| {
        let files = summary_files(&components.lake, record).await;
        files.map_err(StepError::transient)
    };
    let summary = stored(&to_do.summary).await?;
    let summary = summary.context("the summary is gone from the lake");
    let summary = summary.map_err(StepError::transient)?;
    let base = match &to_do.base {
        Some((_, record)) => stored(record).await?,
        None => None,
    };
    load_files(components, to_do, &summary, base.as_ref(), None).await
}

/// Loads the files of a summary, compared with those of the base, if there is one. Nothing is committed before `is_safe`.
async fn load_files(
    components: &Components,
    to_do: &LoadToDo,
    [summary, coverage]: &[LocalFile; 2],
    base: Option<&[LocalFile; 2]>,
    is_safe: Option<watch::Receiver<bool>>,
) -> Result<Loaded, StepError> {
    let base = to_do.base.as_ref().zip(base);
    let base = base.map(|((run_id, record), [summary, coverage])| Base {
        rows: record.rows,
        run_id: run_id.clone(),
        summary: summary.path().to_owned(),
        coverage: coverage.path().to_owned(),
    });
    let load = Load {
        run_id: to_do.run_id.clone(),
        scope: to_do.scope.clone(),
        sequence: to_do.sequence,
        summary: summary.path().to_owned(),
        coverage: coverage.path().to_owned(),
        rows: to_do.summary.rows,
        digest: to_do.summary.digest.clone(),
        base,
        is_safe,
    };
    let bar = components.progress.load(&load.run_id, load.rows);
    let outcome = components
        .warehouse
        .load(&load, &|rows| bar.set_position(rows))
        .await?;
    bar.finish_and_clear();
    Ok(match outcome {
        LoadOutcome::Loaded(counts) => Loaded::Now(RowChanges {
            inserted: counts.inserted,
            updated: counts.updated,
            deleted: counts.deleted,
            unchanged: counts.unchanged,
        }),
        LoadOutcome::AlreadyLoaded(_) => Loaded::Before,
        LoadOutcome::Superseded { by } => Loaded::Superseded { by: by.run_id },
    })
}

/// Finds what this job and wave loaded last, if its summary is still in the lake. Without a base, all rows are sent to
/// the warehouse. That is intended for a run that a person started: they may have reason to doubt the warehouse.
async fn base(
    components: &Components,
    run: &ClaimedRun,
) -> Result<Option<(String, SummaryRecord, [LocalFile; 2])>, StepError> {
    let row = components.state.run(&run.run_id).await?;
    if row.is_some_and(|row| row.cause == Cause::Manual) {
        return Ok(None);
    }
    let last = components
        .state
        .loaded_before(&run.job_id, run.wave, run.sequence)
        .await?;
    let Some((run_id, record)) = last.and_then(|last| Some((last.run_id, last.summary?))) else {
        return Ok(None);
    };
    let files = summary_files(&components.lake, &record)
        .await
        .map_err(StepError::transient)?;
    Ok(files.map(|files| (run_id, record, files)))
}
