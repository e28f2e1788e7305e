//! Makes the warehouse ready for runs: its tables, the runs that a dead process left behind, and its ledger.

use gristmill_state::{RunOutcome, RunResult, WaitKind};

use super::retry::{StepError, with_retries, with_retries_reported};
use super::{Components, ledger};

/// How many times a run may die with its process before it is given up.
const MOST_ATTEMPTS: u32 = 10;

/// What `status` calls it while it is waited for.
const WAREHOUSE: &str = "the warehouse";

/// Prepares the warehouse, settles interrupted runs, and compares the state database with the warehouse's ledger.
/// Returns whether that may change a verdict. Its future may be dropped at any point.
pub(super) async fn make_ready(components: &Components) -> Result<bool, StepError> {
    let report = |reason: String, pause| async move {
        let next_try = components.after(pause);
        if let Err(error) = components
            .state
            .note_waiting_service(WAREHOUSE, &reason, next_try)
            .await
        {
            tracing::warn!("{error}");
        }
    };
    let step = || async {
        components.warehouse.prepare().await?;
        let are_settled = settle_interrupted(components).await?;
        let before = components.state.ledger_news(None).await?;
        let news = ledger::reconcile(components).await?;
        Ok(are_settled || news != before)
    };
    let ready = with_retries_reported(&components.patience, "preparing the warehouse", step, report).await?;
    with_retries(
        &components.patience,
        "recording that the warehouse is ready",
        || async {
            let what = [WAREHOUSE.to_owned()];
            Ok(components.state.end_waiting(WaitKind::Service, &what).await?)
        },
    )
    .await?;
    tracing::info!("the warehouse is ready");
    Ok(ready)
}

/// Settles the runs that a dead process left RUNNING; returns whether there were any. Those in the warehouse's ledger
/// are complete, the others are queued again. A run that has died too often is given up: it may be what kills the
/// process, and others wait behind it.
async fn settle_interrupted(components: &Components) -> Result<bool, StepError> {
    let interrupted = components.state.running().await?;
    for run in &interrupted {
        match components.warehouse.ledger_entry(&run.run_id).await? {
            Some(_) => {
                let result = RunResult {
                    outcome: RunOutcome::Loaded,
                    changes: None,
                };
                components.state.complete(&run.run_id, &result).await?;
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
                components.state.fail(&run.run_id, &error).await?;
                components.activity.tally.count_run_failed();
                tracing::error!(
                    run_id = run.run_id,
                    "failed: {error}; `gristmill retry {}` runs it again",
                    run.run_id
                );
            }
            None => {
                components.state.requeue(&run.run_id).await?;
                tracing::info!(
                    run_id = run.run_id,
                    "was interrupted before its load, so it is queued again"
                );
            }
        }
    }
    Ok(!interrupted.is_empty())
}
