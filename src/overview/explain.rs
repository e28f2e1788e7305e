//! Why a job runs or waits: every precondition of its waves with the facts, and what its files have in common with those
//! of other jobs.

use gristmill_state::{StateDb, StateError, Waves};
use jiff::Timestamp;
use jiff::civil::Date;

use crate::others;
use crate::preconditions::{Check, JobPlan, Verdict, assess};

/// Judges a job for people: all its waves, or that of one day.
pub(crate) async fn explain(
    state: &StateDb,
    plan: &JobPlan,
    day: Option<Date>,
    now: Timestamp,
) -> Result<Vec<Verdict>, StateError> {
    let waves = match day {
        Some(date) if plan.files.is_dated() => Waves::These([Some(date)].into()),
        _ => Waves::All,
    };
    let mut verdicts = explain_waves(state, plan, waves, now).await?;
    verdicts.retain(|verdict| day.is_none() || verdict.wave == day);
    Ok(verdicts)
}

/// Judges some waves of a job for people.
pub(crate) async fn explain_waves(
    state: &StateDb,
    plan: &JobPlan,
    waves: Waves,
    now: Timestamp,
) -> Result<Vec<Verdict>, StateError> {
    let mut verdicts = assess(state, plan, &plan.question_of_people(waves), now).await?;
    tell_of_others(state, &mut verdicts).await?;
    Ok(verdicts)
}

/// Adds to verdicts what their files have in common with those of other jobs. That keeps no run from starting.
async fn tell_of_others(state: &StateDb, verdicts: &mut [Verdict]) -> Result<(), StateError> {
    let runs: Vec<_> = verdicts.iter().map(|verdict| verdict.run.as_ref()).collect();
    let sentences = others::describe_runs(state, &runs).await?;
    for (verdict, sentences) in verdicts.iter_mut().zip(sentences) {
        let sentences = sentences.into_iter();
        verdict
            .checks
            .extend(sentences.map(|facts| Check::new("other jobs", true, facts)));
    }
    Ok(())
}
