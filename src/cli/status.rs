//! `gristmill status`: the state of everything, on one page.

use std::process::ExitCode;

use clap::Args;
use gristmill_state::{Holder, UNMATCHED, WorkerRow};

use super::context::Context;
use super::{JsonArg, SettingsArg, alert, doubts, held, outages, output, runs};
use crate::ledger;
use crate::overview::{JobStatus, Status, describe_strays, job_statuses, status};

/// Show the state of files, jobs and runs
///
/// Shows whether the service runs and which workers help it, what alerts have found, how many files are in each state, what waits for an outage to end, files with rejects or without the end of their last line, which files no job
/// takes, each job and what it waits for, and the last runs.
#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    settings: SettingsArg,
    #[command(flatten)]
    json: JsonArg,
}

pub(super) async fn run(args: StatusArgs) -> anyhow::Result<ExitCode> {
    let context = Context::open_to_read(&args.settings).await?;
    let known = context.jobs().await?;
    let jobs = job_statuses(&context.state, &known, context.clock.now()).await?;
    let status = status(&context.state, &known, jobs).await?;
    if args.json.json {
        output::json(&status)?;
        return Ok(ExitCode::SUCCESS);
    }
    let counts: Vec<_> = status
        .files
        .iter()
        .map(|(status, count)| format!("{count} {status}"))
        .collect();
    output::line(service(status.service.as_ref()))?;
    for worker in &status.workers {
        output::line(describe(worker, &context.settings.fingerprint))?;
    }
    for damage in &status.damages {
        output::line(format!("Note: {damage}."))?;
    }
    output::line(format!(
        "files: {}",
        if counts.is_empty() {
            "none so far".into()
        } else {
            counts.join(", ")
        }
    ))?;
    alert::print(&status.alerts, &status.unsent_notices)?;
    outages::print(&status.waiting, context.clock.now())?;
    held::print(&status.held)?;
    print_unmatched(status.unmatched)?;
    print_losses(&status)?;
    for sentence in describe_strays(&status.files_without_job) {
        output::line(format!("Note: {sentence}."))?;
    }
    doubts::print(&status.rejects, &status.cut)?;
    print_jobs(&status.jobs)?;
    runs::print(&status.runs, &status.waiting)?;
    Ok(ExitCode::SUCCESS)
}

/// Says whether a service works on the state database.
fn service(holder: Option<&Holder>) -> String {
    let Some(holder) = holder else {
        return "service: not running; start `gristmill run`".to_owned();
    };
    let process = holder
        .pid
        .map_or_else(String::new, |pid| format!(" as process {pid}"));
    let host = holder
        .host
        .as_ref()
        .map_or_else(String::new, |host| format!(" on {}", output::path(host)));
    let since = holder
        .since
        .map_or_else(String::new, |since| format!(" since {}", output::moment(since)));
    let renewed = holder.lease_age.map_or_else(String::new, |seconds| {
        format!(", and renewed its lease {seconds} s ago")
    });
    format!("service: runs{process}{host}{since}{renewed}")
}

/// Says what a worker has to do, and whether it gets anything from a service with these settings.
fn describe(worker: &WorkerRow, fingerprint: &str) -> String {
    let is_left_out = match worker.settings == fingerprint {
        true => "",
        false => {
            "; it has another version or other settings than here, and gets tasks only from a service that has the same"
        }
    };
    format!(
        "worker: {} as process {} on {} since {}, has {} of at most {} tasks, and renewed its lease {} s ago{is_left_out}",
        output::path(&worker.role),
        worker.pid,
        output::path(&worker.host),
        output::moment(worker.since),
        worker.tasks,
        worker.at_once,
        worker.lease_age
    )
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
