//! Carries out what a command has requested: in the running service, or else in this process.

use std::process::ExitCode;

use gristmill_state::{Place, StateError};

use super::context::Context;
use super::{output, run};
use crate::pipeline::{self, Until, Vitals};
use crate::progress::Progress;

/// Makes sure that work requested through the state database is done. A running gristmill picks it up within a second;
/// if none is running, this process works until nothing is left to do.
pub(super) async fn carry_out(context: Context, progress: Progress) -> anyhow::Result<ExitCode> {
    let Context {
        settings,
        state,
        clock,
        ..
    } = context;
    drop(state);
    let database = settings.state.clone();
    let done = pipeline::run(
        settings,
        clock,
        Until::Idle,
        progress,
        &Vitals::default(),
        run::stop_signal(),
    )
    .await;
    match done {
        Err(error) if is_served(&error, &database) => {
            output::line(
                "The running gristmill picks it up; `gristmill runs` and `gristmill files` show the result.",
            )?;
            Ok(ExitCode::SUCCESS)
        }
        done => {
            let tally = done?;
            run::conclude(&tally)
        }
    }
}

/// The same for a command that may print JSON, which then is all that it prints.
pub(super) async fn carry_out_quietly(
    context: Context,
    progress: Progress,
    is_quiet: bool,
) -> anyhow::Result<ExitCode> {
    if !is_quiet {
        return carry_out(context, progress).await;
    }
    let Context {
        settings,
        state,
        clock,
        ..
    } = context;
    drop(state);
    let database = settings.state.clone();
    match pipeline::run(
        settings,
        clock,
        Until::Idle,
        progress,
        &Vitals::default(),
        run::stop_signal(),
    )
    .await
    {
        Err(error) if is_served(&error, &database) => Ok(ExitCode::SUCCESS),
        done => {
            let tally = done?;
            Ok(run::status(&tally))
        }
    }
}

/// Returns whether the error says that another process is working on this state database.
fn is_served(error: &anyhow::Error, state: &Place) -> bool {
    match error.downcast_ref() {
        Some(StateError::AlreadyRunning { path, .. }) => state.file() == Some(&path.with_extension("")),
        Some(StateError::Leased { .. }) => true,
        _ => false,
    }
}
