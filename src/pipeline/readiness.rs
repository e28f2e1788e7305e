//! Makes the warehouse ready for runs: its tables, the runs that a dead process left behind, and its ledger.

use gristmill_state::{RunOutcome, RunResult, WaitKind};

use super::retry::{StepError, with_retries, with_retries_reported};
use super::{Parts, ledger};

/// How many times a run may die with its process before it is given up.
const MOST_ATTEMPTS: u32 = 10;

/// What `status` calls it while it is waited for.
const WAREHOUSE: &str = "the warehouse";

/// Prepares the warehouse, settles interrupted runs, and compares the state database with the warehouse's ledger.
/// Returns whether that may change a verdict. Its future may be dropped at any point.
pub(super) async fn make_ready(parts: &Parts) -> Result<bool, StepError> {
    let report = |reason: String, pause| async move {
        let next_try = parts.after(pause);
        if let Err(error) = parts
            .state
            .note_waiting_service(WAREHOUSE, &reason, next_try)
            .await
        {
            tracing::warn!("{error}");
        }
    };
    let step = || async {
        parts.warehouse.prepare().await?;
        let are_settled = settle_interrupted(parts).await?;
        let before = parts.state.ledger_news(None).await?;
        let news = ledger::reconcile(parts).await?;
        Ok(are_settled || news != before)
    };
    let ready = with_retries_reported(&parts.patience, "preparing the warehouse", step, report).await?;
    with_retries(
        &parts.patience,
        "recording that the warehouse is ready",
        || async {
            let what = [WAREHOUSE.to_owned()];
            Ok(parts.state.end_waiting(WaitKind::Service, &what).await?)
        },
    )
    .await?;
    tracing::info!("the warehouse is ready");
    Ok(ready)
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
