//! `gristmill report`: what to tell a store about its files.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::context::Context;
use super::{JsonArg, SettingsArg, output};
use crate::overview::store_report;
use crate::report::{DEPTH, Form};
use crate::usage::Usage;

/// Write a report to send to a store
///
/// Tells a store which days are missing, which came late, which files do not count and which lines could not be read, with
/// their numbers, their text and what to change at the till. The HTML needs nothing else, and prints well. Lines of a file that
/// may belong to other stores are left out.
#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    /// The store_id
    store: String,
    /// The first day to report on, such as 2026-11-01
    #[arg(long, value_name = "DATE")]
    since: Date,
    /// What to write
    #[arg(long, value_enum, default_value = "html", conflicts_with = "json")]
    format: Form,
    /// Where to write it, instead of to standard output
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    output: Option<PathBuf>,
    #[command(flatten)]
    settings: SettingsArg,
    #[command(flatten)]
    json: JsonArg,
}

pub(super) async fn run(args: ReportArgs) -> anyhow::Result<ExitCode> {
    let context = Context::open_to_read(&args.settings).await?;
    let now = context.clock.now();
    let today = now.to_zoned(TimeZone::UTC).date();
    if args.since > today {
        return Err(Usage::new(format!("--since {} is yet to come", args.since)).into());
    }
    let jobs = context.jobs().await?;
    let span = (args.since, today);
    let sources = (&context.state, &jobs);
    let report = store_report(&context.settings, sources, &args.store, span, (DEPTH, now)).await?;
    if !report.is_known()
        && context
            .state
            .files_of_store(&args.store, None, (0, 1))
            .await?
            .is_empty()
    {
        let unknown = format!(
            "no file and no job names store {:?}, and no line is of it: `gristmill files` lists the files with their stores",
            args.store
        );
        return Err(Usage::new(unknown).into());
    }
    if args.json.json {
        output::json(&report)?;
        return Ok(ExitCode::SUCCESS);
    }
    let text = args.format.of(&report);
    match &args.output {
        Some(path) => std::fs::write(path, text)
            .with_context(|| format!("cannot write the report to {}", path.display()))?,
        None => output::text(&text)?,
    }
    Ok(ExitCode::SUCCESS)
}
