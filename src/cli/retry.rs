//! `gristmill retry`: another attempt at failed files and runs.

use std::process::ExitCode;

use clap::Args;

use super::context::Context;
use super::{SettingsArg, jobs, output, work};
use crate::actions;
use crate::progress::Progress;

/// Retry failed files or runs
///
/// Reads failed files again, and repeats failed runs with the inputs they had. Without a name, retries every failed
/// file, and every job and day whose newest run failed. If the service is running, it does the work; otherwise this
/// command does.
#[derive(Debug, Args)]
pub(super) struct RetryArgs {
    /// Files (paths relative to the source) or run ids [default: everything that failed]
    names: Vec<String>,
    #[command(flatten)]
    settings: SettingsArg,
}

pub(super) async fn run(args: RetryArgs, progress: Progress) -> anyhow::Result<ExitCode> {
    let context = Context::open(&args.settings).await?;
    let retried = match args.names.is_empty() {
        true => actions::retry_failed(&context.state).await?,
        false => actions::retry(&context.state, args.names).await?,
    };
    if retried.files.is_empty() && retried.runs.is_empty() {
        output::line("Nothing has failed.")?;
        return Ok(ExitCode::SUCCESS);
    }
    if !retried.files.is_empty() {
        output::line(format!(
            "Reading again: {}",
            output::path(&retried.files.join(", "))
        ))?;
    }
    for (run_id, enqueued) in &retried.runs {
        output::line(format!("Retrying run {run_id}"))?;
        jobs::announce(enqueued)?;
    }
    work::carry_out(context, progress).await
}
