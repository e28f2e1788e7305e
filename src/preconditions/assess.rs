//! Fetches the facts of a job, and judges it by them.

use gristmill_state::{Damage, StateDb, StateError};
use jiff::Timestamp;

use super::{Check, JobPlan, Verdict, WaveState, judge, waiting};
use crate::criterion;

/// Judges a job by its current facts.
pub async fn assess(state: &StateDb, plan: &JobPlan, now: Timestamp) -> Result<Vec<Verdict>, StateError> {
    let facts = state.facts(&plan.id).await?;
    let criterion = match &plan.criterion {
        Some(sql) => Some(criterion::ask(state.path(), sql).await),
        None => None,
    };
    let mut verdicts = judge(plan, &facts, &criterion, now);
    waiting::add(plan, &mut verdicts, &state.waiting().await?);
    let in_the_way: Vec<_> = facts
        .damages
        .iter()
        .filter(|damage| concerns(damage, plan))
        .collect();
    for verdict in &mut verdicts {
        for damage in &in_the_way {
            verdict
                .checks
                .push(Check::new("state database", false, damage.to_string()));
            if verdict.state != WaveState::Running {
                verdict.state = WaveState::Waiting;
            }
        }
    }
    Ok(verdicts)
}

/// Returns whether a job must not run before a value is corrected: it is one of the job itself, of its runs, or of a file
/// that it reads or requires.
fn concerns(damage: &Damage, plan: &JobPlan) -> bool {
    let of_file = |file: &String| {
        plan.files.matches(file) || plan.requires.iter().any(|required| required.files.matches(file))
    };
    let is_followed = |job: &String| plan.after.contains(job);
    damage
        .job_id
        .as_ref()
        .is_some_and(|job| *job == plan.id || is_followed(job))
        || damage.file_url.as_ref().is_some_and(of_file)
}
