//! Keeps the state database and the warehouse's ledger in agreement: compares them at the start and before each load,
//! and fills a warehouse that was lost or set back from the summaries in the lake.
//!
//! The two disagree when one of them was lost or restored from a backup. What the ledger knows and the state database
//! does not stops the loads of that job: its inputs may be older than what the warehouse holds. What the state database
//! knows and the ledger does not is loaded again.

use anyhow::Context;
use gristmill_loader::{Load, LoadError, LoadOutcome};
use gristmill_state::{Cause, ClaimedRun, LedgerNews, RunRow};

use super::Parts;
use super::retry::StepError;
use super::runs::{digest_of, summary_files};
use crate::ledger::{compare, lost_load, newest_loads, scope, unknown_run};

/// Compares the whole ledger with the state database, and loads again what the warehouse lost.
pub(super) async fn reconcile(parts: &Parts) -> Result<LedgerNews, StepError> {
    // Two runs may find a difference at the same time.
    let _turn = parts.ledger_turn.lock().await;
    let news = compare::<StepError>(&parts.state, &*parts.warehouse).await?;
    for load in &news.unknown {
        tracing::error!(job = load.job_id, "{}", unknown_run(load));
    }
    // The order of loads: where two runs hold the same day, the later one wins again.
    for run in news.lost.iter().filter(|run| !news.stops(&run.job_id)) {
        match refill(parts, run).await {
            Ok(()) => {}
            Err(error) if error.is_transient() => return Err(error),
            Err(error) => tracing::error!(
                job = run.job_id,
                run_id = run.run_id,
                "{}: {error}",
                lost_load(run)
            ),
        }
    }
    Ok(parts.state.ledger_news(None).await?)
}

/// Loads the summary of a run into a warehouse that lost it.
async fn refill(parts: &Parts, run: &RunRow) -> Result<(), StepError> {
    let refused = |reason: &str| Err(StepError::permanent(anyhow::anyhow!("{reason}")));
    if !parts.settings.refill {
        return refused("it is not filled again by itself, because warehouse.refill is false");
    }
    let Some(record) = &run.summary else {
        return refused("its summary is no longer in the lake");
    };
    let files = summary_files(&parts.lake, record).await;
    let Some([summary, coverage]) = files.map_err(StepError::transient)? else {
        return refused("its summary is no longer in the lake");
    };
    if digest_of(&summary, &record.object).await? != record.digest {
        return refused("its summary in the lake is damaged");
    }
    let load = Load {
        run_id: run.run_id.clone(),
        scope: scope(&run.job_id, run.wave),
        sequence: run.sequence,
        summary: summary.path().to_owned(),
        coverage: coverage.path().to_owned(),
        rows: record.rows,
        digest: record.digest.clone(),
        base: None,
        is_safe: None,
    };
    let bar = parts.progress.load(&run.run_id, load.rows);
    let outcome = parts.warehouse.load(&load, &|rows| bar.set_position(rows)).await;
    bar.finish_and_clear();
    match outcome {
        Ok(LoadOutcome::Loaded(_) | LoadOutcome::AlreadyLoaded(_)) => {
            parts.state.found_in_warehouse(&run.run_id).await?;
            tracing::warn!(
                job = run.job_id,
                run_id = run.run_id,
                rows = record.rows,
                "the warehouse had lost this run, which was loaded again from its summary"
            );
            Ok(())
        }
        Ok(LoadOutcome::Superseded { by }) => refused(&format!("run {} was loaded since", by.run_id)),
        // The file is whole, so this is not a damaged lake: the settings ask for other columns than it has.
        Err(error @ LoadError::Input { .. }) => Err(StepError::permanent(error)),
        Err(error) => Err(error.into()),
    }
}

/// Makes sure, before a run is loaded, that the ledger still holds what the state database knows of its job and wave.
pub(super) async fn check(parts: &Parts, run: &ClaimedRun) -> Result<(), StepError> {
    let newest = newest_loads(&*parts.warehouse, Some(&scope(&run.job_id, run.wave))).await?;
    let agrees = parts
        .state
        .agrees_with_ledger(&run.job_id, run.wave, newest.last())
        .await?;
    if agrees {
        return Ok(());
    }
    let news = reconcile(parts).await?;
    let row = parts.state.run(&run.run_id).await?;
    let cause = row.context("the run is gone from the state database");
    let cause = cause.map_err(StepError::permanent)?.cause;
    let stopped = match news.unknown.iter().find(|load| load.job_id == run.job_id) {
        Some(load) => Some(unknown_run(load)),
        None if matches!(cause, Cause::Preconditions | Cause::Deadline) => {
            let lost = news.lost.iter();
            let mut lost = lost.filter(|lost| lost.job_id == run.job_id && lost.wave == run.wave);
            lost.next().map(lost_load)
        }
        // A person who asks for a run knows of the loss, or mends it with this run.
        None => None,
    };
    match stopped {
        Some(reason) => Err(StepError::permanent(anyhow::anyhow!("{reason}"))),
        None => Ok(()),
    }
}
