//! The one place where errors become messages and exit statuses.

use std::process::ExitCode;

use gristmill_state::{StateError, TransferError};

use super::output::shown;
use crate::causes;
use crate::pipeline;
use crate::preconditions::ReloadConflict;
use crate::settings::SettingsError;
use crate::usage::Usage;

/// Work failed.
pub(super) const FAILED: u8 = 1;
/// The command line or the settings are wrong.
pub(super) const USAGE: u8 = 2;
/// `explain`: the job waits.
pub(super) const WAITS: u8 = 3;

/// Prints an error with its causes, and returns its exit status.
#[allow(
    clippy::print_stderr,
    reason = "the one place where a command's error is shown"
)]
pub(super) fn report(error: &anyhow::Error) -> ExitCode {
    let message = causes::joined(error, "\n  because: ");
    eprintln!("error: {}", shown(&message));
    ExitCode::from(status(error))
}

fn status(error: &anyhow::Error) -> u8 {
    let of_state = match error.downcast_ref() {
        Some(TransferError::State(error)) => Some(error),
        _ => error.downcast_ref(),
    };
    let is_usage = error.is::<Usage>()
        || error.is::<SettingsError>()
        || error.is::<ReloadConflict>()
        || pipeline::is_usage_error(error)
        || matches!(
            error.downcast_ref(),
            Some(
                TransferError::Exists(_)
                    | TransferError::Missing(_)
                    | TransferError::NoState(_)
                    | TransferError::Dangling { .. }
                    | TransferError::NotEmpty { .. }
            )
        )
        || matches!(
            of_state,
            Some(
                StateError::UnknownJob { .. }
                    | StateError::UnknownRun { .. }
                    | StateError::UnknownFile { .. }
                    | StateError::NothingHeld { .. }
                    | StateError::NothingInForce { .. }
                    | StateError::Overtaken { .. }
                    | StateError::AlreadyRunning { .. }
                    | StateError::NoWorkers { .. }
            )
        );
    if is_usage { USAGE } else { FAILED }
}
