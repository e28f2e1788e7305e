//! `gristmill runs`: the runs and their loads.

use std::process::ExitCode;

use clap::Args;
use gristmill_state::{RunFilter, RunRow};

use super::context::Context;
use super::{JsonArg, SettingsArg, output};

/// List runs
///
/// Lists runs, newest first: the state of each, why it was queued, how complete its province was, and what its load
/// changed in the warehouse: rows inserted (+), updated (~), deleted (-) and unchanged (=).
#[derive(Debug, Args)]
pub(super) struct RunsArgs {
    #[command(flatten)]
    settings: SettingsArg,
    #[command(flatten)]
    json: JsonArg,
    /// Only runs of this job
    #[arg(long)]
    job: Option<String>,
    /// The maximum number of runs to list
    #[arg(long, default_value_t = 50, value_name = "N")]
    limit: u32,
}

pub(super) async fn run(args: RunsArgs) -> anyhow::Result<ExitCode> {
    let context = Context::open(&args.settings).await?;
    if let Some(job) = &args.job
        && context.state.job(job).await?.is_none()
    {
        return Err(gristmill_state::StateError::UnknownJob { job_id: job.clone() }.into());
    }
    let filter = RunFilter {
        job_id: args.job,
        state: None,
        limit: Some(args.limit),
    };
    let runs = context.state.runs(&filter).await?;
    if args.json.json {
        output::json(&runs)?;
    } else {
        print(&runs)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints runs as a table.
pub(super) fn print(runs: &[RunRow]) -> std::io::Result<()> {
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
            output::or_dash(run.completeness_percent.map(|percent| format!("{percent:.0} %"))),
            output::moment(run.queued),
            output::or_dash(run.finished.map(output::moment)),
            output::or_dash(run.summary.as_ref().map(|summary| summary.rows)),
            load,
            run.error.clone().unwrap_or_default(),
        ]
    });
    let headings = [
        "run",
        "state",
        "cause",
        "complete",
        "queued",
        "finished",
        "rows",
        "load (+ ~ - =)",
        "error",
    ];
    output::table(headings, rows, "No run so far.")
}
