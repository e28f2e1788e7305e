//! `gristmill jobs`: the jobs in the state database, and actions on them.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use gristmill_state::{Cause, Enqueued, JobConfig, JobRow, NewRun, StateError, Waves};
use jiff::civil::Date;

use super::context::Context;
use super::failure::Usage;
use super::{JsonArg, SettingsArg, history, output, work};
use crate::preconditions::{JobParams, Verdict, WaveState, assess, check_reload};
use crate::progress::Progress;
use crate::settings::Settings;

/// List, apply, pause, resume and run jobs, and show who edited them
///
/// Jobs live in the state database's table aggr_job_configuration, which can be edited with SQL while the service runs.
/// New [[job]] tables of the settings file are added to it; only `apply` overwrites edits.
#[derive(Debug, Args)]
pub(super) struct JobsArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the jobs in the state database
    List {
        #[command(flatten)]
        settings: SettingsArg,
        #[command(flatten)]
        json: JsonArg,
    },
    /// Show who edited a job, when, and what it was before, also with SQL
    History {
        /// The job's id; all jobs if it is left out
        job: Option<String>,
        #[command(flatten)]
        settings: SettingsArg,
        #[command(flatten)]
        json: JsonArg,
    },
    /// Overwrite the jobs in the state database with those of the settings file, including any edits
    Apply {
        #[command(flatten)]
        settings: SettingsArg,
    },
    /// Stop a job from running until it is resumed
    Pause(OneJob),
    /// Let a paused job run again
    Resume(OneJob),
    /// Run a job now over the files in force, regardless of its preconditions
    Run {
        #[command(flatten)]
        job: OneJob,
        /// The business day, for jobs whose pattern has {date}
        #[arg(long)]
        date: Option<Date>,
    },
}

#[derive(Debug, Args)]
struct OneJob {
    /// The job's id
    job: String,
    #[command(flatten)]
    settings: SettingsArg,
}

pub(super) async fn run(args: JobsArgs, progress: Progress) -> anyhow::Result<ExitCode> {
    match args.action {
        Action::List { settings, json } => list(&settings, json).await,
        Action::History { job, settings, json } => history::history(&settings, job.as_deref(), json).await,
        Action::Apply { settings } => apply(&settings).await,
        Action::Pause(job) => set_enabled(&job, false).await,
        Action::Resume(job) => set_enabled(&job, true).await,
        Action::Run { job, date } => run_now(&job, date, progress).await,
    }
}

async fn list(settings: &SettingsArg, json: JsonArg) -> anyhow::Result<ExitCode> {
    let context = Context::open_to_read(settings).await?;
    let jobs = context.state.jobs().await?;
    if json.json {
        output::json(&jobs)?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows = jobs.iter().map(|row| {
        let job = &row.config;
        [
            job.id.clone(),
            if job.enabled { "yes" } else { "paused" }.to_owned(),
            job.feed.clone(),
            job.files.clone(),
            job.min_files.to_string(),
            job.trigger.to_string(),
            also(job),
            differs(row, &context.settings),
        ]
    });
    let headings = [
        "job",
        "enabled",
        "feed",
        "files",
        "min_files",
        "trigger",
        "also",
        "settings file",
    ];
    output::table(headings, rows, "No jobs: the settings file has no [[job]].")?;
    Ok(ExitCode::SUCCESS)
}

/// Describes a job's further preconditions; `--json` has all of them.
fn also(job: &JobConfig) -> String {
    let params = serde_json::from_str::<JobParams>(&job.params);
    let params = params.map_or_else(
        |_| "job_params cannot be read".to_owned(),
        |params| params.brief(),
    );
    let criterion = job.addl_criteria.as_ref().map(|_| "job_addl_criteria".to_owned());
    let set: Vec<_> = [params]
        .into_iter()
        .chain(criterion)
        .filter(|text| !text.is_empty())
        .collect();
    set.join("; ")
}

/// Returns the jobs that would load if these ran, too.
pub(super) async fn running_with(context: &Context, names: &[String]) -> anyhow::Result<Vec<JobConfig>> {
    let rows = context.state.jobs().await?;
    let run = |row: JobRow| JobConfig {
        enabled: row.config.enabled || names.contains(&row.config.id),
        ..row.config
    };
    Ok(rows.into_iter().map(run).collect())
}

/// Says how a job in the state database compares with the settings file.
fn differs(row: &JobRow, settings: &Settings) -> String {
    match settings.jobs.iter().find(|job| job.id == row.config.id) {
        None => "absent",
        Some(job) if *job == row.config => "same",
        Some(_) => "differs",
    }
    .to_owned()
}

async fn apply(settings: &SettingsArg) -> anyhow::Result<ExitCode> {
    let context = Context::open_or_make(Settings::read(&settings.config)?).await?;
    let written = context.state.apply_jobs(&context.settings.jobs).await?;
    output::line(match written.is_empty() {
        true => "Nothing to do: the jobs in the state database match the settings file.".to_owned(),
        false => format!("Applied from the settings file: {}", written.join(", ")),
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn set_enabled(job: &OneJob, enabled: bool) -> anyhow::Result<ExitCode> {
    let context = Context::open(&job.settings).await?;
    if enabled {
        let jobs = running_with(&context, std::slice::from_ref(&job.job)).await?;
        check_reload(context.settings.target.mode, &jobs)?;
    }
    context.state.set_enabled(&job.job, enabled).await?;
    output::line(format!(
        "Job {} is {}.",
        job.job,
        if enabled { "enabled" } else { "paused" }
    ))?;
    Ok(ExitCode::SUCCESS)
}

async fn run_now(job: &OneJob, date: Option<Date>, progress: Progress) -> anyhow::Result<ExitCode> {
    let context = Context::open(&job.settings).await?;
    let unknown = || StateError::UnknownJob {
        job_id: job.job.clone(),
    };
    let known = context.jobs().await?;
    let plan = known.job(&job.job).ok_or_else(unknown)?.plan()?;
    if plan.files.is_dated() != date.is_some() {
        let advice = if date.is_some() {
            "leave --date out"
        } else {
            "name the day with --date"
        };
        return Err(Usage::new(format!(
            "job {}: the pattern is {}: {advice}",
            job.job, plan.files
        ))
        .into());
    }
    let jobs = running_with(&context, std::slice::from_ref(&job.job)).await?;
    check_reload(context.settings.target.mode, &jobs)?;
    let question = plan.question(Waves::These([date].into()));
    let verdicts = assess(&context.state, plan, &question, context.clock.now()).await?;
    let wave = verdicts.into_iter().find(|verdict| verdict.wave == date);
    let corrected = wave.as_ref().and_then(corrected);
    let Some(run) = wave.and_then(|verdict| verdict.run) else {
        return Err(Usage::new(format!(
            "job {}: no validated file matches {}",
            job.job, plan.files
        ))
        .into());
    };
    let run = NewRun {
        cause: Cause::Manual,
        ..run
    };
    let queued = context
        .state
        .enqueue(&run)
        .await
        .context("cannot queue the run")?;
    announce(&queued)?;
    if let Some(correction) = corrected {
        output::line(correction)?;
    }
    work::carry_out(context, progress).await
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

/// Prints whether a run was queued.
pub(super) fn announce(enqueued: &Enqueued) -> std::io::Result<()> {
    output::line(match enqueued {
        Enqueued::Queued(run_id) => format!("Queued run {run_id}."),
        Enqueued::Active(run_id) => format!("Run {run_id} of the same job is already queued or running."),
        Enqueued::Unchanged(run_id) => {
            format!("Run {run_id} is complete: it has the same files as the last run.")
        }
    })
}
