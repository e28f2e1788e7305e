//! `gristmill explain`: why a job runs or waits.

use std::process::ExitCode;

use clap::Args;
use gristmill_state::StateError;
use jiff::civil::Date;

use super::context::Context;
use super::{JsonArg, SettingsArg, failure, output};
use crate::overview::{describe_strays, explain, strays, without_files};
use crate::preconditions::{JobIndex, Verdict, WaveState};

/// Explain why a job runs or waits
///
/// Shows every precondition of a job with the facts that decide it: how many files have arrived, which stores are
/// missing, which files were seen before but not yet in this wave, how old the item master is, and so on. A job whose
/// pattern has {date} is evaluated for each day separately; --date chooses one. The exit status is 3 if a wave that is
/// shown waits, and 0 if it is ready, running or complete.
#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// The job's id
    job: String,
    /// Only this business day, for jobs whose pattern has {date}
    #[arg(long)]
    date: Option<Date>,
    #[command(flatten)]
    settings: SettingsArg,
    #[command(flatten)]
    json: JsonArg,
}

pub(super) async fn run(args: ExplainArgs) -> anyhow::Result<ExitCode> {
    let context = Context::open_to_read(&args.settings).await?;
    let unknown = || StateError::UnknownJob {
        job_id: args.job.clone(),
    };
    let jobs = context.jobs().await?;
    let plan = jobs.job(&args.job).ok_or_else(unknown)?.plan()?;
    let verdicts = explain(&context.state, plan, args.date, context.clock.now()).await?;
    let waits = |verdict: &Verdict| verdict.state == WaveState::Waiting;
    let status = match verdicts.is_empty() || verdicts.iter().any(waits) {
        true => ExitCode::from(failure::WAITS),
        false => ExitCode::SUCCESS,
    };
    if args.json.json {
        output::json(&verdicts)?;
        return Ok(status);
    }
    if verdicts.is_empty() {
        let on = args.date.map_or_else(String::new, |date| format!(" on {date}"));
        output::line(format!(
            "job {}{on}: waits; no file matches {}",
            args.job, plan.files
        ))?;
    }
    for verdict in &verdicts {
        print(&args.job, verdict)?;
    }
    tell_strays(&context, &jobs, &args.job).await?;
    Ok(status)
}

/// Tells of files that match the job but no job takes, and of a pattern that matches nothing.
async fn tell_strays(context: &Context, jobs: &JobIndex, job: &str) -> anyhow::Result<()> {
    for (_, problem) in without_files(&context.state, jobs, Some(job)).await? {
        output::line(format!("Note: {problem}."))?;
    }
    let mut strays = strays(&context.state, jobs).await?;
    strays.retain(|stray| stray.unlisted_in.iter().any(|unlisted| unlisted == job));
    for sentence in describe_strays(&strays) {
        output::line(format!("Note: {sentence}."))?;
    }
    Ok(())
}

fn print(job: &str, verdict: &Verdict) -> std::io::Result<()> {
    let wave = verdict
        .wave
        .map_or_else(String::new, |date| format!(" on {date}"));
    let sentence = match (verdict.state, &verdict.done) {
        (WaveState::Running, _) => "is queued or running",
        (WaveState::Ready, _) => "every precondition holds",
        (WaveState::Complete, Some(done)) => &done.text,
        (WaveState::Waiting, Some(done)) => &format!("waits; {}", done.text),
        (WaveState::Complete | WaveState::Waiting, None) => "waits",
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
