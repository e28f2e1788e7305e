//! What people do about jobs, runs and files: the same for the commands and for the pages. Each writes to the state
//! database, where the running service finds it.

use anyhow::Context as _;
use gristmill_state::{
    Accepted, Cause, Enqueued, JobConfig, JobRow, Late, NewRun, StateDb, StateError, Waves, Withdraw,
    Withdrawn,
};
use jiff::Timestamp;
use jiff::civil::Date;

use crate::guards;
use crate::preconditions::{JobIndex, Verdict, WaveState, assess, check_reload};
use crate::settings::Settings;
use crate::usage::Usage;

/// Brings what is held of a file in force. `who` goes on record.
pub(crate) async fn accept(
    settings: &Settings,
    state: &StateDb,
    file: &str,
    late: Late,
    who: &str,
) -> anyhow::Result<Accepted> {
    let (jobs, guards) = guards::of_file(settings, state, file).await?;
    Ok(state.accept(file, late, guards, &jobs, who).await?)
}

/// Takes a file, or a day of it, out. `who` goes on record.
pub(crate) async fn withdraw(
    settings: &Settings,
    state: &StateDb,
    file: &str,
    how: Withdraw,
    who: &str,
) -> anyhow::Result<Withdrawn> {
    let (jobs, guards) = guards::of_file(settings, state, file).await?;
    Ok(state.withdraw(file, how, guards, &jobs, who).await?)
}

/// What is tried again.
#[derive(Debug, Default)]
pub(crate) struct Retried {
    /// The files that are read again.
    pub(crate) files: Vec<String>,
    /// The runs that are repeated, and what came of each request.
    pub(crate) runs: Vec<(String, Enqueued)>,
}

/// Has files read again and runs repeated, by their names: all or, if one is unknown, none.
pub(crate) async fn retry(state: &StateDb, names: Vec<String>) -> anyhow::Result<Retried> {
    let (mut files, mut runs) = (Vec::new(), Vec::new());
    for name in names {
        if state.run(&name).await?.is_some() {
            runs.push(name);
        } else if state.file(&name).await?.is_some() {
            files.push(name);
        } else {
            let help = "`gristmill files` and `gristmill runs` list them";
            return Err(Usage::new(format!("{name:?} is neither a file nor a run: {help}")).into());
        }
    }
    retry_all(state, files, runs).await
}

/// Has everything that failed tried again.
pub(crate) async fn retry_failed(state: &StateDb) -> anyhow::Result<Retried> {
    let files = state.failed_files().await?;
    let runs = state.failed_runs().await?;
    retry_all(state, files, runs).await
}

async fn retry_all(state: &StateDb, files: Vec<String>, runs: Vec<String>) -> anyhow::Result<Retried> {
    if !files.is_empty() {
        state.look_again(&files).await?;
    }
    let mut retried = Retried {
        files,
        runs: Vec::with_capacity(runs.len()),
    };
    for run_id in runs {
        let enqueued = state.retry_run(&run_id).await?;
        retried.runs.push((run_id, enqueued));
    }
    Ok(retried)
}

/// Pauses or resumes a job.
pub(crate) async fn set_enabled(
    settings: &Settings,
    state: &StateDb,
    job: &str,
    enabled: bool,
) -> anyhow::Result<()> {
    if enabled {
        let jobs = running_with(state, &[job.to_owned()]).await?;
        check_reload(settings.target.mode, &jobs)?;
    }
    Ok(state.set_enabled(job, enabled).await?)
}

/// Returns the jobs that would load if these ran, too.
pub(crate) async fn running_with(state: &StateDb, names: &[String]) -> Result<Vec<JobConfig>, StateError> {
    let rows = state.jobs().await?;
    let run = |row: JobRow| JobConfig {
        enabled: row.config.enabled || names.contains(&row.config.id),
        ..row.config
    };
    Ok(rows.into_iter().map(run).collect())
}

/// Queues a run of a job over the files in force, regardless of its preconditions. Returns what came of it, and what it
/// means for the next wave, if anything.
pub(crate) async fn run_now(
    settings: &Settings,
    state: &StateDb,
    known: &JobIndex,
    (job, day): (&str, Option<Date>),
    now: Timestamp,
) -> anyhow::Result<(Enqueued, Option<String>)> {
    let unknown = || StateError::UnknownJob {
        job_id: job.to_owned(),
    };
    let plan = known.job(job).ok_or_else(unknown)?.plan()?;
    if plan.files.is_dated() != day.is_some() {
        let advice = if day.is_some() {
            "leave --date out"
        } else {
            "name the day with --date"
        };
        return Err(Usage::new(format!("job {job}: the pattern is {}: {advice}", plan.files)).into());
    }
    let jobs = running_with(state, &[job.to_owned()]).await?;
    check_reload(settings.target.mode, &jobs)?;
    let verdicts = assess(state, plan, &plan.question(Waves::These([day].into())), now).await?;
    let wave = verdicts.into_iter().find(|verdict| verdict.wave == day);
    let corrected = wave.as_ref().and_then(corrected);
    let Some(run) = wave.and_then(|verdict| verdict.run) else {
        return Err(Usage::new(format!("job {job}: no validated file matches {}", plan.files)).into());
    };
    let run = NewRun {
        cause: Cause::Manual,
        ..run
    };
    let queued = state.enqueue(&run).await.context("cannot queue the run")?;
    Ok((queued, corrected))
}

/// Says what a run means for the next wave, if it corrects a complete one with files that came since.
fn corrected(wave: &Verdict) -> Option<String> {
    let next = wave.done.as_ref()?.next_wave?;
    let corrects = wave.state == WaveState::Waiting && wave.run.as_ref().is_some_and(|run| !run.incomplete);
    (corrects && next.arrived > 0).then(|| {
        format!(
            "It corrects the wave that was complete: what came since ({} of {} {}) counts for that one, so the next wave \
             asks for it again.",
            next.arrived, next.expected, next.unit
        )
    })
}

/// Says whether a run was queued.
pub(crate) fn describe(enqueued: &Enqueued) -> String {
    match enqueued {
        Enqueued::Queued(run_id) => format!("Queued run {run_id}."),
        Enqueued::Active(run_id) => format!("Run {run_id} of the same job is already queued or running."),
        Enqueued::Unchanged(run_id) => {
            format!("Run {run_id} is complete: it has the same files as the last run.")
        }
    }
}
