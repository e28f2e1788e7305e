//! `gristmill status`: the state of everything, on one page.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Args;
use gristmill_state::{FileFilter, RunFilter};
use serde::Serialize;

use super::context::Context;
use super::held::{self, Held};
use super::{JsonArg, SettingsArg, output, runs};
use crate::preconditions::{Check, JobPlan, assess};

/// Show the state of files, jobs and runs
///
/// Shows how many files are in each state, each job and what it waits for, and the last runs.
#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    settings: SettingsArg,
    #[command(flatten)]
    json: JsonArg,
}

/// A job and what keeps it from running.
#[derive(Debug, Serialize)]
pub(super) struct JobStatus {
    job: String,
    last_run: Option<String>,
    last_status: Option<String>,
    waits_for: Vec<String>,
}

#[derive(Serialize)]
struct Status {
    files: BTreeMap<String, usize>,
    held: Vec<Held>,
    jobs: Vec<JobStatus>,
    runs: Vec<gristmill_state::RunRow>,
}

pub(super) async fn run(args: StatusArgs) -> anyhow::Result<ExitCode> {
    let context = Context::open(&args.settings).await?;
    let mut files = BTreeMap::new();
    for file in context.state.files(&FileFilter::default()).await? {
        *files.entry(file.status.to_string()).or_default() += 1;
    }
    let jobs = job_statuses(&context).await?;
    let last = RunFilter {
        limit: Some(10),
        ..RunFilter::default()
    };
    let status = Status {
        files,
        held: context.state.held().await?.into_iter().map(Held::new).collect(),
        jobs,
        runs: context.state.runs(&last).await?,
    };
    if args.json.json {
        output::json(&status)?;
        return Ok(ExitCode::SUCCESS);
    }
    let counts: Vec<_> = status
        .files
        .iter()
        .map(|(status, count)| format!("{count} {status}"))
        .collect();
    output::line(format!(
        "files: {}",
        if counts.is_empty() {
            "none so far".into()
        } else {
            counts.join(", ")
        }
    ))?;
    held::print(&status.held)?;
    print_jobs(&status.jobs)?;
    runs::print(&status.runs)?;
    Ok(ExitCode::SUCCESS)
}

/// Returns every job with what it waits for, judged by its newest wave if it has several.
pub(super) async fn job_statuses(context: &Context) -> anyhow::Result<Vec<JobStatus>> {
    let mut statuses = Vec::new();
    for job in context.state.jobs().await? {
        let waits_for = match JobPlan::new(&job.config, &context.settings.feeds) {
            Err(error) => vec![format!("a corrected configuration: {error}")],
            Ok(plan) => {
                let verdicts = assess(&context.state, &plan, context.clock.now()).await?;
                let newest = verdicts.last().map_or(&[][..], |verdict| &verdict.checks);
                let blocking = newest.iter().filter(|check| check.blocks());
                blocking
                    .map(|Check { name, facts, .. }| format!("{name}: {facts}"))
                    .collect()
            }
        };
        statuses.push(JobStatus {
            job: job.config.id,
            last_run: job.last_run_id,
            last_status: job.last_exec_status.map(|status| status.to_string()),
            waits_for,
        });
    }
    Ok(statuses)
}

/// Prints jobs as a table.
pub(super) fn print_jobs(jobs: &[JobStatus]) -> std::io::Result<()> {
    let rows = jobs.iter().map(|job| {
        [
            job.job.clone(),
            output::or_dash(job.last_status.as_ref()),
            output::or_dash(job.last_run.as_ref()),
            job.waits_for.join("\n"),
        ]
    });
    output::table(
        ["job", "last", "last run", "waits for"],
        rows,
        "No jobs: the settings file has no [[job]].",
    )
}
