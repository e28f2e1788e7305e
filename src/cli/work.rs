//! Doing what a command has asked for: by the gristmill that runs, or else by this one.

use std::path::Path;
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
    let database = settings.state.clone();
    let done = pipeline::run(settings, clock, Until::Idle, progress, run::stop_signal()).await;
    match done {
        Err(error) if is_served(&error, &database) => {
            output::line(
                "The gristmill that runs takes it up; `gristmill runs` and `gristmill files` show the rest.",
            )?;
            Ok(ExitCode::SUCCESS)
        }
        done => run::conclude(&done?),
    }
}

/// Whether the error says that another process works on this state database.
fn is_served(error: &anyhow::Error, database: &Path) -> bool {
    match error.downcast_ref() {
        Some(StateError::AlreadyRunning { path, .. }) => path.with_extension("") == database,
        _ => false,
    }
}
