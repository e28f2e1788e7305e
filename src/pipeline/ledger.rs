//! Keeps the state database and the warehouse's ledger in agreement: compares them at the start and before each load.
//!
//! The two disagree when one of them was lost or restored from a backup. What the ledger knows and the state database
//! does not stops the loads of that job: its inputs may be older than what the warehouse holds. What the state database
//! knows and the ledger does not is loaded again ([`refill`]).

use anyhow::Context;
use gristmill_state::{Cause, ClaimedRun, LedgerNews};

use super::retry::StepError;
use super::{Components, refill};
use crate::ledger::{compare, lost_load, newest_loads, scope, unknown_run};

/// Compares the whole ledger with the state database, and loads again what the warehouse lost.
pub(super) async fn reconcile(components: &Components) -> Result<LedgerNews, StepError> {
    // Two runs may find a difference at the same time.
    let _turn = components.ledger_turn.lock().await;
    let news = compare::<StepError>(&components.state, &*components.warehouse).await?;
    for load in &news.unknown {
        tracing::error!(job = load.job_id, "{}", unknown_run(load));
    }
    if news.lost.iter().any(|run| !news.stops(&run.job_id)) {
        refill::refill(components, &news).await?;
    }
    Ok(components.state.ledger_news(None).await?)
}

/// Makes sure, before a run is loaded, that the ledger still holds what the state database knows of its job and wave.
pub(super) async fn check(components: &Components, run: &ClaimedRun) -> Result<(), StepError> {
    let newest = newest_loads(&*components.warehouse, Some(&scope(&run.job_id, run.wave))).await?;
    let agrees = components
        .state
        .agrees_with_ledger(&run.job_id, run.wave, newest.last())
        .await?;
    if agrees {
        return Ok(());
    }
    let news = reconcile(components).await?;
    let row = components.state.run(&run.run_id).await?;
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
