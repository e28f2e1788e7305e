//! Doing what a command has asked for: by the gristmill that runs, or else by this one.

use std::process::ExitCode;

use gristmill_state::StateError;

use super::context::Context;
use super::{output, run};
use crate::pipeline::{self, Until};
use crate::progress::Progress;

/// Sees to it that what was asked for through the state database is done. A gristmill that runs takes it up within a
/// second; if none does, this process works until nothing is left to do.
pub(super) async fn see_to_it(context: Context, progress: Progress) -> anyhow::Result<ExitCode> {
    let Context {
        settings,
        state,
        clock,
    } = context;
    drop(state);
    let done = pipeline::run(settings, clock, Until::Idle, progress, run::stop_signal()).await;
    match done {
        Err(error) if matches!(error.downcast_ref(), Some(StateError::AlreadyRunning { .. })) => {
            output::line(
                "The gristmill that runs takes it up; `gristmill runs` and `gristmill files` show the rest.",
            )?;
            Ok(ExitCode::SUCCESS)
        }
        done => run::conclude(&done?),
    }
}
