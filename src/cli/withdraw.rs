//! `gristmill withdraw`: takes a file, or a day of it, out on purpose.

use std::process::ExitCode;

use clap::Args;
use gristmill_state::{DayOfFile, Withdraw, Withdrawn};
use jiff::civil::Date;

use super::context::Context;
use super::{JsonArg, SettingsArg, output, work};
use crate::progress::Progress;
use crate::{actions, guards};

/// Take a file, or one day of it, out
///
/// The next run of its job covers the file's days without its rows, so the warehouse loses them, unless another file has
/// them. No job waits for the file any more, and a file that was held because of it comes into force. It comes back when
/// it is submitted again. If the service is running, it does the work; otherwise this command does.
#[derive(Debug, Args)]
pub(super) struct WithdrawArgs {
    /// The file, by its path relative to the source
    file: String,
    /// Only this business day of the file, such as 2016-06-01
    #[arg(long, value_name = "DATE")]
    day: Option<Date>,
    /// Leave the file's rows in the warehouse: its store has closed, and what it reported is right
    #[arg(long, conflicts_with = "day")]
    keep_rows: bool,
    #[command(flatten)]
    settings: SettingsArg,
    #[command(flatten)]
    json: JsonArg,
}

pub(super) async fn run(args: WithdrawArgs, progress: Progress) -> anyhow::Result<ExitCode> {
    let context = Context::open(&args.settings).await?;
    let how = match args.day {
        Some(day) => Withdraw::Day(day),
        None => Withdraw::File {
            keeps_rows: args.keep_rows,
        },
    };
    let (settings, state) = (&context.settings, &context.state);
    let withdrawn = actions::withdraw(settings, state, &args.file, how, &guards::who()).await?;
    if args.json.json {
        output::json(&withdrawn)?;
    } else {
        print(&args, &withdrawn)?;
    }
    work::carry_out_quietly(context, progress, args.json.json).await
}

fn print(args: &WithdrawArgs, withdrawn: &Withdrawn) -> std::io::Result<()> {
    let file = output::path(&args.file);
    output::line(match (args.day, withdrawn.keeps_rows) {
        (Some(day), _) => format!("{file}: {day} is withdrawn."),
        (None, false) => format!("{file} is withdrawn."),
        (None, true) => format!("{file} is withdrawn; the warehouse keeps its rows."),
    })?;
    print_days("counts no more", &withdrawn.days)?;
    print_days("counts now", &withdrawn.released)?;
    for file in &withdrawn.in_force {
        output::line(format!(
            "  {} is no longer held: it is in force",
            output::path(file)
        ))?;
    }
    Ok(())
}

/// Prints store-days of files, the first of many.
pub(super) fn print_days(what: &str, days: &[DayOfFile]) -> std::io::Result<()> {
    const SHOWN: usize = 20;
    for day in days.iter().take(SHOWN) {
        let lines = day.lines.map_or_else(String::new, |lines| match lines {
            1 => ", 1 line".to_owned(),
            lines => format!(", {lines} lines"),
        });
        output::line(format!(
            "  {what}: store {}, {} of {}{lines}",
            output::path(&day.store_id),
            day.trans_date,
            output::path(&day.file_url)
        ))?;
    }
    match days.len().saturating_sub(SHOWN) {
        0 => Ok(()),
        more => output::line(format!("  … and {more} more store-days")),
    }
}
