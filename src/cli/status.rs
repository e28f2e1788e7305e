//! `gristmill status`: the state of everything, on one page.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Args;
use gristmill_state::{FileFilter, RunFilter, UNMATCHED};
use serde::Serialize;

use super::context::Context;
use super::held::{self, Held};
use super::{JsonArg, SettingsArg, output, runs};
use crate::overview::{JobStatus, Jobs, Stray, job_statuses, told};

/// Show the state of files, jobs and runs
///
/// Shows how many files are in each state, which files no job takes, each job and what it waits for, and the last runs.
#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    settings: SettingsArg,
    #[command(flatten)]
    json: JsonArg,
}

#[derive(Serialize)]
struct Status {
    files: BTreeMap<String, usize>,
    held: Vec<Held>,
    /// How many files no feed matches.
    unmatched: u64,
    jobs: Vec<JobStatus>,
    /// Files of aggregated feeds that no job takes.
    files_without_job: Vec<Stray>,
    runs: Vec<gristmill_state::RunRow>,
}

pub(super) async fn run(args: StatusArgs) -> anyhow::Result<ExitCode> {
    let context = Context::open(&args.settings).await?;
    let mut files = BTreeMap::new();
    let known = context.state.files(&FileFilter::default()).await?;
    for file in &known {
        *files.entry(file.status.to_string()).or_default() += 1;
    }
    let feeds = &context.settings.feeds;
    let jobs = job_statuses(&context.state, feeds, context.clock.now()).await?;
    let rows = context.state.jobs().await?;
    let files_without_job = Jobs::new(rows.iter().map(|row| &row.config), feeds).strays(&known);
    let last = RunFilter {
        limit: Some(10),
        ..RunFilter::default()
    };
    let status = Status {
        files,
        held: context.state.held().await?.into_iter().map(Held::new).collect(),
        unmatched: context.state.unmatched_count().await?,
        jobs,
        files_without_job,
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
    print_unmatched(status.unmatched)?;
    for sentence in told(&status.files_without_job) {
        output::line(format!("Note: {sentence}."))?;
    }
    print_jobs(&status.jobs)?;
    runs::print(&status.runs)?;
    Ok(ExitCode::SUCCESS)
}

/// Says how many files no feed matches, if there are any.
fn print_unmatched(count: u64) -> std::io::Result<()> {
    let or_more = match count >= u64::from(UNMATCHED) {
        true => " or more",
        false => "",
    };
    match count {
        0 => Ok(()),
        1 => output::line("1 file matches no feed: `gristmill files --unmatched` lists it"),
        _ => output::line(format!(
            "{count}{or_more} files match no feed: `gristmill files --unmatched` lists them"
        )),
    }
}

/// Prints jobs as a table.
pub(super) fn print_jobs(jobs: &[JobStatus]) -> std::io::Result<()> {
    let rows = jobs.iter().map(|job| {
        [
            job.job.clone(),
            output::or_dash(job.last_status.as_ref()),
            output::or_dash(job.last_run.as_ref()),
            job.lines(),
        ]
    });
    output::table(
        ["job", "last", "last run", "now"],
        rows,
        "No jobs: the settings file has no [[job]].",
    )
}
