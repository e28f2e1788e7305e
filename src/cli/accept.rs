//! `gristmill accept`: brings what is held in force.

use std::process::ExitCode;

use clap::Args;
use gristmill_state::{Accepted, Late};

use super::context::Context;
use super::{JsonArg, SettingsArg, output, work};
use crate::progress::Progress;
use crate::{actions, guards};

/// Bring a held file, or its held days, in force
///
/// A version is held if it reports much less than the one in force, or days that another file has already; single days
/// are held if a later file has only a few lines of them. `gristmill files --status held` and `gristmill status` show
/// what is held, and why. Accepted days replace what stands for them, in this file and in others of the same job; with
/// --add they are added to it. If the service is running, it does the work; otherwise this command does.
#[derive(Debug, Args)]
pub(super) struct AcceptArgs {
    /// The file, by its path relative to the source
    file: String,
    /// Add the days to what stands, instead of replacing it
    #[arg(long)]
    add: bool,
    #[command(flatten)]
    settings: SettingsArg,
    #[command(flatten)]
    json: JsonArg,
}

pub(super) async fn run(args: AcceptArgs, progress: Progress) -> anyhow::Result<ExitCode> {
    let context = Context::open(&args.settings).await?;
    let late = match args.add {
        true => Late::Add,
        false => Late::Replace,
    };
    let (settings, state) = (&context.settings, &context.state);
    let accepted = actions::accept(settings, state, &args.file, late, &guards::who()).await?;
    if args.json.json {
        output::json(&accepted)?;
    } else {
        print(&args, &accepted)?;
    }
    work::carry_out_quietly(context, progress, args.json.json).await
}

fn print(args: &AcceptArgs, accepted: &Accepted) -> std::io::Result<()> {
    let what = match accepted.is_whole {
        true => "its held version is in force",
        false => "its held days count",
    };
    output::line(format!("{}: {what}.", output::path(&args.file)))?;
    super::withdraw::print_days("counts now", &accepted.days)?;
    super::withdraw::print_days("counts no more", &accepted.replaced)
}
