//! `gristmill jobs`: the jobs in the state database, and actions on them.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use gristmill_state::{Enqueued, JobConfig, JobRow};
use jiff::civil::Date;

use super::context::Context;
use super::{JsonArg, SettingsArg, edits, output, work};
use crate::actions;
use crate::preconditions::JobParams;
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
        Action::History { job, settings, json } => edits::history(&settings, job.as_deref(), json).await,
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
    actions::set_enabled(&context.settings, &context.state, &job.job, enabled).await?;
    output::line(format!(
        "Job {} is {}.",
        job.job,
        if enabled { "enabled" } else { "paused" }
    ))?;
    Ok(ExitCode::SUCCESS)
}

async fn run_now(job: &OneJob, date: Option<Date>, progress: Progress) -> anyhow::Result<ExitCode> {
    let context = Context::open(&job.settings).await?;
    let known = context.jobs().await?;
    let of = (job.job.as_str(), date);
    let now = context.clock.now();
    let (queued, corrects) = actions::run_now(&context.settings, &context.state, &known, of, now).await?;
    announce(&queued)?;
    if let Some(correction) = corrects {
        output::line(correction)?;
    }
    work::carry_out(context, progress).await
}

/// Prints whether a run was queued.
pub(super) fn announce(enqueued: &Enqueued) -> std::io::Result<()> {
    output::line(actions::describe(enqueued))
}
