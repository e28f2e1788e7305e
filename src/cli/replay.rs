//! `gristmill replay`: jobs run again over the submissions of a period.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Args;
use gristmill_state::{Cause, InputDays, NewRun, RunInput, StateError};
use jiff::Timestamp;
use jiff::civil::Date;

use super::context::Context;
use super::times::moment;
use super::{SettingsArg, jobs, output, work};
use crate::actions::running_with;
use crate::preconditions::{JobPlan, check_reload};
use crate::progress::Progress;
use crate::usage::Usage;

/// Run jobs again over what was submitted in a period
///
/// For each matching file, takes the newest version that was submitted between --from and --to, and runs the jobs over
/// these versions, regardless of their preconditions. The result is loaded like any newer run: for the days it covers,
/// the warehouse then shows what was submitted in that period. `gristmill jobs run JOB` returns to the files in force.
#[derive(Debug, Args)]
pub(super) struct ReplayArgs {
    /// The jobs [default: all jobs]
    jobs: Vec<String>,
    /// The start of the period, in UTC: 2026-11-01 or 2026-11-01T06:00
    #[arg(long, value_name = "TIME")]
    from: String,
    /// The end of the period, in UTC, inclusive; a date without a time means the end of that day
    #[arg(long, value_name = "TIME")]
    to: String,
    #[command(flatten)]
    settings: SettingsArg,
}

pub(super) async fn run(args: ReplayArgs, progress: Progress) -> anyhow::Result<ExitCode> {
    let (from, to) = (
        moment("--from", &args.from, false)?,
        moment("--to", &args.to, true)?,
    );
    if from > to {
        return Err(Usage::new(format!("--from {} is later than --to {}", args.from, args.to)).into());
    }
    let context = Context::open(&args.settings).await?;
    let mut names = args.jobs;
    if names.is_empty() {
        names.extend(context.state.jobs().await?.into_iter().map(|job| job.config.id));
    }
    check_reload(
        context.settings.target.mode,
        &running_with(&context.state, &names).await?,
    )?;
    let mut queued = 0;
    for run in plan_runs(&context, &names, from, to).await? {
        jobs::announce(&context.state.enqueue(&run).await?)?;
        queued += 1;
    }
    if queued == 0 {
        output::line("No file of these jobs was submitted in that period.")?;
        return Ok(ExitCode::SUCCESS);
    }
    work::carry_out(context, progress).await
}

/// Plans one run for each job and wave over what was submitted in the period.
async fn plan_runs(
    context: &Context,
    jobs: &[String],
    from: Timestamp,
    to: Timestamp,
) -> anyhow::Result<Vec<NewRun>> {
    let submissions = context.state.submissions_between(from, to).await?;
    let mut runs = Vec::new();
    for job_id in jobs {
        let unknown = || StateError::UnknownJob {
            job_id: job_id.clone(),
        };
        let row = context.state.job(job_id).await?.ok_or_else(unknown)?;
        let plan = JobPlan::new(&row.config, &context.settings.feeds)?;
        let as_of_submission = context.state.newest_submission().await?;
        let mut waves: BTreeMap<Option<Date>, Vec<RunInput>> = BTreeMap::new();
        for submission in &submissions {
            let (feed, path) = (&submission.feed, &submission.file_url);
            if let Some(member) = plan.member(feed, path, submission.store_id.as_deref()) {
                waves.entry(member.date).or_default().push(RunInput {
                    file_id: submission.file_id,
                    version_id: submission.version_id,
                    submission_id: submission.submission_id,
                    days: InputDays::default(),
                });
            }
        }
        runs.extend(waves.into_iter().map(|(wave, inputs)| NewRun {
            job_id: job_id.clone(),
            wave,
            cause: Cause::Replay,
            inputs,
            order_matters: plan.order_matters(),
            incomplete: false,
            completeness_percent: None,
            as_of_submission,
        }));
    }
    Ok(runs)
}
