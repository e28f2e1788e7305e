//! `gristmill status`: the state of everything, on one page.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Args;
use gristmill_state::{FileFilter, RunFilter};
use serde::Serialize;

use super::context::Context;
use super::{JsonArg, SettingsArg, output, runs};
use crate::ledger;
use crate::others;
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
    /// Which days it shares with other jobs.
    other_jobs: Vec<String>,
}

#[derive(Serialize)]
struct Status {
    files: BTreeMap<String, usize>,
    jobs: Vec<JobStatus>,
    runs: Vec<gristmill_state::RunRow>,
    /// Where the warehouse's ledger disagreed when it was last looked at.
    ledger: gristmill_state::LedgerNews,
    /// Files whose time of writing lies ahead of their arrival, by so many seconds.
    written_ahead: Vec<(String, i64)>,
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
        jobs,
        runs: context.state.runs(&last).await?,
        ledger: context.state.ledger_news(None).await?,
        written_ahead: context.state.written_ahead().await?,
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
    print_losses(&status)?;
    print_jobs(&status.jobs)?;
    runs::print(&status.runs)?;
    Ok(ExitCode::SUCCESS)
}

/// Prints what the warehouse, the state database and the stores' clocks disagree about.
fn print_losses(status: &Status) -> std::io::Result<()> {
    for load in &status.ledger.unknown {
        output::line(format!("job {}: {}.", load.job_id, ledger::unknown_run(load)))?;
    }
    for run in &status.ledger.lost {
        output::line(format!("job {}: {}.", run.job_id, ledger::lost_load(run)))?;
    }
    for job in &status.jobs {
        for sentence in &job.other_jobs {
            output::line(format!("job {}: {sentence}.", job.job))?;
        }
    }
    for (file, seconds) in &status.written_ahead {
        output::line(format!(
            "{}: its time of writing was {seconds} s ahead of its arrival, so it counts as written when it arrived; \
             correct the clock of the host that writes it.",
            output::path(file)
        ))?;
    }
    Ok(())
}

/// Returns every job with what it waits for, judged by its newest wave if it has several.
pub(super) async fn job_statuses(context: &Context) -> anyhow::Result<Vec<JobStatus>> {
    let mut statuses = Vec::new();
    for job in context.state.jobs().await? {
        let mut other_jobs = Vec::new();
        let waits_for = match JobPlan::new(&job.config, &context.settings.feeds) {
            Err(error) => vec![format!("a corrected configuration: {error}")],
            Ok(plan) => {
                let verdicts = assess(&context.state, &plan, context.clock.now()).await?;
                let newest = verdicts.last();
                if let Some(run) = newest.and_then(|verdict| verdict.run.as_ref()) {
                    let days = context.state.days_of_others(&run.job_id, &run.inputs).await?;
                    other_jobs = others::told(&days);
                }
                let checks = newest.map_or(&[][..], |verdict| &verdict.checks);
                let blocking = checks.iter().filter(|check| check.blocks());
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
            other_jobs,
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
