//! `gristmill explain`: why a job runs or waits.

use std::process::ExitCode;

use clap::Args;
use gristmill_state::StateError;

use super::context::Context;
use super::{JsonArg, SettingsArg, output};
use crate::others;
use crate::preconditions::{Check, JobPlan, Verdict, assess};

/// Explain why a job runs or waits
///
/// Shows every precondition of a job with the facts that decide it: how many files have arrived, which stores are
/// missing, which files were seen before but not yet in this wave, how old the item master is, and so on. A job whose
/// pattern has {date} is evaluated for each day separately.
#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// The job's id
    job: String,
    #[command(flatten)]
    settings: SettingsArg,
    #[command(flatten)]
    json: JsonArg,
}

pub(super) async fn run(args: ExplainArgs) -> anyhow::Result<ExitCode> {
    let context = Context::open(&args.settings).await?;
    let unknown = || StateError::UnknownJob {
        job_id: args.job.clone(),
    };
    let job = context.state.job(&args.job).await?.ok_or_else(unknown)?;
    let plan = JobPlan::new(&job.config, &context.settings.feeds)?;
    let mut verdicts = assess(&context.state, &plan, context.clock.now()).await?;
    for verdict in &mut verdicts {
        tell_of_others(&context, verdict).await?;
    }
    if args.json.json {
        output::json(&verdicts)?;
        return Ok(ExitCode::SUCCESS);
    }
    if verdicts.is_empty() {
        output::line(format!("job {}: waits; no file matches {}", args.job, plan.files))?;
    }
    for verdict in &verdicts {
        print(&args.job, verdict)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Adds to a verdict what its files have in common with those of other jobs. That keeps no run from starting.
pub(super) async fn tell_of_others(context: &Context, verdict: &mut Verdict) -> anyhow::Result<()> {
    if let Some(run) = &verdict.run {
        let days = context.state.days_of_others(&run.job_id, &run.inputs).await?;
        let told = others::told(&days).into_iter();
        verdict
            .checks
            .extend(told.map(|facts| Check::new("other jobs", true, facts)));
    }
    Ok(())
}

fn print(job: &str, verdict: &Verdict) -> std::io::Result<()> {
    let wave = verdict
        .wave
        .map_or_else(String::new, |date| format!(" on {date}"));
    let sentence = match verdict.is_ready() {
        true => "every precondition holds",
        false => "waits",
    };
    output::line(format!("job {job}{wave}: {sentence}"))?;
    let rows = verdict.checks.iter().map(|check| {
        let mark = match (check.holds, check.waived) {
            (true, _) => "yes",
            (false, true) => "no, but the deadline passed",
            (false, false) => "no",
        };
        [mark.to_owned(), check.name.clone(), check.facts.clone()]
    });
    output::table(["holds", "precondition", "facts"], rows, "")
}
