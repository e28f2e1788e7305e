//! Fetches the facts of a job, and judges it by them.

use std::time::Duration;

use gristmill_state::{StateDb, StateError};
use jiff::Timestamp;

use super::{JobPlan, Verdict, judge, waiting};

/// How long `job_addl_criteria` may take.
const CRITERION_LIMIT: Duration = Duration::from_secs(5);

/// Judges a job by its current facts.
pub async fn assess(state: &StateDb, plan: &JobPlan, now: Timestamp) -> Result<Vec<Verdict>, StateError> {
    let facts = state.facts(&plan.id).await?;
    let criterion = match &plan.criterion {
        Some(sql) => Some(state.criterion(sql, CRITERION_LIMIT).await),
        None => None,
    };
    let mut verdicts = judge(plan, &facts, &criterion, now);
    waiting::add(plan, &mut verdicts, &state.waiting().await?);
    Ok(verdicts)
}
