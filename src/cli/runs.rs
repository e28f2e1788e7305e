//! `gristmill runs`: the runs and their loads.

use std::process::ExitCode;

use clap::Args;
use gristmill_state::{RunFilter, RunRow, Waiting};

use super::context::Context;
use super::{JsonArg, SettingsArg, output, times};
use crate::overview::{ListedRun, took};
use crate::preconditions::percent;
use crate::shown::duration;

/// List runs
///
/// Lists runs, newest first: the state of each, why it was queued, how complete its province was, how long it took, and
/// what its load changed in the warehouse: rows inserted (+), updated (~), deleted (-) and unchanged (=).
#[derive(Debug, Args)]
pub(super) struct RunsArgs {
    #[command(flatten)]
    settings: SettingsArg,
    #[command(flatten)]
    json: JsonArg,
    /// Only runs of this job
    #[arg(long)]
    job: Option<String>,
    /// Only runs that were queued at this time or later, in UTC: 2026-11-01 or 2026-11-01T06:00
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only runs that lacked some of the stores that were expected
    #[arg(long)]
    incomplete: bool,
    /// The maximum number of runs to list
    #[arg(long, default_value_t = 50, value_name = "N")]
    limit: u32,
}

pub(super) async fn run(args: RunsArgs) -> anyhow::Result<ExitCode> {
    let context = Context::open_to_read(&args.settings).await?;
    if let Some(job) = &args.job
        && context.state.job(job).await?.is_none()
    {
        return Err(gristmill_state::StateError::UnknownJob { job_id: job.clone() }.into());
    }
    let since = args
        .since
        .as_deref()
        .map(|text| times::moment("--since", text, false));
    let filter = RunFilter {
        job_id: args.job,
        since: since.transpose()?,
        incomplete: args.incomplete,
        limit: Some(args.limit),
        ..RunFilter::default()
    };
    let runs = context.state.runs(&filter).await?;
    if args.json.json {
        output::json(&runs.iter().map(ListedRun::new).collect::<Vec<_>>())?;
    } else if runs.is_empty() && !context.state.runs(&any()).await?.is_empty() {
        output::line("No run is like that.")?;
    } else {
        print(&runs, &context.state.waiting().await?)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks whether there is any run at all.
fn any() -> RunFilter {
    RunFilter {
        limit: Some(1),
        ..RunFilter::default()
    }
}

/// Prints runs as a table, with the reason of each that failed or waits for an outage to end.
pub(super) fn print(runs: &[RunRow], waiting: &[Waiting]) -> std::io::Result<()> {
    let reason = |run: &RunRow| {
        let waits = waiting.iter().find(|waits| waits.subject == run.run_id);
        waits.map(|waits| waits.reason.clone())
    };
    let rows = runs.iter().map(|run| {
        let load = match (&run.changes, run.outcome) {
            _ if run.lost.is_some() => "not in the warehouse".to_owned(),
            (Some(c), _) => format!("+{} ~{} -{} ={}", c.inserted, c.updated, c.deleted, c.unchanged),
            (None, outcome) => output::or_dash(outcome),
        };
        [
            run.run_id.clone(),
            run.state.to_string(),
            run.cause.to_string(),
            output::or_dash(run.completeness_percent.map(percent)),
            output::moment(run.queued),
            output::or_dash(run.finished.map(output::moment)),
            output::or_dash(took(run).map(duration)),
            output::or_dash(run.summary.as_ref().map(|summary| summary.rows)),
            load,
            run.error.clone().or_else(|| reason(run)).unwrap_or_default(),
        ]
    });
    let headings = [
        "run",
        "state",
        "cause",
        "complete",
        "queued",
        "finished",
        "took",
        "rows",
        "load (+ ~ - =)",
        "error",
    ];
    const EMPTY: &str = "No run so far.";
    if runs.iter().all(|run| run.cluster_operation.is_none()) {
        return output::table(headings, rows, EMPTY);
    }
    let operations = runs
        .iter()
        .map(|run| output::or_dash(run.cluster_operation.as_ref()));
    let rows = rows
        .zip(operations)
        .map(|(cells, operation)| one_more(cells, operation));
    output::table(one_more(headings, "on the cluster"), rows, EMPTY)
}

/// Adds a column to those of all runs.
fn one_more<T>(cells: [T; 10], cell: T) -> [T; 11] {
    let mut all = cells.into_iter().chain([cell]);
    std::array::from_fn(|_| all.next().expect("there are ten and one"))
}
