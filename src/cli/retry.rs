//! `gristmill retry`: another attempt at failed files and runs.

use std::process::ExitCode;

use clap::Args;

use super::context::Context;
use super::failure::Usage;
use super::{SettingsArg, jobs, output, work};
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
    let (mut files, mut runs) = (Vec::new(), Vec::new());
    if args.names.is_empty() {
        files = context.state.failed_files().await?;
        runs = context.state.failed_runs().await?;
    }
    for name in args.names {
        if context.state.run(&name).await?.is_some() {
            runs.push(name);
        } else if context.state.file(&name).await?.is_some() {
            files.push(name);
        } else {
            let help = "`gristmill files` and `gristmill runs` list them";
            return Err(Usage::new(format!("{name:?} is neither a file nor a run: {help}")).into());
        }
    }
    if files.is_empty() && runs.is_empty() {
        output::line("Nothing has failed.")?;
        return Ok(ExitCode::SUCCESS);
    }
    if !files.is_empty() {
        context.state.look_again(&files).await?;
        output::line(format!("Reading again: {}", output::path(&files.join(", "))))?;
    }
    for run_id in runs {
        let retried = context.state.retry_run(&run_id).await?;
        output::line(format!("Retrying run {run_id}"))?;
        jobs::announce(&retried)?;
    }
    work::carry_out(context, progress).await
}
