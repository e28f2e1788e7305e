//! Keeps the state database and the warehouse's ledger in agreement: compares them at the start and before each load.
//!
//! The two disagree when one of them was lost or restored from a backup. What the ledger knows and the state database
//! does not stops the loads of that job: its inputs may be older than what the warehouse holds. What the state database
//! knows and the ledger does not is loaded again ([`refill`]).

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use gristmill_state::{Cause, ClaimedRun, LedgerNews};

use super::retry::StepError;
use super::{Components, refill};
use crate::ledger::{compare, lost_load, newest_loads, scope, unknown_run};

/// How many loads are remembered: as many as a service and three workers have under way at the same time, so that the last one
/// that was committed is among them.
const REMEMBERED: usize = 8;

/// What is known of whether the state database and the ledger agree.
#[derive(Debug, Default)]
pub(super) struct Agreement {
    /// Held by whoever compares them: two runs may find a difference at the same time.
    turn: tokio::sync::Mutex<()>,
    /// Whether a comparison has begun, and has not come to its end.
    is_in_doubt: AtomicBool,
    /// The runs that this process has loaded last. If the ledger lacks one, a standby that lags has taken the warehouse's place:
    /// the loads of other jobs may be missing, too.
    last_loads: Mutex<VecDeque<String>>,
}

impl Agreement {
    pub(super) fn note_load(&self, run_id: &str) {
        let mut last_loads = self.last_loads();
        last_loads.push_back(run_id.to_owned());
        let excess = last_loads.len().saturating_sub(REMEMBERED);
        last_loads.drain(..excess);
    }

    fn last_loads(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.last_loads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Compares the whole ledger with the state database, and loads again what the warehouse lost.
pub(super) async fn reconcile(components: &Components) -> Result<LedgerNews, StepError> {
    let agreement = &components.agreement;
    let _turn = agreement.turn.lock().await;
    agreement.is_in_doubt.store(true, Ordering::Relaxed);
    let compared = agreement.last_loads().clone();
    let news = compare::<StepError>(&components.state, &*components.warehouse).await?;
    for load in &news.unknown {
        tracing::error!(job = load.job_id, "{}", unknown_run(load));
    }
    if news.lost.iter().any(|run| !news.stops(&run.job_id)) {
        refill::refill(components, &news).await?;
    }
    agreement.last_loads().retain(|run_id| !compared.contains(run_id));
    agreement.is_in_doubt.store(false, Ordering::Relaxed);
    Ok(components.state.ledger_news(None).await?)
}

/// Makes sure, before a run is loaded, that the ledger still holds what the state database knows of its job and wave, and what
/// was loaded last, whatever job it was of.
pub(super) async fn check(components: &Components, run: &ClaimedRun) -> Result<(), StepError> {
    let scope = scope(&run.job_id, run.wave);
    let last_loads = components.agreement.last_loads().make_contiguous().to_vec();
    let (newest, has_last) = tokio::try_join!(
        newest_loads(&*components.warehouse, Some(&scope)),
        components.warehouse.has_loads(&last_loads)
    )?;
    let agrees = components
        .state
        .agrees_with_ledger(&run.job_id, run.wave, newest.last())
        .await?;
    if agrees && has_last && !components.agreement.is_in_doubt.load(Ordering::Relaxed) {
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
